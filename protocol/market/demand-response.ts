/**
 * Demand response between who calls and who answers; the ledger (ledger/rules/demand-response.ts) holds the deposit and pays.
 *
 *     call         signed by its announcer: the terms as they stand on the ledger, how urgent it is, and a limit of power.
 *                  Canonical CBOR, COSE_Sign1 with external_aad `tieline/call/1`, so that anybody may pass it on
 *     decide       the loads that cost the household less than the call pays, the cheapest first, and what stands still when
 *     judge        the announcer's look at an offered baseline, worked out again from the readings that it was shown
 *     performance  baseline less what was taken, at most what was promised; without both readings nothing is known
 */

import { utf8 } from '../bytes.ts'
import { assemble, type CoseFault, parseSign1, toBeSigned, verifySign1 } from '../crypto/cose.ts'
import type { Verifier } from '../crypto/verify.ts'
import { algOfKey } from '../identity/key.ts'
import { signerHeader } from '../identity/signer-header.ts'
import { address, name } from '../ledger/fields.ts'
import { eventId, eventTerms } from '../ledger/service-tables.ts'
import {
  costCeil,
  costFloor,
  type Money,
  micros,
  type Power,
  type Price,
  type WattHours,
  wattHours,
} from '../quantity.ts'
import { type Codec, decodeAs, encodeAs, integer, type RecordFault, record, word } from '../record.ts'
import { fail, ok, type Result } from '../result.ts'
import {
  adjustmentWindow,
  type BaselineAsked,
  type BaselineFault,
  baselineOf,
  daysBefore,
  SLOT_MS,
  SLOTS_A_DAY,
} from './baseline.ts'

const CONTEXT = utf8('tieline/call/1')
/** The record below has at most 200 bytes, its envelope 100 more. */
const MAX_CALL_BYTES = 400

/** OpenADR's SIMPLE levels 1 to 3. Written as the place in this list: append, never reorder. */
const LEVELS = ['moderate', 'high', 'special'] as const
export type Level = (typeof LEVELS)[number]

const codec = record(
  { ...eventTerms, announcer: [6, address], chainId: [7, name], level: [8, word(...LEVELS)] },
  {
    feeder: [10, name],
    /** No site should take more than this in the window. */
    limit: [11, integer<Power>(1, Number.MAX_SAFE_INTEGER)],
  },
)

/** `most` is the reduction wanted of all together; `price` is paid for each kWh of it. */
export type Call = typeof codec extends Codec<infer T> ? T : never

export type CallFault =
  | RecordFault
  | CoseFault
  | { readonly code: 'call.window'; readonly start: number; readonly end: number; readonly reportBy: number }
  | { readonly code: 'call.key' }

export const encodeCall = (call: Call): Uint8Array => encodeAs(codec, call)

/** What the announcer's account key signs. */
export const callToSign = (call: Uint8Array, publicKey: Uint8Array): Uint8Array =>
  toBeSigned(signerHeader(publicKey), call, CONTEXT)

export const assembleCall = (call: Uint8Array, publicKey: Uint8Array, signature: Uint8Array): Uint8Array =>
  assemble(signerHeader(publicKey), call, signature)

/** What a call says, before anybody knows whether it is its announcer's. */
export function readCall(envelope: Uint8Array): Result<Call, CallFault> {
  const sign1 = parseSign1(envelope, MAX_CALL_BYTES)
  if (!sign1.ok) return sign1
  const call = decodeAs(codec, sign1.value.payload, 'call', MAX_CALL_BYTES)
  if (!call.ok) return call
  const { start, end, reportBy } = call.value
  return start % SLOT_MS === 0 && end % SLOT_MS === 0 && start < end && end - start <= 86_400_000 && end < reportBy
    ? call
    : fail({ code: 'call.window', start, end, reportBy })
}

/**
 * A call signed by its announcer's key. That the key is the account's now is the caller's to know: an account may have changed
 * its key and keeps its address.
 */
export function verifyCall(envelope: Uint8Array, publicKey: Uint8Array, verifier: Verifier): Result<Call, CallFault> {
  const call = readCall(envelope)
  if (!call.ok) return call
  const sign1 = parseSign1(envelope, MAX_CALL_BYTES)
  if (!sign1.ok) return sign1
  if (sign1.value.alg !== algOfKey(publicKey)) return fail({ code: 'call.key' })
  const signed = verifySign1(sign1.value, publicKey, CONTEXT, verifier)
  return signed.ok ? call : signed
}

/** The event's name on the ledger. */
export const callEvent = ({ start, end, reportBy, price, most, announcer, feeder }: Call): Uint8Array =>
  eventId({ start, end, reportBy, price, most, announcer, ...(feeder === undefined ? {} : { feeder }) })

// What a site does about it

export interface FlexibleLoad {
  readonly name: string
  /** What it would take in each slot of the window. */
  readonly planned: readonly WattHours[]
  /** What going without a kWh of it is worth to the household; below the call's price it stands still. */
  readonly comfort: Price
  /** It answers calls of this level and above. */
  readonly level: Level
  /** So many slots of one window it may stand still. */
  readonly longest: number
}

export interface SiteOutlook {
  /** What the site would take from the grid in each slot of the window. */
  readonly expected: readonly WattHours[]
  readonly baseline: WattHours
  readonly loads: readonly FlexibleLoad[]
}

export type Decision =
  | {
      readonly answer: 'in'
      /** What is promised. */
      readonly most: WattHours
      /** The loads that stand still in each slot. */
      readonly plan: readonly (readonly string[])[]
      readonly pays: Money
      readonly costs: Money
    }
  /** `nothing`: no load is cheap enough or takes anything. `limit`: the limit cannot be kept. `baseline`: it is too low to pay. */
  | { readonly answer: 'out'; readonly reason: 'nothing' | 'limit' | 'baseline' }

/** In or out: a site's own interest alone. */
export function decideCall(call: Call, { expected, baseline, loads }: SiteOutlook): Decision {
  const slots = (call.end - call.start) / SLOT_MS
  if (expected.length !== slots) throw new RangeError(`${expected.length} slots expected of a window of ${slots}`)
  const left = expected.map(energy => energy as bigint)
  const plan: string[][] = expected.map(() => [])
  let costs = 0n
  const willing = loads
    .filter(({ comfort, level }) => comfort < call.price && LEVELS.indexOf(level) <= LEVELS.indexOf(call.level))
    .sort((a, b) => (a.comfort < b.comfort ? -1 : a.comfort > b.comfort ? 1 : a.name < b.name ? -1 : 1))
  for (const load of willing) {
    // Only what would come from the grid is a reduction: behind own generation standing still saves nothing.
    const savings = left.map((rest, slot) => {
      const planned = load.planned[slot] ?? 0n
      return { slot, saved: planned < rest ? planned : rest }
    })
    savings.sort((a, b) => (a.saved < b.saved ? 1 : a.saved > b.saved ? -1 : a.slot - b.slot))
    for (const { slot, saved } of savings.slice(0, Math.max(0, load.longest))) {
      if (saved <= 0n) continue
      left[slot]! -= saved
      plan[slot]!.push(load.name)
      costs += costCeil(wattHours(load.planned[slot]!), load.comfort)
    }
  }
  if (plan.every(names => names.length === 0)) return { answer: 'out', reason: 'nothing' }
  if (call.limit !== undefined) {
    //  mW over a quarter of an hour, in whole Wh
    const limit = (BigInt(call.limit) * BigInt(SLOT_MS)) / 3_600_000_000n
    if (left.some(rest => rest > limit)) return { answer: 'out', reason: 'limit' }
  }
  const taken = left.reduce((sum, rest) => sum + rest, 0n)
  const reduction = taken < baseline ? baseline - taken : 0n
  const most = wattHours(reduction < call.most ? reduction : call.most)
  const pays = costFloor(most, call.price)
  if (most === 0n || pays < costs) return { answer: 'out', reason: 'baseline' }
  return { answer: 'in', most, plan, pays, costs: micros(costs) }
}

// What the announcer does about it

export type OfferFault =
  | BaselineFault
  | { readonly code: 'demand-response.hidden-days'; readonly days: number }
  /** How many days back the hours of the adjustment are not shown; 0 is today. */
  | { readonly code: 'demand-response.hidden-hours'; readonly days: string }
  | { readonly code: 'demand-response.inflated'; readonly offered: bigint; readonly shown: bigint }
  | { readonly code: 'demand-response.most'; readonly baseline: bigint; readonly most: bigint }

/**
 * Whether an offered baseline is no more than what the shown readings give, with no like day left out and no hours of the
 * adjustment: who takes less today than on the days before would have a higher baseline without it.
 */
export function judgeOffer(
  offered: { readonly baseline: WattHours; readonly most: WattHours },
  asked: BaselineAsked,
): Result<WattHours, OfferFault> {
  const { baseline, most } = offered
  if (most > baseline) return fail({ code: 'demand-response.most', baseline, most })
  const own = baselineOf(asked)
  if (!own.ok) return own
  if (own.value.missing.length > 0) {
    return fail({ code: 'demand-response.hidden-days', days: own.value.missing.length })
  }
  const before = adjustmentWindow(asked.window)
  const back = [0, ...own.value.days.map(day => (asked.window.from - day) / SLOTS_A_DAY)]
  const hidden = back.filter(days => asked.taken(daysBefore(before, days)) === undefined)
  if (hidden.length > 0) return fail({ code: 'demand-response.hidden-hours', days: hidden.join(' ') })
  if (baseline > own.value.energy) {
    return fail({ code: 'demand-response.inflated', offered: baseline, shown: own.value.energy })
  }
  return ok(own.value.energy)
}

/** What a participant saved and is paid for; without a reading at begin and end nobody knows, and nothing is paid. */
export function performanceOf(
  promise: { readonly baseline: WattHours; readonly most: WattHours; readonly price: Price },
  taken: WattHours | undefined,
): Result<{ readonly saved: WattHours; readonly paid: Money }, { readonly code: 'demand-response.no-reading' }> {
  if (taken === undefined) return fail({ code: 'demand-response.no-reading' })
  const { baseline, most, price } = promise
  const less = taken < baseline ? baseline - taken : 0n
  const saved = wattHours(less < most ? less : most)
  return ok({ saved, paid: costFloor(saved, price) })
}
