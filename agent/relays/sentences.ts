/** What keeps a contact open or opened it, as a sentence that a person understands: the same on the page, the API and the command line. */
import { type Fault, type FaultDetail, faultLine } from '../../protocol/result.ts'
import type { ReasonCode } from '../../protocol/safety/permit.ts'
import type { WeldSign } from '../../protocol/safety/weld.ts'
import { instant, isoTime } from '../../protocol/time.ts'

type ControlCode =
  | 'control.by-hand'
  | 'control.changeover-timeout'
  | 'control.circuit-taken'
  | 'control.elsewhere'
  | 'control.never-energised'
  | 'control.no-answer'
  | 'control.no-such-line'
  | 'control.no-weld'
  | 'control.seller-opened'
  | 'control.start-timeout'

type Say = (fault: Fault) => string

/** `1,500 ms` as `1.5 s`; what was never there has no time. */
const time = (ms: FaultDetail): string => (typeof ms === 'number' ? `${ms / 1000} s` : 'never')
const volts = (mv: FaultDetail): string => `${Number(mv) / 1000} V`
const amperes = (ma: FaultDetail): string => `${Number(ma) / 1000} A`
const list = (names: FaultDetail): string => (Array.isArray(names) ? names.join(', ') : String(names))
const clock = (at: FaultDetail): string =>
  typeof at === 'number' && Number.isFinite(at) ? isoTime(instant(at)) : 'unknown'
/** Of what has to have been heard or done within a limit. */
const last = (what: string, { agoMs, limitMs }: Fault): string =>
  agoMs === undefined ? `${what} is not known` : `${what} is ${time(agoMs)} old, more than ${time(limitMs)}`

const SENTENCES: Readonly<Record<ReasonCode | WeldSign['code'] | ControlCode, Say>> = {
  'permit.manual': () => 'a person has taken the contacts over: manual is on',
  'permit.watchdog': fault => last("the agent's own watchdog sign", fault),
  'permit.weld': ({ contacts }) => `welded, until a person has been there and clears it: ${list(contacts)}`,
  'permit.peer-weld': ({ line }) => `the neighbour reports a welded contact on ${line}`,
  'permit.no-deal': () => 'no deal is to flow now',
  'permit.not-started': ({ start }) => `the deal starts at ${clock(start)}`,
  'permit.expired': ({ end }) => `the deal ended at ${clock(end)}`,
  'permit.lease-over': () => 'the time of the deal is over, whatever the wall clock says',
  'permit.payment-unproven': () => "the buyer's payment is not proven to be locked",
  'permit.clock-behind-header': ({ now, headerTime, allowedMs }) =>
    `the clock says ${clock(now)}, more than ${time(allowedMs)} behind the ledger's ${clock(headerTime)}`,
  'permit.proof-old': ({ ageMs, limitMs, height }) =>
    `the proof of the payment, at height ${height}, is ${time(ageMs)} old, more than ${time(limitMs)}`,
  'permit.light': ({ state }) =>
    state === 'halted'
      ? 'the light client has halted: the ledger cannot be believed now'
      : state === 'no-witness'
        ? 'no witness confirms the ledger, and a new payment needs one'
        : 'it is not known whether the ledger can be believed',
  'permit.own-heartbeat': fault => last('our own last heartbeat', fault),
  'permit.peer-heartbeat': fault => last("the neighbour's last heartbeat", fault),
  'permit.peer-position': ({ seen, wanted }) =>
    wanted === undefined
      ? "where the neighbour's contact is is not known"
      : `the neighbour's contact is ${seen === 'unknown' ? 'not known to be' : `${seen}, not`} ${wanted}`,
  'permit.peer-too-early': () => 'the neighbour has said nothing since this contact last opened',
  'permit.reading': fault => last("the line meter's reading", fault),
  'permit.reading-incomplete': ({ missing }) => `the line meter does not give ${list(missing)}`,
  'permit.reading-too-early': () => 'the line meter was last read before the last switching',
  'permit.line-live': ({ mv, limitMv }) => `the line is live: ${volts(mv)}, where less than ${volts(limitMv)} is dead`,
  'permit.not-seen-dead': ({ contact }) => `the line behind ${contact} was not seen dead since it opened`,
  'permit.backfeed': ({ forMs }) =>
    `the line has been live for ${time(forMs)} although its seller is open: it is fed from here`,
  'permit.window': ({ forMs, limitMs }) =>
    `voltage or frequency has been outside the window for ${time(forMs)}, ${time(limitMs)} at most`,
  'permit.current': ({ ma, limitMa }) => `${amperes(ma)} flow, more than ${amperes(limitMa)}`,
  'permit.off-time': ({ offMs, limitMs }) => `it has been open for ${time(offMs)}, less than ${time(limitMs)}`,
  'permit.changeover': ({ contact, sinceMs, limitMs }) =>
    `${contact} was switched ${time(sinceMs)} ago, less than ${time(limitMs)}: break before make`,
  'permit.interlock': ({ contact, seen, commanded }) =>
    `${contact} must be open first: it is commanded ${commanded} and seen ${seen}`,
  'permit.order': ({ contact, seen, wanted }) => `${contact} must be ${wanted} first: it is seen ${seen}`,
  'permit.not-seen-closed': ({ contact, seen, limitMs }) =>
    `${contact} was commanded closed and after ${time(limitMs)} is seen ${seen}`,
  'weld.auxiliary': ({ contact, forMs }) => `${contact} is seen closed ${time(forMs)} after it was commanded open`,
  'weld.current': ({ contact, ma, forMs }) =>
    `${amperes(ma)} flow through ${contact} ${time(forMs)} after it was commanded open`,
  'weld.voltage': ({ contact, mv, forMs }) =>
    `the line behind ${contact} is live with ${volts(mv)}, ${time(forMs)} after it was commanded open`,
  'control.by-hand': () => 'a person opened it',
  'control.changeover-timeout': ({ limitMs }) =>
    `the line did not close within ${time(limitMs)}, and the own supply came back`,
  'control.circuit-taken': ({ line }) => `line ${line} feeds the circuit`,
  'control.elsewhere': ({ contact, commanded, seen }) => `${contact} is commanded ${commanded} and seen ${seen}`,
  'control.never-energised': ({ limitMs }) => `the seller did not feed the line within ${time(limitMs)}`,
  'control.no-answer': ({ contact, what, deadlineMs }) =>
    `the relay of ${contact} did not answer "${what}" within ${time(deadlineMs)}`,
  'control.no-such-line': ({ line }) => `there is no direct line ${line} here`,
  'control.no-weld': ({ contact, welded }) =>
    `${contact} is not held to be welded${list(welded) === '' ? '' : `; what is: ${list(welded)}`}`,
  'control.seller-opened': () => 'the seller opened its end',
  'control.start-timeout': ({ limitMs }) => `the line contact could not be closed within ${time(limitMs)}`,
}

/** A fault of which there is no sentence is told by its code and its values. */
export const sentenceOf = (fault: Fault): string =>
  Object.hasOwn(SENTENCES, fault.code) ? SENTENCES[fault.code as keyof typeof SENTENCES](fault) : faultLine(fault)
