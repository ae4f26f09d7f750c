/**
 * A deal is a table: states by inputs. `step` looks the cell up, and adds what no cell may forget.
 *
 *     proposed   the terms are agreed; one or both halves of the contract are wanted
 *     signed     both halves are there; the buyer hands its commitment to pay in, the seller waits to hear of it
 *     escrowed   handed in; each side asks its own light client whether the payment is locked
 *     armed      proven; the ends are prepared from the contract's start on
 *     started    power may flow
 *     stopped    power has ended; end reading and receipt
 *     receipted  our receipt is handed in; both together settle at once
 *     disputed   the receipt window is over and the ledger has not settled: the dispute window decides
 *     settled    proven                        refunded   proven, nothing was paid
 *     aborted    a fault before the start      expired    its time went by; a buyer then follows its escrow
 *
 * The order on the line. Two supplies are never paralleled and contacts close onto a dead line only: the buyer opens its
 * circuit's own supply, sees the line dead, closes its line contact, signs its begin reading and says `ready`; the seller
 * sees the line dead, signs its begin reading and closes: power flows. At the end, without a fault, the seller opens first
 * and the buyer then opens a line that carries nothing; each signs its end reading once its own contact is seen open, and
 * the buyer's circuit gets its own supply back. On a fault both open at once.
 *
 * A `close` is a wish (protocol/safety decides), and exists only below both signatures and a proven lock. A refused input
 * is a `refused` output with a named fault; nothing here throws for what a peer, the ledger or the wires do.
 *
 * After a restart every contact is opened and nothing that was seen before counts: `proposed` is aborted, `signed` to
 * `armed` look for the lock again (the commitment is never sent twice), a deal that had begun goes to its end reading.
 */
import { equalBytes, toHex } from '../bytes.ts'
import { addressOf } from '../crypto/hash.ts'
import type { Verifier } from '../crypto/verify.ts'
import { fail, ok, type Result } from '../result.ts'
import { later } from '../time.ts'
import { contractHash, decodeContract, type Party, type SignedContractFault, verifyHalf } from './contract.ts'
import * as starting from './deal-start.ts'
import {
  type Deal,
  type DealKind,
  type Input,
  NO_FACTS,
  type Now,
  type Output,
  SIGN_MS,
  STATES,
  type State,
  type Step,
  type TimerName,
} from './deal-state.ts'
import { type InputOf, ignore, type Rule, refuse } from './deal-step.ts'
import * as stopping from './deal-stop.ts'
import type { BodyOf } from './message.ts'

export type Column = Exclude<Input['kind'], 'message' | 'timer'> | `peer ${DealKind}` | `timer ${TimerName}`

type InputAt<C extends Column> = C extends `peer ${infer K extends DealKind}`
  ? BodyOf<K>
  : C extends `timer ${string}`
    ? InputOf<'timer'>
    : C extends Input['kind']
      ? InputOf<C>
      : never
type Row = { readonly [C in Column]: Rule<InputAt<C>> }

/** What comes late, twice or for somebody else is ignored in every state that has no use for it; the rest is refused. */
const ANYWHERE: Row = {
  half: ignore,
  'handed-in': ignore,
  'not-handed-in': ignore,
  lock: ignore,
  'lock-refused': ignore,
  settlement: refuse,
  facts: stopping.factsAtRest,
  'signed-reading': refuse,
  'no-reading': ignore,
  metered: ignore,
  'heartbeat-lost': ignore,
  'meter-stale': ignore,
  'broker-down': ignore,
  fault: ignore,
  stop: ignore,
  restored: stopping.restoredEnded,
  'peer accept': ignore,
  'peer countersign': refuse,
  'peer decline': refuse,
  'peer committed': refuse,
  'peer ready': refuse,
  'peer started': refuse,
  'peer heartbeat': ignore,
  'peer stop': ignore,
  'peer stopped': ignore,
  'timer sign': ignore,
  'timer start': ignore,
  'timer start-by': ignore,
  'timer end': ignore,
  'timer unload': ignore,
  'timer opening': ignore,
  'timer retry': ignore,
  'timer receipt-by': ignore,
  'timer settle-by': ignore,
}

const AT_LEDGER = {
  settlement: stopping.takeSettlement,
  metered: stopping.noteMetered,
  restored: stopping.restoredAtLedger,
}
const GIVEN_UP = { settlement: stopping.takeSettlement }

const TABLE: { readonly [S in State]: Row } = {
  proposed: {
    ...ANYWHERE,
    half: starting.takeOwnHalf,
    'peer countersign': starting.takeCountersign,
    'peer decline': stopping.heardDecline,
    'peer stop': stopping.heardStopEarly,
    'timer sign': stopping.tooLate,
    'meter-stale': stopping.abort,
    fault: stopping.abort,
    stop: stopping.abort,
    restored: stopping.restoredUnsigned,
  },
  signed: {
    ...ANYWHERE,
    'handed-in': starting.commitHandedIn,
    'not-handed-in': starting.commitFailed,
    'peer committed': starting.heardCommitted,
    'peer ready': starting.readyBeforeCommitted,
    'peer decline': stopping.heardDecline,
    'peer stop': stopping.heardStopEarly,
    'timer start-by': stopping.tooLate,
    fault: stopping.abort,
    stop: stopping.abort,
    restored: stopping.restoredSigned,
  },
  escrowed: {
    ...ANYWHERE,
    lock: starting.judgeLock,
    'lock-refused': stopping.abort,
    'peer committed': ignore,
    'peer ready': starting.noteReady,
    'peer decline': stopping.heardDecline,
    'peer stop': stopping.heardStopEarly,
    'timer start-by': stopping.tooLate,
    fault: stopping.abort,
    stop: stopping.abort,
    restored: stopping.restoredSigned,
  },
  armed: {
    ...ANYWHERE,
    facts: starting.factsArmed,
    lock: starting.lockAgain,
    'lock-refused': stopping.openNow,
    settlement: stopping.paymentGone,
    'signed-reading': starting.takeBegin,
    'no-reading': starting.noBegin,
    'peer committed': ignore,
    'peer ready': starting.noteReady,
    'peer started': starting.heardStarted,
    'peer heartbeat': stopping.heartbeatArmed,
    'peer decline': stopping.heardDecline,
    'peer stop': stopping.heardStopEarly,
    'heartbeat-lost': stopping.faultOnceEngaged,
    'meter-stale': stopping.faultOnceEngaged,
    'broker-down': stopping.faultOnceEngaged,
    fault: stopping.openNow,
    stop: stopping.openNow,
    'timer start': starting.start,
    'timer start-by': stopping.tooLate,
    'timer end': stopping.tooLate,
    restored: stopping.restoredArmed,
  },
  started: {
    ...ANYWHERE,
    facts: stopping.factsStarted,
    metered: stopping.meteredStarted,
    lock: starting.lockAgain,
    'lock-refused': stopping.openNow,
    settlement: stopping.paymentGone,
    'peer committed': ignore,
    'peer ready': ignore,
    'peer started': ignore,
    'peer heartbeat': stopping.heartbeatStarted,
    'peer stop': stopping.heardStop,
    'peer stopped': stopping.heardStopped,
    'heartbeat-lost': stopping.openNow,
    'meter-stale': stopping.openNow,
    'broker-down': stopping.openNow,
    fault: stopping.openNow,
    stop: stopping.stopWanted,
    'timer end': stopping.windowOver,
    restored: stopping.restoredStarted,
  },
  stopped: {
    ...ANYWHERE,
    ...AT_LEDGER,
    facts: stopping.factsStopped,
    'signed-reading': stopping.takeEnd,
    'no-reading': stopping.noEnd,
    'handed-in': stopping.receiptHandedIn,
    'not-handed-in': stopping.receiptRefused,
    'peer started': ignore,
    'peer heartbeat': stopping.heartbeatStopped,
    'peer stop': stopping.heardStopAgain,
    'peer stopped': stopping.sellerHasOpened,
    'heartbeat-lost': stopping.openAgain,
    'meter-stale': stopping.openAgain,
    'broker-down': stopping.openAgain,
    fault: stopping.openAgain,
    'timer unload': stopping.unloadOver,
    'timer opening': stopping.openingOver,
    'timer retry': stopping.retry,
    'timer receipt-by': stopping.askSettlement,
    'timer settle-by': stopping.dispute,
    restored: stopping.restoredStopped,
  },
  receipted: { ...ANYWHERE, ...AT_LEDGER, 'timer receipt-by': stopping.dispute, 'timer settle-by': stopping.dispute },
  disputed: { ...ANYWHERE, ...AT_LEDGER, 'timer settle-by': stopping.askSettlement },
  settled: { ...ANYWHERE, settlement: ignore },
  refunded: { ...ANYWHERE, settlement: ignore },
  aborted: { ...ANYWHERE, ...GIVEN_UP },
  expired: { ...ANYWHERE, ...GIVEN_UP },
}

export interface Draft {
  readonly role: Party
  readonly bytes: Uint8Array
  readonly sellerKey: Uint8Array
  readonly buyerKey: Uint8Array
  /** The other party's COSE_Sign1, where it came first: in its `accept`. */
  readonly peerHalf?: Uint8Array
}

export type DraftFault =
  | SignedContractFault
  | { readonly code: 'deal.window-over'; readonly end: number; readonly now: number }

/** A deal on agreed terms: the first thing that it wants is our signature. */
export function openDeal(draft: Draft, now: Now, verifier: Verifier): Result<Step, DraftFault> {
  const { role, bytes, sellerKey, buyerKey, peerHalf } = draft
  const contract = decodeContract(bytes)
  if (!contract.ok) return contract
  for (const [party, key] of [
    ['seller', sellerKey],
    ['buyer', buyerKey],
  ] as const) {
    const own = addressOf(key)
    const expected = contract.value[party]
    if (!equalBytes(own, expected)) {
      return fail({ code: 'contract.key', party, expected: toHex(expected), received: toHex(own) })
    }
  }
  if (contract.value.end <= now.wall) return fail({ code: 'deal.window-over', end: contract.value.end, now: now.wall })
  if (peerHalf !== undefined) {
    const [party, key] = role === 'buyer' ? (['seller', sellerKey] as const) : (['buyer', buyerKey] as const)
    const half = verifyHalf(bytes, party, peerHalf, key, verifier)
    if (!half.ok) return half
  }
  const deal: Deal = {
    ...draft,
    contract: contract.value,
    hash: contractHash(bytes),
    state: 'proposed',
    phase: 'idle',
    escrow: false,
    peerReady: false,
    engaged: false,
    isolated: false,
    facts: NO_FACTS,
  }
  const timer: Output = { kind: 'timer', name: 'sign', at: later(now.mono, SIGN_MS) }
  return ok({ deal, outputs: [{ kind: 'record' }, timer, { kind: 'sign-contract' }] })
}

/** One input: the deal after it, and what is to be done, openings first and then the journal. */
export function step(deal: Deal, input: Input, now: Now, verifier: Verifier): Step {
  if (input.kind === 'message' && 'hash' in input.body && !equalBytes(input.body.hash, deal.hash)) {
    const fault = { code: 'deal.other-contract', expected: toHex(deal.hash), received: toHex(input.body.hash) }
    return { deal, outputs: [{ kind: 'refused', fault }] }
  }
  const cell = TABLE[deal.state][columnOf(input)] as Rule<Input | BodyOf<DealKind>>
  const after = cell(deal, input.kind === 'message' ? input.body : input, { now, verifier })
  const openings = after.outputs.filter(output => output.kind === 'open')
  const others = after.outputs.filter(output => output.kind !== 'open')
  const outputs: Output[] = isNews(deal, after.deal)
    ? [...openings, { kind: 'record' }, ...others]
    : [...openings, ...others]
  return { deal: after.deal, outputs }
}

/** The column of an input. */
const columnOf = (input: Input): Column =>
  input.kind === 'message' ? `peer ${input.body.kind}` : input.kind === 'timer' ? `timer ${input.name}` : input.kind

/** What is not worth a line in the journal: it changes with every reading and heartbeat, and is not believed afterwards. */
const VOLATILE: ReadonlySet<string> = new Set(['facts', 'peer', 'ownWh', 'peerWh'] satisfies (keyof Deal)[])

const isNews = (before: Deal, after: Deal): boolean =>
  (Object.keys(after) as (keyof Deal)[]).some(key => !VOLATILE.has(key) && before[key] !== after[key])

/** The table with the name of each cell's rule, for the eye and for the tests. */
export const dealTable = (): readonly { readonly state: State; readonly cells: Readonly<Record<Column, string>> }[] =>
  STATES.map(state => ({
    state,
    cells: Object.fromEntries(Object.entries(TABLE[state]).map(([column, cell]) => [column, cell.name])) as Record<
      Column,
      string
    >,
  }))
