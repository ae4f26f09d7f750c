/**
 * A prosumer community group: who belongs to it and who speaks for it stands on the ledger (ledger/rules/groups.ts); here is
 * what it orders, and what its gateway says that each slot was worth to each member.
 *
 *     order        one for the whole group, at a quantile of its forecast
 *     statement    the gateway's account of a slot: canonical CBOR, COSE_Sign1 with external_aad `tieline/shares/1`
 *     recompute    any member's own account from the members' signed readings, and where the gateway's differs
 *     successor    whom all name alike when the gateway lies or is silent
 *
 * Readings are of the grid meters, taken at the slot's boundaries or shortly after. Neighbouring slots share a boundary's
 * reading, and energies are differences of registers rounded down, so that each Wh is counted once. A member without readings is
 * not in the slot's account: its supplier bills it as if alone.
 */

import { compareBytes, equalBytes, toHex, utf8 } from '../bytes.ts'
import { assemble, type CoseFault, parseSign1, toBeSigned, verifySign1 } from '../crypto/cose.ts'
import { sha256 } from '../crypto/hash.ts'
import type { Verifier } from '../crypto/verify.ts'
import { algOfKey } from '../identity/key.ts'
import { signerHeader } from '../identity/signer-header.ts'
import { address, energy, MAX_MONEY, name, price } from '../ledger/fields.ts'
import { type Money, type WattHours, wattHours } from '../quantity.ts'
import { registerEnergy } from '../reading/reading.ts'
import { type VerifiedReading, verifyContext, verifyReadingIn } from '../reading/verify.ts'
import { big, type Codec, decodeAs, encodeAs, integer, list, type RecordFault, record, word } from '../record.ts'
import { type Fault, fail, ok, type Result } from '../result.ts'
import { OBIS } from '../telegram/obis.ts'
import { SLOT_MS } from './baseline.ts'
import {
  type GroupSlot,
  SHARING_RULES,
  type Sharing,
  type SharingFault,
  type SharingRule,
  shareSlot,
  type Tariff,
} from './sharing.ts'

const CONTEXT = utf8('tieline/shares/1')
/** A reading is signed every quarter of a minute; one that is later than two of them is of another time. */
const BOUNDARY_SLACK_MS = 30_000
/** 60 bytes a member: a statement fits one sealed message. */
const MAX_STATED = 50
const MAX_STATEMENT_BYTES = 3600
const MAX_SLOT = 2 ** 40

const signedMoney = big<Money>(-MAX_MONEY, MAX_MONEY)

const codec = record(
  {
    chainId: [1, name],
    group: [2, name],
    slot: [3, integer(0, MAX_SLOT)],
    rule: [4, word(...SHARING_RULES)],
    tariff: [5, record({ retail: [1, price], feedIn: [2, price] })],
    members: [
      6,
      list(
        record({
          member: [1, address],
          imported: [2, energy],
          exported: [3, energy],
          retail: [4, price],
          feedIn: [5, price],
          payment: [6, signedMoney],
        }),
        1,
        MAX_STATED,
      ),
    ],
    external: [7, signedMoney],
    residue: [8, signedMoney],
    reserve: [9, signedMoney],
  },
  { order: [10, record({ energy: [1, big(-(2n ** 53n), 2n ** 53n)], price: [2, price] })] },
)
export type Statement = typeof codec extends Codec<infer T> ? T : never

/** What readings and statements of a group's slot are about. */
export const slotName = (chainId: string, group: string, slot: number): Uint8Array =>
  sha256(utf8(`${chainId} ${group} ${slot}`))

/** What a statement is about; the rest follows from the readings. */
export interface SlotTerms {
  readonly chainId: string
  readonly group: string
  readonly slot: number
  readonly rule: SharingRule
  readonly tariff: Tariff
  readonly order?: NonNullable<GroupSlot['order']>
}

/** A member's readings around a slot, and its own tariff. */
export interface MemberReadings extends Tariff {
  readonly member: Uint8Array
  readonly meterId: string
  /** The meter's key, as the registry has it. */
  readonly publicKey: Uint8Array
  readonly begin: Uint8Array
  readonly end: Uint8Array
  /** Of the two readings, in their order; one where both are of it. */
  readonly contexts: readonly Uint8Array[]
}

export type MeteredFault =
  | { readonly code: 'community.no-context' }
  | { readonly code: 'community.reading'; readonly which: 'begin' | 'end'; readonly reason: string }
  | {
      readonly code: 'community.reading-time'
      readonly which: 'begin' | 'end'
      readonly taken: number
      readonly boundary: number
    }
  | { readonly code: 'community.register'; readonly obis: string }

/** What a member's grid meter counted in a slot, in whole watt-hours. A register that the meter does not have shares nothing. */
function meteredSlot(
  { meterId, publicKey, begin, end, contexts }: MemberReadings,
  slot: number,
  verifier: Verifier,
): Result<{ readonly imported: WattHours; readonly exported: WattHours }, MeteredFault> {
  const [first, last] = [contexts[0], contexts.at(-1)]
  if (first === undefined || last === undefined) return fail({ code: 'community.no-context' })
  const read = (which: 'begin' | 'end', envelope: Uint8Array, context: Uint8Array, boundary: number) => {
    const bad = (reason: string) => fail<MeteredFault>({ code: 'community.reading', which, reason })
    const opened = verifyContext(context, publicKey, verifier)
    if (!opened.ok) return bad(opened.fault.code)
    if (opened.value.context.meterId !== meterId) return bad('of another meter')
    const verified = verifyReadingIn(opened.value, envelope, verifier)
    if (!verified.ok) return bad(verified.fault.code)
    const { errors, time } = verified.value.reading
    if (errors.length > 0) return bad(errors.join(' '))
    return time < boundary || time > boundary + BOUNDARY_SLACK_MS
      ? fail<MeteredFault>({ code: 'community.reading-time', which, taken: time, boundary })
      : verified
  }
  const from = read('begin', begin, first, slot * SLOT_MS)
  if (!from.ok) return from
  const to = read('end', end, last, (slot + 1) * SLOT_MS)
  if (!to.ok) return to
  if (to.value.reading.sequence <= from.value.reading.sequence) {
    return fail({ code: 'community.reading', which: 'end', reason: 'not after the first' })
  }
  const imported = between(from.value, to.value, OBIS.energyImport)
  const exported = between(from.value, to.value, OBIS.energyExport)
  if (imported === 'wrong') return fail({ code: 'community.register', obis: OBIS.energyImport })
  if (exported === 'wrong') return fail({ code: 'community.register', obis: OBIS.energyExport })
  return imported === undefined && exported === undefined
    ? fail({ code: 'community.register', obis: OBIS.energyImport })
    : ok({ imported: wattHours(imported ?? 0n), exported: wattHours(exported ?? 0n) })
}

function between(begin: VerifiedReading, end: VerifiedReading, obis: string): bigint | undefined | 'wrong' {
  const from = registerEnergy(begin.reading, obis)
  const to = registerEnergy(end.reading, obis)
  if (from === undefined && to === undefined) return undefined
  return from === undefined || to === undefined || from < 0n || to < from ? 'wrong' : to / 1000n - from / 1000n
}

export type StatementFault = SharingFault | (MeteredFault & { readonly member: string })

/** The account of a slot from the members' readings. */
export function stateSlot(
  terms: SlotTerms,
  readings: readonly MemberReadings[],
  verifier: Verifier,
): Result<Statement, StatementFault> {
  const members: GroupSlot['members'][number][] = []
  for (const one of readings) {
    const metered = meteredSlot(one, terms.slot, verifier)
    if (!metered.ok) return fail({ ...metered.fault, member: toHex(one.member) })
    const { member, retail, feedIn } = one
    members.push({ member, retail, feedIn, ...metered.value })
  }
  const shared = share(terms, members)
  if (!shared.ok) return shared
  const { shares, external, residue, reserve } = shared.value
  const byAddress = new Map(members.map(one => [toHex(one.member), one]))
  return ok({
    ...terms,
    members: shares.map(({ member, payment }) => ({ ...byAddress.get(toHex(member))!, payment })),
    ...{ external, residue, reserve },
  })
}

const share = (
  { chainId, group, slot, rule, tariff, order }: SlotTerms,
  members: GroupSlot['members'],
): Result<Sharing, SharingFault> =>
  // Orders of arrival are drawn from what the slot is called: nobody chooses them.
  shareSlot(rule, {
    members,
    tariff,
    seed: sha256(utf8(`${chainId} ${group} ${slot}`)),
    ...(order === undefined ? {} : { order }),
  })

/**
 * Where a gateway's statement is not what the members' signed readings give, with both figures; nothing where it is. What
 * the group agreed on is the caller's to know: rule, tariffs and order are those of the statement.
 */
export function recompute(statement: Statement, readings: readonly MemberReadings[], verifier: Verifier): Fault[] {
  const found: Fault[] = []
  const shown = new Map(readings.map(one => [toHex(one.member), one]))
  const own: GroupSlot['members'][number][] = []
  for (const { member, imported, exported, retail, feedIn } of statement.members) {
    const id = toHex(member)
    const one = shown.get(id)
    if (one === undefined) {
      found.push({ code: 'community.no-reading', member: id })
      continue
    }
    shown.delete(id)
    const metered = meteredSlot(one, statement.slot, verifier)
    if (!metered.ok) {
      found.push({ ...metered.fault, member: id })
      continue
    }
    own.push({ member, retail, feedIn, ...metered.value })
    for (const [direction, said, counted] of [
      ['import', imported, metered.value.imported],
      ['export', exported, metered.value.exported],
    ] as const) {
      if (said !== counted) found.push({ code: 'community.energy', member: id, direction, said, metered: counted })
    }
  }
  for (const [member, one] of shown) {
    if (meteredSlot(one, statement.slot, verifier).ok) found.push({ code: 'community.left-out', member })
  }
  // Without all the readings nobody can say what was due.
  if (own.length !== statement.members.length) return found
  const shared = share(statement, own)
  if (!shared.ok) return [...found, shared.fault]
  const due = new Map(shared.value.shares.map(({ member, payment }) => [toHex(member), payment]))
  for (const { member, payment } of statement.members) {
    const right = due.get(toHex(member))!
    if (payment !== right) found.push({ code: 'community.payment', member: toHex(member), said: payment, due: right })
  }
  for (const what of ['external', 'residue', 'reserve'] as const) {
    const [said, right] = [statement[what], shared.value[what]]
    if (said !== right) found.push({ code: 'community.sum', what, said, due: right })
  }
  return found
}

export type SignedStatementFault = RecordFault | CoseFault | { readonly code: 'community.key' }

export const encodeStatement = (statement: Statement): Uint8Array => encodeAs(codec, statement)

/** What the gateway's account key signs. */
export const statementToSign = (statement: Uint8Array, publicKey: Uint8Array): Uint8Array =>
  toBeSigned(signerHeader(publicKey), statement, CONTEXT)

export const assembleStatement = (statement: Uint8Array, publicKey: Uint8Array, signature: Uint8Array): Uint8Array =>
  assemble(signerHeader(publicKey), statement, signature)

/** A statement signed by this key: the evidence of what a gateway said. */
export function verifyStatement(
  envelope: Uint8Array,
  publicKey: Uint8Array,
  verifier: Verifier,
): Result<Statement, SignedStatementFault> {
  const sign1 = parseSign1(envelope, MAX_STATEMENT_BYTES)
  if (!sign1.ok) return sign1
  if (sign1.value.alg !== algOfKey(publicKey)) return fail({ code: 'community.key' })
  const statement = decodeAs(codec, sign1.value.payload, 'statement', MAX_STATEMENT_BYTES)
  if (!statement.ok) return statement
  const signed = verifySign1(sign1.value, publicKey, CONTEXT, verifier)
  return signed.ok ? statement : signed
}

/** The member that comes after the gateway by address: whom all name alike. Undefined where there is no other. */
export function successor(members: readonly Uint8Array[], gateway: Uint8Array): Uint8Array | undefined {
  const sorted = [...members].sort(compareBytes).filter(one => !equalBytes(one, gateway))
  return sorted.find(one => compareBytes(one, gateway) > 0) ?? sorted[0]
}

/**
 * The share of forecasts below which an order should lie, in thousandths: the critical fractile of the newsvendor's problem. A
 * Wh too few costs retail - price, a Wh too many price - feed-in.
 */
export function orderQuantile(price: bigint, { retail, feedIn }: Tariff): number {
  if (price >= retail) return 0
  return price <= feedIn ? 1000 : Number(((retail - price) * 1000n) / (retail - feedIn))
}

/**
 * The group's order for a slot: the quantile of what its net import may be, by as many forecasts as there are; sold where below
 * zero. Undefined without a forecast, or where nothing is left over.
 */
export function groupOrder(
  nets: readonly bigint[],
  quantile: number,
): { readonly side: 'buy' | 'sell'; readonly energy: WattHours } | undefined {
  const sorted = [...nets].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  const net = sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil((sorted.length * quantile) / 1000) - 1))] ?? 0n
  if (net === 0n) return undefined
  return net > 0n ? { side: 'buy', energy: wattHours(net) } : { side: 'sell', energy: wattHours(-net) }
}
