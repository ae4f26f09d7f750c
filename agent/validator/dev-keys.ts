/** The keys of `tieline-ledger dev`, all made from one text: no secret, and the same each time. */
import { createSigner, type MemorySigner } from '../../drivers/crypto/signer.ts'
import { utf8 } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { secretFromSeed } from '../keys.ts'

/** What `--seed` is where nobody says it. */
export const DEFAULT_SEED = 'tieline-dev'

export const devSeed = (seed: string, owner: string): Uint8Array => sha256(utf8(`tieline dev ${seed} ${owner}`))

/** Of an account: `operator`, or `account 0` to `account 4`. */
export const devSigner = (seed: string, owner: string): MemorySigner =>
  createSigner(secretFromSeed(devSeed(seed, owner), 'account'))
