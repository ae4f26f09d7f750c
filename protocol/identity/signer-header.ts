/** The protected header of whatever a key signs: the key alone says which algorithm it is for. */
import { kidOf, protectedHeader } from '../crypto/cose.ts'
import { algOfKey } from './key.ts'

export function signerHeader(publicKey: Uint8Array): Uint8Array {
  const alg = algOfKey(publicKey) ?? 'EdDSA'
  return protectedHeader(alg, kidOf(alg, publicKey))
}
