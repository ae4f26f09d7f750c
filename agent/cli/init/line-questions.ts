/** The questions about direct lines: the neighbour, the contacts that close onto the line, and the price. */
import { COIL_BOARD_KINDS, COIL_BOARDS } from '../../../drivers/relays/coil-boards.ts'
import type { LineSpeed } from '../../config/line-settings.ts'
import * as literals from '../../config/literals.ts'
import type { LineConfig } from '../../config/site-config.ts'
import { lineOf } from '../meters/read-target.ts'
import type { Settings } from './draft.ts'
import { choose, parsed, type Walk, yes } from './question.ts'
import { type Drafting, lineTo, settle, TWO_SPEEDS } from './settle.ts'

const LINES_MOST = 8
export const NAME = 'a name: a letter, then at most 31 letters, digits, - or _'
export const parseName = (text: string) => (/^[A-Za-z][A-Za-z0-9_-]{0,31}$/.test(text) ? text : undefined)
const SPEED = { baud: 9_600, format: '8N1' } as const

export const parsePlace = (text: string, speed: LineSpeed = SPEED): LineConfig | undefined => {
  const at = /^\/\S+$/.test(text) ? { line: text } : { tcp: text }
  const made = /^\S+$/.test(text) ? lineOf(at, speed) : undefined
  return made?.ok ? made.value : undefined
}
const PLACE = 'a device such as /dev/ttyUSB0 (9600 8N1), or host:port'

export function* askDirectLines(draft: Drafting, hats: readonly string[]): Walk<void> {
  for (let n = 1; n <= LINES_MOST; n++) {
    const prefix = `line${n}.`
    const more = yield* yes(
      `${prefix}add`,
      n === 1 ? 'Is there a cable of your own to a neighbour (a direct line)?' : 'Is there another direct line?',
      'no',
    )
    if (!more) return
    yield* askDirectLine(prefix, n, draft, hats)
  }
}

function* askDirectLine(prefix: string, n: number, draft: Drafting, hats: readonly string[]): Walk<void> {
  const id = yield parsed(`${prefix}id`, 'What do both ends call this line?', parseName, NAME, `L${n}`)
  const side = yield choose(`${prefix}side`, 'Which way does energy flow?', [
    { value: 'seller', label: 'from here to the neighbour' },
    { value: 'buyer', label: 'from the neighbour to here' },
  ])
  const peer = yield parsed(`${prefix}peer`, "What is the neighbour's site called?", parseName, NAME)
  if (!Object.hasOwn(draft.peers, peer)) yield* askPeer(prefix, peer, draft)
  const meter = yield choose(
    `${prefix}meter`,
    'Which of your meters sits on this line?',
    draft.meters.map(one => one.name),
  )
  const peerMeter = yield parsed(
    `${prefix}peer_meter`,
    "Which serial number has the meter at the neighbour's end?",
    text => (/^[\x21-\x7e]{1,64}$/.test(text) ? text : undefined),
    "a meter's serial, without blanks",
  )
  const limit = yield parsed(
    `${prefix}limit`,
    'How much may flow over each phase? The smallest fuse or cable counts',
    literals.parseCurrent,
    'a current, as in 16A',
  )
  const bank = yield* askBank(prefix, draft, hats)
  const channel = (id: string, text: string, initial: string) =>
    parsed(`${prefix}${id}`, text, literals.within(literals.parseWhole, 1, 99), 'a channel from 1 to 99', initial)
  const contact = yield channel('contact', 'On which channel is the contact that closes onto the line?', '1')
  const own =
    side === 'buyer'
      ? yield channel('own', "On which channel is the contact of the circuit's own supply?", '2')
      : undefined
  draft.directLines = [
    ...draft.directLines,
    {
      settings: { id, side, peer, meter, limit, peer_meter: peerMeter },
      contacts: { line: `${bank}.${contact}`, own: own === undefined ? undefined : `${bank}.${own}` },
    },
  ]
  yield* askPrices(prefix, side === 'seller' ? 'seller' : 'buyer', draft)
  yield* settle(prefix, draft)
}

export function* askPeer(prefix: string, peer: string, draft: Drafting): Walk<void> {
  const key = (use: string) =>
    parsed(
      `${prefix}peer_${use}`,
      `The ${use} key of ${peer}, as \`tieline key show\` shows it there?`,
      use === 'metering' ? literals.parseSigningKey : literals.parseHex32,
      use === 'metering' ? '64 hexadecimal digits, or 66 of a P-256 key' : '64 hexadecimal digits',
    )
  const account = yield key('account')
  const sealing = yield key('sealing')
  const metering = yield key('metering')
  draft.peers = { ...draft.peers, [peer]: { account, sealing, metering } }
}

/** A bank of contacts: one that is there already, or a new one. Without an auxiliary contact nothing shows a weld but the meter. */
function* askBank(prefix: string, draft: Drafting, hats: readonly string[]): Walk<string> {
  const kind = yield choose(`${prefix}board`, 'Which relay board switches it?', [
    ...Object.keys(draft.relays).map(name => ({ value: name, label: `${name}, as above` })),
    ...COIL_BOARD_KINDS.map(value => ({ value, label: `Modbus board: ${value}` })),
    { value: 'shelly', label: 'Shelly Gen2 or newer, over MQTT' },
    { value: 'lcus', label: 'LCUS board behind USB' },
    ...hats.map(value => ({ value, label: `hat: ${value}` })),
  ])
  if (draft.relays[kind] !== undefined) return kind
  const name = `bank${Object.keys(draft.relays).length + 1}`
  const settings = yield* askBankSettings(prefix, kind, draft, hats)
  if (settings !== undefined) draft.relays = { ...draft.relays, [name]: settings }
  return name
}

function* askBankSettings(
  prefix: string,
  kind: string,
  draft: Drafting,
  hats: readonly string[],
): Walk<Settings | undefined> {
  if (kind === 'shelly') {
    const device = yield parsed(
      `${prefix}device`,
      'What does the Shelly call itself on MQTT?',
      text => (/^[^\s#+$][^\s#+]{0,127}$/.test(text) ? text : undefined),
      'a topic such as shellypro1-a8032abcdef0',
    )
    return { driver: 'shelly', device, timed: '1s' }
  }
  if (hats.includes(kind)) return { driver: 'gpio', hat: kind, allow_unsupervised: yield* askUnsupervised(prefix) }
  const place = yield parsed(`${prefix}place`, 'Where is the board?', text => parsePlace(text), PLACE)
  const wire = lineTo(draft, parsePlace(place)!)
  if (wire === undefined) {
    yield { kind: 'refusal', prefix, why: TWO_SPEEDS }
    return undefined
  }
  if (kind === 'lcus') {
    const channels = yield parsed(
      `${prefix}channels`,
      'How many channels has it?',
      literals.within(literals.parseWhole, 1, 8),
      'a whole number from 1 to 8',
    )
    return { driver: 'lcus', line: wire, channels, allow_unsupervised: yield* askUnsupervised(prefix) }
  }
  const unit = yield parsed(
    `${prefix}unit`,
    'Which Modbus unit (address) has it?',
    literals.within(literals.parseWhole, 1, 247),
    'a Modbus unit from 1 to 247',
  )
  const board = COIL_BOARDS[kind as keyof typeof COIL_BOARDS]
  const common = { driver: 'modbus-coils', line: wire, unit, board: kind }
  // The longest that a renewal may take, and no board counts in more than a second.
  if (board.timed !== undefined) return { ...common, timed: '1s' }
  return { ...common, allow_unsupervised: yield* askUnsupervised(prefix) }
}

function* askUnsupervised(prefix: string): Walk<string | undefined> {
  const accepted = yield* yes(
    `${prefix}allow_unsupervised`,
    'Contacts of this board stay closed when the agent dies. Do you accept that?',
    'no',
  )
  if (!accepted)
    yield {
      kind: 'refusal',
      prefix,
      why: 'a board whose contacts open by themselves: a Modbus board with a timer, or a Shelly',
    }
  return accepted ? 'true' : undefined
}

function* askPrices(prefix: string, side: 'seller' | 'buyer', draft: Drafting): Walk<void> {
  const price = (id: string, text: string) =>
    parsed(`${prefix}${id}`, text, literals.parsePrice, 'a price for one kWh, as in 0.28, with at most 6 decimals')
  if (side === 'seller' && draft.sell === undefined) {
    const reserve = yield price('reserve', 'What is the least that you sell a kWh for?')
    const opening = yield price('opening', 'What do you ask for first?')
    draft.sell = { reserve, opening }
  }
  if (side === 'buyer' && draft.buy === undefined) {
    const limit = yield price('most', 'What is the most that you pay for a kWh?')
    const opening = yield price('opening', 'What do you offer first?')
    draft.buy = { limit, opening }
  }
}
