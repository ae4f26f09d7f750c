/** Records as stations of other makers send them: keys on every curve, payloads of every revision, signed by OpenSSL. */
import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { createEcdsaVerifier } from '../../../drivers/crypto/ecdsa.ts'
import type { CurveName } from '../../../protocol/ocmf/key.ts'
import { verifyOcmf } from '../../../protocol/ocmf/verify.ts'

/** OpenSSL's names of the curves. */
export const CURVES = {
  secp192k1: 'secp192k1',
  secp192r1: 'prime192v1',
  secp256k1: 'secp256k1',
  secp256r1: 'prime256v1',
  secp384r1: 'secp384r1',
  brainpoolP256r1: 'brainpoolP256r1',
  brainpoolP384r1: 'brainpoolP384r1',
} as const satisfies Record<CurveName, string>
export const CURVE_NAMES = Object.keys(CURVES) as CurveName[]

export interface Station {
  readonly curve: CurveName
  readonly privateKey: KeyObject
  /** SubjectPublicKeyInfo, hex. */
  readonly key: string
}

const kept = new Map<CurveName, Station>()
/** The one station of a curve: making a key takes longer than all else. */
export function stationOn(curve: CurveName): Station {
  const known = kept.get(curve)
  if (known !== undefined) return known
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: CURVES[curve] })
  const station = { curve, privateKey, key: publicKey.export({ format: 'der', type: 'spki' }).toString('hex') }
  kept.set(curve, station)
  return station
}

const PLAIN = {
  FV: '1.0',
  GI: 'station',
  GS: 'G-1',
  PG: 'T7',
  MS: 'M-1',
  IS: true,
  IL: 'TRUSTED',
  IF: ['RFID_PLAIN'],
  IT: 'ISO14443',
  ID: '1F2D3A4F',
}
export const BEGIN = {
  TM: '2024-02-29T12:00:00,000+0100 S',
  TX: 'B',
  RV: 100.5,
  RI: '1-0:1.8.0',
  RU: 'kWh',
  EF: '',
  ST: 'G',
}
export const END = { ...BEGIN, TM: '2024-02-29T13:00:00,000+0100 S', TX: 'E', RV: 110.75 }

export type Loose = Readonly<Record<string, unknown>>

/** A whole transaction in one payload, with other fields where they are given. */
export const payloadOf = (over: Loose = {}, ...RD: readonly Loose[]): string =>
  JSON.stringify({ ...PLAIN, RD: RD.length > 0 ? RD : [BEGIN, END], ...over })

/** A payload as a record. `section` replaces or adds to what stands behind the signature's pipe. */
export function signed(payload: string, station: Station = stationOn('secp256r1'), section: Loose = {}): string {
  const SD = sign('sha256', Buffer.from(payload), station.privateKey).toString('hex')
  return `OCMF|${payload}|${JSON.stringify({ SA: `ECDSA-${station.curve}-SHA256`, SD, ...section })}`
}

export const verifier = createEcdsaVerifier()

/** The verdict over payloads signed by one station. */
export const judged = (...payloads: readonly string[]) =>
  verifyOcmf(
    payloads.map(payload => signed(payload)),
    stationOn('secp256r1').key,
    verifier,
  )

/** Names of the rules that payloads break together, in order. */
export const rulesBroken = (...payloads: readonly string[]): string[] =>
  judged(...payloads).broken.map(({ code }) => code)
