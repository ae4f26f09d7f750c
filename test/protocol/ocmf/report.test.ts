import { judgeCharging, splitSignedTexts } from '../../../protocol/ocmf/report.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, END, payloadOf, signed, stationOn, verifier } from './foreign.ts'

const test = suite('charging reports')

const station = stationOn('secp256r1')
const begun = signed(payloadOf({}, BEGIN))
const ended = signed(payloadOf({ PG: 'T8' }, END))

test('a text is parted where lines begin with a record, and records may have lines', () => {
  const long = signed(JSON.stringify(JSON.parse(payloadOf()), null, 2).replaceAll('\n', '\r\n'))
  const entries = must(splitSignedTexts(`\ufeff\n${begun}\r\n${ended}\n\n${long}\nAP;0;3;A;B;C;\n`))
  assert.equal(
    entries.map(({ format }) => format),
    ['OCMF', 'OCMF', 'OCMF', 'ALFEN'],
  )
  assert.ok(judgeCharging(entries.slice(0, 2), [station.key], verifier).complete)
  assert.ok(judgeCharging(entries.slice(2, 3), [station.key], verifier).complete)
  for (const text of ['', ' \n', '{}', `note\n${begun}`, 'ocmf|{}|{}'])
    assert.is((splitSignedTexts(text) as { fault: { code: string } }).fault.code, 'charging.nothing', text)
  assert.is((splitSignedTexts('OCMF|\n'.repeat(10_001)) as { fault: { code: string } }).fault.code, 'charging.too-many')
  assert.is((splitSignedTexts('x'.repeat(8_388_609)) as { fault: { code: string } }).fault.code, 'charging.too-long')
})

test('the key that is given goes before the one in the file, and the report says which was used', () => {
  const entries = [begun, ended].map(text => ({ format: 'OCMF', text, key: station.key }))
  assert.is(judgeCharging(entries, [], verifier).runs[0]!.keyFrom, 'file')
  assert.is(judgeCharging(entries, [station.key], verifier).runs[0]!.keyFrom, 'given')
  const other = judgeCharging(entries, [stationOn('brainpoolP256r1').key], verifier)
  assert.equal([other.ok, other.runs[0]!.authentic, other.runs[0]!.keyFrom], [false, false, undefined])
  assert.equal(judgeCharging([{ format: 'OCMF', text: begun }], [], verifier).runs[0]!.broken[0]!.code, 'ocmf.no-key')
})

test('of several keys each run has the one that signed it', () => {
  const other = stationOn('secp256k1')
  const entries = [
    { format: 'OCMF', text: signed(payloadOf()), transaction: 'a' },
    { format: 'OCMF', text: signed(payloadOf({ MS: 'M-2' }), other), transaction: 'b' },
  ]
  const report = judgeCharging(entries, [station.key, other.key], verifier)
  assert.equal([report.complete, report.runs.map(({ who }) => who?.curve)], [true, ['secp256r1', 'secp256k1']])
  const strangers = judgeCharging(entries, [other.key, stationOn('secp384r1').key], verifier)
  assert.equal(
    strangers.runs.map(({ ok }) => ok),
    [false, true],
  )
})

test('one transaction signed twice under two names is billed once', () => {
  const named = (transaction: string, payload: string) => ({ format: 'OCMF', text: signed(payload), transaction })
  const codesOf = (...entries: { format: string; text: string; transaction: string }[]) =>
    judgeCharging(entries, [station.key], verifier).runs.map(({ broken, complete }) =>
      complete ? 'complete' : broken.map(({ code }) => code).join(),
    )
  const whole = named('a', payloadOf())
  const after = { TM: '2024-02-29T14:00:00,000+0100 S' }
  assert.equal(codesOf(whole, named('b', payloadOf({ PG: 'T9' }))), ['complete', 'charging.overlaps'])
  assert.equal(codesOf(whole, named('b', payloadOf({ PG: 'T9', MS: 'M-2' }))), ['complete', 'complete'])
  const next = payloadOf({ PG: 'T9' }, { ...END, TX: 'B' }, { ...END, ...after })
  assert.equal(codesOf(whole, named('b', next)), ['complete', 'complete'], 'begun when the other ended')
})

test('one key in two forms is one; two keys in one run are a broken rule', () => {
  const base64 = Buffer.from(station.key, 'hex').toString('base64')
  const entries = (second: string) => [
    { format: 'OCMF', text: begun, key: station.key },
    { format: 'OCMF', text: ended, key: second },
  ]
  assert.ok(judgeCharging(entries(base64), [], verifier).complete)
  const report = judgeCharging(entries(stationOn('secp256k1').key), [], verifier)
  assert.equal(
    report.runs[0]!.broken.map(({ code }) => code),
    ['charging.keys-differ'],
  )
  assert.equal([report.ok, report.complete, report.runs[0]!.transactions[0]!.energies], [false, false, []])
})

test('a record that stands twice in a file is billed once, whatever the file calls it', () => {
  const text = signed(payloadOf())
  const entries = ['a', 'b'].map(transaction => ({ format: 'OCMF', text, transaction }))
  const report = judgeCharging(entries, [station.key], verifier)
  assert.equal(
    report.runs.map(({ complete, broken }) => [complete, broken.map(({ code, before }) => `${code} ${before}`)]),
    [
      [true, []],
      [false, ['charging.repeated 1']],
    ],
  )
  assert.not(report.ok)
})

test('records are runs by format and by the transaction that the container names', () => {
  const entries = [
    { format: 'OCMF', text: begun, transaction: 'a' },
    { format: 'SML_EDL40_P', text: '00' },
    { format: 'OCMF', text: signed(payloadOf({ PG: 'T90', MS: 'M-2' })), transaction: 'b' },
    { format: 'OCMF', text: ended, transaction: 'a' },
  ]
  const report = judgeCharging(entries, [station.key], verifier)
  assert.equal(
    report.runs.map(({ transaction, records, ok, broken }) => [
      transaction,
      records,
      ok,
      broken.map(({ code }) => code),
    ]),
    [
      ['a', [1, 4], true, []],
      [undefined, [2], false, ['charging.format']],
      ['b', [3], true, []],
    ],
  )
  assert.equal([report.ok, report.complete], [false, false])
  assert.equal(judgeCharging([], [station.key], verifier), { ok: false, complete: false, runs: [] })
})

test.run()
