import type { Attestation } from '../../protocol/identity/attestation.ts'
import type { Signer } from '../ports.ts'

/** A key of any store, opened. */
export interface StoredKey {
  readonly signer: Signer
  /** What the store showed for the signer's trust. */
  readonly attestation: Attestation
  /** Lets go of the store; the signer answers with faults from then on, or as a key in memory does. */
  close(): Promise<void>
}
