import { createPublicKey, verify } from 'node:crypto'
import { createP256Signer } from '../../../drivers/crypto/signer.ts'
import { fromHex, utf8 } from '../../../protocol/bytes.ts'
import { writeJson } from '../../../protocol/json-write.ts'
import { ocmfText, writeOcmfPayload } from '../../../protocol/ocmf/write.ts'
import { type OcppValue, type OcppVersion, ocppMeterValue } from '../../../protocol/reading/ocpp.ts'
import type { Reading } from '../../../protocol/reading/reading.ts'
import { must } from '../../../protocol/result.ts'
import { OBIS } from '../../../protocol/telegram/obis.ts'
import { assert, suite } from '../../harness.ts'
import { energies, firstReading, sampleContext } from './sample.ts'

const test = suite('ocpp')

const signer = createP256Signer(new Uint8Array(32).fill(5))
const session = { contract: new Uint8Array(32).fill(0xc7), line: 'L1', direction: 'export' } as const
const reading: Reading = {
  ...firstReading(new Uint8Array(8)),
  reason: 'end',
  session,
  registers: [
    { obis: OBIS.energyImport, value: 2n ** 60n + 1n, scaler: -3, unit: 'Wh' },
    { obis: OBIS.energyExport, value: 98_765n, scaler: 1, unit: 'Wh' },
    { obis: OBIS.power, value: -5n, scaler: 0, unit: 'W' },
  ],
}
const ocmfOf = (one: Reading): string => {
  const readings = [{ reading: one, context: sampleContext, hash: new Uint8Array(32) }]
  const payload = must(writeOcmfPayload({ series: 'T', number: 1, readings, station: { gateway: 'Tieline' } }))
  return ocmfText(payload, signer.signNow(utf8(payload)))
}
/** Once: no two signatures of a message are alike. */
const ocmf = ocmfOf(reading)
const value = (change: Partial<OcppValue> = {}): OcppValue => ({
  reading,
  ocmf,
  publicKey: signer.publicKey,
  location: 'Outlet',
  ...change,
})
const base64 = (text: string): string => Buffer.from(text, 'base64').toString('latin1')
const sampled = (version: OcppVersion, change: Partial<OcppValue> = {}) =>
  JSON.parse(writeJson(must(ocppMeterValue(version, value(change))))).sampledValue

test('a meter value of OCPP 2 has exact totals, and what was signed beside the register of the deal', () => {
  const text = writeJson(must(ocppMeterValue('2.0.1', value({ ocmf: 'OCMF|{}|{}', publicKey: undefined! }))))
  const unit = '"unitOfMeasure":{"unit":"Wh","multiplier":0}'
  const signed = '{"signedMeterData":"T0NNRnx7fXx7fQ==","signingMethod":"","encodingMethod":"OCMF","publicKey":""}'
  assert.is(
    text,
    [
      '{"timestamp":"2026-11-18T11:06:40.000Z","sampledValue":[',
      '{"value":1152921504606846.977,"context":"Transaction.End","measurand":"Energy.Active.Import.Register",',
      `"location":"Outlet",${unit}},`,
      '{"value":987650,"context":"Transaction.End","measurand":"Energy.Active.Export.Register",',
      `"location":"Outlet","signedMeterValue":${signed},${unit}}]}`,
    ].join(''),
  )
})

test('in OCPP 1.6 the same object is the text of a signed sampled value, behind the raw one', () => {
  const [raw, exported, signed, ...more] = sampled('1.6')
  assert.equal(more, [])
  const of = { context: 'Transaction.End', location: 'Outlet', unit: 'Wh' }
  const [imports, exports] = ['Energy.Active.Import.Register', 'Energy.Active.Export.Register']
  assert.equal(raw, { ...of, value: '1152921504606846.977', measurand: imports, format: 'Raw' })
  assert.equal(exported, { ...of, value: '987650', measurand: exports, format: 'Raw' })
  assert.equal({ ...signed, value: '' }, { ...of, value: '', measurand: exports, format: 'SignedData' })
  assert.equal(JSON.parse(signed.value), sampled('2.0.1')[1].signedMeterValue)
  assert.equal(Object.keys(JSON.parse(signed.value)), [
    'signedMeterData',
    'signingMethod',
    'encodingMethod',
    'publicKey',
  ])
})

test('the key is the one of the note, and with it OpenSSL accepts what the data decode to', () => {
  const { signedMeterData, publicKey } = sampled('2.1')[1].signedMeterValue
  // The first characters of the example in section 5.3.
  assert.match(publicKey, /^b2NhOmJhc2UxNjphc24xOjMwN/)
  const [marker, encoding, type, printed, ...more] = base64(publicKey).split(':')
  assert.equal([marker, encoding, type, more], ['oca', 'base16', 'asn1', []])
  const key = createPublicKey({ key: Buffer.from(fromHex(printed!)!), format: 'der', type: 'spki' })
  const [head, payload, signature] = base64(signedMeterData).split('|')
  assert.is(head, 'OCMF')
  const der = fromHex(JSON.parse(signature!).SD)!
  assert.ok(verify('sha256', utf8(payload!), key, der))
  assert.not.ok(verify('sha256', utf8(payload!.replace('987.65', '987.66')), key, der))
})

test('a whole session fits every version; with the envelopes inside it takes 2.1', () => {
  const begin: Reading = { ...reading, reason: 'begin', registers: energies(99_999_999_000n, 99_999_999_000n) }
  const end: Reading = { ...begin, sequence: 2, reason: 'end' }
  const readings = [begin, end].map(one => ({ reading: one, context: sampleContext, hash: new Uint8Array(32) }))
  const take = (version: OcppVersion, attached?: readonly Uint8Array[]) => {
    const of = { series: 'T', number: Number.MAX_SAFE_INTEGER, readings, station: { gateway: 'Tieline' } } as const
    const payload = must(writeOcmfPayload({ ...of, ...(attached === undefined ? {} : { attached }) }))
    return ocppMeterValue(version, value({ reading: end, ocmf: ocmfText(payload, signer.signNow(utf8(payload))) })).ok
  }
  // As long as a context and two readings of a session are.
  const envelopes = [231, 226, 226].map(length => new Uint8Array(length))
  assert.equal([take('1.6'), take('2.0.1'), take('2.1')], [true, true, true])
  assert.equal([take('2.0.1', envelopes), take('2.1', envelopes)], [false, true])
})

test('each reason has its context, and what was signed goes with import where no deal says otherwise', () => {
  const reasons = ['periodic', 'begin', 'end', 'exception', 'power-fail'] as const
  assert.is(
    reasons.map(reason => sampled('2.0.1', { reading: { ...reading, reason } })[0].context).join(' '),
    'Sample.Periodic Transaction.Begin Transaction.End Other Transaction.End',
  )
  const { session: _, ...free } = reading
  assert.ok('signedMeterValue' in sampled('2.0.1', { reading: free })[0])
  const only = { ...free, registers: energies(1n, 2n).slice(1) }
  assert.ok('signedMeterValue' in sampled('2.0.1', { reading: only })[0])
})

test('data longer than a version takes and a reading without a total are refused', () => {
  const codeOf = (version: OcppVersion, change: Partial<OcppValue>) => {
    const made = ocppMeterValue(version, value(change))
    return made.ok ? 'made' : made.fault.code
  }
  // 1875 bytes are 2500 characters of base64.
  for (const version of ['1.6', '2.0.1'] as const) {
    assert.is(codeOf(version, { ocmf: 'x'.repeat(1875) }), 'made')
    assert.is(codeOf(version, { ocmf: 'x'.repeat(1876) }), 'ocpp.too-long')
  }
  assert.is(codeOf('2.1', { ocmf: 'x'.repeat(24_576) }), 'made')
  assert.is(codeOf('2.1', { ocmf: 'x'.repeat(24_577) }), 'ocpp.too-long')
  assert.is(codeOf('2.1', { reading: { ...reading, reason: 'gap', registers: [] } }), 'ocpp.no-energy')
})

test.run()
