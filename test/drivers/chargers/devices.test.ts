/** The same cases over real pseudo-terminals and TCP sockets. */
import { chargerCases } from '../../contracts/charger.ts'
import { suite } from '../../harness.ts'
import { ABB_TERRA_RTU, KINDS, onDevice } from './bench.ts'

const test = suite('chargers on devices')

// The one on two buses is tried on its socket here; a slower line tells nothing more.
for (const kind of KINDS.filter(one => one !== ABB_TERRA_RTU))
  chargerCases(test, kind.name, kind.facts, () => onDevice(kind), true)

test.run()
