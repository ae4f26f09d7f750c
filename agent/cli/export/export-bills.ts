/**
 * Bills of days, weeks or months, as the agent's own bill has them. It is asked, not the journal: a bill is made from an index
 * over years of it, which a running agent holds. A week is the sum of its days.
 */
import { createSystemTime } from '../../../drivers/clock.ts'
import { zoneOffset } from '../../../drivers/time-zone.ts'
import { boundariesOf } from '../../../protocol/reading/calendar.ts'
import { type Fault, fail, faultLine, ok, type Result } from '../../../protocol/result.ts'
import { type Instant, instant, isoTime } from '../../../protocol/time.ts'
import type { SiteConfig } from '../../config/site-config.ts'
import { oneLine } from '../../log.ts'
import type { StatusSaid } from '../../web/site-routes.ts'
import type { BillView } from '../../web/snapshot.ts'
import { coins, decimal } from '../agent/quantities.ts'
import { askPlain, askSite, naming } from '../ask-agent.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import type { Terminal } from '../terminal.ts'
import type { Row, Write } from './sheet.ts'

export const PERIODS = ['day', 'week', 'month'] as const
type Period = (typeof PERIODS)[number]

export const BILL_COLUMNS = [
  ...['period', 'start', 'end', 'until', 'complete', 'money', 'without_trading', 'saved', 'fees'],
  ...['bought_kwh', 'sold_kwh', 'drawn_kwh', 'fed_in_kwh', 'expected_rest', 'missing'],
] as const

interface BillsAsked {
  readonly period: Period
  /** The first one has this moment in it; the running one alone when left out. */
  readonly from: Instant | undefined
  readonly config: SiteConfig
  readonly json: boolean
  readonly terminal: Terminal
}

/** A week has no name for the agent. */
type Bill = Omit<BillView, 'period' | 'now'> & { readonly period: Period }

const DAY_MS = 86_400_000
/** RFC 6585, 4: the agent answers some hundred questions a second, and years of days are more. */
const TOO_MANY = 429
/** An agent that has just answered and does not now is busy or starts again: it is asked so many times, a second apart. */
const ASKED_MOST = 10
const WAIT_MS = 1000

export async function exportBills(
  { period, from, config, json, terminal }: BillsAsked,
  open: () => Write,
): Promise<ExitCode> {
  const refuse = (fault: Fault, text: string, exit: ExitCode): ExitCode => {
    if (json) terminal.out(jsonLine({ ok: false, fault }))
    terminal.err(`${oneLine(`tieline export: ${text}`)}\n`)
    return exit
  }
  const agent = await askSite(config, { path: '/api/status', is: naming<StatusSaid>('time') })
  if ('exit' in agent) return refuse({ code: agent.code, hint: agent.text }, agent.text, agent.exit)
  const first = from ?? instant(agent.value.time)
  let write: Write | undefined
  for await (const bill of period === 'week' ? weeksFrom(config, first) : billsFrom(config, period, first)) {
    if (!bill.ok) {
      const exit = /^bill\.(future|query)$/.test(bill.fault.code) ? EXIT.no : EXIT.unavailable
      return refuse(bill.fault, faultLine(bill.fault), exit)
    }
    write ??= open()
    if ((await write([rowOf(bill.value)])) === 'enough') break
  }
  return EXIT.ok
}

/** One after the other, to the one that is running. */
async function* billsFrom(config: SiteConfig, period: BillView['period'], from: Instant): AsyncGenerator<Result<Bill>> {
  const { timers } = createSystemTime()
  let tries = 0
  for (let at = from; ; ) {
    const asked = await askPlain(config, `/api/bill?period=${period}&at=${at}`)
    if ((!asked.ok || asked.value.status === TOO_MANY) && ++tries < ASKED_MOST) {
      await timers.sleep(WAIT_MS)
      continue
    }
    if (!asked.ok) return yield asked
    tries = 0
    const { status, value } = asked.value
    if (status !== 200 || !isBill(value)) return yield fail(faultIn(value) ?? { code: 'agent.refused', status })
    yield ok(value)
    if (value.until < value.end) return
    at = instant(value.end)
  }
}

/** From Monday to Monday, by the calendar of this machine, which is the agent's. */
async function* weeksFrom(config: SiteConfig, from: Instant): AsyncGenerator<Result<Bill>> {
  const offsetAt = zoneOffset()
  /** Days since 1970, a Thursday, of local time. */
  const dayOf = (at: number) => Math.floor((at + offsetAt(instant(at))) / DAY_MS)
  const weekdayOf = (at: number) => (dayOf(at) + 3) % 7
  /** The beginning of the day that is so many later; noon is on the same day whatever the clocks do. */
  const dayLater = (at: number, days: number) => {
    const [start] = boundariesOf('day', instant(at), instant(at + 1), offsetAt) as [Instant]
    const noon = instant(start + days * DAY_MS + DAY_MS / 2)
    return boundariesOf('day', noon, instant(noon + 1), offsetAt)[0]!
  }
  const monday = dayLater(from, -weekdayOf(from))
  let week: Bill | undefined
  for await (const day of billsFrom(config, 'day', monday)) {
    if (!day.ok) return yield day
    if (week !== undefined && week.end === day.value.start) {
      yield ok(week)
      week = undefined
    }
    week =
      week === undefined
        ? { ...day.value, period: 'week', end: dayLater(day.value.start, 7) }
        : together(week, day.value)
  }
  if (week !== undefined) yield ok(week)
}

function together(week: Bill, day: Bill): Bill {
  const sum = (a: string, b: string) => String(BigInt(a) + BigInt(b))
  const { ahead: _, ...before } = week
  return {
    ...before,
    until: day.until,
    complete: week.complete && day.complete,
    missing: [...week.missing, ...day.missing],
    money: sum(week.money, day.money),
    withoutTrading: sum(week.withoutTrading, day.withoutTrading),
    saved: sum(week.saved, day.saved),
    fees: sum(week.fees, day.fees),
    energy: {
      bought: sum(week.energy.bought, day.energy.bought),
      sold: sum(week.energy.sold, day.energy.sold),
      drawn: sum(week.energy.drawn, day.energy.drawn),
      'fed-in': sum(week.energy['fed-in'], day.energy['fed-in']),
    },
  }
}

function rowOf(bill: Bill): Row {
  const { period, start, end, until, complete, energy, ahead } = bill
  const missing = stretchesOf(bill.missing)
  const time = (at: number) => isoTime(instant(at))
  const [stretch] = missing
  // Of a time of which nothing at all is known there are no sums, and none of them is nought.
  const isKnown = !(stretch !== undefined && missing.length === 1 && stretch.start <= start && stretch.end >= until)
  const sums = {
    ...{ money: coins(bill.money), without_trading: coins(bill.withoutTrading), saved: coins(bill.saved) },
    ...{ fees: coins(bill.fees), bought_kwh: decimal(energy.bought, 3), sold_kwh: decimal(energy.sold, 3) },
    ...{ drawn_kwh: decimal(energy.drawn, 3), fed_in_kwh: decimal(energy['fed-in'], 3) },
  }
  return {
    ...{ period, start: time(start), end: time(end), until: time(until), complete: complete ? 'yes' : 'no' },
    ...(isKnown || Object.values(sums).some(each => each !== '0') ? sums : {}),
    ...(ahead === undefined ? {} : { expected_rest: coins(ahead.money) }),
    ...(missing.length === 0
      ? {}
      : { missing: missing.map(one => `${time(one.start)}/${time(one.end)} ${one.why}`).join('; ') }),
  }
}

/** One where they touch and are for the same reason. */
function stretchesOf(missing: BillView['missing']): BillView['missing'] {
  const stretches: { start: number; end: number; why: string }[] = []
  for (const { start, end, why } of missing) {
    const last = stretches.at(-1)
    if (last !== undefined && last.end === start && last.why === why) last.end = end
    else stretches.push({ start, end, why })
  }
  return stretches
}

const isThing = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null
const isSum = (value: unknown): value is string => typeof value === 'string' && /^-?\d{1,40}$/.test(value)
const isTime = (value: unknown): value is number => Number.isSafeInteger(value)

/** As far as it is used: the agent is of this program's own version, or an older one answers. */
const isBill = (value: unknown): value is Bill =>
  isThing(value) &&
  [value['start'], value['end'], value['until']].every(isTime) &&
  Number(value['start']) < Number(value['end']) &&
  [value['money'], value['withoutTrading'], value['saved'], value['fees']].every(isSum) &&
  isThing(value['energy']) &&
  ['bought', 'sold', 'drawn', 'fed-in'].every(kind => isSum((value['energy'] as Record<string, unknown>)[kind])) &&
  Array.isArray(value['missing']) &&
  value['missing'].every(
    one => isThing(one) && isTime(one['start']) && isTime(one['end']) && typeof one['why'] === 'string',
  )

const faultIn = (value: unknown): Fault | undefined =>
  isThing(value) && typeof value['code'] === 'string' ? (value as Fault) : undefined
