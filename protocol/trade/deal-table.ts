/** The table that deal.ts explains: states by inputs, once for a line between two houses and once for the grid. */
import * as grid from './deal-grid.ts'
import * as reserving from './deal-reserve.ts'
import * as starting from './deal-start.ts'
import { type Deal, type DealKind, type Input, overGrid, STATES, type State, type TimerName } from './deal-state.ts'
import { type InputOf, ignore, type Rule, refuse } from './deal-step.ts'
import * as stopping from './deal-stop.ts'
import type { BodyOf } from './message.ts'

type Column = Exclude<Input['kind'], 'message' | 'timer'> | `peer ${DealKind}` | `timer ${TimerName}`

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
  reservation: ignore,
  'reservation-refused': ignore,
  'fee-free': ignore,
  settlement: refuse,
  facts: stopping.factsAtRest,
  'signed-reading': refuse,
  'no-reading': ignore,
  metered: ignore,
  'peer-receipt': stopping.keepPeerReceipt,
  'heartbeat-lost': ignore,
  'meter-stale': ignore,
  'broker-down': ignore,
  fault: ignore,
  stop: ignore,
  restored: stopping.restoredEnded,
  'peer accept': ignore,
  'peer countersign': refuse,
  'peer decline': refuse,
  'peer reserved': refuse,
  'peer committed': refuse,
  'peer ready': refuse,
  'peer started': refuse,
  'peer heartbeat': ignore,
  'peer stop': ignore,
  'peer stopped': ignore,
  'timer sign': ignore,
  'timer reserve-by': ignore,
  'timer commit-by': ignore,
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

type Table = { readonly [S in State]: Row }

/** House to house over a line. No deal of a line is ever `reserved`. */
const LINE: Table = {
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
  receipted: {
    ...ANYWHERE,
    ...AT_LEDGER,
    'timer receipt-by': stopping.handInAgain,
    'timer settle-by': stopping.dispute,
  },
  disputed: { ...ANYWHERE, ...AT_LEDGER, 'timer settle-by': stopping.askSettlement },
  settled: { ...ANYWHERE, settlement: ignore },
  refunded: { ...ANYWHERE, settlement: ignore },
  aborted: { ...ANYWHERE, ...GIVEN_UP },
  expired: { ...ANYWHERE, ...GIVEN_UP },
  reserved: ANYWHERE,
}

/** A halted deal goes on; whoever has nothing locked gives up instead. */
const HALT_OR_ABORT = {
  'peer decline': grid.declinedOrAborted,
  'peer stop': grid.heardHaltOrAbort,
  fault: grid.haltOrAbort,
  stop: grid.haltOrAbort,
}
const HALT = {
  'peer decline': grid.declinedLate,
  'peer stop': grid.heardHalt,
  fault: grid.haltNow,
  stop: grid.haltNow,
}
const GRID_GIVEN_UP = {
  ...GIVEN_UP,
  'not-handed-in': reserving.releaseFailed,
  'fee-free': reserving.feeIsFree,
  'timer retry': reserving.releaseAgain,
}

/** From node to node over the grid. */
const GRID: Table = {
  proposed: { ...LINE.proposed, 'peer reserved': reserving.reservedEarly, 'meter-stale': ignore },
  signed: {
    ...ANYWHERE,
    ...HALT_OR_ABORT,
    'handed-in': grid.handedIn,
    'not-handed-in': grid.notHandedIn,
    reservation: reserving.judgeReservation,
    'reservation-refused': stopping.abort,
    'peer reserved': reserving.heardReserved,
    'peer committed': grid.committedUnreserved,
    'timer reserve-by': stopping.tooLate,
    'timer start-by': stopping.tooLate,
    restored: grid.restoredSignedOverGrid,
  },
  reserved: {
    ...ANYWHERE,
    ...HALT_OR_ABORT,
    'handed-in': grid.handedIn,
    'not-handed-in': grid.notHandedIn,
    lock: grid.judgeLockOverGrid,
    'lock-refused': grid.lockRefused,
    'peer reserved': ignore,
    'peer committed': starting.heardCommitted,
    'timer commit-by': stopping.tooLate,
    'timer start-by': stopping.tooLate,
    restored: stopping.restoredSigned,
  },
  escrowed: {
    ...ANYWHERE,
    ...HALT,
    lock: grid.judgeLockOverGrid,
    'lock-refused': grid.lockRefused,
    'peer reserved': ignore,
    'peer committed': ignore,
    'timer start-by': stopping.tooLate,
    restored: stopping.restoredSigned,
  },
  armed: {
    ...ANYWHERE,
    ...HALT,
    lock: grid.lockGone,
    'lock-refused': grid.haltNow,
    settlement: grid.closedEarly,
    'signed-reading': grid.takeBeginOverGrid,
    'no-reading': grid.noBeginYet,
    'peer reserved': ignore,
    'peer committed': ignore,
    'timer start': grid.startOverGrid,
    'timer retry': grid.beginAgain,
    'timer start-by': stopping.tooLate,
    'timer end': stopping.tooLate,
    restored: stopping.restoredSigned,
  },
  started: {
    ...ANYWHERE,
    ...HALT,
    metered: grid.meteredOverGrid,
    lock: grid.lockGone,
    'lock-refused': grid.haltNow,
    settlement: grid.closedEarly,
    'peer reserved': ignore,
    'peer committed': ignore,
    'timer end': grid.endOverGrid,
    restored: grid.restoredStartedOverGrid,
  },
  stopped: {
    ...ANYWHERE,
    ...AT_LEDGER,
    'signed-reading': stopping.takeEnd,
    'no-reading': stopping.noEnd,
    'handed-in': stopping.receiptHandedIn,
    'not-handed-in': stopping.receiptRefused,
    'timer retry': stopping.retry,
    'timer receipt-by': stopping.askSettlement,
    'timer settle-by': stopping.dispute,
    restored: grid.restoredStoppedOverGrid,
  },
  receipted: LINE.receipted,
  disputed: LINE.disputed,
  settled: { ...LINE.settled, 'fee-free': reserving.feeIsFree, restored: reserving.restoredSettled },
  refunded: LINE.refunded,
  aborted: { ...ANYWHERE, ...GRID_GIVEN_UP },
  expired: { ...ANYWHERE, ...GRID_GIVEN_UP },
}

/** The cell for an input to a deal as it stands. */
export const ruleOf = (deal: Deal, input: Input): Rule<Input | BodyOf<DealKind>> =>
  (overGrid(deal) ? GRID : LINE)[deal.state][columnOf(input)] as Rule<Input | BodyOf<DealKind>>

/** The column of an input. */
const columnOf = (input: Input): Column =>
  input.kind === 'message' ? `peer ${input.body.kind}` : input.kind === 'timer' ? `timer ${input.name}` : input.kind

/** The table with the name of each cell's rule, for the eye and for the tests. */
export const dealTable = (
  over: 'line' | 'grid',
): readonly { readonly state: State; readonly cells: Readonly<Record<Column, string>> }[] =>
  STATES.map(state => ({
    state,
    cells: Object.fromEntries(
      Object.entries((over === 'grid' ? GRID : LINE)[state]).map(([column, cell]) => [column, cell.name]),
    ) as Record<Column, string>,
  }))
