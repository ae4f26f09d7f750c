/**
 * A member of a community group, and its gateway: the same part, whichever the ledger says that this site is.
 *
 *     every member    shows its readings around each slot to the others; tells the gateway what it may take in a slot to come
 *     the gateway     orders once for all, hour-ahead on the ledger; states what each slot was worth to each; pays who is owed
 *     every member    works out each statement for itself, pays what it owes when it is right, and names the successor on the
 *                     ledger when it is wrong or does not come
 *
 * Readings missing here are nobody's lie: a statement that cannot be worked out for want of them is neither paid nor punished.
 * Money is handed over at most once a slot: that it will be is recorded before it is.
 */
import { compareBytes, equalBytes, toHex } from '../../protocol/bytes.ts'
import { GROUPS, type Group } from '../../protocol/ledger/service-tables.ts'
import { accountId } from '../../protocol/ledger/state.ts'
import { ACCOUNTS, METERS } from '../../protocol/ledger/tables.ts'
import { SLOT_MS } from '../../protocol/market/baseline.ts'
import {
  assembleStatement,
  encodeStatement,
  groupOrder,
  type MemberReadings,
  recompute,
  type SlotTerms,
  type Statement,
  slotName,
  statementToSign,
  stateSlot,
  successor,
  verifyStatement,
} from '../../protocol/market/community.ts'
import type { SharingRule, Tariff } from '../../protocol/market/sharing.ts'
import { type Money, micros, type Price } from '../../protocol/quantity.ts'
import { decodeAs, encodeAs, integer, list, record } from '../../protocol/record.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { instant } from '../../protocol/time.ts'
import type { Message, SignedReading } from '../../protocol/trade/message.ts'
import type { Part, PartOptions } from './part.ts'
import { proveRecord } from './prove-record.ts'
import type { ReadingAt } from './usage-history.ts'

const LOOK_MS = 5000
const GROUP_MS = 30_000
/** By then the reading of a boundary is signed. */
const READING_LAG_MS = 40_000
/** By then the members' readings have come, or do not come. */
const STATE_LAG_MS = 90_000
/** A gateway that has said nothing of a slot by then is silent. */
const SILENT_MS = 300_000
/** Between two attempts to replace one. */
const REPLACE_MS = 120_000
/** Slots of which something may still come. */
const OPEN_SLOTS = 4
/** The ledger's gate is an hour before a slot: ordered half an hour before that. */
const AHEAD_SLOTS = 6

const settled = record({ slots: [1, list(integer(0, 2 ** 40), 0, 96)] })

export interface CommunityOptions
  extends Pick<
    PartOptions,
    'energy' | 'post' | 'signer' | 'clock' | 'timers' | 'verifier' | 'log' | 'record' | 'saveEvidence'
  > {
  readonly chainId: string
  readonly group: string
  readonly rule: SharingRule
  /** Of the group, and of each member alone. */
  readonly tariff: Tariff
  /** In thousandths: `orderQuantile` of the price that orders are filled at. */
  readonly quantile: number
  /** The own grid meter's serial, and each other member's. */
  readonly meterId: string
  meterOf(account: Uint8Array): string | undefined
  peerOf(account: Uint8Array): string | undefined
  readonly readingAt: ReadingAt
  /** What this site may take in a slot, net, Wh: as many forecasts as all members make. */
  forecast(slot: number): readonly bigint[] | undefined
  /** What was delivered of the group's order in a slot, as this site knows it from the ledger. */
  orderOf(slot: number): SlotTerms['order']
}

export interface Community extends Part {
  /** Of the last slots, the newest first. */
  slots(): readonly { readonly slot: number; readonly payment?: Money; readonly faults: readonly Fault[] }[]
  gateway(): Uint8Array | undefined
}

interface SlotState {
  readonly slot: number
  /** By the member's address, hex. */
  readonly shown: Map<string, { readonly meter: string; readonly readings: readonly [SignedReading, SignedReading] }>
  readonly nets: Map<string, readonly bigint[]>
  told: boolean
  forecast: boolean
  ordered: boolean
  stated: boolean
  envelope?: Uint8Array
  statement?: Statement
  faults: readonly Fault[]
  /** Nothing more is to be done, unless there is another gateway and this one's word was not accepted. */
  closed: boolean
  accepted: boolean
}

export function createCommunity(options: CommunityOptions): Community {
  const { energy: ledger, post, signer, clock, timers, verifier, chainId, group: name, rule, tariff } = options
  const { light, account } = ledger
  const slots = new Map<number, SlotState>()
  let group: Group | undefined
  let groupAsked = Number.NEGATIVE_INFINITY
  let replaced = Number.NEGATIVE_INFINITY
  /** When the gateway that is known now became known; and statements of members who may be it by the time that we know. */
  let gatewayKnown = Number.NEGATIVE_INFINITY
  const early = new Map<string, readonly Message[]>()
  let paid: readonly number[] = []
  let [first, busy] = [0, false]
  let cancel = () => {}
  const own = accountId(account.address)
  const log = (what: string, fault?: Fault) =>
    options.log(fault === undefined ? 'info' : 'warn', 'community', what, fault)

  const isGateway = () => group !== undefined && equalBytes(group.gateway, account.address)
  const others = () => (group?.members ?? []).filter(one => !equalBytes(one, account.address))

  function slotOf(slot: number): SlotState {
    let found = slots.get(slot)
    if (found === undefined) {
      const undone = { told: false, forecast: false, ordered: false, stated: false, closed: false, accepted: false }
      found = { slot, shown: new Map(), nets: new Map(), faults: [], ...undone }
      slots.set(slot, found)
    }
    return found
  }

  const termsOf = (slot: number): SlotTerms => {
    const order = options.orderOf(slot)
    return { chainId, group: name, slot, rule, tariff, ...(order === undefined ? {} : { order }) }
  }

  function tell(body: Parameters<typeof post.send>[1], to: readonly Uint8Array[]): void {
    for (const member of to) {
      const peer = options.peerOf(member)
      if (peer !== undefined) void post.send(peer, body, { reliable: true })
    }
  }

  /** Own readings around a slot, kept and shown to the others. */
  async function show(state: SlotState): Promise<void> {
    state.told = true
    const begin = await options.readingAt(instant(state.slot * SLOT_MS))
    const end = await options.readingAt(instant((state.slot + 1) * SLOT_MS))
    if (begin === undefined || end === undefined) return log(`no readings of slot ${state.slot}: it is not shared`)
    state.shown.set(own, { meter: options.meterId, readings: [begin, end] })
    const about = slotName(chainId, name, state.slot)
    tell({ kind: 'usage', about, meter: options.meterId, readings: [begin, end] }, others())
  }

  /** What was shown, with each meter's key as the registry has it; a meter that is not its member's is not there. */
  async function readingsOf(state: SlotState): Promise<Result<readonly MemberReadings[]>> {
    const all: MemberReadings[] = []
    for (const [id, { meter, readings }] of state.shown) {
      const member = group?.members.find(one => accountId(one) === id)
      const enrolled = await proveRecord(light, METERS, meter)
      if (!enrolled.ok) return enrolled
      if (member === undefined || enrolled.value === undefined || accountId(enrolled.value.owner) !== id) continue
      const [begin, end] = readings
      const { publicKey } = enrolled.value
      const contexts = [begin.context, end.context]
      all.push({ ...tariff, member, meterId: meter, publicKey, begin: begin.envelope, end: end.envelope, contexts })
    }
    return ok(all.sort((a, b) => compareBytes(a.member, b.member)))
  }

  /** The gateway's word on a slot. */
  async function stateIt(state: SlotState): Promise<void> {
    const readings = await readingsOf(state)
    if (!readings.ok) return log('readings cannot be judged now', readings.fault)
    const sound = readings.value.filter(one => stateSlot(termsOf(state.slot), [one], verifier).ok)
    const statement = stateSlot(termsOf(state.slot), sound, verifier)
    state.stated = true
    if (!statement.ok) return log(`nothing can be stated of slot ${state.slot}`, statement.fault)
    const bytes = encodeStatement(statement.value)
    const signature = await signer.sign(statementToSign(bytes, signer.publicKey))
    if (!signature.ok) return log('a statement cannot be signed', signature.fault)
    tell({ kind: 'shares', statement: assembleStatement(bytes, signer.publicKey, signature.value) }, others())
    state.statement = statement.value
    state.closed = true
    state.accepted = true
    const owed = statement.value.members.filter(one => one.payment < 0n && !equalBytes(one.member, account.address))
    await pay(
      state.slot,
      owed.map(({ member, payment }) => ({ to: member, amount: micros(-payment) })),
    )
  }

  async function pay(slot: number, transfers: readonly { to: Uint8Array; amount: Money }[]): Promise<void> {
    if (transfers.length === 0 || paid.includes(slot)) return
    const recorded = await options.record(encodeAs(settled, { slots: [...paid, slot].slice(-96) }))
    if (!recorded.ok) return log('a payment cannot be recorded, and is not made', recorded.fault)
    paid = [...paid, slot].slice(-96)
    for (const body of transfers) {
      const sent = await account.submit({ kind: 'transfer', body })
      if (!sent.ok) log(`${body.amount} for slot ${slot} could not be paid`, sent.fault)
    }
  }

  /** A statement from whoever the ledger says is the gateway. */
  async function hear(message: Message): Promise<Result<void>> {
    const { from, body } = message
    if (body.kind !== 'shares') return done
    if (group === undefined || !equalBytes(from, group.gateway)) {
      const sent = [...(early.get(accountId(from)) ?? []), message]
      if (group?.members.some(one => equalBytes(one, from))) early.set(accountId(from), sent.slice(-OPEN_SLOTS))
      return fail({ code: 'community.gateway', expected: group && toHex(group.gateway), received: toHex(from) })
    }
    const gateway = await proveRecord(light, ACCOUNTS, accountId(from))
    if (!gateway.ok) return gateway
    if (gateway.value === undefined) return fail({ code: 'community.gateway', received: toHex(from) })
    const statement = verifyStatement(body.statement, gateway.value.publicKey, verifier)
    if (!statement.ok) return statement
    const { slot, chainId: chain, group: of } = statement.value
    const state = slots.get(slot)
    if (chain !== chainId || of !== name || state === undefined) return fail({ code: 'community.slot', slot })
    if (state.closed) return done
    state.statement = statement.value
    state.envelope = body.statement
    return done
  }

  /** What is wrong with a statement, as far as this site can see. */
  async function judge(state: SlotState, statement: Statement): Promise<Result<readonly Fault[]>> {
    const terms = termsOf(state.slot)
    const agreed =
      statement.rule === rule && statement.tariff.retail === tariff.retail && statement.tariff.feedIn === tariff.feedIn
    if (!agreed) return ok([{ code: 'community.terms', said: statement.rule, agreed: rule }])
    const [said, known] = [statement.order, terms.order]
    if (said?.energy !== known?.energy || said?.price !== known?.price) {
      return ok([{ code: 'community.order', said: said?.energy, known: known?.energy }])
    }
    const other = statement.members.find(one => one.retail !== tariff.retail || one.feedIn !== tariff.feedIn)
    if (other !== undefined) return ok([{ code: 'community.tariff', member: toHex(other.member), said: other.retail }])
    const readings = await readingsOf(state)
    return readings.ok ? ok(recompute(statement, readings.value, verifier)) : readings
  }

  async function consider(state: SlotState, statement: Statement): Promise<void> {
    const judged = await judge(state, statement)
    if (!judged.ok) return log('a statement cannot be judged now', judged.fault)
    state.faults = judged.value
    // Readings may be on their way, to us or to the gateway.
    const lies = judged.value.filter(
      ({ code }) => !/^community\.(no-reading|left-out|reading|reading-time)$/.test(code),
    )
    if (lies.length > 0) {
      state.closed = true
      log(`the gateway's account of slot ${state.slot} is wrong`, lies[0])
      options.saveEvidence(lies[0]!, state.envelope === undefined ? [] : [state.envelope])
      return replace()
    }
    if (judged.value.length > 0) return
    state.closed = true
    state.accepted = true
    const due = statement.members.find(({ member }) => equalBytes(member, account.address))?.payment
    if (due !== undefined && due > 0n) await pay(state.slot, [{ to: group!.gateway, amount: due }])
  }

  /** Names the successor on the ledger, as every other member does. */
  async function replace(): Promise<void> {
    if (clock.mono() - replaced < REPLACE_MS || group === undefined || isGateway()) return
    replaced = clock.mono()
    const { gateway, members } = group
    const known = await proveRecord(light, GROUPS, name)
    // Somebody else was quicker.
    if (!known.ok || known.value === undefined || !equalBytes(known.value.gateway, gateway)) return
    const next = successor(members, gateway)
    if (next === undefined) return
    log(`${toHex(gateway)} is replaced by ${toHex(next)}`)
    const sent = await account.submit({ kind: 'gateway', body: { group: name, gateway: next } })
    if (!sent.ok) log('the gateway cannot be replaced', sent.fault)
    groupAsked = Number.NEGATIVE_INFINITY
  }

  /** What the members may take in a slot to come: told to the gateway, and ordered by it. */
  async function lookAhead(slot: number, late: boolean): Promise<void> {
    const state = slotOf(slot)
    if (!state.forecast) {
      state.forecast = true
      const nets = options.forecast(slot)
      if (nets !== undefined) {
        state.nets.set(own, nets)
        if (!isGateway() && group !== undefined) tell({ kind: 'forecast', group: name, slot, nets }, [group.gateway])
      }
    }
    if (!late || state.ordered || !isGateway()) return
    state.ordered = true
    const all = [...state.nets.values()]
    const count = Math.min(...all.map(({ length }) => length))
    if (!Number.isFinite(count)) return
    const sums = Array.from({ length: count }, (_, i) => all.reduce((sum, nets) => sum + nets[i]!, 0n))
    const order = groupOrder(sums, options.quantile)
    if (order === undefined) return
    const limit: Price = order.side === 'buy' ? tariff.retail : tariff.feedIn
    const sent = await account.submit({ kind: 'order', body: { meterId: options.meterId, slot, ...order, limit } })
    if (!sent.ok) log(`the group's order for slot ${slot} was not taken`, sent.fault)
  }

  /** Another gateway gives its own account of what is not settled yet. */
  function follow(found: Group | undefined): void {
    if (group !== undefined && found !== undefined && !equalBytes(group.gateway, found.gateway)) {
      for (const state of slots.values()) {
        if (state.accepted) continue
        Object.assign(state, { closed: false, stated: false, faults: [] })
        delete state.statement
      }
    }
    const other = found !== undefined && (group === undefined || !equalBytes(group.gateway, found.gateway))
    group = found
    if (!other) return
    gatewayKnown = clock.mono()
    for (const message of early.get(accountId(found.gateway)) ?? []) void hear(message)
    early.clear()
  }

  async function look(): Promise<void> {
    if (clock.mono() - groupAsked >= GROUP_MS) {
      groupAsked = clock.mono()
      const found = await proveRecord(light, GROUPS, name)
      if (found.ok) follow(found.value)
    }
    if (group === undefined || !group.members.some(one => equalBytes(one, account.address))) return
    const now = clock.now()
    const current = Math.floor(now / SLOT_MS)
    await lookAhead(current + AHEAD_SLOTS, now - current * SLOT_MS > STATE_LAG_MS)
    for (let slot = Math.max(first, current - OPEN_SLOTS); slot < current; slot++) {
      const state = slotOf(slot)
      const since = now - (slot + 1) * SLOT_MS
      if (!state.told && since >= READING_LAG_MS) await show(state)
      if (state.closed) continue
      if (isGateway()) {
        if (!state.stated && since >= STATE_LAG_MS) await stateIt(state)
      } else if (state.statement !== undefined && since >= STATE_LAG_MS) await consider(state, state.statement)
      else if (Math.min(since, clock.mono() - gatewayKnown) >= SILENT_MS) await replace()
    }
    for (const slot of slots.keys()) if (slot < current - 2 * OPEN_SLOTS) slots.delete(slot)
  }

  return {
    restore: written => {
      for (const bytes of written) {
        const read = decodeAs(settled, bytes, 'settled', 1024)
        if (read.ok) paid = read.value.slots
      }
    },
    start: () => {
      // Of slots that began before this site was there it has no say.
      first = Math.ceil(clock.now() / SLOT_MS)
      cancel = timers.every(LOOK_MS, () => {
        if (busy) return
        busy = true
        void look().then(() => {
          busy = false
        })
      })
    },
    onMessage: (peer, message) => {
      const { from, body } = message
      const member = group?.members.some(one => equalBytes(one, from)) ?? false
      if (body.kind === 'shares') {
        void hear(message).then(heard => {
          if (!heard.ok) log(`a statement from ${peer} is not taken`, heard.fault)
        })
      } else if (body.kind === 'usage' && member) {
        const current = Math.floor(clock.now() / SLOT_MS)
        const near = Array.from({ length: OPEN_SLOTS }, (_, i) => current - i - 1)
        const slot = near.find(one => equalBytes(slotName(chainId, name, one), body.about))
        const state = slot === undefined ? undefined : slotOf(slot)
        const [begin, end] = body.readings
        if (begin === undefined || end === undefined || body.meter !== options.meterOf(from)) return
        // What was shown first stands.
        if (state !== undefined && !state.shown.has(accountId(from))) {
          state.shown.set(accountId(from), { meter: body.meter, readings: [begin, end] })
        }
      } else if (body.kind === 'forecast' && member && body.group === name) {
        const ahead = body.slot - Math.floor(clock.now() / SLOT_MS)
        if (ahead < 1 || ahead > AHEAD_SLOTS) return
        const state = slotOf(body.slot)
        if (!state.ordered) state.nets.set(accountId(from), body.nets)
      }
    },
    stop: () => cancel(),
    slots: () =>
      [...slots.values()].reverse().map(({ slot, statement, faults }) => {
        const payment = statement?.members.find(({ member }) => equalBytes(member, account.address))?.payment
        return { slot, faults, ...(payment === undefined ? {} : { payment }) }
      }),
    gateway: () => group?.gateway,
  }
}
