/** What a site signs and seals with, each key for one purpose only. */
import type { Signer } from '../drivers/ports.ts'
import { concat, utf8 } from '../protocol/bytes.ts'
import { sha256 } from '../protocol/crypto/hash.ts'

/** account: money and contracts; metering: readings; sealing: messages to neighbours (X25519). */
export type KeyUse = 'account' | 'metering' | 'sealing'

export interface SiteKeys {
  /** Money and contracts. */
  readonly account: Signer
  /** Readings. */
  readonly metering: Signer
  /** OCMF records, which are signed with P-256; absent where the configuration names none. */
  readonly ocmf?: Signer
  /** Seed of the X25519 key for messages to neighbours. */
  readonly sealing: Uint8Array
  /** Lets go of tokens and TPMs. */
  close?(): Promise<void>
}

/** The 32-byte secret of one use from a bench seed. A real site has three independent key files instead. */
export const secretFromSeed = (seed: Uint8Array, use: KeyUse): Uint8Array =>
  sha256(concat(utf8(`tieline ${use} `), seed))
