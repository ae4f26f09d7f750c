/** What one relay bank cannot know of itself: that its line is there and its own, and that no pin is wired twice. */
import { COIL_BOARDS } from '../../drivers/relays/coil-boards.ts'
import type { ContactRef, RelayBankConfig } from './relay-config.ts'
import type { SiteConfig } from './site-config.ts'
import type { Path } from './yaml.ts'

type Report = (path: Path, what: string, hint?: string) => void
type Refer = (path: Path, kind: string, name: string, table: object) => void

const UNSUPERVISED =
  'to accept that say allow_unsupervised: true; a board with a timer opens by itself when the agent dies'

/** `claimUnit` hears of every Modbus unit. */
export function checkRelays(
  config: SiteConfig,
  report: Report,
  refer: Refer,
  claimUnit: (path: Path, line: string, unit: number) => void,
): void {
  const wired = new Map<string, string>()
  const wire = (path: Path, where: string, pin: string | number) => {
    const other = wired.get(`${where} ${pin}`)
    if (other === undefined) wired.set(`${where} ${pin}`, path.join('.'))
    else report(path, `is also ${other}`, 'each contact and each auxiliary input has its own')
  }
  const owners = new Map<string, string>()
  for (const [name, other] of [...Object.entries(config.meters), ...Object.entries(config.relays)]) {
    if (!('driver' in other) || other.driver === 'modbus-coils') owners.set(other.line, name)
  }

  for (const [name, bank] of Object.entries(config.relays)) {
    const at = (...rest: Path): Path => ['relays', name, ...rest]
    if ('line' in bank) refer(at('line'), 'line', bank.line, config.lines)
    const why = staysClosed(bank)
    if (why !== undefined) report(at(), `${why}: contacts stay closed when the agent dies`, UNSUPERVISED)

    if (bank.driver === 'modbus-coils') {
      claimUnit(at('unit'), bank.line, bank.unit)
      const least = COIL_BOARDS[bank.board].timed?.stepMs
      if (bank.timedMs !== undefined && least === undefined) report(at('timed'), `is not for a ${bank.board} board`)
      else if (bank.timedMs !== undefined && bank.timedMs < least!)
        report(at('timed'), `is shorter than the steps of a ${bank.board} board, ${least}ms`)
    } else if (bank.driver === 'shelly') {
      if (bank.timedMs !== undefined && bank.timedMs < 1_000) report(at('timed'), 'is shorter than a second')
      wire(at('device'), `shelly ${bank.broker ?? ''}`, bank.device)
    } else if (bank.driver === 'gpio') {
      if ((bank.contacts === undefined) === (bank.hat === undefined)) report(at(), 'must have either contacts or a hat')
      if (bank.hat !== undefined && config.board === undefined)
        report(at('hat'), 'is on a board that is not named', 'name it under board')
      if (bank.hat !== undefined) wire(at('hat'), 'hat', bank.hat)
      for (const [n, { output, auxiliary }] of (bank.contacts ?? []).entries()) {
        wire(at('contacts', n, 'output'), `gpio ${bank.chip ?? ''}`, output)
        if (auxiliary !== undefined)
          wire(at('contacts', n, 'auxiliary', 'line'), `gpio ${bank.chip ?? ''}`, auxiliary.line)
      }
    } else if (bank.driver === 'firmata') {
      if (bank.firmware === 'standard' && bank.deadManMs !== undefined)
        report(at('dead_man'), 'is for the firmware tieline', 'StandardFirmata has no dead-man timer')
      for (const [n, { pin, auxiliary }] of bank.contacts.entries()) {
        wire(at('contacts', n, 'pin'), `firmata ${bank.line}`, pin)
        if (auxiliary !== undefined) wire(at('contacts', n, 'auxiliary', 'pin'), `firmata ${bank.line}`, auxiliary.pin)
      }
    }
    if (bank.driver === 'lcus' || bank.driver === 'firmata') {
      const owner = owners.get(bank.line)
      if (owner !== undefined)
        report(at('line'), `is also the line of ${owner}`, 'this board shares its line with nobody')
      else owners.set(bank.line, name)
    }
  }

  for (const [index, { contacts }] of config.directLines.entries()) {
    for (const [role, ref] of Object.entries(contacts) as [string, ContactRef][]) {
      const bank = config.relays[ref.bank]
      const most = bank === undefined ? undefined : channelsOf(bank)
      if (most !== undefined && ref.channel > most)
        report(['direct_lines', index, 'contacts', role], `is channel ${ref.channel} of ${ref.bank}, which has ${most}`)
    }
  }
}

/** Why contacts of this bank would stay closed without their agent, where that was not said. */
function staysClosed(bank: RelayBankConfig): string | undefined {
  if (bank.driver === 'johnny-five' || bank.allowUnsupervised) return undefined
  switch (bank.driver) {
    case 'modbus-coils':
    case 'shelly':
      return bank.timedMs === undefined ? 'sets no "timed"' : undefined
    case 'firmata':
      return bank.firmware === 'standard' ? 'is StandardFirmata' : undefined
    case 'gpio':
      return 'is on GPIO lines'
    case 'lcus':
      return 'is an LCUS board'
  }
}

/** undefined where only the board itself knows. */
function channelsOf(bank: RelayBankConfig): number | undefined {
  if ('contacts' in bank) return bank.contacts?.length
  if (bank.driver === 'modbus-coils') return COIL_BOARDS[bank.board].channels
  return bank.driver === 'lcus' ? bank.channels : undefined
}
