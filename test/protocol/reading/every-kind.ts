/** One envelope of each kind that a gateway signs, by either kind of key, with what verifies it. */
import { signEnvelope } from '../../../drivers/crypto/sign-envelope.ts'
import { createP256Signer, createSigner, type MemorySigner } from '../../../drivers/crypto/signer.ts'
import type { Verifier } from '../../../protocol/crypto/verify.ts'
import { CONTEXT_PURPOSE, encodeContext } from '../../../protocol/reading/context.ts'
import { EVENT_PURPOSE, encodeEvent } from '../../../protocol/reading/event.ts'
import { encodeHead, HEAD_PURPOSE } from '../../../protocol/reading/head.ts'
import { encodeReading, READING_PURPOSE } from '../../../protocol/reading/reading.ts'
import { verifyContext, verifyEvent, verifyHead, verifyReadingIn } from '../../../protocol/reading/verify.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { firstReading, sampleContext, verifier } from './sample.ts'

export interface Kind {
  /** As in `EdDSA reading`. */
  readonly name: string
  readonly signer: MemorySigner
  readonly purpose: Uint8Array
  readonly payload: Uint8Array
  readonly envelope: Uint8Array
  verify(envelope: Uint8Array, by: Verifier): Result<unknown>
}

const SEED = new Uint8Array(32).fill(7)
const HASH = new Uint8Array(32).fill(0xaa)

export async function everyKind(): Promise<readonly Kind[]> {
  const kinds: Kind[] = []
  for (const signer of [createSigner(SEED), createP256Signer(SEED)]) {
    const key = signer.publicKey
    const add = async (
      what: string,
      purpose: Uint8Array,
      payload: Uint8Array,
      verify: Kind['verify'],
    ): Promise<Uint8Array> => {
      const { envelope } = must(await signEnvelope(signer, payload, purpose))
      kinds.push({ name: `${signer.alg} ${what}`, signer, purpose, payload, envelope, verify })
      return envelope
    }
    const context = { ...sampleContext, key }
    const contextEnvelope = await add('context', CONTEXT_PURPOSE, encodeContext(context), (bytes, by) =>
      verifyContext(bytes, key, by),
    )
    const verified = must(verifyContext(contextEnvelope, key, verifier))
    const reading = { ...firstReading(verified.hash), sequence: 70_000, previous: HASH, operatingSeconds: 315_360_000 }
    await add('reading', READING_PURPOSE, encodeReading(reading), (bytes, by) => verifyReadingIn(verified, bytes, by))
    const full = {
      ...reading,
      reason: 'begin',
      status: ['restarted', 'before-sync'],
      errors: ['energy', 'time'],
      session: { contract: HASH, line: 'L1', direction: 'export' },
      nonce: Uint8Array.of(1, 2, 3),
    } as const
    await add('reading with every field', READING_PURPOSE, encodeReading(full), (bytes, by) =>
      verifyReadingIn(verified, bytes, by),
    )
    const event = {
      device: context.device,
      key,
      boot: 3,
      sequence: 5,
      time: instant(1_795_000_000_000),
      quality: 'relative',
      what: { kind: 'sealed', segment: 2, sequence: 4095, hash: HASH, records: 40_000 },
      previous: HASH,
    } as const
    await add('event', EVENT_PURPOSE, encodeEvent(event), (bytes, by) => verifyEvent(bytes, key, by))
    const head = {
      device: context.device,
      journal: new Uint8Array(16).fill(0x33),
      sequence: 1000,
      hash: HASH,
      records: 70_000,
      time: instant(1_795_000_000_000),
    }
    await add('head', HEAD_PURPOSE, encodeHead(head), (bytes, by) => verifyHead(bytes, key, by))
  }
  return kinds
}
