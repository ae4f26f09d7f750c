/**
 * Carries out what protocol/safety/car-to-car.ts decides: looks at both ports and their meters, sends both set points, and renews
 * them before the ports' own watchdogs run out. Zero goes to both at once, and neither waits for the other's answer.
 */
import type { Cancel, Clock, PilotState, Timers } from '../../drivers/ports.ts'
import type { Result } from '../../protocol/result.ts'
import {
  type Booked,
  bookTransfer,
  decideTransfer,
  NEW_TRANSFER,
  type PortReading,
  TRANSFER_LIMITS,
  type TransferLimits,
  type TransferOrder,
  type TransferReason,
  type TransferState,
  type TransferTerms,
} from '../../protocol/safety/car-to-car.ts'
import type { Mono } from '../../protocol/time.ts'

/** A charging point that moves energy both ways. */
export interface TransferPort {
  readonly name: string
  /** A set point that nobody renews within this falls back to 0 by the port itself. */
  readonly watchdogMs: number
  /** In mW; positive into the car, negative out of it. */
  setPower(mw: number): Promise<Result<void>>
  /** A look that began after this call. */
  look(): Promise<Result<{ readonly state: PilotState; readonly takenMono: Mono }>>
  /** The newest reading of its meter, however old, in the sense of the port's side; undefined before the first. */
  reading(): PortReading | undefined
}

export interface TransferParts {
  readonly giver: TransferPort
  readonly taker: TransferPort
  /** What is agreed and proven now; undefined where nothing is. */
  readonly agreed: () => { readonly terms: TransferTerms; readonly leaseUntil: Mono } | undefined
  readonly clock: Clock
  readonly timers: Timers
  readonly limits?: TransferLimits
  /** Told once, when a transfer that ran is over. */
  readonly onOver?: (because: readonly TransferReason[]) => void
}

export interface Transfer {
  booked(): Booked
  phase(): TransferState['phase']
  /** Why it does not run now. */
  because(): readonly TransferReason[]
  /** Sends 0 to both and looks no more. */
  stop(): void
}

/** As the relays' control step. */
const STEP_MS = 100
/** So that a lost heartbeat is known as one within its limit, and not by a single look that was lost. */
const LOOK_MS = 250

export function runTransfer(parts: TransferParts): Transfer {
  const { giver, taker, agreed, clock, timers, limits = TRANSFER_LIMITS, onOver } = parts
  const ports = { giver, taker } as const
  const seen = new Map<TransferPort, { readonly state: PilotState; readonly takenMono: Mono }>()
  const looking = new Set<TransferPort>()
  const sent = new Map<TransferPort, { readonly mw: number; readonly at: Mono }>()
  let state: TransferState = NEW_TRANSFER
  let because: readonly TransferReason[] = []

  function look(port: TransferPort): void {
    if (looking.has(port)) return
    looking.add(port)
    void port.look().then(answer => {
      looking.delete(port)
      if (answer.ok) seen.set(port, answer.value)
    })
  }

  function send(port: TransferPort, mw: number): void {
    const before = sent.get(port)
    const now = clock.mono()
    if (before?.mw === mw && now - before.at < port.watchdogMs / 2) return
    sent.set(port, { mw, at: now })
    void port.setPower(mw).then(answer => {
      // Not taken, as far as is known: the next step sends it again.
      if (!answer.ok && sent.get(port)?.at === now) sent.delete(port)
    })
  }

  function step(): void {
    const deal = agreed()
    const factsOf = (port: TransferPort) => {
      const last = seen.get(port)
      return { reading: port.reading(), heartbeat: last?.takenMono, state: last?.state }
    }
    const facts = {
      ...{ now: clock.now(), mono: clock.mono(), terms: deal?.terms, leaseUntil: deal?.leaseUntil },
      ...{ giver: factsOf(giver), taker: factsOf(taker) },
    }
    const before = state.phase
    const decided = decideTransfer(state, facts, limits)
    state = decided.state
    because = decided.because
    carryOut(decided.order)
    if (before === 'running' && state.phase === 'over') onOver?.(because)
  }

  function carryOut({ giverMw, takerMw }: TransferOrder): void {
    send(ports.taker, takerMw)
    send(ports.giver, -giverMw)
  }

  const cancels: Cancel[] = [
    timers.every(LOOK_MS, () => {
      look(giver)
      look(taker)
    }),
    timers.every(STEP_MS, step),
  ]
  return {
    booked: () => bookTransfer(state),
    phase: () => state.phase,
    because: () => because,
    stop: () => {
      for (const cancel of cancels.splice(0)) cancel()
      sent.clear()
      carryOut({ giverMw: 0, takerMw: 0 })
    },
  }
}
