import type { FirmataContact } from '../../../drivers/relays/firmata-contact.ts'
import { must } from '../../../protocol/result.ts'
import { type RelayUnderTest, relayCases } from '../../contracts/relay.ts'
import { suite } from '../../harness.ts'
import { onStandardFirmata, STANDARD_HEX } from '../../hw/firmata/standard-firmata.ts'
import { type FirmataBench, firmataBench, OUR_HEX } from './firmata-bench.ts'

const test = suite('relays/firmata')

const LOW: FirmataContact = { name: 'L1.line', pin: 4, closedLevel: 0 }
const HIGH: FirmataContact = { name: 'L1.line', pin: 7, closedLevel: 1 }

/** How often the contact moved since the board had power. */
function movesOf(bench: FirmataBench, { pin, closedLevel }: FirmataContact, from = 0): number {
  const closing = closedLevel === 1 ? 'high' : 'low'
  let closed = false
  let moves = 0
  for (const event of bench.events.slice(from)) {
    if (event.pin !== pin || (event.drive === closing) === closed) continue
    closed = !closed
    moves++
  }
  return moves
}

async function underTest(
  bench: FirmataBench,
  contact: FirmataContact,
  options: Partial<Parameters<FirmataBench['open']>[0]> = {},
): Promise<RelayUnderTest> {
  const from = bench.events.length
  const [relay] = must(await bench.open({ contacts: [contact], ...options }))
  return {
    relay: relay!,
    clock: bench.clock,
    contact: () => bench.contact(contact),
    moves: () => movesOf(bench, contact, from),
    cut: off => (off ? bench.line.device.unplug() : bench.line.device.plug()),
    pass: bench.pass,
  }
}

relayCases(test, 'own firmware, active low', () => underTest(firmataBench(OUR_HEX), LOW), 100)
relayCases(test, 'own firmware, active high', () => underTest(firmataBench(OUR_HEX), HIGH), 100)

/** At a tenth of the real speed, and of the work: StandardFirmata never sleeps. It starts once; each case has a driver of its own. */
let standard: FirmataBench | undefined
async function onStandard(): Promise<RelayUnderTest> {
  if (standard === undefined) {
    standard = firmataBench(STANDARD_HEX, 10)
    standard.board.run(32_000_000)
  }
  await standard.quiet()
  return underTest(standard, HIGH, { firmware: 'standard', allowUnsupervised: true })
}

relayCases(onStandardFirmata(test), 'StandardFirmata', onStandard, 500)

test.run()
