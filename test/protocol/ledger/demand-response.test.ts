/** Demand response: deposits, baselines and signed readings; each refusal beside what is otherwise taken. */
import { EVENTS, eventId, PARTICIPANTS, PROMISED, participantId } from '../../../protocol/ledger/service-tables.ts'
import type { BodyOf, TxContent } from '../../../protocol/ledger/tx.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, buyer, contextOf, FEE, RICH, readingOf, seller, sideOf, stranger } from './parties.ts'

import { aggregator, bench, DAY_MS, hex, NOWHERE } from './service-bench.ts'

const test = suite('demand response')

const call: BodyOf<'event'> = {
  start: instant(BEGIN + 600_000),
  end: instant(BEGIN + 4_200_000),
  reportBy: instant(BEGIN + 90_000_000),
  price: microsPerKwh(300_001n),
  most: wattHours(2000n),
}
//  2 kWh at 300,001 micro a kWh
const DEPOSIT = 600_002n
const announce = (change: Partial<BodyOf<'event'>> = {}): TxContent => ({ kind: 'event', body: { ...call, ...change } })
const event = eventId({ ...call, announcer: aggregator.address })
const optIn = (meterId: string, baseline: bigint, most: bigint, of = event): TxContent & { kind: 'optIn' } => ({
  kind: 'optIn',
  body: { event: of, meterId, baseline: wattHours(baseline), most: wattHours(most) },
})
const admit = (meterId: string, baseline: bigint, most: bigint, of = event): TxContent => ({
  kind: 'admit',
  body: optIn(meterId, baseline, most, of).body,
})
const optOut = (meterId: string): TxContent => ({ kind: 'optOut', body: { event, meterId } })

interface ReportTerms {
  readonly from?: number
  readonly to?: number
  readonly session?: Uint8Array
  readonly direction?: 'import' | 'export'
  readonly flip?: boolean
}
function reportOf(side: 'seller' | 'buyer', wh: bigint, change: ReportTerms = {}): TxContent & { kind: 'report' } {
  const { from = call.start, to = call.end, session = event, direction = 'import' } = change
  const by = { ...sideOf(side, new Uint8Array(0)), direction }
  const context = contextOf(by)
  const of = { session: { contract: session, line: 'L1', direction } }
  const begin = readingOf(by, context, { reason: 'begin', mWh: 5_000_000n, at: from, ...of })
  const last = readingOf(by, context, { reason: 'end', mWh: 5_000_000n + wh * 1000n, at: to, sequence: 60, ...of })
  const meterId = side === 'seller' ? 'S-1' : 'B-1'
  return { kind: 'report', body: { event, meterId, begin, end: last, contexts: [context] } }
}

/** Both meters in: 3 kWh and 1.5 kWh otherwise, paid for up to 1.2 and 0.8 kWh; the window is over. */
function called() {
  const one = bench()
  one.take(aggregator, announce())
  one.take(seller, optIn('S-1', 3000n, 1200n))
  one.take(buyer, optIn('B-1', 1500n, 800n))
  one.take(aggregator, admit('S-1', 3000n, 1200n))
  one.take(aggregator, admit('B-1', 1500n, 800n))
  one.until(call.end + 60_000)
  return one
}

test('what was not taken is paid from the deposit by signed readings, the rest goes back', () => {
  const { ledger, take, refused, until, audited } = called()
  assert.is(audited().money.deposited, DEPOSIT)
  assert.is(ledger.account(aggregator).balance, RICH - DEPOSIT - 3n * FEE)
  // 3000 - 2100 = 900 Wh, below what it may be paid for.
  take(seller, reportOf('seller', 2100n))
  assert.is(ledger.account(seller).balance, RICH + 270_000n - 2n * FEE)
  // 1500 - 100 = 1400 Wh, paid for 800.
  take(buyer, reportOf('buyer', 100n))
  assert.is(ledger.account(buyer).balance, RICH + 240_000n - 2n * FEE)
  refused('ledger.reported', buyer, reportOf('buyer', 0n))
  assert.is(audited().money.deposited, DEPOSIT - 510_000n)
  until(call.reportBy)
  assert.is(audited().money.deposited, 0n)
  assert.is(ledger.account(aggregator).balance, RICH - 510_000n - 3n * FEE)
  assert.is(ledger.record(EVENTS, hex(event)), undefined)
  assert.is(ledger.record(PARTICIPANTS, participantId(event, 'S-1')), undefined)
  assert.is(ledger.record(PROMISED, 'S-1'), undefined)
  refused('ledger.no-event', seller, reportOf('seller', 0n))
})

test('who took as much as ever, or more, is paid nothing, and who says nothing costs nothing', () => {
  const { ledger, take, until } = called()
  take(seller, reportOf('seller', 3500n))
  assert.is(ledger.account(seller).balance, RICH - 2n * FEE)
  until(call.reportBy)
  assert.is(ledger.account(aggregator).balance, RICH - 3n * FEE)
})

test('the order of reports changes nothing', () => {
  const balances = [
    ['seller', 'buyer'],
    ['buyer', 'seller'],
  ].map(order => {
    const { ledger, take, until } = called()
    for (const side of order as ('seller' | 'buyer')[]) take(side === 'seller' ? seller : buyer, reportOf(side, 0n))
    until(call.reportBy)
    return [seller, buyer, aggregator].map(party => ledger.account(party).balance)
  })
  assert.equal(balances[0], balances[1])
})

test('an event needs a role, a deposit and times in order', () => {
  const { refused, take } = bench()
  refused('ledger.role-only', stranger, announce())
  refused('ledger.event-terms', aggregator, announce({ start: instant(BEGIN + 1000) }))
  refused('ledger.event-terms', aggregator, announce({ end: call.start }))
  refused('ledger.event-terms', aggregator, announce({ end: instant(call.start + DAY_MS + 1) }))
  refused('ledger.event-terms', aggregator, announce({ reportBy: call.end }))
  refused('ledger.event-terms', aggregator, announce({ reportBy: instant(call.end + 7 * DAY_MS + 1) }))
  refused('ledger.funds', aggregator, announce({ most: wattHours(2n ** 53n) }))
  take(aggregator, announce())
  refused('ledger.event-taken', aggregator, announce())
})

test('a meter takes part from an agreed baseline, in one event at a time, and not beyond the deposit', () => {
  const { ledger, take, refused } = bench()
  refused('ledger.no-event', seller, optIn('S-1', 1n, 1n))
  take(aggregator, announce())
  refused('ledger.no-event', seller, optIn('S-1', 1n, 1n, NOWHERE))
  refused('ledger.meter-owner', seller, optIn('B-1', 1n, 1n))
  refused('ledger.baseline', seller, optIn('S-1', 1000n, 1001n))
  refused('ledger.no-participant', aggregator, admit('S-1', 3000n, 1200n))
  refused('ledger.no-participant', seller, optOut('S-1'))
  take(seller, optIn('S-1', 3000n, 1200n))
  refused('ledger.participant-taken', seller, optIn('S-1', 3000n, 1200n))
  refused('ledger.not-a-party', seller, admit('S-1', 3000n, 1200n))
  refused('ledger.baseline', aggregator, admit('S-1', 2999n, 1200n))
  refused('ledger.baseline', aggregator, admit('S-1', 3000n, 1199n))
  take(aggregator, admit('S-1', 3000n, 1200n))
  refused('ledger.participant-taken', aggregator, admit('S-1', 3000n, 1200n))
  take(buyer, optIn('B-1', 3000n, 801n))
  refused('ledger.event-full', aggregator, admit('B-1', 3000n, 801n))
  const second = { start: instant(call.end - 1), end: instant(call.end + 60_000) }
  take(aggregator, announce(second))
  const secondId = eventId({ ...call, ...second, announcer: aggregator.address })
  take(seller, optIn('S-1', 500n, 100n, secondId))
  refused('ledger.promised', aggregator, admit('S-1', 500n, 100n, secondId))
  refused('ledger.not-a-party', buyer, optOut('S-1'))
  take(seller, optOut('S-1'))
  take(aggregator, admit('S-1', 500n, 100n, secondId))
  take(aggregator, admit('B-1', 3000n, 801n))
  assert.is(ledger.record(EVENTS, hex(event))!.admitted, 801n)
})

test('an event for one feeder takes the meters behind it', () => {
  const { take, refused } = bench()
  for (const [feeder, expected] of [
    ['F1', 'taken'],
    ['F2', 'ledger.event-feeder'],
  ] as const) {
    take(aggregator, announce({ feeder }))
    const of = eventId({ ...call, feeder, announcer: aggregator.address })
    if (expected === 'taken') take(seller, optIn('S-1', 10n, 10n, of))
    else refused(expected, seller, optIn('S-1', 10n, 10n, of))
  }
})

test('from its start on nobody comes or goes, and who was not admitted is forgotten', () => {
  const { ledger, take, refused, until } = bench()
  take(aggregator, announce())
  take(seller, optIn('S-1', 3000n, 1200n))
  take(buyer, optIn('B-1', 3000n, 200n))
  take(aggregator, admit('B-1', 3000n, 200n))
  until(call.start - 1000)
  refused('ledger.event-begun', aggregator, admit('S-1', 3000n, 1200n))
  refused('ledger.event-begun', seller, optOut('S-1'))
  refused('ledger.event-begun', seller, optIn('S-1', 1n, 1n))
  assert.is(ledger.record(PARTICIPANTS, participantId(event, 'S-1')), undefined)
  until(call.end + 60_000)
  refused('ledger.no-participant', seller, reportOf('seller', 0n))
  until(call.reportBy)
  assert.is(ledger.account(aggregator).balance, RICH - 2n * FEE)
})

test('a report is of the whole window, of this event, of the meter enrolled, before its last moment', () => {
  const { refused, until } = called()
  const report = (change: ReportTerms) => reportOf('seller', 100n, change)
  refused('ledger.reading-time', seller, report({ from: call.start + 1 }))
  refused('ledger.reading-time', seller, report({ to: call.end - 1 }))
  refused('ledger.reading-time', seller, report({ from: call.start - 30_001 }))
  refused('ledger.reading-time', seller, report({ to: call.end + 30_001 }))
  refused('ledger.reading-session', seller, report({ session: NOWHERE }))
  refused('ledger.reading-session', seller, report({ direction: 'export' }))
  refused('ledger.not-a-party', buyer, reportOf('seller', 100n))
  const { body } = reportOf('seller', 100n)
  refused('ledger.reading-reason', seller, { kind: 'report', body: { ...body, begin: body.end } })
  until(call.reportBy - 1000)
  refused('ledger.receipt-late', seller, reportOf('seller', 100n))
})

test('a report before the event is over is of readings that nobody can have taken yet', () => {
  const { take, refused, until } = bench()
  take(aggregator, announce())
  take(seller, optIn('S-1', 3000n, 1200n))
  take(aggregator, admit('S-1', 3000n, 1200n))
  until(call.end - 60_000)
  refused('ledger.reading-time', seller, reportOf('seller', 0n))
})

test.run()
