/**
 * The audit of services, in its own words.
 *
 *     deposit of an event = ceil(most x price); admitted = sum of its participants; paid = sum of what they got
 *     paid to one         = floor(min(most, baseline - taken) x price)
 *     points minted       = sum of what was rewarded = burnt + what holders have
 *     members of groups   = memberships
 */
import { toHex } from '../bytes.ts'
import type { Fault } from '../result.ts'
import type { Agreement, DemandEvent, Group, Participant, Pool, Rewarded } from './service-tables.ts'

export interface ServiceBooks {
  readonly agreements: Map<string, Agreement>
  readonly events: Map<string, DemandEvent>
  /** Under the event and the meter. */
  readonly participants: Map<string, Participant>
  /** Windows under the meter. */
  readonly promised: Map<
    string,
    readonly { readonly event: Uint8Array; readonly start: number; readonly end: number }[]
  >
  readonly pools: Map<string, Pool>
  /** Under the issuer and the holder. */
  readonly points: Map<string, bigint>
  /** Under the issuer and the deal. */
  readonly rewarded: Map<string, Rewarded>
  readonly groups: Map<string, Group>
  /** Group under the account. */
  readonly memberships: Map<string, string>
}

export const createServiceBooks = (): ServiceBooks => ({
  agreements: new Map(),
  events: new Map(),
  participants: new Map(),
  promised: new Map(),
  pools: new Map(),
  points: new Map(),
  rewarded: new Map(),
  groups: new Map(),
  memberships: new Map(),
})

/** Deposits of events, less what was paid out of them. */
export function depositedIn(books: ServiceBooks): bigint {
  let sum = 0n
  for (const { deposit, paid } of books.events.values()) sum += deposit - paid
  return sum
}

/** What is wrong with them at a block time. */
export const serviceProblems = (books: ServiceBooks, now: number): Fault[] => [
  ...agreementProblems(books, now),
  ...eventProblems(books, now),
  ...promiseProblems(books),
  ...pointProblems(books),
  ...groupProblems(books),
]

function agreementProblems({ agreements }: ServiceBooks, now: number): Fault[] {
  const found: Fault[] = []
  for (const [id, { state, answerBy, ends, reason }] of agreements) {
    const last = state === 'ending' ? ends : state === 'accepted' ? undefined : answerBy
    const over = last !== undefined && last <= now
    if (over || (state === 'ending') !== (ends !== undefined) || (state === 'rejected') !== (reason !== undefined)) {
      found.push({ code: 'audit.agreement', agreement: id, state, answerBy, ends, now })
    }
  }
  return found
}

function eventProblems({ events, participants }: ServiceBooks, now: number): Fault[] {
  const found: Fault[] = []
  const sums = new Map([...events.keys()].map(id => [id, { admitted: 0n, paid: 0n }]))
  for (const [id, { admitted, most, baseline, report, until }] of participants) {
    const wrong = (what: string) => found.push({ code: 'audit.participant', participant: id, what })
    const sum = sums.get(id.split('/', 1)[0]!)
    const event = events.get(id.split('/', 1)[0]!)
    if (sum === undefined || event === undefined) {
      wrong('of no event')
      continue
    }
    if (until !== (admitted ? event.reportBy : event.start) || until <= now) wrong('kept for another time')
    if (most > baseline) wrong('more than its baseline')
    if (admitted) sum.admitted += most
    if (report === undefined) continue
    if (!admitted) wrong('reported without being admitted')
    sum.paid += report.paid
    const less = report.taken > baseline ? 0n : baseline - report.taken
    if (report.paid !== ((less > most ? most : less) * event.price) / 1000n) wrong('paid')
  }
  for (const [id, event] of events) {
    const wrong = (what: string, expected: bigint, received: bigint) => {
      if (expected !== received) found.push({ code: 'audit.event', event: id, what, expected, received })
    }
    const { admitted, paid } = sums.get(id)!
    const value = event.most * event.price
    wrong('deposit', value / 1000n + (value % 1000n === 0n ? 0n : 1n), event.deposit)
    wrong('admitted', admitted, event.admitted)
    wrong('paid', paid, event.paid)
    if (admitted > event.most || paid > event.deposit || event.reportBy <= now) {
      found.push({ code: 'audit.event', event: id, what: 'beyond its bounds', most: event.most, admitted, paid, now })
    }
  }
  return found
}

/** No meter's reduction is sold twice, and every admitted one is promised. */
function promiseProblems({ promised, participants }: ServiceBooks): Fault[] {
  const found: Fault[] = []
  const admitted = new Set([...participants].filter(([, one]) => one.admitted).map(([id]) => id))
  for (const [meterId, windows] of promised) {
    const sorted = [...windows].sort((a, b) => a.start - b.start)
    for (const [i, { event, start }] of sorted.entries()) {
      const kept = admitted.delete(`${toHex(event)}/${meterId}`)
      if (!kept || (i > 0 && start < sorted[i - 1]!.end)) found.push({ code: 'audit.promised', meterId, start })
    }
  }
  for (const id of admitted) found.push({ code: 'audit.promised', participant: id })
  return found
}

function pointProblems({ pools, points, rewarded }: ServiceBooks): Fault[] {
  const sumOf = (all: Iterable<readonly [id: string, amount: bigint]>) => {
    const sums = new Map<string, bigint>()
    for (const [id, amount] of all) {
      const issuer = id.split('/', 1)[0]!
      sums.set(issuer, (sums.get(issuer) ?? 0n) + amount)
    }
    return sums
  }
  const held = sumOf(points)
  const earned = sumOf([...rewarded].map(([id, { amount }]) => [id, amount] as const))
  const found: Fault[] = []
  for (const [id, { amount, parts }] of rewarded) {
    const sum = parts?.reduce((all, one) => all + one.amount, 0n)
    if (sum !== undefined && sum !== amount) found.push({ code: 'audit.rewarded', rewarded: id, amount, parts: sum })
  }
  for (const issuer of new Set([...pools.keys(), ...held.keys(), ...earned.keys()])) {
    const { minted, burnt } = pools.get(issuer) ?? { minted: 0n, burnt: 0n }
    const [has, earns] = [held.get(issuer) ?? 0n, earned.get(issuer) ?? 0n]
    if (minted !== earns || minted - burnt !== has) {
      found.push({ code: 'audit.points', issuer, minted, burnt, held: has, earned: earns })
    }
  }
  return found
}

function groupProblems({ groups, memberships }: ServiceBooks): Fault[] {
  const found: Fault[] = []
  const left = new Map(memberships)
  for (const [name, { gateway, members }] of groups) {
    const wrong = (what: string) => found.push({ code: 'audit.group', group: name, what })
    for (const member of members.map(toHex)) {
      if (left.get(member) === name) left.delete(member)
      else wrong(`${member} is a member of another group, or twice of this one`)
    }
    if (!members.map(toHex).includes(toHex(gateway))) wrong('its gateway is not a member')
  }
  for (const [account, group] of left) found.push({ code: 'audit.group', group, what: `${account} is not in it` })
  return found
}
