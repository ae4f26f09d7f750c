/**
 * Signed readings as an OCPP message carries them: a MeterValueType whose sampled value holds a SignedMeterValueType around an
 * OCMF text (OCPP 2.0.1 and 2.1 part 2), and the form of it for OCPP 1.6 in the Open Charge Alliance's application note
 * "Signed Meter Values in OCPP": the same object as the text of a sampled value whose format is SignedData.
 *
 *     {"signedMeterData": base64 of the OCMF text,
 *      "signingMethod": "",                       the OCMF text says it itself (application note, table 1)
 *      "encodingMethod": "OCMF",
 *      "publicKey": base64 of `oca:base16:asn1:` and the hexadecimal SubjectPublicKeyInfo (section 3.2.2), or ""}
 *
 * An OCMF text with both begin and end goes with the end's reading, as Transaction.End.
 */
import { concat, hex, toHex, utf8 } from '../bytes.ts'
import { toBase64 } from '../chain/base64.ts'
import { p256 } from '../crypto/curves.ts'
import { decimalText, type Json, JsonNumber, writeJson } from '../json-write.ts'
import { fail, ok, type Result } from '../result.ts'
import { OBIS } from '../telegram/obis.ts'
import { isoTime } from '../time.ts'
import type { Reading } from './reading.ts'

export interface OcppValue {
  readonly reading: Reading
  /** What was signed of this reading. */
  readonly ocmf: string
  /** Compressed P-256 point; left out where the other side knows it (PublicKeyWithSignedMeterValue). */
  readonly publicKey?: Uint8Array
  /** LocationEnumType: where the meter sits. */
  readonly location: 'Body' | 'Cable' | 'EV' | 'Inlet' | 'Outlet'
}

export type OcppVersion = '1.6' | '2.0.1' | '2.1'

export type OcppFault =
  | { readonly code: 'ocpp.too-long'; readonly version: OcppVersion; readonly length: number; readonly limit: number }
  | { readonly code: 'ocpp.no-energy'; readonly sequence: number }

/** Characters of signedMeterData. */
const DATA_LIMIT: Readonly<Record<OcppVersion, number>> = { '1.6': 2500, '2.0.1': 2500, '2.1': 32_768 }

/** ReadingContextEnumType. What ends a transaction is its end, whatever the reason. */
const CONTEXT: Readonly<Record<Reading['reason'], string>> = {
  periodic: 'Sample.Periodic',
  begin: 'Transaction.Begin',
  end: 'Transaction.End',
  exception: 'Other',
  'power-fail': 'Transaction.End',
  gap: 'Other',
}

/** MeasurandEnumType. */
const MEASURAND: readonly (readonly [obis: string, measurand: string])[] = [
  [OBIS.energyImport, 'Energy.Active.Import.Register'],
  [OBIS.energyExport, 'Energy.Active.Export.Register'],
]

/** SubjectPublicKeyInfo of a P-256 key up to its point, which is not compressed (RFC 5480 section 2). */
const SPKI_HEAD = hex('3059 3013 0607 2a8648ce3d0201 0608 2a8648ce3d030107 0342 00')

/**
 * A MeterValueType with every energy total of the reading in Wh. What was signed stands with the register that the session
 * is about, else with the first.
 */
export function ocppMeterValue(version: OcppVersion, value: OcppValue): Result<Json, OcppFault> {
  const { reading, ocmf, publicKey, location } = value
  const signedMeterData = toBase64(utf8(ocmf))
  const [length, limit] = [signedMeterData.length, DATA_LIMIT[version]]
  if (length > limit) return fail({ code: 'ocpp.too-long', version, length, limit })
  const signed = { signedMeterData, signingMethod: '', encodingMethod: 'OCMF', publicKey: printedKey(publicKey) }
  const totals = MEASURAND.flatMap(([obis, measurand]) =>
    reading.registers
      .filter(register => register.obis === obis && register.unit === 'Wh')
      .map(({ value, scaler }) => ({ obis, measurand, digits: decimalText(value, scaler) })),
  )
  const wanted = reading.session?.direction === 'export' ? OBIS.energyExport : OBIS.energyImport
  const bearer = totals.find(({ obis }) => obis === wanted) ?? totals[0]
  if (bearer === undefined) return fail({ code: 'ocpp.no-energy', sequence: reading.sequence })
  const context = CONTEXT[reading.reason]
  const sampledValue = totals.flatMap((total): Json[] => {
    const { measurand, digits } = total
    const what = { context, measurand, location }
    const isBearer = total === bearer
    if (version === '1.6') {
      const raw = { value: digits, ...what, format: 'Raw', unit: 'Wh' }
      return isBearer ? [raw, { value: writeJson(signed), ...what, format: 'SignedData', unit: 'Wh' }] : [raw]
    }
    return [
      {
        value: new JsonNumber(digits),
        ...what,
        signedMeterValue: isBearer ? signed : undefined,
        unitOfMeasure: { unit: 'Wh', multiplier: new JsonNumber('0') },
      },
    ]
  })
  return ok({ timestamp: isoTime(reading.time), sampledValue })
}

/** As the note has a key printed on a meter; nothing for none. */
function printedKey(publicKey: Uint8Array | undefined): string {
  if (publicKey === undefined) return ''
  const spki = concat(SPKI_HEAD, p256.Point.fromBytes(publicKey).toBytes(false))
  return toBase64(utf8(`oca:base16:asn1:${toHex(spki)}`))
}
