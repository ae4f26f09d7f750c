/**
 * Demand response: somebody pays for energy that is not taken.
 *
 *     event     an aggregator or distributor announces a window and a price, and deposits what it may cost
 *     optIn     a meter's owner offers to take part, from a baseline
 *     admit     the announcer agrees to the baseline: the owner's share of the deposit now stands
 *     report    signed readings around the window: baseline less what was taken is paid at once
 *     the end   at `reportBy` what is left of the deposit goes back
 *
 * The baseline is agreed before the event, by both, because the ledger does not know the days that it is worked out
 * from; what was taken is shown by the meter, so after the start the announcer's word is not needed any more. What each
 * may be paid is fixed by then too, and the deposit covers them all: who reports first gains nothing.
 */
import { equalBytes, toHex } from '../../bytes.ts'
import { costCeil, costFloor, micros, wattHours } from '../../quantity.ts'
import { ok, type Result } from '../../result.ts'
import type { Instant } from '../../time.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Applying, Kinds } from '../kind.ts'
import {
  type DemandEvent,
  EVENTS,
  eventId,
  MAX_PROMISED,
  PARTICIPANTS,
  type Participant,
  PROMISED,
  participantId,
} from '../service-tables.ts'
import { accountId, credit, type Draft, debit, type State } from '../state.ts'
import type { BodyOf } from '../tx.ts'
import { judgeReadings, READING_SLACK_MS } from './receipt.ts'
import { ownMeter } from './registry.ts'
import { hasRole } from './roles.ts'

const NO_DATA = new Uint8Array(0)
const DAY_MS = 86_400_000
/** A month ahead: a longer promise is an agreement. */
const MAX_AHEAD_MS = 31 * DAY_MS
/** As a deal's receipt window at most. */
const MAX_REPORT_MS = 7 * DAY_MS

type Answer = Result<Uint8Array, LedgerFault>

export const demandKinds = {
  event: { gas: 1n, apply: applyEvent },
  optIn: { gas: 1n, apply: applyOptIn },
  admit: { gas: 1n, apply: applyAdmit },
  optOut: { gas: 1n, apply: applyOptOut },
  report: { gas: 5n, apply: applyReport },
} satisfies Partial<Kinds>

function applyEvent(draft: Draft, announcer: Uint8Array, terms: BodyOf<'event'>, { time }: Applying): Answer {
  if (!hasRole(draft, 'aggregator', announcer) && !hasRole(draft, 'distributor', announcer)) {
    return refuse('ledger.role-only', { role: 'aggregator', sender: toHex(announcer) })
  }
  const { start, end, reportBy, most, price } = terms
  const soon = start > time && start <= time + MAX_AHEAD_MS
  const bounded = end > start && end <= start + DAY_MS && reportBy > end && reportBy <= end + MAX_REPORT_MS
  if (!soon || !bounded) return refuse('ledger.event-terms', { now: time, start, end, reportBy })
  const event = eventId({ ...terms, announcer })
  const id = toHex(event)
  if (draft.get(EVENTS, id) !== undefined) return refuse('ledger.event-taken', { event: id })
  const deposit = costCeil(most, price)
  const paid = debit(draft, accountId(announcer), deposit)
  if (!paid.ok) return paid
  draft.put(EVENTS, id, { ...terms, announcer, deposit, admitted: wattHours(0n), paid: micros(0n) })
  return ok(event)
}

function eventOf(state: State, event: Uint8Array): Result<DemandEvent, LedgerFault> {
  const found = state.get(EVENTS, toHex(event))
  return found === undefined ? refuse('ledger.no-event', { event: toHex(event) }) : ok(found)
}

/** An event that has not begun: until then who takes part is open. */
function comingEvent(state: State, event: Uint8Array, now: Instant): Result<DemandEvent, LedgerFault> {
  const found = eventOf(state, event)
  return found.ok && found.value.start <= now ? refuse('ledger.event-begun', { start: found.value.start, now }) : found
}

function participantOf(state: State, event: Uint8Array, meterId: string): Result<Participant, LedgerFault> {
  const found = state.get(PARTICIPANTS, participantId(event, meterId))
  return found === undefined ? refuse('ledger.no-participant', { event: toHex(event), meterId }) : ok(found)
}

function applyOptIn(draft: Draft, owner: Uint8Array, body: BodyOf<'optIn'>, { time }: Applying): Answer {
  const { event, meterId, baseline, most } = body
  const found = comingEvent(draft, event, time)
  if (!found.ok) return found
  const meter = ownMeter(draft, meterId, owner)
  if (!meter.ok) return meter
  const { feeder, start } = found.value
  if (feeder !== undefined && meter.value.feeder !== feeder) {
    return refuse('ledger.event-feeder', { meterId, expected: feeder, enrolled: meter.value.feeder })
  }
  const id = participantId(event, meterId)
  if (draft.get(PARTICIPANTS, id) !== undefined) return refuse('ledger.participant-taken', { meterId })
  if (most > baseline) return refuse('ledger.baseline', { baseline, most })
  draft.put(PARTICIPANTS, id, { owner, baseline, most, admitted: false, until: start })
  return ok(NO_DATA)
}

function applyAdmit(draft: Draft, sender: Uint8Array, body: BodyOf<'admit'>, { time }: Applying): Answer {
  const { event, meterId, baseline, most } = body
  const found = comingEvent(draft, event, time)
  if (!found.ok) return found
  const { announcer, start, end, reportBy } = found.value
  if (!equalBytes(sender, announcer)) return refuse('ledger.not-a-party', { event: toHex(event) })
  const participant = participantOf(draft, event, meterId)
  if (!participant.ok) return participant
  const offered = participant.value
  if (offered.admitted) return refuse('ledger.participant-taken', { meterId })
  // The figures are repeated, so that an offer which was changed meanwhile is not the one that is admitted.
  if (offered.baseline !== baseline || offered.most !== most) {
    return refuse('ledger.baseline', { offered: offered.baseline, baseline, offeredMost: offered.most, most })
  }
  const admitted = wattHours(found.value.admitted + most)
  if (admitted > found.value.most) return refuse('ledger.event-full', { most: found.value.most, admitted })
  // One reduction is not sold twice.
  const windows = draft.get(PROMISED, meterId)?.windows ?? []
  if (windows.length >= MAX_PROMISED || windows.some(window => start < window.end && window.start < end)) {
    return refuse('ledger.promised', { meterId, windows: windows.length })
  }
  draft.put(EVENTS, toHex(event), { ...found.value, admitted })
  draft.put(PARTICIPANTS, participantId(event, meterId), { ...offered, admitted: true, until: reportBy })
  draft.put(PROMISED, meterId, { windows: [...windows, { event, start, end }] })
  return ok(NO_DATA)
}

function applyOptOut(draft: Draft, sender: Uint8Array, body: BodyOf<'optOut'>, { time }: Applying): Answer {
  const { event, meterId } = body
  const found = comingEvent(draft, event, time)
  if (!found.ok) return found
  const participant = participantOf(draft, event, meterId)
  if (!participant.ok) return participant
  const { owner, admitted, most } = participant.value
  if (!equalBytes(sender, owner)) return refuse('ledger.not-a-party', { event: toHex(event) })
  if (admitted) {
    draft.put(EVENTS, toHex(event), { ...found.value, admitted: wattHours(found.value.admitted - most) })
    releasePromise(draft, toHex(event), meterId)
  }
  draft.remove(PARTICIPANTS, participantId(event, meterId))
  return ok(NO_DATA)
}

function applyReport(draft: Draft, sender: Uint8Array, body: BodyOf<'report'>, applying: Applying): Answer {
  const { event, meterId } = body
  const found = eventOf(draft, event)
  if (!found.ok) return found
  const participant = participantOf(draft, event, meterId)
  if (!participant.ok) return participant
  const { owner, baseline, most, admitted, report } = participant.value
  if (!equalBytes(sender, owner)) return refuse('ledger.not-a-party', { event: toHex(event) })
  if (!admitted) return refuse('ledger.no-participant', { event: toHex(event), meterId })
  if (report !== undefined) return refuse('ledger.reported', { meterId })
  const { start, end, price, reportBy } = found.value
  if (applying.time >= reportBy) return refuse('ledger.receipt-late', { reportBy, now: applying.time })
  const meter = ownMeter(draft, meterId, owner)
  if (!meter.ok) return meter
  const readings = judgeReadings(draft, body, applying, {
    ...{ meterId, session: event, line: meter.value.line, direction: 'import' },
    // Around the whole window: what is counted too much is the reporter's loss.
    begin: { earliest: start - READING_SLACK_MS, latest: start },
    end: { earliest: end, latest: Math.min(end, applying.time) + READING_SLACK_MS },
  })
  if (!readings.ok) return readings
  const taken = readings.value.receipt
  const saved = taken.energy < baseline ? wattHours(baseline - taken.energy) : wattHours(0n)
  const paid = costFloor(saved < most ? saved : most, price)
  credit(draft, accountId(owner), paid)
  draft.put(EVENTS, toHex(event), { ...found.value, paid: micros(found.value.paid + paid) })
  draft.put(PARTICIPANTS, participantId(event, meterId), {
    ...participant.value,
    report: { taken: taken.energy, paid, begin: taken.begin, end: taken.end },
  })
  return ok(event)
}

function releasePromise(draft: Draft, event: string, meterId: string): void {
  const windows = draft.get(PROMISED, meterId)!.windows.filter(window => toHex(window.event) !== event)
  if (windows.length === 0) draft.remove(PROMISED, meterId)
  else draft.put(PROMISED, meterId, { windows })
}

/** An event whose last moment has come: what is left of the deposit goes back. */
export function closeEvent(draft: Draft, id: string, time: Instant): void {
  const event = draft.get(EVENTS, id)
  if (event === undefined || event.reportBy > time) return
  credit(draft, accountId(event.announcer), micros(event.deposit - event.paid))
  draft.remove(EVENTS, id)
}

/** A participant that was not admitted when the event began, or whose event is over. */
export function forgetParticipant(draft: Draft, id: string, time: Instant): void {
  const participant = draft.get(PARTICIPANTS, id)
  if (participant === undefined || participant.until > time) return
  const [event, meterId] = [id.slice(0, id.indexOf('/')), id.slice(id.indexOf('/') + 1)]
  if (participant.admitted) releasePromise(draft, event, meterId)
  draft.remove(PARTICIPANTS, id)
}
