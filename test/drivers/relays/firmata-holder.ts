/** Holds a contact on a Firmata board closed until it is killed: `firmata-holder.ts DEVICE`. */
import { createSystemTime } from '../../../drivers/clock.ts'
import { createSerialLine } from '../../../drivers/line/serial.ts'
import type { Relay } from '../../../drivers/ports.ts'
import { openFirmataRelays } from '../../../drivers/relays/firmata.ts'
import type { FirmataContact } from '../../../drivers/relays/firmata-contact.ts'
import { must, type Result } from '../../../protocol/result.ts'

export const CONTACT: FirmataContact = { name: 'L1.line', pin: 7, closedLevel: 1 }
/** Long, for a machine that stands still for a second while the board does not. */
export const DEAD_MAN_MS = 3000

export function openOn(path: string): Promise<Result<readonly Relay[]>> {
  const { clock, timers } = createSystemTime()
  const line = createSerialLine({ path, baudRate: 57_600 }, clock, timers)
  const log = () => {}
  return openFirmataRelays({
    line,
    clock,
    timers,
    contacts: [CONTACT],
    firmware: 'tieline',
    deadManMs: DEAD_MAN_MS,
    log,
  })
}

const [, program, device] = process.argv
if (program?.endsWith('firmata-holder.ts') && device !== undefined) {
  // With its parent, however that ended.
  process.stdin.resume().on('end', () => process.exit())
  const [relay] = must(await openOn(device))
  const death = relay!.onAgentDeath
  process.stdout.write(`within ${death.kind === 'opens' ? death.withinMs : 'never'}\n`)
  for (;;) {
    const answer = await relay!.command('closed')
    if (answer.ok) process.stdout.write('closed\n')
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}
