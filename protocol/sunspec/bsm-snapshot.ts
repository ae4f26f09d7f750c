/**
 * Signed snapshots of the BAUER BSM-WS36A, a meter for charging stations: its model 64901. The signature is ECDSA on P-256 with
 * SHA-256 over an abstract form of the data, in which each number carries its scale and its DLMS unit code.
 *
 * Source: chargeITmobility/bsm-python (Apache-2.0), doc/examples/snapshots.md, bauer_bsm/bsm/md.py and
 * bauer_bsm/bsm/models/smdx_64901.xml.
 */
import { concat, equalBytes, hex } from '../bytes.ts'
import { keyFault, type Verifier } from '../crypto/verify.ts'
import { fail, ok, type Result } from '../result.ts'
import { DLMS_UNIT, type MeterValue, OBIS } from '../telegram/obis.ts'

export interface BsmSnapshot {
  readonly type: 'current' | 'turn-on' | 'turn-off' | 'start' | 'end'
  /** The meter's address 1, which is its serial number. */
  readonly meterId: string
  /** Grows by one with every snapshot of any type. */
  readonly counter: number
  /** Seconds that the meter has been in operation. */
  readonly operatingSeconds: number
  /** Seconds since 1970 by the meter's clock, and minutes that its zone is ahead of UTC; undefined where it was never set. */
  readonly epoch: number | undefined
  readonly zoneMinutes: number | undefined
  /** Imported energy in all, that since the contactor was last turned on (`*198`), and power. */
  readonly values: readonly MeterValue[]
  /** What the operator had the meter sign along: who charges, where. */
  readonly meta: readonly string[]
}

const MODEL = 64_901
/** Registers behind the id and the length. */
const LENGTH = 252
const TYPES = ['current', 'turn-on', 'turn-off', 'start', 'end'] as const
const STATUS_VALID = 0
/** Event bits with which the maker says not to take the data as authentic: fatal error, failed start, wrong firmware, development. */
const DISTRUST = 0x000f_0000

/** Registers from the model's id on. */
const AT = {
  type: 2,
  status: 3,
  sinceTurnOn: 4,
  imported: 6,
  energyScale: 8,
  power: 9,
  powerScale: 10,
  meterId: 11,
  counter: 19,
  operatingSeconds: 21,
  epoch: 23,
  zoneMinutes: 25,
  epochSetCounter: 26,
  epochSetSeconds: 28,
  inputs: 30,
  outputs: 31,
  meta1: 32,
  meta2: 102,
  meta3: 152,
  events: 202,
  signatureRegisters: 204,
  signatureBytes: 205,
  signature: 206,
} as const
const SIGNATURE_REGISTERS = 48

/** DLMS unit codes (IEC 62056-6-2) that only snapshots use. */
const MINUTES = 6
const SECONDS = 7
const NO_UNIT = DLMS_UNIT['1']

/** SubjectPublicKeyInfo of a P-256 key (RFC 5480 section 2) up to its point, and that point's length: 04 | X | Y. */
const SPKI = hex('3059 3013 0607 2a8648ce3d0201 0608 2a8648ce3d030107 034200')
const POINT_BYTES = 65

/**
 * The public key (33 bytes, SEC 1 compressed) in `bytes`: what model 64900 holds from its point NPK on, two counts and the key in
 * DER. It is only as trustworthy as the line it came over: pin it. Faults: `bsm.key`, `key.not-admissible`.
 */
export function bsmPublicKey(bytes: Uint8Array): Result<Uint8Array> {
  const length = SPKI.length + POINT_BYTES
  const der = bytes.subarray(4, 4 + length)
  const point = der.subarray(SPKI.length)
  if (bytes[2] !== 0 || bytes[3] !== length || der.length !== length || !equalBytes(der.subarray(0, SPKI.length), SPKI))
    return fail({ code: 'bsm.key', bytes: bytes.length })
  if (point[0] !== 4) return fail({ code: 'bsm.key', form: point[0]! })
  const key = concat(Uint8Array.of(2 + (point[POINT_BYTES - 1]! & 1)), point.subarray(1, 33))
  const fault = keyFault('ES256', key)
  return fault === undefined ? ok(key) : fail({ ...fault })
}

/** A DER integer's value in 32 bytes; undefined where it has more. */
function scalar(der: Uint8Array): Uint8Array | undefined {
  const bytes = der[0] === 0 ? der.subarray(1) : der
  if (bytes.length === 0 || bytes.length > 32) return undefined
  const out = new Uint8Array(32)
  out.set(bytes, 32 - bytes.length)
  return out
}

/** r || s of an Ecdsa-Sig-Value (RFC 4492 section 5.4) in DER; undefined where it is none. */
function signatureOf(der: Uint8Array): Uint8Array | undefined {
  const lengthR = der[3]
  const lengthS = lengthR === undefined ? undefined : der[5 + lengthR]
  if (lengthR === undefined || lengthS === undefined) return undefined
  const whole =
    der[0] === 0x30 &&
    der[1] === der.length - 2 &&
    der[2] === 2 &&
    der[4 + lengthR] === 2 &&
    6 + lengthR + lengthS === der.length
  const r = scalar(der.subarray(4, 4 + lengthR))
  const s = scalar(der.subarray(6 + lengthR))
  return whole && r && s ? concat(r, s) : undefined
}

/**
 * The snapshot in `bytes` (model 64901 from its id register on, 508 bytes), if `publicKey` (33 bytes, SEC 1 compressed) signed
 * it. Faults: `bsm.layout`, `bsm.status` (no valid snapshot was made), `bsm.distrust` (the meter itself says not to trust it),
 * `bsm.signature`.
 */
export function verifyBsmSnapshot(bytes: Uint8Array, publicKey: Uint8Array, verifier: Verifier): Result<BsmSnapshot> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const u16 = (at: number): number => view.getUint16(2 * at)
  const u32 = (at: number): number => view.getUint32(2 * at)
  if (bytes.length !== 2 * (LENGTH + 2) || u16(0) !== MODEL || u16(1) !== LENGTH)
    return fail({ code: 'bsm.layout', bytes: bytes.length })
  const type = TYPES[u16(AT.type)]
  const energyScale = view.getInt16(2 * AT.energyScale)
  const powerScale = view.getInt16(2 * AT.powerScale)
  const signatureBytes = u16(AT.signatureBytes)
  if (
    type === undefined ||
    Math.abs(energyScale) > 9 ||
    Math.abs(powerScale) > 9 ||
    u16(AT.signatureRegisters) !== SIGNATURE_REGISTERS ||
    signatureBytes > 2 * SIGNATURE_REGISTERS
  )
    return fail({ code: 'bsm.layout', type: u16(AT.type), energyScale, powerScale, signatureBytes })
  const status = u16(AT.status)
  if (status !== STATUS_VALID) return fail({ code: 'bsm.status', status })

  const text = (at: number, end: number): Uint8Array => {
    const all = bytes.subarray(2 * at, 2 * end)
    const length = all.indexOf(0)
    return length < 0 ? all : all.subarray(0, length)
  }
  const meterId = text(AT.meterId, AT.counter)
  const meta = [text(AT.meta1, AT.meta2), text(AT.meta2, AT.meta3), text(AT.meta3, AT.events)]

  const number = (value: number, scale = 0, unit: number = NO_UNIT): Uint8Array =>
    Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value, scale, unit)
  const string = (content: Uint8Array): Uint8Array => concat(number(content.length).subarray(0, 4), content)
  // "Not available" of a signed register is hashed as it stands, every other value with its sign.
  const signed = (at: number): number => (u16(at) === 0x8000 ? 0x8000 : view.getInt16(2 * at))
  const message = concat(
    number(u16(AT.type)),
    number(u32(AT.sinceTurnOn), energyScale, DLMS_UNIT.Wh),
    number(u32(AT.imported), energyScale, DLMS_UNIT.Wh),
    number(signed(AT.power), powerScale, DLMS_UNIT.W),
    string(meterId),
    number(u32(AT.counter)),
    number(u32(AT.operatingSeconds), 0, SECONDS),
    number(u32(AT.epoch), 0, SECONDS),
    number(signed(AT.zoneMinutes), 0, MINUTES),
    number(u32(AT.epochSetCounter)),
    number(u32(AT.epochSetSeconds), 0, SECONDS),
    number(u16(AT.inputs)),
    number(u16(AT.outputs)),
    ...meta.map(string),
    number(u32(AT.events)),
  )
  const signature = signatureOf(bytes.subarray(2 * AT.signature, 2 * AT.signature + signatureBytes))
  if (signature === undefined || !verifier.verify('ES256', publicKey, message, signature))
    return fail({ code: 'bsm.signature', counter: u32(AT.counter) })
  const distrust = u32(AT.events) & DISTRUST
  if (distrust !== 0) return fail({ code: 'bsm.distrust', events: distrust })

  // A signed zero is a reading: here it is no sentinel, as it would be in an ordinary accumulator.
  const energy = (obis: string, at: number): MeterValue => ({
    obis,
    value: BigInt(u32(at)),
    scaler: energyScale,
    unit: 'Wh',
  })
  const power = u16(AT.power) === 0x8000 ? undefined : view.getInt16(2 * AT.power)
  const ascii = (content: Uint8Array): string => String.fromCharCode(...content)
  return ok({
    type,
    meterId: ascii(meterId),
    counter: u32(AT.counter),
    operatingSeconds: u32(AT.operatingSeconds),
    epoch: u32(AT.epoch) === 0xffff_ffff ? undefined : u32(AT.epoch),
    zoneMinutes: u16(AT.zoneMinutes) === 0x8000 ? undefined : view.getInt16(2 * AT.zoneMinutes),
    values: [
      energy(OBIS.energyImport, AT.imported),
      energy(`${OBIS.energyImport}*198`, AT.sinceTurnOn),
      ...(power === undefined
        ? []
        : [{ obis: OBIS.power, value: BigInt(power), scaler: powerScale, unit: 'W' as const }]),
    ],
    meta: meta.map(ascii),
  })
}
