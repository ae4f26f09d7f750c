/**
 * What a key's store showed for the trust that a context claims of it. Trust is a claim in every case; what differs is who
 * makes it, and whether a stranger could check.
 */
import { type Cbor, encode } from '../cbor.ts'
import type { KeyTrust } from './key.ts'

export interface Attestation {
  readonly trust: KeyTrust
  readonly kind: 'none' | 'pkcs11-attributes' | 'tpm2-certify'
  /** As the store gave it; empty where it gave nothing. */
  readonly evidence: Uint8Array
  /** Whether the evidence was checked against something that is not the store's own word. */
  readonly verified: boolean
  /** The rule by which the trust was told, for a person. */
  readonly rule: string
}

export const FILE_ATTESTATION: Attestation = {
  trust: 'sealed-file',
  kind: 'none',
  evidence: new Uint8Array(0),
  verified: false,
  rule: 'opened from a sealed file; nothing shows that there is no copy',
}

/** Attributes of a private key as a PKCS#11 token answered (v2.40 section 4.9); undefined where it did not. */
export interface TokenKeyAttributes {
  readonly sensitive: boolean | undefined
  readonly alwaysSensitive: boolean | undefined
  readonly extractable: boolean | undefined
  readonly neverExtractable: boolean | undefined
  readonly local: boolean | undefined
}

/** CK_TOKEN_INFO, blanks at the end removed. */
export interface TokenName {
  readonly label: string
  readonly manufacturer: string
  readonly model: string
  readonly serial: string
}

/** What every key behind `token` must be said to be, and the name of each attribute in the standard. */
const REQUIRED = [
  ['sensitive', 'CKA_SENSITIVE', true],
  ['alwaysSensitive', 'CKA_ALWAYS_SENSITIVE', true],
  ['extractable', 'CKA_EXTRACTABLE', false],
  ['neverExtractable', 'CKA_NEVER_EXTRACTABLE', true],
  ['local', 'CKA_LOCAL', true],
] as const

/**
 * `token` only where the token itself says that the key was made inside, never left and cannot; else `software`, with what
 * is missing. The attributes are read over the same library that a thief would replace: a claim, not a proof.
 *
 * Evidence: canonical CBOR of [label, manufacturer, model, serial, the attributes in the order above or null].
 */
export function attestToken(token: TokenName, key: TokenKeyAttributes): Attestation {
  const { label, manufacturer, model, serial } = token
  const answers: Cbor[] = REQUIRED.map(([name]) => key[name] ?? null)
  const missing = REQUIRED.filter(([name, , wanted]) => key[name] !== wanted).map(
    ([name, attribute]) => `${attribute} is ${key[name] ?? 'not told'}`,
  )
  return {
    trust: missing.length === 0 ? 'token' : 'software',
    kind: 'pkcs11-attributes',
    evidence: encode([label, manufacturer, model, serial, answers]),
    verified: false,
    rule:
      missing.length === 0
        ? "the token's own word that the key was made inside, never left and cannot"
        : `not believed to stay inside the token: ${missing.join(', ')}`,
  }
}
