/** What the tests of OCMF, SenML and OCPP share: any reading at all, a session and its record, signed. */
import { createP256Signer } from '../../../drivers/crypto/signer.ts'
import { concat, hex, utf8 } from '../../../protocol/bytes.ts'
import { p256 } from '../../../protocol/crypto/curves.ts'
import { type OcmfRecord, ocmfText, type ReadingInContext, writeOcmfPayload } from '../../../protocol/ocmf/write.ts'
import type { Reading } from '../../../protocol/reading/reading.ts'
import { must } from '../../../protocol/result.ts'
import { type MeterValue, OBIS } from '../../../protocol/telegram/obis.ts'
import { instant } from '../../../protocol/time.ts'
import { fc } from '../../property.ts'
import { energies, firstReading, sampleContext } from '../reading/sample.ts'

const register: fc.Arbitrary<MeterValue> = fc.record(
  {
    obis: fc.constantFrom(...Object.values(OBIS), '1-0:176.8.0', '1-0:1.8.1', '0-1:24.2.1*7'),
    value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    scaler: fc.integer({ min: -9, max: 9 }),
    unit: fc.constant('Wh'),
  },
  { noNullPrototype: true },
)

/** Energy registers of any size and scaler, with every flag, quality and reason but a gap. */
export const anyReading = fc.record(
  {
    sequence: fc.integer({ min: 2, max: Number.MAX_SAFE_INTEGER }),
    operatingSeconds: fc.maxSafeNat(),
    time: fc.integer({ min: 0, max: 253_402_300_799_999 }).map(instant),
    quality: fc.constantFrom('unknown', 'informative', 'synchronised', 'relative'),
    registers: fc.uniqueArray(register, { minLength: 1, maxLength: 8, selector: value => value.obis }),
    status: fc.subarray(['restarted', 'gap-before', 'clock-set', 'before-sync']),
    errors: fc.subarray(['energy', 'time']),
    reason: fc.constantFrom('periodic', 'begin', 'end', 'exception', 'power-fail'),
  },
  { noNullPrototype: true },
) as fc.Arbitrary<Omit<Reading, 'context'>>

export const signer = createP256Signer(new Uint8Array(32).fill(3))
/** SubjectPublicKeyInfo of a P-256 key, the point not compressed (RFC 5480 section 2). */
export const spkiOf = (publicKey: Uint8Array): Uint8Array =>
  concat(hex('3059301306072a8648ce3d020106082a8648ce3d030107034200'), p256.Point.fromBytes(publicKey).toBytes(false))
export const spki = spkiOf(signer.publicKey)

export const station = { gateway: 'Tieline G1', current: 'AC' } as const
const contract = new Uint8Array(32).fill(0xc7)
export const inContext = (reading: Partial<Reading>): ReadingInContext => ({
  reading: { ...firstReading(new Uint8Array(8).fill(1)), ...reading },
  context: sampleContext,
  hash: new Uint8Array(32).fill(reading.sequence ?? 1),
})
export const session = { contract, line: 'L1', direction: 'import' } as const
export const begin = inContext({
  sequence: 5,
  reason: 'begin',
  session,
  registers: energies(123_456_789n, 98_765_432n),
})
export const end = inContext({
  sequence: 9,
  reason: 'end',
  session,
  time: instant(1_795_003_600_007),
  registers: energies(123_468_801n, 98_765_432n),
})

export const record = (change: Partial<OcmfRecord> = {}): OcmfRecord => ({
  series: 'T',
  number: 1,
  readings: [begin, end],
  station,
  ...change,
})
export const textOf = (change: Partial<OcmfRecord> = {}): string => {
  const payload = must(writeOcmfPayload(record(change)))
  return ocmfText(payload, signer.signNow(utf8(payload)))
}
