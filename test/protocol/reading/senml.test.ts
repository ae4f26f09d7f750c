import { concat, equalBytes, toHex } from '../../../protocol/bytes.ts'
import type { Context } from '../../../protocol/reading/context.ts'
import type { Reading } from '../../../protocol/reading/reading.ts'
import { type EnvelopedReading, writeSenml } from '../../../protocol/reading/senml.ts'
import { verifyReading } from '../../../protocol/reading/verify.ts'
import { must } from '../../../protocol/result.ts'
import { type MeterValue, OBIS, obisBytes } from '../../../protocol/telegram/obis.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { anyReading } from '../ocmf/sample.ts'
import { contextOf, energies, firstReading, sampleContext, sealContext, sealReading, verifier } from './sample.ts'

const test = suite('senml')

/** A record with its base fields put in (RFC 8428 section 4.6): numbers as written. */
interface Resolved {
  readonly name: string
  readonly time: string
  readonly unit: string | undefined
  readonly value: string | boolean
  readonly label: string
}

/** Of the registries of RFC 8428 section 12.1 and RFC 8798 sections 2 and 3, those that a meter could use. */
const UNITS = ['A', 'V', 'W', 'Hz', 'J', 'Cel', 'm3', 's', '/', 'count', 'VA', 'VAs', 'var', 'vars']
const SECONDARY_UNITS = ['kW', 'kVA', 'kvar', 'Wh', 'kWh', 'varh', 'kvarh', 'kVAh', 'h']
const LABELS = ['bver', 'bn', 'bt', 'n', 'u', 'v', 'vs', 'vb', 'vd']

/** Reads a pack by the rules of the RFC, and throws where one is broken. */
function resolve(text: string): Resolved[] {
  // Numbers are put into quotes first: no digit goes through a float. No text of ours has one before a comma or brace.
  const records = JSON.parse(text.replace(/:(-?(?:0|[1-9]\d*)(?:\.\d+)?)(?=[,}])/g, ':"$1"')) as Record<
    string,
    string
  >[]
  assert.equal(JSON.parse(text).length, records.length)
  assert.ok(records.length > 0, 'a pack has a record')
  let [bn, bt] = ['', '0']
  return records.map((record, i) => {
    const labels = Object.keys(record)
    for (const label of labels) assert.ok(LABELS.includes(label), `${label} is a label of ours`)
    assert.is('bver' in record, i === 0)
    if (i === 0) assert.is(record['bver'], '26')
    bn = record['bn'] ?? bn
    bt = record['bt'] ?? bt
    const name = bn + (record['n'] ?? '')
    assert.match(name, /^[A-Za-z0-9][A-Za-z0-9:./_-]*$/)
    assert.ok(Number(bt) >= 2 ** 28, 'an absolute time')
    const values = labels.filter(label => ['v', 'vs', 'vb', 'vd'].includes(label))
    assert.is(values.length, 1)
    const label = values[0]!
    assert.is('u' in record, label === 'v')
    if (label === 'v') assert.ok([...UNITS, ...SECONDARY_UNITS].includes(record['u']!), record['u'])
    if (label === 'vd') assert.match(record['vd']!, /^[A-Za-z0-9_-]+$/)
    return { name, time: bt, unit: record['u'], value: record[label]!, label }
  })
}

const enveloped = async (
  change: Partial<Reading> = {},
  context: Context = sampleContext,
): Promise<EnvelopedReading> => {
  const { hash } = await contextOf(context)
  const draft = { ...firstReading(hash), ...change }
  const reading: Reading = draft.sequence === 1 ? draft : { ...draft, previous: new Uint8Array(32) }
  return { reading, context, envelope: await sealReading(reading), contextEnvelope: await sealContext(context) }
}
/** For values alone. */
const unsigned = (reading: Reading, context: Context = sampleContext): EnvelopedReading => ({
  reading,
  context,
  envelope: Uint8Array.of(1),
  contextEnvelope: Uint8Array.of(2),
})

test('the pack of two readings is this and no other', () => {
  const first = firstReading(new Uint8Array(8))
  const later: Reading = {
    ...first,
    sequence: 2,
    time: instant(1_795_000_015_040),
    registers: [
      { obis: OBIS.energyImport, value: 123_456_790_000n, scaler: -3, unit: 'Wh' },
      { obis: '0-1:24.2.1*7', value: -5n, scaler: 2, unit: 'm3' },
    ],
    quality: 'unknown',
    status: ['before-sync'],
    errors: ['time'],
  }
  const device = toHex(sampleContext.device)
  assert.is(
    must(writeSenml([unsigned(first), unsigned(later)])),
    [
      `[{"bver":26,"bn":"urn:dev:ueid:${device}_19041234:","bt":1795000000.000,"n":"sequence","u":"count","v":1}`,
      '{"n":"1-0:1.8.0","u":"Wh","v":123456789},{"n":"1-0:2.8.0","u":"Wh","v":98765432}',
      '{"n":"operating-time","u":"s","v":12},{"n":"time-quality","vs":"synchronised"},{"n":"reason","vs":"periodic"}',
      '{"n":"context","vd":"Ag"},{"n":"envelope","vd":"AQ"}',
      `{"bn":"urn:dev:ueid:${device}_19041234:","bt":1795000015.040,"n":"sequence","u":"count","v":2}`,
      '{"n":"1-0:1.8.0","u":"Wh","v":123456790.000},{"n":"0-1:24.2.1.7","u":"m3","v":-500}',
      '{"n":"operating-time","u":"s","v":12},{"n":"time-quality","vs":"unknown"},{"n":"reason","vs":"periodic"}',
      '{"n":"status/before-sync","vb":true},{"n":"error/time","vb":true},{"n":"envelope","vd":"AQ"}]',
    ].join(','),
  )
})

test('any reading is told to the last digit, with its time, flags and words', () => {
  assertProperty(
    fc.property(anyReading, any => {
      const time = instant(Math.max(any.time, 2 ** 28 * 1000))
      const reading: Reading = { ...any, time, context: new Uint8Array(8) }
      const records = resolve(must(writeSenml([unsigned(reading)])))
      const base = records[0]!.name.slice(0, -'sequence'.length)
      const told = new Map(records.map(record => [record.name.slice(base.length), record]))
      assert.is(told.size, records.length, 'no name stands twice')
      const exact = (record: Resolved, scaler: number): bigint => {
        const [, sign, whole, decimals = ''] = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(record.value))!
        return BigInt(`${sign}${whole}${decimals.padEnd(scaler, '0')}`)
      }
      for (const { obis, value, scaler } of reading.registers) {
        const record = told.get(obis.replace('*', '.'))!
        assert.is(record.unit, 'Wh')
        assert.is(exact(record, 9), value * 10n ** BigInt(scaler + 9))
        assert.is(exact({ ...record, value: record.time }, 3), BigInt(time))
      }
      assert.is(told.get('sequence')!.value, String(reading.sequence))
      assert.is(told.get('operating-time')!.value, String(reading.operatingSeconds))
      assert.is(told.get('time-quality')!.value, reading.quality)
      assert.is(told.get('reason')!.value, reading.reason)
      const flagged = [...told.keys()].filter(name => /^(?:status|error)\//.test(name))
      const flags = [...reading.status.map(flag => `status/${flag}`), ...reading.errors.map(flag => `error/${flag}`)]
      assert.equal(flagged, flags)
      for (const name of flagged) assert.is(told.get(name)!.value, true)
    }),
  )
})

test('the envelopes inside are the readings as signed, and a context stands where it changes', async () => {
  const second = { ...sampleContext, boot: 2 }
  const all = [
    await enveloped(),
    await enveloped({ sequence: 2, session: { contract: new Uint8Array(32), line: 'L1', direction: 'export' } }),
    await enveloped({ sequence: 3, status: ['restarted'], nonce: Uint8Array.of(1) }, second),
    await enveloped({ sequence: 4, reason: 'gap', registers: [] }, second),
  ]
  const data = resolve(must(writeSenml(all))).filter(({ label }) => label === 'vd')
  assert.equal(
    data.map(({ name }) => name.slice(name.lastIndexOf(':') + 1)),
    ['context', 'envelope', 'envelope', 'context', 'envelope', 'envelope'],
  )
  let context = new Uint8Array(0)
  const back = data.flatMap(({ name, value }) => {
    const bytes = new Uint8Array(Buffer.from(String(value), 'base64url'))
    if (name.endsWith('context')) {
      context = bytes
      return []
    }
    return [must(verifyReading(bytes, context, sampleContext.key, verifier)).reading]
  })
  assert.equal(
    back,
    all.map(({ reading }) => reading),
  )
})

test('no two meters share a name, whatever characters their serials have', () => {
  const baseOf = (meterId: string) =>
    resolve(must(writeSenml([unsigned(firstReading(new Uint8Array(8)), { ...sampleContext, meterId })])))[0]!.name
  assert.ok(baseOf('1 EMH/00-12_3:4.5').endsWith('_1-20EMH-2f00-2d12-5f3-3a4.5:sequence'))
  const serial = fc.string({
    minLength: 1,
    maxLength: 12,
    unit: fc.integer({ min: 0x20, max: 0x7e }).map(c => String.fromCharCode(c)),
  })
  assertProperty(
    fc.property(serial, meterId => {
      const escaped = /_([^_]*):sequence$/.exec(baseOf(meterId))![1]!
      assert.is(
        escaped.replace(/-([0-9a-f]{2})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 16))),
        meterId,
      )
    }),
  )
})

test('a unit that SenML has not is left to the envelope, every other one has its own', () => {
  const units = ['degC', 'm3', 'm3/h', 'J', 'W', 'VA', 'var', 'Wh', 'VAh', 'varh', 'A', 'V', 'Hz', '1'] as const
  const registers: MeterValue[] = units.map((unit, i) => ({ obis: `1-0:${i}.7.0`, value: 1n, scaler: 0, unit }))
  const records = resolve(must(writeSenml([unsigned({ ...firstReading(new Uint8Array(8)), registers })])))
  assert.is(
    records.flatMap(({ name, unit }) => (/\.7\.0$/.test(name) ? unit : [])).join(' '),
    'Cel m3 J W VA var Wh varh A V Hz /',
  )
})

test('a time that SenML would take for “so long ago” is refused, the first that it takes as it is goes out', () => {
  const at = (time: number) => writeSenml([unsigned({ ...firstReading(new Uint8Array(8)), time: instant(time) })])
  for (const time of [0, 109_000, 2 ** 28 * 1000 - 1]) {
    const refused = at(time)
    assert.equal(refused.ok ? 'written' : [refused.fault.code, refused.fault.sequence, refused.fault.time], [
      'senml.time',
      1,
      time,
    ])
  }
  assert.match(must(at(2 ** 28 * 1000)), '"bt":268435456.000')
})

test('no pack is empty of meaning, and one reading changed changes the text', async () => {
  assert.is(must(writeSenml([])), '[]')
  const one = await enveloped()
  const text = must(writeSenml([one]))
  const other = { ...one, envelope: concat(one.envelope.subarray(0, -1), Uint8Array.of(one.envelope.at(-1)! ^ 1)) }
  assert.not.ok(equalBytes(one.envelope, other.envelope))
  assert.is.not(must(writeSenml([other])), text)
  for (const { obis } of energies(1n, 2n)) assert.ok(obisBytes(obis) !== undefined && text.includes(`"n":"${obis}"`))
})

test.run()
