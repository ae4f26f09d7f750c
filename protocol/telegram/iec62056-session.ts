/**
 * The sign-on of IEC 62056-21 modes A, B and C as decisions without a clock or a line: `step` takes what happened and says
 * what to do. Whoever runs it sends, changes the baud rate, sets its one timer, and tells.
 *
 *     reader  /?! CR LF                                300 baud
 *     meter   /XXXZ identification CR LF               Z: a digit is mode C, A to I mode B, all else mode A
 *     reader  ACK 0 Z 0 CR LF                          mode C only; both then change to the baud rate Z
 *     meter   STX data ! CR LF ETX BCC                 mode B: at the baud rate Z at once; mode A: at 300 baud
 *
 * Mode D meters speak unasked: there is nothing to sign on to.
 */
import { concat } from '../bytes.ts'
import type { Fault } from '../result.ts'
import { decodeDataMessage, decodeIdentification, type Identification, type Parity } from './iec62056.ts'
import type { Readout } from './iec62056-data.ts'
import { acknowledgeText, onWire, requestText } from './iec62056-write.ts'

export interface SignOnPlan {
  /** The device address asked for, one of several meters on a line; without one whichever meter listens answers. */
  readonly address?: string
  readonly parity: Parity
  /** 300 unless the meter's interface works at a fixed rate. */
  readonly openingBaud: number
  /** The highest rate that the line can change to; the opening rate where it cannot. */
  readonly highestBaud: number
  readonly attempts: number
}

export interface SignOnState {
  readonly phase: 'idle' | 'asking' | 'identifying' | 'reacting' | 'acknowledging' | 'reading' | 'pausing' | 'over'
  readonly attempt: number
  /** Bytes heard and not yet understood, at most one message. */
  readonly held: Uint8Array
  readonly identification?: { readonly said: Identification; readonly raw: Uint8Array }
}

export type SignOnInput =
  | { readonly kind: 'start' }
  /** The last bit of what was to be sent has left the wire. */
  | { readonly kind: 'sent' }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** The time of the last `wait` has passed. */
  | { readonly kind: 'timeout' }

export type SignOnAction =
  | { readonly do: 'send'; readonly bytes: Uint8Array }
  | { readonly do: 'baud'; readonly baud: number }
  /** Sets the one timer, in place of what it was set to. */
  | { readonly do: 'wait'; readonly ms: number }
  | {
      readonly do: 'done'
      readonly identification: Identification
      readonly readout: Readout
      readonly raw: Uint8Array
    }
  | { readonly do: 'fail'; readonly fault: Fault }

export interface SignOnStep {
  readonly state: SignOnState
  /** To be done in this order. */
  readonly actions: readonly SignOnAction[]
}

export const SIGN_ON_IDLE: SignOnState = { phase: 'idle', attempt: 0, held: new Uint8Array(0) }

/** Clause 6.3.14: at most 1,500 ms before an answer and between two characters; adapters hold bytes back a little. */
const ANSWER_MS = 2_000
/** Clause 6.3.14: the reader answers after 200 ms at the earliest, after 20 where the maker's third letter is small. */
const REACTION_MS = 200
const FAST_REACTION_MS = 20
/** A meter that waits for an answer is back at the start after 1,500 ms at the least and 2,200 ms at the most. */
const PAUSE_MS = 2_300

const FASTER: ReadonlyMap<string, number> = new Map(
  [300, 600, 1200, 2400, 4800, 9600, 19_200].map((baud, index) => [String(index), baud]),
)
const MODE_B: ReadonlyMap<string, number> = new Map(
  [600, 1200, 2400, 4800, 9600, 19_200].map((baud, index) => [String.fromCharCode(0x41 + index), baud]),
)
const NOTHING = new Uint8Array(0)

export function stepSignOn(plan: SignOnPlan, state: SignOnState, input: SignOnInput): SignOnStep {
  switch (input.kind) {
    case 'start':
      return state.phase === 'idle' ? ask(plan, 0) : stay(state)
    case 'sent':
      if (state.phase === 'asking') return identify(plan, { ...state, phase: 'identifying' })
      return state.phase === 'acknowledging' ? readAt(plan, state) : stay(state)
    case 'timeout':
      return timeout(plan, state)
    case 'bytes':
      return hear(plan, state, input.bytes)
  }
}

const stay = (state: SignOnState): SignOnStep => ({ state, actions: [] })
const wait = (ms: number): SignOnAction => ({ do: 'wait', ms })

function ask(plan: SignOnPlan, attempt: number): SignOnStep {
  return {
    state: { phase: 'asking', attempt, held: NOTHING },
    actions: [
      { do: 'baud', baud: plan.openingBaud },
      { do: 'send', bytes: onWire(requestText(plan.address), plan.parity) },
    ],
  }
}

function over(fault: Fault): SignOnStep {
  return { state: { ...SIGN_ON_IDLE, phase: 'over' }, actions: [{ do: 'fail', fault }] }
}

/** Begins again when the line has been quiet for long enough that the meter waits for a request. */
function retry(plan: SignOnPlan, { attempt }: SignOnState, fault: Fault): SignOnStep {
  if (attempt + 1 >= plan.attempts) return over(fault)
  return { state: { phase: 'pausing', attempt: attempt + 1, held: NOTHING }, actions: [wait(PAUSE_MS)] }
}

function timeout(plan: SignOnPlan, state: SignOnState): SignOnStep {
  switch (state.phase) {
    case 'identifying':
    case 'reading':
      return retry(plan, state, { code: 'iec62056.silent', phase: state.phase, heard: state.held.length })
    case 'reacting': {
      const bytes = onWire(acknowledgeText(chosen(plan, state).character), plan.parity)
      return { state: { ...state, phase: 'acknowledging', held: NOTHING }, actions: [{ do: 'send', bytes }] }
    }
    case 'pausing':
      return ask(plan, state.attempt)
    default:
      return stay(state)
  }
}

function hear(plan: SignOnPlan, state: SignOnState, bytes: Uint8Array): SignOnStep {
  switch (state.phase) {
    // What comes while sending may be an echo, or a meter that answers sooner than this machine tells of the end.
    case 'asking':
    case 'acknowledging':
      return stay({ ...state, held: concat(state.held, bytes).slice(-HELD_WHILE_SENDING) })
    case 'identifying':
      return identify(plan, { ...state, held: concat(state.held, bytes) })
    case 'reading':
      return take(plan, { ...state, held: concat(state.held, bytes) })
    case 'pausing':
      return { state, actions: [wait(PAUSE_MS)] }
    default:
      return stay(state)
  }
}

/** Far more than an echo and an identification. */
const HELD_WHILE_SENDING = 256

function identify(plan: SignOnPlan, state: SignOnState): SignOnStep {
  let { held } = state
  while (held.length > 0) {
    const pull = decodeIdentification(held, plan.parity)
    if (pull.kind === 'need') break
    if (pull.kind === 'frame') {
      const raw = held.slice(0, pull.used)
      return identified(plan, { ...state, held: held.slice(pull.used), identification: { said: pull.value, raw } })
    }
    held = held.slice(pull.skip)
  }
  return { state: { ...state, held }, actions: [wait(ANSWER_MS)] }
}

function identified(plan: SignOnPlan, state: SignOnState): SignOnStep {
  const { maker, baudCharacter } = state.identification!.said
  if (/[0-9]/.test(baudCharacter)) {
    const ms = /[a-z]$/.test(maker) ? FAST_REACTION_MS : REACTION_MS
    return { state: { ...state, phase: 'reacting', held: NOTHING }, actions: [wait(ms)] }
  }
  if (/[A-I]/.test(baudCharacter)) {
    const baud = MODE_B.get(baudCharacter)
    if (baud === undefined || (baud > plan.highestBaud && baud !== plan.openingBaud))
      return over({
        code: 'iec62056.baud',
        character: baudCharacter,
        wanted: baud,
        highest: plan.highestBaud,
        hint: 'a mode B meter changes the baud rate unasked: use a line that can follow',
      })
    return readAt(plan, state)
  }
  return readAt(plan, state)
}

/** The rate of the data message and its character: the meter's, or the opening one where the line cannot follow. */
function chosen(plan: SignOnPlan, state: SignOnState): { readonly baud: number; readonly character: string } {
  const { openingBaud, highestBaud } = plan
  const character = state.identification!.said.baudCharacter
  const modeB = MODE_B.get(character)
  if (modeB !== undefined) return { baud: modeB, character }
  const baud = FASTER.get(character)
  if (baud !== undefined && (baud <= highestBaud || baud === openingBaud)) return { baud, character }
  const same = [...FASTER].find(([, one]) => one === openingBaud)
  return { baud: openingBaud, character: same?.[0] ?? '0' }
}

function readAt(plan: SignOnPlan, state: SignOnState): SignOnStep {
  const { baud } = chosen(plan, state)
  const change: readonly SignOnAction[] = baud === plan.openingBaud ? [] : [{ do: 'baud', baud }]
  // What was heard before a change of rate cannot be the message that follows it.
  const held = change.length === 0 ? state.held : NOTHING
  const next = take(plan, { ...state, phase: 'reading', held })
  return { ...next, actions: [...change, ...next.actions] }
}

function take(plan: SignOnPlan, state: SignOnState): SignOnStep {
  let { held } = state
  while (held.length > 0) {
    const pull = decodeDataMessage(held, plan.parity)
    if (pull.kind === 'need') break
    if (pull.kind === 'frame') {
      const { said, raw } = state.identification!
      const whole = concat(raw, held.subarray(0, pull.used))
      return {
        state: { ...SIGN_ON_IDLE, phase: 'over' },
        actions: [{ do: 'done', identification: said, readout: pull.value, raw: whole }],
      }
    }
    // Before the STX there may be an echo, and a character torn by the change of rate; behind it nothing may be wrong.
    if (pull.fault.code !== 'iec62056.noise') return retry(plan, state, pull.fault)
    held = held.slice(pull.skip)
  }
  return { state: { ...state, held }, actions: [wait(ANSWER_MS)] }
}
