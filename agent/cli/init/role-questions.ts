/** The questions to those that keep a market for others: a distributor, a community's gateway, a regulator. */
import { SHARING_RULES } from '../../../protocol/market/sharing.ts'
import * as literals from '../../config/literals.ts'
import type { Settings } from './draft.ts'
import { parseSerial, SERIAL } from './grid-questions.ts'
import { askLedgerOf, listOf } from './ledger-questions.ts'
import { askPeer, NAME, parseName } from './line-questions.ts'
import { because, choose, line, parsed, type Walk, yes } from './question.ts'
import { type Drafting, settle } from './settle.ts'

/** Of a network or a community with more something is to be written by hand. */
const MOST = 64
const parseLine = (text: string) => (/^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/.test(text) ? text : undefined)
const LINE = 'a name of 1 to 32 letters, digits, . - _'
const PRICE = 'a price for one kWh, as in 0.03, with at most 6 decimals'
/** Ports of a second ledger on one machine, as `tieline-ledger dev --port 26757` takes them. */
const SECOND_NODE = 'http://127.0.0.1:26757'

export function* askDistributor(draft: Drafting): Walk<void> {
  const prefix = 'distribution.'
  const ledger = yield* askLedgerOf(prefix, 'Which ledger has the capacity of the lines', 'grid-1', SECOND_NODE)
  const lines: Record<string, Settings> = {}
  for (let n = 1; n <= MOST; n++) {
    const at = `wire${n}.`
    if (n > 1 && !(yield* yes(`${at}add`, 'Is there another line?', 'no'))) break
    const name = yield because(
      'Meters hang from it by this name.',
      parsed(
        `${at}name`,
        'What is this line of the network called?',
        text => (Object.hasOwn(lines, text) ? undefined : parseLine(text)),
        `${LINE}, which no other line has`,
        `feeder-${n}`,
      ),
    )
    const above = Object.keys(lines)
    const NONE = 'none'
    const feeder =
      above.length === 0
        ? NONE
        : yield choose(
            `${at}feeder`,
            'From which line does it hang?',
            [{ value: NONE, label: 'from none' }, ...above],
            NONE,
          )
    const capacity = yield parsed(
      `${at}capacity`,
      'What does it carry in a quarter of an hour?',
      literals.parseEnergy,
      'an energy, as in 25kWh',
      '25kWh',
    )
    const tariff = yield parsed(`${at}tariff`, 'What does its use cost, for a kWh?', literals.parsePrice, PRICE, '0.03')
    const congestion = yield line(
      `${at}congestion`,
      'What does a kWh cost beyond that where the slot is wholly reserved? Empty: no more',
      text => (text === '' || literals.parsePrice(text) !== undefined ? undefined : `must be ${PRICE}`),
      '',
    )
    lines[name] = {
      feeder: feeder === NONE ? undefined : feeder,
      capacity,
      tariff,
      congestion: congestion === '' ? undefined : congestion,
    }
    draft.distribution = { ...ledger, settings: { distributor: draft.site, ...ledger.settings } }
    draft.network = { ...lines }
    yield* settle(n === 1 ? prefix : at, draft)
  }
}

export function* askCommunity(draft: Drafting): Walk<void> {
  const prefix = 'community.'
  const group = yield parsed(
    `${prefix}group`,
    'What is the community called on the ledger?',
    parseName,
    NAME,
    draft.site,
  )
  const rule = yield choose(`${prefix}rule`, 'How do the members share what it saves?', SHARING_RULES, 'mid-market')
  const price = (id: string, text: string, initial: string) =>
    parsed(`${prefix}${id}`, text, literals.parsePrice, PRICE, initial)
  const retail = yield price('import', 'What does a kWh from outside cost?', '0.34')
  const feedIn = yield price('feed_in', 'What does a kWh to outside bring?', '0.08')
  const community = {
    settings: { group, found: 'true', rule },
    tariff: { import: retail, feed_in: feedIn },
  }
  draft.community = { ...community, members: {} }
  yield* settle(prefix, draft)
  for (let n = 1; n <= MOST; n++) {
    const at = `member${n}.`
    const more = yield* yes(
      `${at}add`,
      n === 1 ? 'Do you have the keys of a member, as `tieline key show` shows them there?' : 'And of another member?',
      'no',
      ...(n === 1 ? ['Members can be added later: `tieline peer`, and a line under `community.members`.'] : []),
    )
    if (!more) return
    const peer = yield parsed(`${at}name`, "What is the member's site called?", parseName, NAME)
    if (!Object.hasOwn(draft.peers, peer)) yield* askPeer(at, peer, draft)
    const serial = yield parsed(`${at}serial`, 'Which serial number has its grid meter?', parseSerial, SERIAL)
    draft.community = { ...community, members: { ...draft.community.members, [peer]: serial } }
    yield* settle(at, draft)
  }
}

export function* askRegulator(draft: Drafting): Walk<void> {
  const prefix = 'regulator.'
  const price = (id: string, text: string, initial: string) =>
    parsed(`${prefix}${id}`, text, literals.parsePrice, PRICE, initial)
  const floor = yield price('floor', 'What is the least that a kWh may be traded for?', '0.01')
  const ceiling = yield price('ceiling', 'And the most?', '0.60')
  const suspend = yield parsed(
    `${prefix}suspend`,
    'Which meters are kept from new contracts? Their serials, with commas between; empty: none',
    text => (listOf(text).every(one => parseSerial(one) !== undefined) ? text : undefined),
    'serials of meters with commas between them',
    '',
  )
  draft.regulator = { band: { floor, ceiling }, suspend: listOf(suspend) }
  yield* settle(prefix, draft)
}
