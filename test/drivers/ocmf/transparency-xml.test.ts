import { readTransparencyXml, writeTransparencyXml } from '../../../drivers/ocmf/transparency-xml.ts'
import { judgeCharging } from '../../../protocol/ocmf/report.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { BEGIN, END, payloadOf, signed, stationOn, verifier } from '../../protocol/ocmf/foreign.ts'

const test = suite('transparency xml')

const station = stationOn('secp256r1')
const begun = signed(payloadOf({ GI: 'a < b & "c"' }, BEGIN))
const ended = signed(payloadOf({ GI: 'a < b & "c"', PG: 'T8' }, END))
const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

const valueWith = (
  data: string,
  attributes = 'format="OCMF" encoding="plain"',
  key = `<publicKey encoding="hex">${station.key}</publicKey>`,
) => `<value transactionId="1" context="Transaction.Begin"><signedData ${attributes}>${data}</signedData>${key}</value>`
const fileOf = (...values: string[]) =>
  `<?xml version="1.0" encoding="UTF-8"?>\n<values>\n${values.join('\n')}\n</values>\n`
const refusal = (text: string): string => {
  const result = readTransparencyXml(text)
  return result.ok ? 'taken' : result.fault.code
}

test('records and keys are read in their order, in each encoding, escaped or as CDATA', () => {
  const ways = [
    fileOf(valueWith(escaped(begun)), valueWith(escaped(ended))),
    fileOf(valueWith(`<![CDATA[${begun}]]>`), valueWith(`<![CDATA[${ended}]]>`)),
    fileOf(
      ...[begun, ended].map(text => valueWith(Buffer.from(text).toString('base64'), 'format="OCMF" encoding="base64"')),
    ),
    fileOf(...[begun, ended].map(text => valueWith(Buffer.from(text).toString('hex'), 'format="OCMF" encoding="hex"'))),
    fileOf(...[begun, ended].map(text => valueWith(escaped(text), 'format="OCMF" transactionId="29"'))).replaceAll(
      '><',
      '>\n  <',
    ),
  ]
  for (const file of ways) {
    const entries = must(readTransparencyXml(file))
    assert.equal(
      entries.map(({ text }) => text),
      [begun, ended],
    )
    assert.equal(entries[0], { format: 'OCMF', text: begun, key: station.key, transaction: '1' })
    assert.ok(judgeCharging(entries, [], verifier).complete)
  }
})

test('what is written is read back, whatever is signed', () => {
  const text = fc.string({
    unit: fc.constantFrom(...'OCMF|{}":,&<>\'\t\n\r ]]>aé€', '😀'),
    minLength: 1,
    maxLength: 60,
  })
  const record = fc.record(
    {
      format: fc.constantFrom('OCMF', 'ALFEN'),
      text: text.filter(it => it.trim() !== ''),
      transaction: fc.constantFrom('1', '2'),
    },
    { requiredKeys: ['format', 'text'], noNullPrototype: true },
  )
  assertProperty(
    fc.property(fc.array(record, { minLength: 1, maxLength: 4 }), records => {
      assert.equal(must(readTransparencyXml(writeTransparencyXml(records))), records)
    }),
  )
})

test('a key may be missing, and an unknown format is left to the verdict', () => {
  const [entry] = must(readTransparencyXml(fileOf(valueWith('1B1B', 'format="SML_EDL40_P" encoding="plain"', ''))))
  assert.equal(entry, { format: 'SML_EDL40_P', text: '1B1B', transaction: '1' })
  assert.is(judgeCharging([entry!], [], verifier).runs[0]!.broken[0]!.code, 'charging.format')
})

test('a file that defines its own words is refused, and none is expanded', () => {
  const bomb = `<!DOCTYPE values [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>${fileOf(valueWith('&b;')).slice(39)}`
  assert.is(refusal(bomb), 'xml.doctype')
  assert.is(refusal('<!DOCTYPE values SYSTEM "file:///etc/passwd"><values/>'), 'xml.doctype')
  assert.is(refusal(fileOf(valueWith('&b;'))), 'xml.syntax')
})

test('what is no such file is refused by its name', () => {
  for (const text of [
    '',
    'OCMF|{}|{}',
    '<values>',
    '<values></value>',
    '<values><value></values>',
    `${fileOf(valueWith('x'))}<values/>`,
    fileOf(valueWith('a\u0000b')),
  ])
    assert.is(refusal(text), 'xml.syntax', text)
  assert.is(refusal('<Billing/>'), 'xml.root')
  assert.is(refusal('<values/>'), 'xml.no-values')
  assert.is(refusal('<values><value/></values>'), 'xml.no-signed-data')
  assert.is(refusal(fileOf('<value><signedData>x</signedData><signedData>y</signedData></value>')), 'xml.element-twice')
  assert.is(refusal(fileOf(valueWith('x', 'encoding="base32"'))), 'xml.encoding')
  assert.is(refusal(fileOf(valueWith('x', 'encoding="hex"'))), 'xml.not-encoded')
  assert.is(refusal(fileOf(valueWith('ff', 'encoding="hex"'))), 'xml.not-encoded')
  assert.is(refusal(`<values>${'<a>'.repeat(50)}`), 'xml.too-deep')
  assert.is(refusal(fileOf(...Array(10_001).fill('<value><signedData>x</signedData></value>'))), 'xml.too-many-values')
  assert.is(refusal('x'.repeat(8_388_609)), 'xml.too-long')
})

test('a hostile file costs time in proportion to its length', () => {
  // What other programs take of this machine does not count.
  const before = process.cpuUsage()
  assert.is(refusal(`<values>${'<a>'.repeat(1_000_000)}`), 'xml.too-deep')
  assert.is(refusal(`<values${' a="1"'.repeat(100_000)}`), 'xml.syntax')
  assert.is(
    refusal(
      fileOf(valueWith(' '.repeat(2_000_000), 'encoding="hex"', `<publicKey>${' '.repeat(2_000_000)}</publicKey>`)),
    ),
    'taken',
  )
  const { user } = process.cpuUsage(before)
  assert.ok(user < 10_000_000, `${user} microseconds`)
}, 120_000)

test('a charset that the text was not read in is refused where it matters', () => {
  const inLatin = (text: string) => fileOf(valueWith(text)).replace('UTF-8', 'ISO-8859-1')
  assert.is(refusal(inLatin('abc')), 'taken')
  assert.is(refusal(inLatin('\u00fc')), 'xml.charset')
  assert.is(refusal(fileOf(valueWith('\u00fc'))), 'taken')
})

test('a byte order mark and blanks may stand in front', () => {
  assert.is(refusal(`\ufeff\n${fileOf(valueWith('abc'))}`), 'taken')
})

test('names in the container are shown without what would move a cursor', () => {
  const [entry] = must(readTransparencyXml(fileOf(valueWith('abc', 'format="a&#10;b"')).replace('"1"', '"1&#x202e;"')))
  assert.equal([entry!.format, entry!.transaction], ['a?b', '1?'])
})

test('text of elements within signed data is no part of it', () => {
  const [entry] = must(readTransparencyXml(fileOf(valueWith('a<b>hidden</b>c<!-- nor this -->d'))))
  assert.is(entry!.text, 'acd')
})

test('a record that no verdict would be on, as it stands elsewhere or is named otherwise, is refused', () => {
  const good = valueWith('abc')
  for (const other of [
    `<group>${good}</group>`,
    '<value><signedData>x</signedData><a><signedData>y</signedData></a></value>',
    '<value><signedData>x<signedData>y</signedData></signedData></value>',
    '<Value><signedData>x</signedData></Value>',
    '<s:value><s:signedData>x</s:signedData></s:value>',
    '<value><signedData>x</signedData><SignedData>y</SignedData></value>',
  ])
    assert.is(refusal(fileOf(good, other)), 'xml.misplaced', other)
})

test('any text is answered', () => {
  const file = fileOf(valueWith(escaped(begun)))
  assertProperty(
    fc.property(
      fc.nat(file.length),
      fc.nat(20),
      fc.string({ unit: fc.constantFrom(...'<>/&;!?="[]- valuesgnDtKyCA') }),
      (at, drop, put) => {
        const result = readTransparencyXml(file.slice(0, at) + put + file.slice(at + drop))
        assert.ok(result.ok || result.fault.code.startsWith('xml.'))
      },
    ),
    1000,
  )
})

test.run()
