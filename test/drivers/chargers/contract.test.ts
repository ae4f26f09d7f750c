import { chargerCases } from '../../contracts/charger.ts'
import { suite } from '../../harness.ts'
import { inMemory, KINDS } from './bench.ts'

const test = suite('chargers in memory')

for (const kind of KINDS)
  chargerCases(
    test,
    kind.name,
    kind.facts,
    () => inMemory(kind),
    false,
    () => inMemory(kind, undefined, { givesWay: false }),
  )

test.run()
