import { equalBytes, hex, toHex } from '../../../protocol/bytes.ts'
import { type Cbor, decode, encode } from '../../../protocol/cbor.ts'
import { encodeContext, parseContext } from '../../../protocol/reading/context.ts'
import { encodeReading, parseReading, type Reading, registerEnergy } from '../../../protocol/reading/reading.ts'
import { must } from '../../../protocol/result.ts'
import { type MeterValue, OBIS } from '../../../protocol/telegram/obis.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { contextOf, energies, firstReading, sampleContext, sealReading } from './sample.ts'

const test = suite('reading')

const reference = new Uint8Array(8).fill(0xc0)
const previous = new Uint8Array(32).fill(0xaa)
const plain: Reading = { ...firstReading(reference), sequence: 70_000, previous, operatingSeconds: 315_360_000 }

/** The same payload with one key changed or, where undefined, left out. */
const mutated = (key: number, value: Cbor | undefined): Uint8Array => {
  const map = new Map(must(decode(encodeReading(plain))) as ReadonlyMap<number, Cbor>)
  if (value === undefined) map.delete(key)
  else map.set(key, value)
  return encode(map)
}

const codeOf = (payload: Uint8Array): string => {
  const parsed = parseReading(payload)
  return parsed.ok ? 'accepted' : parsed.fault.code
}

test('the bytes of a reading are these and no others', () => {
  const bytes = hex(`
    a8
      01 48 c0c0c0c0c0c0c0c0
      02 01
      03 0c
      04 1b 000001a1ee565e00
      05 02
      06 82
        84 46 0100010800ff 1a 075bcd15 00 18 1e
        84 46 0100020800ff 1a 05e30a78 00 18 1e
      07 01
      08 00`)
  const reading: Reading = { ...firstReading(reference), status: ['restarted'] }
  assert.is(toHex(encodeReading(reading)), toHex(bytes))
  assert.equal(must(parseReading(bytes)), reading)
})

test('the bytes of a context are these and no others', () => {
  const bytes = encodeContext(sampleContext)
  assert.is(
    toHex(bytes),
    toHex(
      hex(`
    aa
      01 71 7469656c696e652f72656164696e672f31
      02 51 ${toHex(sampleContext.device)}
      03 68 3139303431323334
      04 6e 65617374726f6e2d73646d363330
      05 5820 ${'5f'.repeat(32)}
      06 5820 ${toHex(sampleContext.key)}
      07 01
      08 63 6e7470
      09 00
      0a 01`),
    ),
  )
  assert.equal(must(parseContext(bytes)), sampleContext)
})

test('an envelope takes at most 200 bytes for two energy registers and 240 for five registers', async () => {
  const { hash } = await contextOf()
  const base = { ...plain, context: hash.subarray(0, 8) }
  // 2^32 - 1 Wh is 4.3 TWh: more than a house counts in its meter's life.
  const worst = 2n ** 32n - 1n
  const two = await sealReading({ ...base, registers: energies(worst, worst) })
  const five: MeterValue[] = [
    ...energies(worst, worst),
    { obis: OBIS.power, value: -43_470_000n, scaler: -3, unit: 'W' },
    { obis: OBIS.voltageL1, value: 2301n, scaler: -1, unit: 'V' },
    { obis: OBIS.frequency, value: 4998n, scaler: -2, unit: 'Hz' },
  ]
  const full = await sealReading({ ...base, registers: five, status: ['restarted', 'gap-before', 'clock-set'] })
  assert.ok(two.length <= 200, `${two.length} bytes`)
  assert.ok(full.length <= 240, `${full.length} bytes`)
})

test('whatever is written reads back the same', () => {
  const register = fc.record(
    {
      obis: fc.constantFrom(...Object.values(OBIS), '1-0:1.8.1', '0-1:24.2.1*7'),
      value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
      scaler: fc.integer({ min: -9, max: 9 }),
      unit: fc.constantFrom('W', 'Wh', 'varh', 'V', 'A', 'Hz'),
    },
    { noNullPrototype: true },
  )
  const arbitrary = fc.record({
    sequence: fc.integer({ min: 2, max: Number.MAX_SAFE_INTEGER }),
    operatingSeconds: fc.maxSafeNat(),
    time: fc.integer({ min: 0, max: 253_402_300_799_999 }).map(instant),
    quality: fc.constantFrom('unknown', 'informative', 'synchronised', 'relative'),
    registers: fc.uniqueArray(register, { minLength: 1, maxLength: 8, selector: r => r.obis }),
    status: fc.subarray(['restarted', 'gap-before', 'clock-set', 'before-sync']),
    errors: fc.subarray(['energy', 'time']),
    reason: fc.constantFrom('periodic', 'begin', 'end', 'exception', 'power-fail'),
  }) as fc.Arbitrary<Omit<Reading, 'context'>>
  assertProperty(
    fc.property(arbitrary, fc.uint8Array({ minLength: 1, maxLength: 32 }), (some, nonce) => {
      const reading: Reading = {
        ...some,
        context: reference,
        previous,
        nonce,
        session: { contract: previous, line: 'L1', direction: 'export' },
      }
      const bytes = encodeReading(reading)
      const back = must(parseReading(bytes))
      assert.ok(equalBytes(encodeReading(back), bytes))
      const sorted = (values: readonly MeterValue[]) => [...values].sort((a, b) => (a.obis < b.obis ? -1 : 1))
      assert.equal({ ...back, registers: sorted(back.registers) }, { ...reading, registers: sorted(reading.registers) })
    }),
  )
})

test('registers in another order are the same bytes, and a register given twice is our own bug', () => {
  const [a, b] = energies(5n, 6n) as [MeterValue, MeterValue]
  assert.ok(equalBytes(encodeReading({ ...plain, registers: [b, a] }), encodeReading({ ...plain, registers: [a, b] })))
  assert.throws(() => encodeReading({ ...plain, registers: [a, { ...a, obis: '1-0:1.8.0*255' }] }), /twice/)
  assert.throws(() => encodeReading({ ...plain, registers: [{ ...a, obis: 'energy' }] }), /not an OBIS name/)
})

test('every field out of its bounds is refused', () => {
  const obis = hex('0100010800ff')
  const good = [obis, 5, 0, 30]
  const cases: [what: string, key: number, value: Cbor | undefined, code: string][] = [
    ['nothing changed', 3, 7, 'accepted'],
    ['a context of 7 bytes', 1, new Uint8Array(7), 'record.shape'],
    ['sequence 0', 2, 0, 'record.shape'],
    ['a negative sequence', 2, -1, 'record.shape'],
    ['a sequence beyond 2^53', 2, 2n ** 60n, 'record.shape'],
    ['no operating seconds', 3, undefined, 'record.missing'],
    ['a time before 1970', 4, -1, 'record.shape'],
    ['a time after the year 9999', 4, 253_402_300_800_000, 'record.shape'],
    ['an unknown time quality', 5, 4, 'record.shape'],
    ['registers that are no list', 6, 1, 'record.shape'],
    ['an OBIS name of 5 bytes', 6, [[obis.subarray(1), 5, 0, 30]], 'record.shape'],
    ['a register of three', 6, [[obis, 5, 0]], 'record.shape'],
    ['a value beyond 63 bits', 6, [[obis, 2n ** 63n, 0, 30]], 'record.shape'],
    ['a text for a value', 6, [[obis, '5', 0, 30]], 'record.shape'],
    ['scaler 10', 6, [[obis, 5, 10, 30]], 'record.shape'],
    ['an unknown unit', 6, [[obis, 5, 0, 200]], 'record.shape'],
    ['the same register twice', 6, [good, good], 'record.shape'],
    ['registers out of order', 6, [[hex('0100020800ff'), 5, 0, 30], good], 'record.shape'],
    [
      '33 registers',
      6,
      Array.from({ length: 33 }, (_, i) => [Uint8Array.of(1, 0, i, 8, 0, 255), 5, 0, 30]),
      'record.shape',
    ],
    ['no registers, but not a gap', 6, [], 'reading.registers'],
    ['a gap that has registers', 8, 5, 'reading.registers'],
    ['status without a flag', 7, 0, 'record.shape'],
    ['an unknown flag', 7, 16, 'record.shape'],
    ['an unknown reason', 8, 6, 'record.shape'],
    ['no previous hash after the first', 9, undefined, 'reading.first'],
    ['a first reading with a previous hash', 2, 1, 'reading.first'],
    ['a previous hash of 31 bytes', 9, new Uint8Array(31), 'record.shape'],
    ['a session without a line', 10, new Map([[1, previous]]), 'record.missing'],
    ['an empty nonce', 11, new Uint8Array(0), 'record.shape'],
    ['no error flag', 12, 0, 'record.shape'],
    ['an unknown error', 12, 4, 'record.shape'],
    ['an unknown key', 13, 0, 'record.unknown-key'],
    ['a text key', 'x' as unknown as number, 0, 'record.unknown-key'],
  ]
  for (const [what, key, value, code] of cases) assert.is(codeOf(mutated(key, value)), code, what)
})

test('a payload cut anywhere, or with a byte more, is refused', () => {
  const bytes = encodeReading(plain)
  for (let n = 0; n < bytes.length; n++) assert.is.not(codeOf(bytes.subarray(0, n)), 'accepted', `cut at ${n}`)
  assert.is(codeOf(Uint8Array.of(...bytes, 0)), 'cbor.malformed')
  assert.is(codeOf(new Uint8Array(901)), 'cbor.too-long')
})

test('a context out of its bounds is refused', () => {
  const change = (key: number, value: Cbor) => {
    const map = new Map(must(decode(encodeContext(sampleContext))) as ReadonlyMap<number, Cbor>)
    const parsed = parseContext(encode(map.set(key, value)))
    return parsed.ok ? 'accepted' : parsed.fault.code
  }
  assert.is(change(10, 2), 'accepted')
  const bad: [number, Cbor][] = [
    [1, 'tieline/reading/2'],
    [2, new Uint8Array(6)],
    [3, ''],
    [3, 'tab\t'],
    [4, 'Page'],
    [5, new Uint8Array(31)],
    [6, new Uint8Array(31)],
    [7, 5],
    [8, 'NTP'],
    [9, -1],
    [10, 0],
    [10, 2 ** 32],
  ]
  for (const [key, value] of bad) assert.is(change(key, value), 'record.shape', `key ${key}`)
  assert.is(change(11, 0), 'record.unknown-key')
})

test('a register of energy is read in milliwatt-hours, cut toward zero; anything else is absent', () => {
  const of = (value: bigint, scaler: number, unit: MeterValue['unit'] = 'Wh') =>
    registerEnergy({ registers: [{ obis: OBIS.energyImport, value, scaler, unit }] }, OBIS.energyImport)
  assert.is(of(5n, 0), 5000n)
  assert.is(of(4426n, 3), 4_426_000_000n)
  assert.is(of(1999n, -6), 1n)
  assert.is(of(-1999n, -6), -1n)
  assert.is(of(5n, 0, 'W'), undefined)
  assert.is(registerEnergy({ registers: energies(1n, 2n).slice(0, 1) }, OBIS.energyExport), undefined)
})

test.run()
