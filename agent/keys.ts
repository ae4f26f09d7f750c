/** What a site signs and seals with, each key for one purpose only. */
import { concat, utf8 } from '../protocol/bytes.ts'
import { sha256 } from '../protocol/crypto/hash.ts'

/** account: money and contracts; metering: readings; sealing: messages to neighbours (X25519). */
export type KeyUse = 'account' | 'metering' | 'sealing'

/** The 32-byte secret of one use from a bench seed. A real site has three independent key files instead. */
export const secretFromSeed = (seed: Uint8Array, use: KeyUse): Uint8Array =>
  sha256(concat(utf8(`tieline ${use} `), seed))
