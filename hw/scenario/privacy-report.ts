/** `tieline-bench privacy`: how well orders hide, what each observer of a trade learns, and what one-time keys cost. */
import { createSystemTime } from '../../drivers/clock.ts'
import { blindMessage, createBlindIssuer } from '../../drivers/crypto/blind-rsa.ts'
import { createPssVerifier } from '../../drivers/crypto/pss-verifier.ts'
import { createSigner } from '../../drivers/crypto/signer.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { LOTS } from '../../protocol/privacy/anonymity.ts'
import { type Certified, certificateMessage, checkCertificate } from '../../protocol/privacy/certificate.ts'
import { LINKERS, measureLinkage } from '../../protocol/privacy/linkage.ts'
import { asStated, learnedFrom, OBSERVERS, type Observer, type STATED } from '../../protocol/privacy/observers.ts'
import { createQuota } from '../../protocol/privacy/quota.ts'
import { must } from '../../protocol/result.ts'
import { instant } from '../../protocol/time.ts'
import { stationKnownBeforePlugIn } from '../sim/charging-sessions.ts'
import { type Funding, fundedByHomes } from '../sim/coin-homes.ts'
import { type Manner, ordersOfHomes } from '../sim/home-orders.ts'
import { seededRandom } from '../sim/random.ts'
import { certified } from './certified-key.ts'
import { watchTrade } from './observer-views.ts'
import type { ScenarioResult } from './scenario.ts'

const SEED = 1
const SLOT_MS = 900_000
const NOW = instant(1_800_000_000_000)
const SLOT = instant(NOW + SLOT_MS)
/** Two feeders of a street's size, a quarter of a day. */
const DISTRICT: Manner = { homes: 120, feeders: 2, slots: 24, seed: SEED, lots: LOTS }
const METERS = 8
const VERIFIED = 2_000
const MOST_LINKED = 0.05
const CHARGES = 50
/** Homes that pay a deal's escrow from a one-time account; two of them linked beyond chance are within its noise. */
const PAYERS = 40
const MOST_PAYERS_LINKED = 2

export async function reportPrivacy(onProgress: (text: string) => void): Promise<ScenarioResult> {
  const linked = linkedAtMost(DISTRICT)
  const { lots: _, ...exact } = DISTRICT
  const named = linkedAtMost({ ...exact, named: true })
  onProgress('orders linked')
  const watched = await watchTrade()
  const learned = Object.fromEntries(
    OBSERVERS.map(observer => [observer, learnedFrom(watched.views[observer], watched.secrets[observer])]),
  ) as Record<Observer, (typeof STATED)[Observer]>
  onProgress('observers asked')
  const costs = await certify()
  onProgress('keys certified')
  const paid = await linkPayers()
  const facts = {
    linked_above_chance: linked.advantage,
    linked_named: named.share,
    k_anonymity_least: leastCrowdOf(DISTRICT),
    observers: asStated(learned),
    observers_learn: learned,
    ...costs,
    ...paid,
    station_known_before_plug_in: stationKnownBeforePlugIn(CHARGES, seededRandom(SEED)),
  }
  const problems = [
    ...(facts.linked_above_chance > MOST_LINKED ? [`orders are linked beyond chance: ${linked.by}`] : []),
    ...(facts.linked_named < 1 ? ['the adversary does not even link orders under one name'] : []),
    ...(facts.k_anonymity_least < 2 ? ['an order is alone behind its feeder'] : []),
    ...OBSERVERS.filter(observer => !facts.observers[observer]).map(who => `${who} learns other things than stated`),
    ...(facts.double_orders_refused < METERS ? ['a meter has two certificates of one slot and side'] : []),
    ...(facts.escrows_paid_from_coins < PAYERS ? ['an escrow is not paid from coins'] : []),
    ...(facts.payers_linked_above_chance * PAYERS > MOST_PAYERS_LINKED ? ['coins say who paid'] : []),
    ...(facts.payers_linked_named < 1 ? ['the adversary does not even link payments from named accounts'] : []),
    ...(facts.station_known_before_plug_in ? ['a charging station is known before its car is there'] : []),
  ]
  return { ok: problems.length === 0, scenario: 'privacy', seed: SEED, facts, problems }
}

/** The best of all adversaries. */
function linkedAtMost(manner: Manner): { readonly by: string; readonly advantage: number; readonly share: number } {
  const slots = ordersOfHomes(manner)
  const all = Object.entries(LINKERS).map(([by, linker]) => {
    const { advantage, linked, orders } = measureLinkage(slots, linker, seededRandom(SEED + 1))
    return { by, advantage, share: linked / orders }
  })
  return all.reduce((best, one) => (one.advantage > best.advantage ? one : best))
}

/**
 * Whose one-time account paid a deal's escrow, as whoever reads the ledger links it: from a stock of coins, from the named account,
 * and from coins taken as they were needed, which leak by hour and sum.
 */
async function linkPayers() {
  const linkedBy = async (funding: Funding) => {
    const { left, came, escrows } = await fundedByHomes(PAYERS, funding, SEED)
    const all = Object.values(LINKERS).map(linker => measureLinkage([left, came], linker, seededRandom(SEED + 1)))
    const advantage = Math.max(...all.map(one => one.advantage))
    return { escrows, advantage, share: Math.max(...all.map(({ linked, orders }) => linked / orders)) }
  }
  const stock = await linkedBy('stock')
  return {
    escrows_paid_from_coins: stock.escrows,
    // To a thousandth: sums of shares of forty leave crumbs.
    payers_linked_above_chance: Math.round(1000 * stock.advantage) / 1000 || 0,
    payers_linked_named: (await linkedBy('named')).share,
    payers_linked_as_needed: (await linkedBy('as needed')).share,
  }
}

/** Orders in the emptiest slot behind the emptiest feeder. */
function leastCrowdOf(manner: Manner): number {
  const sizes = ordersOfHomes(manner).flatMap(orders =>
    Array.from({ length: manner.feeders }, (_, i) => orders.filter(({ seen }) => seen.feeder === `feeder ${i}`).length),
  )
  return Math.min(...sizes)
}

/** A registrar's slot: each meter is certified once, tries it twice; what that takes. */
async function certify() {
  const { clock } = createSystemTime()
  const verifyPss = createPssVerifier()
  const quota = createQuota(SLOT_MS)
  const issuer = await createBlindIssuer()
  const keys = () => issuer.modulus
  const standing = { enrolled: true, revoked: false }
  const certificates: (readonly [Certified, Uint8Array])[] = []
  const blinded: Uint8Array[] = []
  let refused = 0
  for (let meter = 0; meter < METERS; meter++) {
    const request = { meterId: `M-${meter}`, slot: SLOT, side: 'bid' } as const
    const pseudonym = createSigner(sha256(Uint8Array.of(meter))).publicKey
    const key = { slot: SLOT, side: 'bid', pseudonym } as const
    must(quota.take(request, standing, NOW))
    const made = await certified(issuer, key)
    certificates.push([key, made.certificate])
    blinded.push(made.blinded)
    // Another key of the same meter: no second certificate, and the first is not its.
    const second = { ...key, pseudonym: createSigner(sha256(Uint8Array.of(meter, 2))).publicKey }
    const again = quota.take(request, standing, NOW)
    const borrowed = checkCertificate(second, made.certificate, keys, verifyPss)
    if (!again.ok && !borrowed.ok) refused++
  }
  const perSecond = (count: number, ms: number) => Math.round((1000 * count) / ms)
  const signing = clock.fine()
  for (const message of blinded) must(await issuer.sign(message))
  const issued = perSecond(METERS, clock.fine() - signing)
  const asking = clock.fine()
  for (const [key] of certificates) must(await blindMessage(issuer.modulus, certificateMessage(key)))
  const asked = perSecond(METERS, clock.fine() - asking)
  const checking = clock.fine()
  for (let i = 0; i < VERIFIED; i++) {
    const [key, certificate] = certificates[i % METERS]!
    must(checkCertificate(key, certificate, keys, verifyPss))
  }
  return {
    certificates_per_second: perSecond(VERIFIED, clock.fine() - checking),
    certificates_issued_per_second: issued,
    certificates_blinded_per_second: asked,
    certificate_bytes: certificates[0]![1].length,
    double_orders_refused: refused,
  }
}
