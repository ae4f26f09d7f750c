/**
 * A site that answers calls to take less.
 *
 *     heard      a call came by from any peer; it counts once its event and its announcer's key are proven from the ledger
 *     offered    the baseline is worked out from the site's own readings and shown to the announcer; opted in
 *     admitted   the announcer's word stands on the ledger: the deposit is for this site
 *     begun      the begin reading is signed, before the start; from then on loads stand still by the plan, slot by slot
 *     ended      everything may run again, and the end reading is signed
 *     reported   both readings are handed in; over once the ledger shows what was paid
 *
 * It answers when the same-day adjustment's hours are over, an hour before the start, so that the baseline is the one that the
 * announcer works out. Every state with something to lose is recorded before the next begins: a restart in the window goes on.
 */
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { EVENTS, MAX_PROMISED, PARTICIPANTS, participantId } from '../../protocol/ledger/service-tables.ts'
import { accountId } from '../../protocol/ledger/state.ts'
import { ACCOUNTS, METERS } from '../../protocol/ledger/tables.ts'
import type { BodyOf as TxBody } from '../../protocol/ledger/tx.ts'
import {
  adjustmentWindow,
  type BaselineAsked,
  baselineOf,
  byRegister,
  isWeekend,
  LOOK_BACK_DAYS,
  SLOT_MS,
  type Slots,
} from '../../protocol/market/baseline.ts'
import {
  type Call,
  callEvent,
  decideCall,
  readCall,
  type SiteOutlook,
  verifyCall,
} from '../../protocol/market/demand-response.ts'
import type { Money } from '../../protocol/quantity.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { BodyOf, SignedReading } from '../../protocol/trade/message.ts'
import { encodeAnswers, type Kept, MAX_PAST, readAnswers } from './kept-answers.ts'
import type { Part, PartOptions } from './part.ts'
import { proveRecord } from './prove-record.ts'
import { importOf, type ReadingAt, readHistory } from './usage-history.ts'

const LOOK_MS = 1000
/** The ledger takes a begin reading of the last half minute before the start. */
const BEGIN_LEAD_MS = 10_000
/** As much as an end reading may be late. */
const END_SLACK_MS = 30_000
/** By then the reading of a boundary is signed, one being made every quarter of a minute. */
const READING_LAG_MS = 40_000
/** A transaction that stands in no block by then is handed in again. */
const AGAIN_MS = 60_000
/** Between two looks at what the ledger says of an answer. */
const PROVE_MS = 10_000

export interface DemandResponseOptions
  extends Pick<PartOptions, 'energy' | 'post' | 'metering' | 'clock' | 'timers' | 'verifier' | 'log' | 'record'> {
  readonly chainId: string
  /** The grid meter, by its name under `meters` and by its serial. */
  readonly meter: { readonly name: string; readonly id: string }
  /** How far the place's clock is ahead of UTC: a weekend is one by it. */
  readonly aheadMs: number
  readonly readingAt: ReadingAt
  /** The peer whose account this is: its announcer alone is shown the readings. */
  peerOf(account: Uint8Array): string | undefined
  /** What the site would take in each slot of a window, and what of it may stand still; undefined where nobody knows. */
  outlook(window: Slots): Pick<SiteOutlook, 'expected' | 'loads'> | undefined
  /** These loads stand still from now on, all others may run. */
  dispatch(still: readonly string[]): void
}

export interface Answered {
  readonly event: string
  readonly phase: Kept['phase']
  readonly baseline?: bigint
  readonly most?: bigint
  readonly paid?: Money
  /** Why it is over without a payment. */
  readonly fault?: Fault
}

export interface DemandResponse extends Part {
  /** The newest first. */
  events(): readonly Answered[]
}

interface Answering {
  readonly call: Call
  readonly event: Uint8Array
  readonly window: Slots
  state: Kept
  /** A step is being taken. */
  busy: boolean
  handedIn: number
  /** When the ledger was asked last. */
  proved: number
  /** The readings that the announcer was shown, and when last. */
  shown: readonly BodyOf<'usage'>[]
  shownAt: number
  paid?: Money
  fault?: Fault
}

const windowOf = ({ start, end }: Pick<Call, 'start' | 'end'>): Slots => ({ from: start / SLOT_MS, to: end / SLOT_MS })

export function createDemandResponse(options: DemandResponseOptions): DemandResponse {
  const { energy: ledger, post, metering, clock, timers, verifier, meter } = options
  const { light, account } = ledger
  const answering = new Map<string, Answering>()
  const asking = new Set<string>()
  let hearing: Promise<unknown> = Promise.resolve()
  let past: readonly Slots[] = []
  let winding = false
  let cancel = () => {}
  let still = '[]'
  const log = (what: string, fault?: Fault) => options.log(fault === undefined ? 'info' : 'warn', 'call', what, fault)

  async function keep(one: Answering, change: Partial<Kept>): Promise<Result<void>> {
    const before = one.state
    one.state = { ...before, ...change }
    if (one.state.phase === 'over' && one.state.begin !== undefined) past = [...past, one.window].slice(-MAX_PAST)
    const open = [...answering.values()].map(({ state }) => state).filter(({ phase }) => phase !== 'over')
    const recorded = await options.record(encodeAnswers({ open, past }))
    if (recorded.ok) return done
    log('the answer to a call cannot be recorded', recorded.fault)
    one.state = before
    return recorded
  }

  async function giveUp(one: Answering, fault: Fault): Promise<void> {
    one.fault = fault
    log(`no part in event ${toHex(one.event)}`, fault)
    await keep(one, { phase: 'over' })
  }

  /** Believed once the ledger says that this event is announced, and by whose key. */
  async function hear(envelope: Uint8Array): Promise<Result<void>> {
    const read = readCall(envelope)
    if (!read.ok) return read
    const call = read.value
    const [event, now] = [callEvent(call), clock.now()]
    const id = toHex(event)
    const known = answering.get(id)
    if (known !== undefined) {
      showAgain(known)
      return done
    }
    if (call.chainId !== options.chainId)
      return fail({ code: 'call.chain', expected: options.chainId, received: call.chainId })
    if (call.start <= now) return fail({ code: 'call.begun', start: call.start, now })
    const open = [...answering.values()].filter(({ state }) => state.phase !== 'over')
    if (open.length >= MAX_PROMISED) return fail({ code: 'call.too-many', open: open.length })
    if (open.some(one => one.call.start < call.end && call.start < one.call.end)) return fail({ code: 'call.overlaps' })
    const announced = await proveRecord(light, EVENTS, id)
    if (!announced.ok) return announced
    if (announced.value === undefined) return fail({ code: 'call.unknown-event', event: id })
    if (options.peerOf(call.announcer) === undefined)
      return fail({ code: 'call.no-peer', announcer: toHex(call.announcer) })
    const announcer = await proveRecord(light, ACCOUNTS, accountId(call.announcer))
    if (!announcer.ok) return announcer
    if (announcer.value === undefined) return fail({ code: 'call.unknown-announcer', announcer: toHex(call.announcer) })
    const verified = verifyCall(envelope, announcer.value.publicKey, verifier)
    if (!verified.ok) return verified
    const state: Kept = { call: envelope, heard: Math.floor(now / SLOT_MS), phase: 'heard' }
    const one: Answering = {
      call,
      event,
      window: windowOf(call),
      state,
      busy: false,
      ...{ handedIn: 0, proved: 0, shown: [], shownAt: 0 },
    }
    answering.set(id, one)
    log(`called to take less from ${call.start}`)
    return keep(one, {})
  }

  /** An announcer that calls again has lost what it was shown, after a restart say. */
  function showAgain(one: Answering): void {
    const peer = options.peerOf(one.call.announcer)
    if (one.state.phase !== 'offered' || peer === undefined || clock.mono() - one.shownAt < AGAIN_MS) return
    one.shownAt = clock.mono()
    for (const body of one.shown) void post.send(peer, body, { reliable: true })
  }

  const called = (window: Slots): boolean => past.some(one => one.from < window.to && window.from < one.to)

  const like = (a: number, b: number): boolean => isWeekend(a, options.aheadMs) === isWeekend(b, options.aheadMs)

  async function offer(one: Answering): Promise<void> {
    const { call, event, window } = one
    const enrolled = await proveRecord(light, METERS, meter.id)
    if (!enrolled.ok) return log('the site’s own meter cannot be proven', enrolled.fault)
    if (enrolled.value === undefined || !equalBytes(enrolled.value.owner, account.address)) {
      return giveUp(one, { code: 'call.meter', meter: meter.id })
    }
    const { feeder } = enrolled.value
    if (call.feeder !== undefined && call.feeder !== feeder) {
      return giveUp(one, { code: 'call.feeder', called: call.feeder, enrolled: feeder })
    }
    const outlook = options.outlook(window)
    if (outlook === undefined) return giveUp(one, { code: 'call.no-outlook' })
    const history = await readHistory(window, { like, called }, options.readingAt)
    const registers = new Map(
      history.flatMap(day => [...day].map(([slot, reading]) => [slot, importOf(reading)] as const)),
    )
    // It may have been announced in the slot before: the announcer must not find less than is offered.
    const asked: BaselineAsked = {
      window,
      announced: one.state.heard - 1,
      taken: byRegister(slot => registers.get(slot)),
      like,
      called,
    }
    const baseline = baselineOf(asked)
    if (!baseline.ok) return giveUp(one, baseline.fault)
    const decision = decideCall(call, { ...outlook, baseline: baseline.value.energy })
    if (decision.answer === 'out') return giveUp(one, { code: 'call.declined', reason: decision.reason })
    const peer = options.peerOf(call.announcer)
    if (peer === undefined) return giveUp(one, { code: 'call.no-peer', announcer: toHex(call.announcer) })
    one.shown = history
      .filter(day => day.size > 0)
      .map(day => ({ kind: 'usage', about: event, meter: meter.id, readings: [...day.values()] }))
    one.shownAt = clock.mono()
    for (const body of one.shown) void post.send(peer, body, { reliable: true })
    const { most, plan } = decision
    const promise = { baseline: baseline.value.energy, most }
    const handedIn = await account.submit({ kind: 'optIn', body: { event, meterId: meter.id, ...promise } })
    if (!handedIn.ok) return log('opting in failed', handedIn.fault)
    one.handedIn = clock.mono()
    await keep(one, { phase: 'offered', ...promise, plan })
  }

  const participant = (one: Answering) => proveRecord(light, PARTICIPANTS, participantId(one.event, meter.id))

  async function sign(one: Answering, reason: 'begin' | 'end'): Promise<Result<SignedReading>> {
    const enrolled = await proveRecord(light, METERS, meter.id)
    if (!enrolled.ok) return enrolled
    if (enrolled.value === undefined) return fail({ code: 'call.meter', meter: meter.id })
    const session = { contract: one.event, line: enrolled.value.line, direction: 'import' as const }
    const made = await metering.sign(meter.name, reason, session)
    if (!made.ok) return made
    const { time } = made.value.reading
    const { start, end } = one.call
    const inTime = reason === 'begin' ? time <= start : time >= end && time <= end + END_SLACK_MS
    if (!inTime) return fail({ code: 'call.reading-time', reason, time, start, end })
    return ok({ envelope: made.value.envelope, context: made.value.context })
  }

  function reportOf({ event, state }: Answering): TxBody<'report'> | undefined {
    const { begin, end } = state
    if (begin === undefined || end === undefined) return undefined
    const contexts = equalBytes(begin.context, end.context) ? [begin.context] : [begin.context, end.context]
    return { event, meterId: meter.id, begin: begin.envelope, end: end.envelope, contexts }
  }

  function askAgain(one: Answering): boolean {
    if (clock.mono() - one.proved < PROVE_MS) return false
    one.proved = clock.mono()
    return true
  }

  async function step(one: Answering): Promise<void> {
    const { call, state, window } = one
    const [now, { start, end, reportBy }] = [clock.now(), call]
    const phase = state.phase
    if (now >= reportBy) return giveUp(one, { code: 'call.too-late', reportBy, now })
    if (now >= start && (phase === 'heard' || phase === 'offered')) {
      return giveUp(one, { code: 'call.not-admitted', start, now })
    }
    if (phase === 'heard') {
      if (now >= adjustmentWindow(window).to * SLOT_MS + READING_LAG_MS) await offer(one)
    } else if (phase === 'offered' && askAgain(one)) {
      const found = await participant(one)
      if (found.ok && found.value?.admitted) await keep(one, { phase: 'admitted' })
      // Not in a block by now: what was offered then may be offered again.
      else if (found.ok && found.value === undefined && clock.mono() - one.handedIn > AGAIN_MS) {
        await keep(one, { phase: 'heard' })
      }
    } else if (phase === 'admitted' && now >= start - BEGIN_LEAD_MS) {
      const begin = await sign(one, 'begin')
      if (begin.ok) await keep(one, { phase: 'begun', begin: begin.value })
      else if (clock.now() > start) await giveUp(one, begin.fault)
    } else if (phase === 'begun' && now >= end) {
      const last = await sign(one, 'end')
      if (last.ok) await keep(one, { phase: 'ended', end: last.value })
      else if (clock.now() > end + END_SLACK_MS) await giveUp(one, last.fault)
    } else if (phase === 'ended') {
      const handedIn = await account.submit({ kind: 'report', body: reportOf(one)! })
      one.handedIn = clock.mono()
      if (handedIn.ok) await keep(one, { phase: 'reported' })
      else log('a report was not taken', handedIn.fault)
    } else if (phase === 'reported' && askAgain(one)) {
      const found = await participant(one)
      if (found.ok && found.value?.report !== undefined) {
        one.paid = found.value.report.paid
        log(`event ${toHex(one.event)} is paid`)
        await keep(one, { phase: 'over' })
      } else if (clock.mono() - one.handedIn > AGAIN_MS) await keep(one, { phase: 'ended' })
    }
  }

  /** What stands still now, by all that has begun. */
  function dispatchNow(): void {
    const now = clock.now()
    const names = [...answering.values()].flatMap(({ call, state }) =>
      state.phase === 'begun' && now >= call.start && now < call.end
        ? (state.plan?.[Math.floor((now - call.start) / SLOT_MS)] ?? [])
        : [],
    )
    const told = JSON.stringify(names)
    if (told === still) return
    still = told
    options.dispatch(names)
  }

  function look(): void {
    dispatchNow()
    const now = clock.now()
    past = past.filter(({ to }) => to * SLOT_MS > now - (LOOK_BACK_DAYS + 1) * 86_400_000)
    for (const [id, { call, state }] of answering) {
      if (state.phase === 'over' && call.reportBy < now) answering.delete(id)
    }
    for (const one of answering.values()) {
      if (one.busy || one.state.phase === 'over') continue
      one.busy = true
      void step(one).then(() => {
        one.busy = false
        dispatchNow()
      })
    }
  }

  return {
    restore: written => {
      for (const bytes of written) {
        const read = readAnswers(bytes)
        if (!read.ok) continue
        answering.clear()
        past = read.value.past
        for (const state of read.value.open) {
          const call = readCall(state.call)
          if (!call.ok) continue
          const event = callEvent(call.value)
          const waiting = { busy: false, handedIn: clock.mono(), proved: clock.mono(), shown: [], shownAt: 0 }
          answering.set(toHex(event), { call: call.value, event, window: windowOf(call.value), state, ...waiting })
        }
      }
    },
    start: () => {
      cancel = timers.every(LOOK_MS, look)
    },
    onMessage: (peer, { body }) => {
      if (body.kind !== 'event' || winding || asking.has(peer)) return
      asking.add(peer)
      // One after the other: what each may promise depends on what was promised before. No more wait than there are peers.
      hearing = hearing
        .then(() => hear(body.call))
        .then(heard => {
          asking.delete(peer)
          if (!heard.ok) log(`a call from ${peer} is not believed`, heard.fault)
        })
    },
    windDown: () => {
      winding = true
    },
    stop: () => {
      cancel()
      // Whatever the plan was, a site without its agent runs as its owner switches it.
      if (still !== '[]') options.dispatch([])
    },
    events: () =>
      [...answering.values()].reverse().map(({ event, state, paid, fault }) => ({
        event: toHex(event),
        phase: state.phase,
        ...(state.baseline === undefined ? {} : { baseline: state.baseline }),
        ...(state.most === undefined ? {} : { most: state.most }),
        ...(paid === undefined ? {} : { paid }),
        ...(fault === undefined ? {} : { fault }),
      })),
  }
}
