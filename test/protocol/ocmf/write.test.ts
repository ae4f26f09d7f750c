import { toHex } from '../../../protocol/bytes.ts'
import {
  type OcmfRecord,
  ocmfPage,
  ocmfSession,
  type ReadingInContext,
  writeOcmfPayload,
} from '../../../protocol/ocmf/write.ts'
import type { Reading } from '../../../protocol/reading/reading.ts'
import { type MeterValue, OBIS } from '../../../protocol/telegram/obis.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { sampleContext } from '../reading/sample.ts'
import { begin, end, inContext, record, session, textOf } from './sample.ts'

const test = suite('ocmf: write')

const codeOf = (change: Partial<OcmfRecord>): string => {
  const payload = writeOcmfPayload(record(change))
  return payload.ok ? 'written' : 'reason' in payload.fault ? payload.fault.reason : payload.fault.code
}
test('the text of a transaction is this and no other', () => {
  const [head, payload, signature] = textOf().split('|')
  assert.is(head, 'OCMF')
  const both = (time: string, tx: string) => `{"TM":"${time} S","TX":"${tx}","RV":`
  const [at, till] = ['2026-11-18T11:06:40,000+0000', '2026-11-18T12:06:40,007+0000']
  assert.is(
    payload,
    [
      `{"FV":"1.4","GI":"Tieline G1","GS":"${toHex(sampleContext.device)}","GV":"${'5f'.repeat(32)}","PG":"T1",`,
      '"MM":"eastron-sdm630","MS":"19041234","IS":false,"IL":"NONE","IF":[],"IT":"NONE",',
      `"TT":"${'c7'.repeat(32)}","RD":[`,
      `${both(at, 'B')}123456.789,"RI":"01-00:B0.08.00*FF","RU":"kWh","RT":"AC","EF":"","ST":"G"},`,
      `${both(at, 'B')}98765.432,"RI":"01-00:C0.08.00*FF","RU":"kWh","RT":"AC","EF":"","ST":"G"},`,
      `${both(at, 'B')}0.000,"RI":"01-00:B2.08.00*FF","RU":"kWh","RT":"AC","EF":"","ST":"G"},`,
      `${both(till, 'E')}123468.801,"RI":"01-00:B0.08.00*FF","RU":"kWh","RT":"AC","EF":"","ST":"G"},`,
      `${both(till, 'E')}98765.432,"RI":"01-00:C0.08.00*FF","RU":"kWh","RT":"AC","EF":"","ST":"G"},`,
      `${both(till, 'E')}12.012,"RI":"01-00:B2.08.00*FF","RU":"kWh","RT":"AC","EF":"","ST":"G"}],`,
      `"XR":["${'05'.repeat(32)}","${'09'.repeat(32)}"]}`,
    ].join(''),
  )
  assert.match(signature!, /^\{"SA":"ECDSA-secp256r1-SHA256","SD":"30[0-9A-F]{134,142}"\}$/)
})

test('outside of a transaction there is no user, no reason and no register of a transaction', () => {
  const { RD, ...head } = JSON.parse(textOf({ series: 'F', number: 17, readings: [begin, end] }).split('|')[1]!)
  assert.is(head.PG, 'F17')
  for (const name of ['IS', 'IL', 'IF', 'IT', 'ID', 'TT']) assert.not.ok(name in head, name)
  for (const entry of RD) assert.not.ok('TX' in entry)
  assert.equal([...new Set(RD.map((entry: { RI: string }) => entry.RI))], ['01-00:B0.08.00*FF', '01-00:C0.08.00*FF'])
})

test('each reason, quality and error has its letter, and a gap has no value', () => {
  const one = (reading: Partial<Reading>, series: 'T' | 'F' = 'T') =>
    JSON.parse(textOf({ series, readings: [inContext(reading)] }).split('|')[1]!).RD[0]
  const letters = ['begin', 'periodic', 'exception', 'end', 'power-fail'] as const
  assert.is(letters.map(reason => one({ reason }).TX).join(''), 'BCXEP')
  const qualities = ['unknown', 'informative', 'synchronised', 'relative'] as const
  assert.is(qualities.map(quality => one({ quality }).TM.slice(-2)).join(''), ' U I S R')
  const flagged = [[], ['energy'], ['time'], ['energy', 'time']] as const
  assert.equal(
    flagged.map(errors => one({ errors })).map(({ EF, ST }) => `${EF}${ST}`),
    ['G', 'EF', 'tG', 'EtF'],
  )
  const gap = one({ reason: 'gap', registers: [] }, 'F')
  assert.equal(gap, { TM: '2026-11-18T11:06:40,000+0000 S', EF: '', ST: 'T' })
  assert.is(one({ time: instant(0), quality: 'unknown' }).TM, '1970-01-01T00:00:00,000+0000 U')
})

test('what the meter gives is told digit by digit, whatever the scaler', () => {
  const cases: [value: bigint, scaler: number, kWh: string][] = [
    [0n, 0, '0.000'],
    [1n, 0, '0.001'],
    [-1n, 0, '-0.001'],
    [1000n, 0, '1.000'],
    [123n, -1, '0.0123'],
    [5n, 3, '5'],
    [5n, 9, '5000000'],
    [-5n, 4, '-50'],
    [7n, -9, '0.000000000007'],
    [2n ** 63n - 1n, -9, '9223372.036854775807'],
    [-(2n ** 63n), 9, '-9223372036854775808000000'],
  ]
  for (const [value, scaler, kWh] of cases) {
    const registers: MeterValue[] = [{ obis: OBIS.energyImport, value, scaler, unit: 'Wh' }]
    assert.match(textOf({ series: 'F', readings: [inContext({ registers })] }), `"RV":${kWh},`)
  }
})

test('registers have the names of table 25 or their own in hexadecimal, and none has two', () => {
  const names = (...obis: string[]) => {
    const registers = obis.map(name => ({ obis: name, value: 1n, scaler: 0, unit: 'Wh' }) as const)
    const { RD } = JSON.parse(textOf({ series: 'F', readings: [inContext({ registers })] }).split('|')[1]!)
    return RD.map((entry: { RI: string }) => entry.RI).join(' ')
  }
  assert.is(names('1-0:1.8.0', '1-0:2.8.0'), '01-00:B0.08.00*FF 01-00:C0.08.00*FF')
  assert.is(names('1-0:1.8.1', '1-0:15.8.0', '0-1:24.2.1*7'), '01-00:01.08.01*FF 01-00:0F.08.00*FF 00-01:18.02.01*07')
  // 0xb3 is 179: a charger's meter that compensates for its cable has the table's registers itself.
  assert.is(names('1-0:176.8.0', '1-0:179.8.0'), '01-00:B0.08.00*FF 01-00:B3.08.00*FF')
  assert.is(names('1-0:1.8.0', '1-0:176.8.0'), '01-00:01.08.00*FF 01-00:B0.08.00*FF')
})

test('what a transaction moved is exact between two scalers, and in the direction that its deal is about', () => {
  const at = (value: bigint, scaler: number): MeterValue[] => [{ obis: OBIS.energyExport, value, scaler, unit: 'Wh' }]
  const exporting = { ...session, direction: 'export' } as const
  const from = inContext({ sequence: 1, reason: 'begin', session: exporting, registers: at(99_999n, -1) })
  const between = inContext({ sequence: 2, session: exporting, registers: at(10_000_000_001n, -6) })
  const to = inContext({ sequence: 3, reason: 'end', session: exporting, registers: at(12n, 3) })
  const { RD } = JSON.parse(textOf({ readings: [from, between, to] }).split('|')[1]!)
  const text = textOf({ readings: [from, between, to] })
  assert.is(RD.length, 6)
  for (const moved of ['0.0000', '0.000100001', '2.0001']) {
    assert.match(text, `"RV":${moved},"RI":"01-00:C2.08.00*FF"`)
  }
  assert.is(codeOf({ readings: [inContext({ ...from.reading, registers: at(13n, 3) }), to] }), 'ocmf.counter-fell')
  // Alone, a record of the begin or of the end holds nothing to take a difference from.
  for (const reading of [from, to]) assert.not.match(textOf({ readings: [reading] }), 'C2.08')
})

test('readings that do not belong together make no record', () => {
  const other = { ...session, contract: new Uint8Array(32).fill(1) }
  const { session: _, ...free } = end.reading
  const cases: [change: Partial<OcmfRecord>, code: string][] = [
    [{}, 'written'],
    [{ readings: [] }, 'there are none'],
    [{ readings: [end, begin] }, 'they are not in the order of their chain'],
    [{ readings: [begin, begin] }, 'they are not in the order of their chain'],
    [
      { readings: [begin, inContext({ ...end.reading, context: new Uint8Array(8) })] },
      'they were made in different contexts',
    ],
    [{ readings: [begin, inContext({ ...end.reading, session: other })] }, 'they are of different deals'],
    [{ readings: [begin, { ...end, reading: free }] }, 'they are of different deals'],
    [{ series: 'F', readings: [begin, { ...end, reading: free }] }, 'written'],
    [{ readings: [inContext({ reason: 'gap', registers: [] })] }, 'a gap is not part of a transaction'],
    [
      { readings: [inContext({ registers: [{ obis: OBIS.power, value: 5n, scaler: 0, unit: 'W' }] })] },
      'ocmf.no-energy',
    ],
  ]
  for (const [change, code] of cases) assert.is(codeOf(change), code)
  for (const number of [0, -1, 1.5, 2 ** 53]) assert.throws(() => textOf({ number }), /page number/)
})

test('a page and its meter are read back out of a text, and out of nothing else', () => {
  const meterId = 'a"|\\"PG":"F9"'
  const text = textOf({ number: 12, readings: [{ ...begin, context: { ...sampleContext, meterId } }] })
  assert.equal(ocmfPage(text), { series: 'T', number: 12, meterId })
  for (const other of ['', 'OCMF', 'OCMF||', 'OCMF|{}|{}', text.slice(1), text.replace('"T12"', '"X12"')]) {
    assert.is(ocmfPage(other), undefined, other)
  }
  assertProperty(fc.property(fc.string(), noise => void ocmfPage(`OCMF|${noise}|`)))
})

test('a session is one record, or two where a new context began in between, or none', () => {
  const restarted = inContext({ ...end.reading, context: new Uint8Array(8).fill(2) })
  const shape = (from: ReadingInContext, to: ReadingInContext) => {
    const records = ocmfSession(from, to)
    return records.ok ? records.value.map(one => one.length).join() : 'reason' in records.fault && records.fault.reason
  }
  assert.is(shape(begin, end), '2')
  assert.is(shape(begin, restarted), '1,1')
  assert.is(shape(begin, inContext({ ...end.reading, reason: 'power-fail' })), '2')
  assert.is(shape(end, end), 'the first is no begin')
  assert.is(shape(begin, begin), 'the last is no end')
  const of = (change: Partial<typeof sampleContext>) => ({ ...restarted, context: { ...sampleContext, ...change } })
  assert.is(shape(begin, of({ meterId: '2' })), 'they are of different meters')
  assert.is(shape(begin, of({ device: new Uint8Array(17) })), 'they are of different gateways')
  assert.is(shape(inContext({ ...begin.reading, sequence: 9 }), end), 'they are not in the order of their chain')
  const exported = inContext({ ...end.reading, session: { ...session, direction: 'export' } })
  assert.is(shape(begin, exported), 'they are of different deals')
})

test.run()
