/**
 * Who calls on others to take less: announces an event and passes the call to its customers, admits whose offered baseline is no
 * more than the readings that it was shown give, and watches what they report.
 *
 * Nobody's word is taken for a baseline: readings count when they are signed by the meter's key as the registry has it, and every
 * like day has to be shown. Who is refused is told why.
 */
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { EVENTS, PARTICIPANTS, type Participant, participantId } from '../../protocol/ledger/service-tables.ts'
import { METERS } from '../../protocol/ledger/tables.ts'
import type { BodyOf } from '../../protocol/ledger/tx.ts'
import { byRegister, isWeekend, LOOK_BACK_DAYS, SLOT_MS, type Slots } from '../../protocol/market/baseline.ts'
import {
  assembleCall,
  type Call,
  callEvent,
  callToSign,
  encodeCall,
  judgeOffer,
  readCall,
} from '../../protocol/market/demand-response.ts'
import type { Money } from '../../protocol/quantity.ts'
import { verifyContext, verifyReadingIn } from '../../protocol/reading/verify.ts'
import { bytes, decodeAs, encodeAs, integer, list, record, text, word } from '../../protocol/record.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Mono } from '../../protocol/time.ts'
import type { Message } from '../../protocol/trade/message.ts'
import type { Part, PartOptions } from './part.ts'
import { proveRecord } from './prove-record.ts'
import { importOf } from './usage-history.ts'

const LOOK_MS = 2000
/** A transaction that stands in no block by then is handed in again. */
const AGAIN_MS = 60_000
/** A boundary's reading is taken at it or in the half minute after. */
const BOUNDARY_SLACK_MS = 30_000
/** Of one meter for one event: six days of four boundaries, and as many again for days that were called. */
const MAX_BOUNDARIES = 48
const MAX_CUSTOMERS = 1024
/** A fortnight of two a day. */
const MAX_EVENTS = 32
const MAX_RECORD_BYTES = 4 * 1024 * 1024

export interface AggregatorOptions
  extends Pick<PartOptions, 'energy' | 'post' | 'signer' | 'clock' | 'timers' | 'verifier' | 'log' | 'record'> {
  readonly chainId: string
  /** The grid meter of each peer that may be called. */
  readonly customers: Readonly<Record<string, string>>
  /** How far the place's clock is ahead of UTC. */
  readonly aheadMs: number
}

export type CallTerms = Omit<Call, 'announcer' | 'chainId'>

export interface Customer {
  readonly meterId: string
  readonly state: 'called' | 'admitted' | 'refused' | 'reported'
  readonly fault?: Fault
  readonly taken?: bigint
  readonly paid?: Money
}

export interface Aggregator extends Part {
  /** Announces on the ledger, and calls every customer once that is proven; the event's name. */
  announce(terms: CallTerms): Promise<Result<Uint8Array>>
  customers(event: Uint8Array): readonly Customer[]
}

interface Called {
  readonly peer: string
  readonly meterId: string
  /** Register of import in mWh by the slot that begins with it. */
  readonly registers: Map<number, bigint>
  state: Customer['state']
  /** When an admission was handed in that stands in no block yet. */
  admitting: Mono | undefined
  fault?: Fault
  report?: Participant['report']
}

interface Announced {
  readonly call: Call
  readonly event: Uint8Array
  readonly announced: number
  readonly customers: readonly Called[]
  readonly envelope: Uint8Array
  busy: boolean
  /** When its customers were called in this life; undefined until it is proven to stand on the ledger. */
  told: Mono | undefined
}

const calledOf = (peer: string, meterId: string, state: Customer['state']): Called => ({
  ...{ peer, meterId, state },
  registers: new Map(),
  admitting: undefined,
})

const label = text(/^.{1,64}$/)
/** Those that are open, and those of the days that a baseline looks back on. */
const records = list(
  record({
    call: [1, bytes(1, 400)],
    announced: [2, integer(0, 2 ** 40)],
    customers: [
      3,
      list(
        record({ peer: [1, label], meter: [2, label], state: [3, word('called', 'admitted', 'refused', 'reported')] }),
        0,
        MAX_CUSTOMERS,
      ),
    ],
  }),
  0,
  MAX_EVENTS,
)

export function createAggregator(options: AggregatorOptions): Aggregator {
  const { energy: ledger, post, signer, clock, timers, verifier } = options
  const { light, account } = ledger
  const events = new Map<string, Announced>()
  let cancel = () => {}
  const log = (what: string, fault?: Fault) =>
    options.log(fault === undefined ? 'info' : 'warn', 'aggregator', what, fault)

  async function announce(terms: CallTerms): Promise<Result<Uint8Array>> {
    const call: Call = { ...terms, announcer: account.address, chainId: options.chainId }
    const event = callEvent(call)
    const id = toHex(event)
    if (events.has(id)) return fail({ code: 'aggregator.announced', event: id })
    if (events.size >= MAX_EVENTS) return fail({ code: 'aggregator.too-many', events: events.size })
    const { start, end, reportBy, price, most, feeder } = terms
    const body = { start, end, reportBy, price, most, ...(feeder === undefined ? {} : { feeder }) }
    const encoded = encodeCall(call)
    const signature = await signer.sign(callToSign(encoded, signer.publicKey))
    if (!signature.ok) return signature
    const envelope = assembleCall(encoded, signer.publicKey, signature.value)
    const customers = Object.entries(options.customers).map(([peer, meterId]) => calledOf(peer, meterId, 'called'))
    const announced = Math.floor(clock.now() / SLOT_MS)
    const one: Announced = { call, envelope, event, announced, customers, busy: true, told: undefined }
    // Kept first: a deposit that is locked and forgotten here would call nobody.
    events.set(id, one)
    const kept = await keep()
    const stands = kept.ok ? await putOnLedger(body, id) : kept
    if (!stands.ok) {
      events.delete(id)
      await keep()
      return stands
    }
    tell(one)
    one.busy = false
    return ok(event)
  }

  async function putOnLedger(body: BodyOf<'event'>, id: string): Promise<Result<unknown>> {
    const handedIn = await account.submit({ kind: 'event', body })
    if (!handedIn.ok) return handedIn
    const stands = await light.proveTx(handedIn.value)
    if (!stands.ok) return stands
    const proven = await proveRecord(light, EVENTS, id)
    return !proven.ok || proven.value !== undefined ? proven : fail({ code: 'aggregator.not-announced', event: id })
  }

  /** Whoever has shown nothing in this life: a call may have been lost, and after a restart what was shown is. */
  function tell(one: Announced): void {
    one.told = clock.mono()
    for (const { peer, state, registers } of one.customers)
      if (state === 'called' && registers.size === 0)
        void post.send(peer, { kind: 'event', call: one.envelope }, { reliable: true })
  }

  async function keep(): Promise<Result<unknown>> {
    const all = [...events.values()].map(({ envelope, announced, customers }) => ({
      call: envelope,
      announced,
      customers: customers.map(({ peer, meterId, state }) => ({ peer, meter: meterId, state })),
    }))
    const written = await options.record(encodeAs(records, all))
    if (!written.ok) log('what was announced cannot be recorded', written.fault)
    return written
  }

  /** Readings that a customer shows of its own meter. */
  async function hear(peer: string, { from, body }: Message): Promise<Result<void>> {
    if (body.kind !== 'usage') return done
    const event = events.get(toHex(body.about))
    const one = event?.customers.find(customer => customer.peer === peer)
    if (event === undefined || one === undefined) return fail({ code: 'aggregator.not-called', peer })
    if (body.meter !== one.meterId)
      return fail({ code: 'aggregator.meter', expected: one.meterId, received: body.meter })
    const meter = await proveRecord(light, METERS, one.meterId)
    if (!meter.ok) return meter
    if (meter.value === undefined || !equalBytes(meter.value.owner, from) || meter.value.revoked !== undefined) {
      return fail({ code: 'aggregator.meter-owner', meter: one.meterId })
    }
    for (const shown of body.readings) {
      const context = verifyContext(shown.context, meter.value.publicKey, verifier)
      if (!context.ok) return context
      if (context.value.context.meterId !== one.meterId)
        return fail({ code: 'aggregator.meter', received: context.value.context.meterId })
      const reading = verifyReadingIn(context.value, shown.envelope, verifier)
      if (!reading.ok) return reading
      const slot = Math.floor(reading.value.reading.time / SLOT_MS)
      const late = reading.value.reading.time - slot * SLOT_MS
      if (late > BOUNDARY_SLACK_MS) return fail({ code: 'aggregator.reading-time', slot, late })
      const register = importOf(shown)
      if (register === undefined) return fail({ code: 'aggregator.reading', slot })
      if (one.registers.size >= MAX_BOUNDARIES) return fail({ code: 'aggregator.readings', most: MAX_BOUNDARIES })
      // Of two readings of one boundary the first stands: who has seen what it is for does not choose again.
      if (!one.registers.has(slot)) one.registers.set(slot, register)
    }
    return done
  }

  /** Windows in which this meter was called before are not like any other. */
  const calledBefore =
    (meterId: string, but: Announced) =>
    (window: Slots): boolean =>
      [...events.values()].some(
        ({ call, customers, event }) =>
          event !== but.event &&
          call.start < window.to * SLOT_MS &&
          window.from * SLOT_MS < call.end &&
          customers.some(one => one.meterId === meterId && (one.state === 'admitted' || one.state === 'reported')),
      )

  async function consider(event: Announced, one: Called): Promise<void> {
    const found = await proveRecord(light, PARTICIPANTS, participantId(event.event, one.meterId))
    if (!found.ok || found.value === undefined) return
    const { admitted, baseline, most, report } = found.value
    if (admitted) {
      one.state = report === undefined ? 'admitted' : 'reported'
      one.admitting = undefined
    }
    if (report !== undefined) one.report = report
    if (admitted || one.state === 'refused') return
    if (one.admitting !== undefined && clock.mono() - one.admitting < AGAIN_MS) return
    const judged = judgeOffer(
      { baseline, most },
      {
        window: { from: event.call.start / SLOT_MS, to: event.call.end / SLOT_MS },
        announced: event.announced,
        taken: byRegister(slot => one.registers.get(slot)),
        like: (a, b) => isWeekend(a, options.aheadMs) === isWeekend(b, options.aheadMs),
        called: calledBefore(one.meterId, event),
      },
    )
    if (!judged.ok) {
      // More readings may be on their way, as long as there is time.
      one.fault = judged.fault
      return
    }
    one.admitting = clock.mono()
    const body = { event: event.event, meterId: one.meterId, baseline, most }
    const handedIn = await account.submit({ kind: 'admit', body })
    if (!handedIn.ok) {
      one.admitting = undefined
      one.fault = handedIn.fault
      log(`${one.meterId} cannot be admitted`, handedIn.fault)
    } else delete one.fault
  }

  async function step(event: Announced): Promise<void> {
    const { start, end, reportBy } = event.call
    const now = clock.now()
    if (now >= reportBy) return
    if (event.told !== undefined && now < start && clock.mono() - event.told > AGAIN_MS) tell(event)
    if (event.told === undefined) {
      const stands = await proveRecord(light, EVENTS, toHex(event.event))
      if (stands.ok && stands.value !== undefined) tell(event)
      // It never came into a block before the restart.
      else if (stands.ok && now >= start) events.delete(toHex(event.event))
      return
    }
    const before = event.customers.map(({ state }) => state).join()
    for (const one of event.customers) {
      if (now < start || (now >= end && one.state === 'admitted') || one.admitting !== undefined)
        await consider(event, one)
      if (now >= start && one.state === 'called' && one.fault !== undefined) {
        one.state = 'refused'
        log(`${one.meterId} is not admitted`, one.fault)
        const body = { kind: 'decline', id: event.event.subarray(0, 16), reason: one.fault.code } as const
        void post.send(one.peer, body, { reliable: true })
      }
    }
    if (event.customers.map(({ state }) => state).join() !== before) await keep()
  }

  return {
    announce,
    restore: written => {
      const newest = [...written].at(-1)
      const read = newest && decodeAs(records, newest, 'events', MAX_RECORD_BYTES)
      if (read?.ok === false) log('what was announced cannot be read', read.fault)
      for (const { call: envelope, announced, customers } of read?.ok ? read.value : []) {
        const call = readCall(envelope)
        if (!call.ok) continue
        const event = callEvent(call.value)
        const called = customers.map(({ peer, meter, state }) => calledOf(peer, meter, state))
        const before = { call: call.value, envelope, event, announced, customers: called }
        events.set(toHex(event), { ...before, busy: false, told: undefined })
      }
    },
    start: () => {
      cancel = timers.every(LOOK_MS, () => {
        const oldest = clock.now() - (LOOK_BACK_DAYS + 1) * 86_400_000
        for (const [id, { call }] of events) if (call.end < oldest) events.delete(id)
        for (const event of events.values()) {
          if (event.busy) continue
          event.busy = true
          void step(event).then(() => {
            event.busy = false
          })
        }
      })
    },
    onMessage: (peer, message) => {
      if (message.body.kind !== 'usage') return
      void hear(peer, message).then(heard => {
        if (!heard.ok) log(`what ${peer} shows is not taken`, heard.fault)
      })
    },
    stop: () => cancel(),
    customers: event =>
      (events.get(toHex(event))?.customers ?? []).map(({ meterId, state, fault, report }) => ({
        meterId,
        state,
        ...(fault === undefined ? {} : { fault }),
        ...(report === undefined ? {} : { taken: report.taken, paid: report.paid }),
      })),
  }
}
