/** The questions about trading over the grid: whose meter counts, where it hangs, what a kWh is worth. */
import { SHARING_RULES } from '../../../protocol/market/sharing.ts'
import { SOURCES } from '../../../protocol/trade/contract.ts'
import * as literals from '../../config/literals.ts'
import { because, choose, parsed, type Walk, yes } from './question.ts'
import { type Drafting, settle } from './settle.ts'

/** As the ledger names meters. */
export const SERIAL = "a meter's serial of at most 32 characters, without blanks"
export const parseSerial = (text: string) => (/^[!-~]{1,32}$/.test(text) ? text : undefined)
const PREFIX = 'grid.'
/** As the configuration takes it. */
const [SLOT_LEAST_MS, SLOT_MOST_MS] = [10_000, 86_400_000]
/** How long before its start a slot is asked for, and receipts are waited for, where the configuration is not told. */
const USUAL_LEAD_MS = 60_000

/** `needed` where the site is nothing without it, whether it buys or sells or not. */
export function* askGrid(draft: Drafting, needed: boolean): Walk<void> {
  const onLines = draft.directLines.map(({ settings }) => settings['meter'])
  const meters = draft.meters.map(({ name }) => name).filter(name => !onLines.includes(name))
  if (meters.length === 0) return
  if (!needed) {
    const there = yield* yes(
      `${PREFIX}add`,
      'Shall it trade over the grid, with whoever offers best?',
      draft.role === 'generator' ? 'yes' : 'no',
      'No cable of your own is needed: what the meter at the connection shows is sold or bought.',
    )
    if (!there) return
  }
  const meter = yield choose(
    `${PREFIX}meter`,
    'Which meter is the one at the connection to the grid?',
    meters,
    meters[0],
  )
  const own = draft.meters.find(({ name }) => name === meter)!
  if (needed && own.settings['id'] === undefined) {
    const id = yield because(
      'Shares are of what it counts, under this name.',
      parsed(`${PREFIX}serial`, 'Which serial number has it?', parseSerial, SERIAL),
    )
    draft.meters = draft.meters.map(one => (one === own ? { ...own, settings: { ...own.settings, id } } : one))
  }
  const node = yield because(
    'The ledger has the meter there, and both ends of a deal are named so. For example feeder-3',
    parsed(
      `${PREFIX}node`,
      'From which line of the distribution network does it hang, as its operator calls it?',
      text => (/^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/.test(text) ? text : undefined),
      'a name of 1 to 32 letters, digits, . - _',
      'feeder-1',
    ),
  )
  const source = yield choose(`${PREFIX}source`, 'What is the energy made from that is sold here?', SOURCES, 'solar')
  const price = (id: string, text: string, initial: string) =>
    parsed(
      `${PREFIX}${id}`,
      text,
      literals.parsePrice,
      'a price for one kWh, as in 0.28, with at most 6 decimals',
      initial,
    )
  let [sell, buy]: (typeof draft.sell)[] = [undefined, undefined]
  if (yield* yes(`${PREFIX}sells`, 'Does it sell what is left over?', needed ? 'no' : 'yes')) {
    const reserve = yield price('reserve', 'What is the least that you sell a kWh for?', '0.09')
    const opening = yield price('asked', 'What do you ask for first?', '0.20')
    sell = { reserve, opening }
  }
  if (yield* yes(`${PREFIX}buys`, 'Does it buy what it needs?', needed || draft.role === 'generator' ? 'no' : 'yes')) {
    const limit = yield price('most', 'What is the most that you pay for a kWh?', '0.30')
    const opening = yield price('offered', 'What do you offer first?', '0.10')
    buy = { limit, opening }
  }
  const slot = yield because(
    'Those who trade with each other have the same; for a trial 20s will do.',
    parsed(
      `${PREFIX}slot`,
      'How long is one deal?',
      literals.within(literals.parseDuration, SLOT_LEAST_MS, SLOT_MOST_MS),
      'a duration from 10s to 1d, as in 15min',
      '15min',
    ),
  )
  // Asked for further ahead than it lasts, and paid after many more, a short slot would only be waited for.
  const short = literals.parseDuration(slot)! < USUAL_LEAD_MS ? slot : undefined
  draft.grid = { settings: { meter, node, source, slot, lead: short, receipt_window: short }, sell, buy }
  // What needs the grid is asked about only now: any that would be right lets these answers be judged by themselves.
  const any = {
    settings: { group: draft.site, rule: SHARING_RULES[0] },
    tariff: { import: '0', feed_in: '0' },
    members: {},
  }
  yield* settle(PREFIX, needed ? { ...draft, community: any } : draft)
}
