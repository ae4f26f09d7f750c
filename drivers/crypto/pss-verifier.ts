/** The verdict of protocol/crypto/rsa-pss.ts at OpenSSL's speed. */
import { constants, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { toHex } from '../../protocol/bytes.ts'
import { isModulus, type PssVerify } from '../../protocol/crypto/rsa-pss.ts'

/** Issuer keys of a day of slots, for both sides. */
const KEYS_KEPT = 256

export function createPssVerifier(): PssVerify {
  const keys = new Map<string, KeyObject>()
  const keyOf = (modulus: Uint8Array): KeyObject => {
    const name = toHex(modulus)
    const known = keys.get(name)
    if (known !== undefined) return known
    const n = Buffer.from(modulus).toString('base64url')
    const key = createPublicKey({ key: { kty: 'RSA', n, e: 'AQAB' }, format: 'jwk' })
    if (keys.size >= KEYS_KEPT) keys.delete(keys.keys().next().value!)
    keys.set(name, key)
    return key
  }
  return (modulus, message, signature) => {
    if (!isModulus(modulus) || signature.length !== modulus.length) return false
    try {
      const key = { key: keyOf(modulus), padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 }
      return verify('sha384', message, key, signature)
    } catch {
      // OpenSSL throws on a modulus that it does not like; for a verifier that is a plain no.
      return false
    }
  }
}
