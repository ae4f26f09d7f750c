/**
 * Public keys of charging stations, the curves they lie on, and the names that OCMF gives to ways of signing. The curve
 * is a matter of the key: OCMF's SA stands outside of what is signed, and whoever may choose the curve may choose one on
 * which the same coordinates belong to a weak key.
 */
import { concat, equalBytes, fromHex, hex } from '../bytes.ts'
import { fromBase64 } from '../chain/base64.ts'
import { fail, ok, type Result } from '../result.ts'

/** Names of SEC 2 and RFC 5639. */
export type CurveName =
  | 'secp192k1'
  | 'secp192r1'
  | 'secp256k1'
  | 'secp256r1'
  | 'secp384r1'
  | 'brainpoolP256r1'
  | 'brainpoolP384r1'

/** Bytes of a coordinate, and the curve's object identifier in DER. The seven curves of OCMF's table 22. */
const CURVES: Readonly<Record<CurveName, { readonly bytes: number; readonly oid: Uint8Array }>> = {
  secp192k1: { bytes: 24, oid: hex('0605 2b8104001f') },
  secp192r1: { bytes: 24, oid: hex('0608 2a8648ce3d030101') },
  secp256k1: { bytes: 32, oid: hex('0605 2b8104000a') },
  secp256r1: { bytes: 32, oid: hex('0608 2a8648ce3d030107') },
  secp384r1: { bytes: 48, oid: hex('0605 2b81040022') },
  brainpoolP256r1: { bytes: 32, oid: hex('0609 2b2403030208010107') },
  brainpoolP384r1: { bytes: 48, oid: hex('0609 2b240303020801010b') },
}
const CURVE_NAMES = Object.keys(CURVES) as CurveName[]

/** id-ecPublicKey (RFC 5480 section 2.1.1). */
const EC_PUBLIC_KEY = hex('0607 2a8648ce3d0201')

export type EcdsaHash = 'sha256' | 'sha384' | 'sha512'

/** A way of signing, as SA names it. */
export interface Algorithm {
  readonly curve: CurveName
  readonly hash: EcdsaHash
}

/** SA where a record of 0.4 or later leaves it out. */
export const DEFAULT_ALGORITHM = 'ECDSA-secp256r1-SHA256'

/**
 * `ECDSA-secp256k1-SHA256` and the like, or undefined. The tables name brainpool curves without the P of RFC 5639 and
 * SHA-256 only; meters write the P, and other hashes are told by their names as well.
 */
export function readAlgorithm(name: string): Algorithm | undefined {
  const match = /^ECDSA-(\w+)-SHA(256|384|512)$/.exec(name)
  if (match === null) return undefined
  const written = match[1]!.replace(/^brainpool(?=\d)/, 'brainpoolP')
  const curve = CURVE_NAMES.find(known => known === written)
  return curve === undefined ? undefined : { curve, hash: `sha${match[2]}` as EcdsaHash }
}

/** A point on a named curve, as SubjectPublicKeyInfo (RFC 5480) in DER. Whether it lies on the curve the verifier says. */
export interface EcPublicKey {
  readonly curve: CurveName
  readonly spki: Uint8Array
}

/** The port behind which the arithmetic stands. */
export interface EcdsaVerifier {
  /** `signature` is r and s, big-endian, each as long as a coordinate of the curve. Cannot throw. */
  verify(key: EcPublicKey, hash: EcdsaHash, message: Uint8Array, signature: Uint8Array): boolean
}

/** A key as given: with its curve, or the bare point of some curve with coordinates of so many bytes. */
export type GivenKey =
  | ({ readonly kind: 'spki' } & EcPublicKey)
  | { readonly kind: 'point'; readonly point: Uint8Array; readonly bytes: number }

export type KeyFault =
  | { readonly code: 'key.unreadable'; readonly hint: string }
  | { readonly code: 'key.unsupported'; readonly bytes: number; readonly hint: string }
  | { readonly code: 'key.curve-unknown'; readonly bytes: number; readonly hint: string }

/**
 * A public key as text: SubjectPublicKeyInfo in hex, base64 or PEM, or a bare point in hex or base64, compressed, with or
 * without the 04 in front. Blanks may stand between the digits.
 */
export function readPublicKey(text: string): Result<GivenKey, KeyFault> {
  const bytes = keyBytes(text)
  if (bytes === undefined)
    return fail({ code: 'key.unreadable', hint: 'give the public key as hex, base64 or PEM (BEGIN PUBLIC KEY)' })
  for (const curve of CURVE_NAMES) {
    for (const length of pointLengths(CURVES[curve].bytes).slice(0, 2)) {
      const head = spkiHead(curve, length)
      if (bytes.length !== head.length + length || !equalBytes(bytes.subarray(0, head.length), head)) continue
      const point = withFormat(bytes.subarray(head.length), CURVES[curve].bytes)
      if (point !== undefined) return ok({ kind: 'spki', curve, spki: bytes })
    }
  }
  for (const size of new Set(CURVE_NAMES.map(curve => CURVES[curve].bytes))) {
    const point = withFormat(bytes, size)
    if (point !== undefined) return ok({ kind: 'point', point, bytes: size })
  }
  const hint = `a key must lie on ${CURVE_NAMES.join(', ')}, named by its object identifier`
  return fail({ code: 'key.unsupported', bytes: bytes.length, hint })
}

/** The key with a curve: its own, or for a bare point the declared one if its coordinates are as long. */
export function withCurve(given: GivenKey, declared: CurveName): Result<EcPublicKey, KeyFault> {
  if (given.kind === 'spki') return ok(given)
  if (CURVES[declared].bytes !== given.bytes) {
    const hint = 'give the key as SubjectPublicKeyInfo, which names its curve'
    return fail({ code: 'key.curve-unknown', bytes: given.bytes, hint })
  }
  return ok({ curve: declared, spki: concat(spkiHead(declared, given.point.length), given.point) })
}

/** Lengths of a point with coordinates of so many bytes (SEC 1 section 2.3.3): whole, compressed, and without the 04. */
const pointLengths = (bytes: number): readonly number[] => [2 * bytes + 1, bytes + 1, 2 * bytes]

/** The point with its leading byte, or undefined where there is none of that size. */
function withFormat(point: Uint8Array, bytes: number): Uint8Array | undefined {
  const [whole, compressed, bare] = pointLengths(bytes)
  if (point.length === bare) return concat(Uint8Array.of(4), point)
  const format = point[0]
  const fits =
    (point.length === whole && format === 4) || (point.length === compressed && (format === 2 || format === 3))
  return fits ? point : undefined
}

/** DER before the point: SEQUENCE { SEQUENCE { id-ecPublicKey, curve }, BIT STRING without unused bits. */
function spkiHead(curve: CurveName, pointLength: number): Uint8Array {
  const names = concat(EC_PUBLIC_KEY, CURVES[curve].oid)
  // Every length is below 128 and so one byte: the longest key, of a curve of 384 bits, has 122 behind the first.
  const algorithm = concat(Uint8Array.of(0x30, names.length), names)
  const bitString = Uint8Array.of(0x03, pointLength + 1, 0)
  return concat(Uint8Array.of(0x30, algorithm.length + bitString.length + pointLength), algorithm, bitString)
}

const PEM = /^\s*-----BEGIN PUBLIC KEY-----([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*$/

/** Longest text of a key that is looked at: a PEM of 384 bits has 220 characters. */
const MAX_KEY_TEXT = 4096

function keyBytes(text: string): Uint8Array | undefined {
  if (text.length > MAX_KEY_TEXT) return undefined
  const digits = (PEM.exec(text)?.[1] ?? text).replace(/\s+/g, '')
  if (digits === '') return undefined
  return fromHex(digits) ?? fromBase64(digits)
}

/** r and s of a DER signature (RFC 3279 section 2.2.3) as the verifier takes them, or undefined where it is not strictly DER. */
export function readDerSignature(der: Uint8Array, curve: CurveName): Uint8Array | undefined {
  const { bytes } = CURVES[curve]
  // Below 128 for every curve here, so a longer form of the length would be a second encoding of the same.
  if (der[0] !== 0x30 || der[1] !== der.length - 2) return undefined
  const out = new Uint8Array(2 * bytes)
  let at = 2
  for (const end of [bytes, 2 * bytes]) {
    const length = der[at + 1]
    if (der[at] !== 0x02 || length === undefined || length === 0 || at + 2 + length > der.length) return undefined
    const integer = der.subarray(at + 2, at + 2 + length)
    // DER has one encoding of a number (X.690 section 8.3.2): no needless zero in front, and none that reads negative.
    if (integer[0]! > 0x7f || (integer[0] === 0 && length > 1 && integer[1]! < 0x80)) return undefined
    const digits = integer[0] === 0 ? integer.subarray(1) : integer
    if (digits.length > bytes) return undefined
    out.set(digits, end - digits.length)
    at += 2 + length
  }
  return at === der.length ? out : undefined
}
