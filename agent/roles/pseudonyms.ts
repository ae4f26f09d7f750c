/**
 * One-time keys of one site: a key for each coming slot and side, its certificate asked for ahead and blind, and the
 * certificates of others judged by the keys that the ledger has.
 *
 * It asks for both sides of every slot, whether it will trade or not: so that who asks says nothing, and everybody who could
 * trade is in the crowd.
 */
import type { Entropy, Signer } from '../../drivers/ports.ts'
import { toHex } from '../../protocol/bytes.ts'
import type { PssVerify } from '../../protocol/crypto/rsa-pss.ts'
import { type SealingKey, sealingKey } from '../../protocol/crypto/seal.ts'
import { ISSUER_KEYS, issuerKeyId } from '../../protocol/ledger/tables.ts'
import {
  type CertificateFault,
  type Certified,
  type CertifiedSide,
  certificateMessage,
  checkCertificate,
} from '../../protocol/privacy/certificate.ts'
import type { Result } from '../../protocol/result.ts'
import { type Instant, instant } from '../../protocol/time.ts'
import type { Message } from '../../protocol/trade/message.ts'
import type { Part, PartOptions } from './part.ts'
import { proveRecord } from './prove-record.ts'

const LOOK_MS = 5_000
/** An answer that has not come by then is asked for again, with the same blinded message. */
const ANSWER_MS = 30_000
/** Slots ahead: the next one is being traded in, the one after is made ready. */
const AHEAD = 2
const SIDES: readonly CertifiedSide[] = ['bid', 'offer']

/** A message on its way to its blind signature: drivers/crypto/blind-rsa.ts. */
export interface Blind {
  readonly blinded: Uint8Array
  unblind(answer: Uint8Array): Promise<Result<Uint8Array>>
}

export interface PseudonymsOptions
  extends Pick<PartOptions, 'energy' | 'post' | 'clock' | 'timers' | 'log' | 'health'> {
  readonly entropy: Entropy
  readonly slotMs: number
  /** The peer that certifies. */
  readonly registrar: string
  ownMeter(): string | undefined
  createSigner(seed: Uint8Array): Signer
  blindMessage(modulus: Uint8Array, message: Uint8Array): Promise<Result<Blind>>
  readonly verifyPss: PssVerify
}

export interface OneTimeKey {
  readonly signer: Signer
  readonly certificate: Uint8Array
  /** Where the slot's other side writes to. */
  readonly meeting: SealingKey
}

export interface Pseudonyms extends Part {
  /** This site's key of a slot and side; undefined until it is certified. */
  keyOf(slot: Instant, side: CertifiedSide): OneTimeKey | undefined
  /** Whether somebody's one-time key of a slot and side is certified. */
  judge(certified: Certified, certificate: Uint8Array | undefined): Result<Certified, CertificateFault>
}

interface Wanted {
  readonly slot: Instant
  readonly side: CertifiedSide
  readonly id: Uint8Array
  readonly signer: Signer
  readonly blind: Blind
  readonly meeting: SealingKey
  asked: Instant | undefined
  certificate?: Uint8Array
  /** For good: nothing is asked for this slot and side any more. */
  over: boolean
}

export function createPseudonyms(options: PseudonymsOptions): Pseudonyms {
  const { energy, post, clock, timers, log, slotMs, registrar } = options
  const moduli = new Map<string, { readonly slot: number; readonly modulus: Uint8Array }>()
  const wanted = new Map<string, Wanted>()
  let looking = false
  let stopped = false
  let cancel = () => {}

  async function modulusOf(slot: Instant, side: CertifiedSide): Promise<Uint8Array | undefined> {
    const id = issuerKeyId(slot, side)
    const known = moduli.get(id)
    if (known !== undefined) return known.modulus
    const proven = await proveRecord(energy.light, ISSUER_KEYS, id)
    if (!proven.ok || proven.value === undefined) return undefined
    const { modulus } = proven.value
    moduli.set(id, { slot, modulus })
    return modulus
  }

  async function bring(slot: Instant, side: CertifiedSide, meter: string): Promise<void> {
    const name = issuerKeyId(slot, side)
    let one = wanted.get(name)
    if (one === undefined) {
      const modulus = await modulusOf(slot, side)
      if (modulus === undefined) return
      const signer = options.createSigner(options.entropy.bytes(32))
      const message = certificateMessage({ slot, side, pseudonym: signer.publicKey })
      const blind = await options.blindMessage(modulus, message)
      if (!blind.ok) return options.health('pseudonyms.key', blind.fault)
      const meeting = sealingKey(options.entropy.bytes(32))
      const id = options.entropy.bytes(16)
      one = { slot, side, id, signer, meeting, blind: blind.value, asked: undefined, over: false }
      wanted.set(name, one)
    }
    const now = clock.now()
    if (stopped || one.over || (one.asked !== undefined && now < one.asked + ANSWER_MS)) return
    one.asked = now
    const { id, blind } = one
    void post.send(
      registrar,
      { kind: 'certificate-wanted', id, slot, side, meter, blinded: blind.blinded },
      { reliable: true },
    )
  }

  async function look(): Promise<void> {
    if (looking) return
    looking = true
    const now = clock.now()
    for (const [id, { slot }] of moduli) if (slot + slotMs <= now) moduli.delete(id)
    for (const [id, { slot }] of wanted) if (slot + slotMs <= now) wanted.delete(id)
    const meter = options.ownMeter()
    const first = (Math.floor(now / slotMs) + 1) * slotMs
    for (let ahead = 0; ahead < AHEAD && meter !== undefined; ahead++)
      for (const side of SIDES) if (!stopped) await bring(instant(first + ahead * slotMs), side, meter)
    looking = false
  }

  const askedFor = (id: Uint8Array) => [...wanted.values()].find(one => toHex(one.id) === toHex(id))

  async function take(id: Uint8Array, signature: Uint8Array): Promise<void> {
    const one = askedFor(id)
    if (one === undefined || one.over) return
    one.over = true
    const certificate = await one.blind.unblind(signature)
    if (certificate.ok) one.certificate = certificate.value
    // Signed with another key than the published one, which would tell this site apart.
    options.health('pseudonyms.certificate', certificate.ok ? undefined : certificate.fault)
  }

  return {
    start() {
      cancel = timers.every(LOOK_MS, () => void look())
    },
    onMessage(peer: string, { body }: Message) {
      if (peer !== registrar) return
      if (body.kind === 'certificate') void take(body.id, body.signature)
      if (body.kind !== 'decline') return
      const one = askedFor(body.id)
      if (one === undefined) return
      // The ledger may have shown the key to us before it did to the registrar: asked again after a while.
      one.over = body.reason !== 'registrar.no-key' && body.reason !== 'registrar.too-often'
      if (one.over) log('warn', 'pseudonyms', `no one-time key for this slot: ${body.reason}`)
    },
    stop() {
      stopped = true
      cancel()
    },
    keyOf(slot, side) {
      const one = wanted.get(issuerKeyId(slot, side))
      return one?.certificate && { signer: one.signer, certificate: one.certificate, meeting: one.meeting }
    },
    judge: (certified, certificate) =>
      checkCertificate(
        certified,
        certificate,
        (slot, side) => moduli.get(issuerKeyId(slot, side))?.modulus,
        options.verifyPss,
      ),
  }
}
