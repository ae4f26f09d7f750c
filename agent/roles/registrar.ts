/**
 * The registrar of one-time keys: publishes an issuer key for each coming slot and side, and signs blind for each enrolled
 * meter that asks, once a slot and side. Which certificate a meter's request became, it cannot tell (RFC 9474).
 *
 * The private keys are in memory alone, so a registrar that starts anew signs nothing under keys of an earlier life: no meter
 * gets a second certificate of a slot whatever was forgotten, and slots that were published already have none any more.
 */
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { type Bucket, type BucketSize, fullBucket, takeTokens } from '../../protocol/crypto/bucket.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { ISSUER_KEYS, issuerKeyId, METERS } from '../../protocol/ledger/tables.ts'
import type { Crowd } from '../../protocol/privacy/anonymity.ts'
import type { CertifiedSide } from '../../protocol/privacy/certificate.ts'
import { createQuota, type MeterStanding } from '../../protocol/privacy/quota.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import { type Instant, instant, later } from '../../protocol/time.ts'
import type { BodyOf, Message } from '../../protocol/trade/message.ts'
import type { RegistrarConfig } from '../config/site-config.ts'
import type { Part, PartOptions } from './part.ts'
import { proveRecord } from './prove-record.ts'

const LOOK_MS = 5_000
/** A transaction that is handed in stands in a block by then, or never. */
const HANDED_MS = 120_000
/** Two sides of the slots ahead at once, then a signature a second: 1 ms of a processor each. */
const QUESTIONS: BucketSize = { burst: 32, perSecond: 1 }
const SIDES: readonly CertifiedSide[] = ['bid', 'offer']

/** A private key that signs what it does not see: drivers/crypto/blind-rsa.ts. */
export interface Issuer {
  readonly modulus: Uint8Array
  sign(blinded: Uint8Array): Promise<Result<Uint8Array>>
}

export interface RegistrarOptions
  extends Pick<PartOptions, 'config' | 'energy' | 'post' | 'clock' | 'timers' | 'log' | 'health'> {
  readonly settings: RegistrarConfig
  createIssuer(): Promise<Issuer>
}

export interface Registrar extends Part {
  /** How many certificates were given for each coming slot and side behind each feeder. */
  crowds(): readonly Crowd[]
  stats(): { readonly given: number; readonly refused: Readonly<Record<string, number>> }
}

interface Held {
  readonly slot: Instant
  readonly side: CertifiedSide
  readonly issuer: Issuer
  handed: Instant | undefined
  /** `other`: the ledger has another key for this slot, of an earlier life. */
  state: 'made' | 'published' | 'other'
}

export function createRegistrar(options: RegistrarOptions): Registrar {
  const { config, energy, post, clock, timers, log, settings } = options
  const { light, account } = energy
  const { slotMs } = settings
  const quota = createQuota(slotMs)
  const keys = new Map<string, Held>()
  const buckets = new Map<string, Bucket>()
  /** What was signed, by meter and key: the same question again is answered again. */
  const answers = new Map<
    string,
    { readonly slot: number; readonly blinded: Uint8Array; readonly signed: Uint8Array }
  >()
  const crowds = new Map<string, { -readonly [K in keyof Crowd]: Crowd[K] }>()
  const refused: Record<string, number> = {}
  let given = 0
  let looking = false
  let stopped = false
  let cancel = () => {}

  // --- The keys of coming slots

  function* coming(): Iterable<readonly [slot: Instant, side: CertifiedSide]> {
    const first = (Math.floor(clock.now() / slotMs) + 1) * slotMs
    for (let ahead = 0; ahead < settings.ahead; ahead++)
      for (const side of SIDES) yield [instant(first + ahead * slotMs), side]
  }

  /** One step for one key; a fault where the ledger would not have it. */
  async function bring(slot: Instant, side: CertifiedSide): Promise<Result<void>> {
    const id = issuerKeyId(slot, side)
    const held = keys.get(id) ?? { slot, side, issuer: await options.createIssuer(), handed: undefined, state: 'made' }
    keys.set(id, held)
    const otherKey = () => fail({ code: 'registrar.other-key', slot, side })
    if (held.state === 'other') return otherKey()
    if (held.state === 'published') return done
    const proven = await proveRecord(light, ISSUER_KEYS, id)
    if (!proven.ok) return proven
    if (proven.value !== undefined) {
      held.state = equalBytes(proven.value.modulus, held.issuer.modulus) ? 'published' : 'other'
      return held.state === 'published' ? done : otherKey()
    }
    if (stopped || slot <= clock.now() || (held.handed !== undefined && clock.now() < held.handed + HANDED_MS))
      return done
    const handed = await account.submit({ kind: 'issuerKey', body: { slot, side, modulus: held.issuer.modulus } })
    if (handed.ok) held.handed = clock.now()
    return handed.ok ? done : handed
  }

  async function look(): Promise<void> {
    if (looking) return
    looking = true
    const now = clock.now()
    quota.forget(now)
    for (const [id, { slot }] of keys) if (slot <= now) keys.delete(id)
    for (const [id, { slot }] of answers) if (slot <= now) answers.delete(id)
    for (const [id, { slot }] of crowds) if (later(slot, slotMs) <= now) crowds.delete(id)
    let fault: Result<void> = done
    for (const [slot, side] of coming()) {
      if (stopped) break
      const brought = await bring(slot, side)
      if (!brought.ok) fault = brought
    }
    if (!stopped) options.health('registrar.keys', fault.ok ? undefined : fault.fault)
    looking = false
  }

  // --- Certificates

  async function judge(peer: string, wanted: BodyOf<'certificate-wanted'>): Promise<Result<Uint8Array>> {
    const { slot, side, meter: meterId, blinded } = wanted
    const key = keys.get(issuerKeyId(slot, side))
    if (key?.state !== 'published') return fail({ code: 'registrar.no-key', slot, side })
    const { issuer } = key
    if (blinded.length !== issuer.modulus.length) return fail({ code: 'registrar.blinded', bytes: blinded.length })
    const proven = await proveRecord(light, METERS, meterId)
    if (!proven.ok) return proven
    const meter = proven.value
    const known = config.peers[peer]
    const owns = meter !== undefined && known !== undefined && equalBytes(meter.owner, addressOf(known.account))
    const { suspended } = meter ?? {}
    const standing: MeterStanding = {
      enrolled: owns,
      revoked: meter?.revoked !== undefined,
      ...(suspended === undefined
        ? {}
        : { suspended: { from: suspended.from, until: suspended.until ?? Number.POSITIVE_INFINITY } }),
    }
    const name = `${issuerKeyId(slot, side)} ${meterId}`
    const before = answers.get(name)
    if (owns && before !== undefined && equalBytes(before.blinded, blinded)) return ok(before.signed)
    const taken = quota.take({ meterId, slot, side }, standing, clock.now())
    if (!taken.ok) return taken
    const signed = await issuer.sign(blinded)
    if (!signed.ok) return signed
    answers.set(name, { slot, blinded, signed: signed.value })
    const feeder = meter?.feeder ?? ''
    const crowd = crowds.get(`${issuerKeyId(slot, side)} ${feeder}`) ?? { slot, side, feeder, size: 0 }
    crowd.size++
    crowds.set(`${issuerKeyId(slot, side)} ${feeder}`, crowd)
    given++
    return signed
  }

  async function answer(peer: string, wanted: BodyOf<'certificate-wanted'>): Promise<void> {
    const tokens = takeTokens(buckets.get(peer) ?? fullBucket(QUESTIONS, clock.mono()), QUESTIONS, 1, clock.mono())
    if (tokens !== undefined) buckets.set(peer, tokens)
    const signed = tokens === undefined ? fail({ code: 'registrar.too-often', peer }) : await judge(peer, wanted)
    if (stopped) return
    const { id } = wanted
    if (signed.ok) return void post.send(peer, { kind: 'certificate', id, signature: signed.value }, { reliable: true })
    const { code } = signed.fault
    if (refused[code] === undefined) log('info', 'registrar', `${peer} is refused`, signed.fault)
    refused[code] = (refused[code] ?? 0) + 1
    const reason = 'reason' in signed.fault ? `${code}.${String(signed.fault['reason'])}` : code
    void post.send(peer, { kind: 'decline', id, reason }, { reliable: true })
  }

  return {
    start() {
      cancel = timers.every(LOOK_MS, () => void look())
      log('info', 'registrar', `certifies one-time keys as ${toHex(account.address).slice(0, 8)}`)
    },
    onMessage(peer: string, { body }: Message) {
      if (body.kind === 'certificate-wanted') void answer(peer, body)
    },
    stop() {
      stopped = true
      cancel()
    },
    crowds: () => [...crowds.values()].map(crowd => ({ ...crowd })),
    stats: () => ({ given, refused: { ...refused } }),
  }
}
