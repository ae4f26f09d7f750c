import { readFileSync } from 'node:fs'
import { concat, hex } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { modelOf, type Point } from '../../../protocol/sunspec/models.ts'
import { cutsOf, meterRegisters, meterValues, type PointValues, readModel } from '../../../protocol/sunspec/reading.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('SunSpec models')

/** The Alliance's own definitions as lines: model, group, offset, name, type, registers, scale, unit. */
const alliance = readFileSync(new URL('alliance-points.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter(line => line !== '' && !line.startsWith('#'))
  .map(line => line.split(' '))

const UNITS: Readonly<Record<string, string>> = {
  '-': '',
  Pct: '%',
  C: 'degC',
  Secs: 's',
  'cos()': '',
  PF: '',
  AH: 'Ah',
  WH: 'Wh',
  Var: 'var',
  Varh: 'varh',
  ohms: 'ohm',
  '%WMax/sec': '%WMax/s',
  '%WChaMax/sec': '%WChaMax/s',
}

test('every point of every model stands where the Alliance puts it, with its type, scale factor and unit', () => {
  for (const [id, group, offset, name, type, registers, scale, unit] of alliance) {
    const model = modelOf(Number(id))!
    const points: readonly Point[] = group === '-' ? model.points : model.group!.points
    const point = points.find(candidate => candidate.offset === Number(offset))!
    const at = `${id} ${name}`
    // Models 202 to 204 call their line voltages PhVphAB, 201 PPVphAB; the float models write phA for PhA.
    assert.is(
      point?.name.toLowerCase(),
      name!.replace(/^PhV(ph(?:AB|BC|CA))$/, 'PPV$1').toLowerCase(),
      `${at} at ${offset}`,
    )
    assert.is(point.type, type === 'count' ? 'uint16' : type, at)
    assert.is(point.registers, Number(registers), at)
    assert.is(point.scale ?? '-', scale, at)
    assert.is(point.unit, UNITS[unit!] ?? unit, at)
  }
  assert.is(alliance.length, 1110)
})

test('a model has no point that the Alliance does not know, and ends where its length says', () => {
  for (const id of new Set(alliance.map(([model]) => Number(model)))) {
    const model = modelOf(id)!
    const known = alliance.filter(([of]) => Number(of) === id)
    assert.is(model.points.length + (model.group?.points.length ?? 0), known.length, `${id}`)
    const last = model.points.at(-1)!
    assert.is(model.lengths[0], last.offset + last.registers - 2, `${id}`)
  }
  // Lengths as the standard's tables print them.
  const printed = { 1: 66, 101: 50, 111: 60, 120: 26, 121: 30, 122: 44, 123: 24, 124: 24, 201: 105, 211: 124, 802: 62 }
  for (const [id, length] of Object.entries(printed)) assert.is(modelOf(Number(id))!.lengths[0], length)
  assert.equal([modelOf(160)!.lengths[0], modelOf(160)!.group!.registers], [8, 20])
  assert.equal([modelOf(714)!.lengths[0], modelOf(714)!.group!.registers], [18, 25])
  assert.is(modelOf(64_901), undefined)
})

const registers = (count: number, at: Readonly<Record<number, string>>): Uint8Array => {
  const bytes = new Uint8Array(2 * count)
  for (const [offset, content] of Object.entries(at)) bytes.set(hex(content), 2 * Number(offset))
  return bytes
}

const shown = (points: PointValues, name: string): string | undefined => {
  const point = points.get(name)
  return point?.kind === 'number' ? `${point.value}e${point.scaler} ${point.unit}` : point?.text
}

/** Model 203, 105 registers: 230.4 V, 1.52 A, -1,234.5 W, 49.97 Hz, 12,345.67 kWh in, 1.20 kWh out. */
const METER = registers(107, {
  0: '00cb 0069',
  // A, AphA 152, AphB -3, AphC not there; A_SF -2.
  2: '0095 0098 fffd 8000 fffe',
  // PhV, PhVphA 2304, PhVphB 2298, PhVphC 2310; V_SF at 15: -1.
  7: '0900 0900 08fa 0906',
  15: 'ffff',
  16: '1385 fffe',
  // W -12345, WphA 100, WphB and WphC not there; W_SF -1.
  18: 'cfc7 0064 8000 8000 ffff',
  // TotWhExp 120, its phases 0 (never counted in); TotWhImp 1234567; TotWh_SF 1.
  38: '0000 0078',
  46: '0012 d687',
  54: '0001',
})

test('model 203 as hand-written registers gives the values that it holds, import as import', () => {
  const reading = must(readModel(METER))
  assert.is(shown(reading.points, 'PhVphA'), '2304e-1 V')
  assert.is(shown(reading.points, 'AphB'), '-3e-2 A')
  assert.is(shown(reading.points, 'AphC'), undefined)
  assert.is(shown(reading.points, 'TotWhImpPhA'), undefined)
  assert.equal(
    meterValues(reading, 'Fronius').map(({ obis, value, scaler, unit }) => `${obis} ${value}e${scaler} ${unit}`),
    [
      '1-0:32.7.0 2304e-1 V',
      '1-0:52.7.0 2298e-1 V',
      '1-0:72.7.0 2310e-1 V',
      '1-0:31.7.0 152e-2 A',
      '1-0:51.7.0 -3e-2 A',
      '1-0:14.7.0 4997e-2 Hz',
      '1-0:16.7.0 -12345e-1 W',
      '1-0:36.7.0 100e-1 W',
      '1-0:1.8.0 1234567e1 Wh',
      '1-0:2.8.0 120e1 Wh',
    ],
  )
})

test('a maker that counts export as positive power is turned around; energies keep their names', () => {
  const reading = must(readModel(METER))
  const of = (manufacturer: string, positive?: 'import' | 'export') =>
    meterValues(reading, manufacturer, positive)
      .filter(({ obis }) => obis === '1-0:16.7.0' || obis === '1-0:1.8.0')
      .map(({ value }) => value)
  assert.equal(of('SolarEdge'), [12_345n, 1_234_567n])
  assert.equal(of('SolarEdge', 'import'), [-12_345n, 1_234_567n])
  assert.equal(of('Fronius', 'export'), [12_345n, 1_234_567n])
})

test('a counter of export that counts down from zero is no energy; the last one before that is', () => {
  const exported = (words: string) => {
    const meter = METER.slice()
    meter.set(hex(words), 2 * 38)
    return meterValues(must(readModel(meter)), 'KOSTAL').find(({ obis }) => obis === '1-0:2.8.0')?.value
  }
  // -120, as a Smart Energy Meter gives it.
  assert.is(exported('ffff ff88'), undefined)
  assert.is(exported('8000 0000'), undefined)
  assert.is(exported('7fff ffff'), 2_147_483_647n)
})

test('an inverter that produces exports: its power is negative, its energy is exported', () => {
  const inverter = registers(52, { 0: '0067 0032', 14: '1388 0000', 24: '0001 86a0 0003' })
  assert.equal(
    meterValues(must(readModel(inverter)), 'x').map(({ obis, value, scaler }) => [obis, value, scaler]),
    [
      // Voltages, currents and frequency are 0 with scale factor 0.
      ['1-0:32.7.0', 0n, 0],
      ['1-0:52.7.0', 0n, 0],
      ['1-0:72.7.0', 0n, 0],
      ['1-0:31.7.0', 0n, 0],
      ['1-0:51.7.0', 0n, 0],
      ['1-0:71.7.0', 0n, 0],
      ['1-0:14.7.0', 0n, 0],
      ['1-0:16.7.0', -5_000n, 0],
      ['1-0:2.8.0', 100_000n, 3],
    ],
  )
})

test('model 213 holds singles: 12,345.5 Wh and minus 7.25 W; not-a-number is no value', () => {
  // 12345.5 is 0x4640e600, -7.25 is 0xc0e80000.
  const meter = registers(126, { 0: '00d5 007c', 28: 'c0e8 0000 7fc0 0000', 60: '7fc0 0000', 68: '4640 e600' })
  const { points } = must(readModel(meter))
  assert.is(shown(points, 'TotWhImp'), '12345500e-3 Wh')
  assert.is(shown(points, 'W'), '-7250e-3 W')
  assert.is(shown(points, 'WphA'), undefined)
  assert.is(shown(points, 'TotWhExp'), undefined)
})

test('model 701 counts in 64 bits: injected is export, absorbed is import', () => {
  const der = registers(155, { 0: '02bd 0099', 10: '03e8', 19: '0000 0001 0000 0002', 23: '0000 0000 0000 0007' })
  // W_SF and TotWh_SF stand at 116 and 120.
  der.set(hex('0001'), 232)
  der.set(hex('ffff'), 240)
  const values = meterValues(must(readModel(der)), 'x')
  const of = (obis: string) => values.find(value => value.obis === obis)
  assert.equal([of('1-0:2.8.0')?.value, of('1-0:2.8.0')?.scaler], [0x1_0000_0002n, -1])
  assert.equal([of('1-0:1.8.0')?.value, of('1-0:16.7.0')?.value, of('1-0:16.7.0')?.scaler], [7n, -1_000n, 1])
})

/**
 * What a SolarEdge inverter answered for its meter's model 203, registers 40190 to 40294 over Modbus TCP (trace in evcc-io/evcc,
 * issue 15445, 2024-08-17), behind the id and the length that its walk had found.
 */
const SOLAREDGE = concat(
  hex('00cb 0069'),
  hex(`0067 0030 0008 002e ffff  5bfd 5bfd 5c4f 5a69 0000 0000 0000 0000 fffe  1385 fffe  ffc6 043f ff85 fc02 0000
    01e8 0456 0094 040d 0000  fe1b ff1e ffaf ff4f 0000  080f dae5 1946 2403 fffe
    01448402 015e6054 00000000 00000000  01140820 0028f5e8 0053b622 00b13867 0000`),
  hex(`${'0000'.repeat(16)} 8000 ${'0000'.repeat(32)} 8000 0000 0000`),
)

test('a meter that somebody else recorded: single powers that add up, currents that fit them, import where it imports', () => {
  assert.is(SOLAREDGE.length, 2 * 107)
  const reading = must(readModel(SOLAREDGE))
  const shownAs = (names: readonly string[]) => names.map(name => shown(reading.points, name))
  assert.equal(shownAs(['W', 'WphA', 'WphB', 'WphC']), ['-58e0 W', '1087e0 W', '-123e0 W', '-1022e0 W'])
  assert.is(1087 - 123 - 1022, -58)
  assert.equal(shownAs(['PhVphA', 'PhVphB', 'PhVphC', 'Hz']), ['23549e-2 V', '23631e-2 V', '23145e-2 V', '4997e-2 Hz'])
  // 235.49 V x 4.8 A is 1,130 VA of which 1,087 W are active; the meter says 1,110 VA.
  assert.equal(shownAs(['AphA', 'VAphA']), ['48e-1 A', '1110e0 VA'])
  // No reactive or apparent energy, and no export on two phases: never counted in, so not there.
  assert.equal(shownAs(['TotWhExpPhB', 'TotVAhImp', 'TotVArhImpQ1', 'PPV']), [
    undefined,
    undefined,
    undefined,
    '0e-2 V',
  ])
  const values = meterValues(reading, 'SolarEdge')
  const of = (obis: string) => values.find(value => value.obis === obis)?.value
  // Its W is negative for import.
  assert.equal([of('1-0:16.7.0'), of('1-0:1.8.0'), of('1-0:2.8.0')], [58n, 18_090_016n, 21_267_458n])
})

test("a battery's power has a sign only when somebody says which", () => {
  const battery = registers(64, { 0: '0322 003e', 11: '0352', 47: '01f4', 56: 'ffff', 63: '0001' })
  const reading = must(readModel(battery))
  assert.is(shown(reading.points, 'SoC'), '850e-1 %WHRtg')
  assert.equal(meterValues(reading, 'x'), [])
  assert.equal(
    meterValues(reading, 'x', 'export').map(({ value, scaler }) => [value, scaler]),
    [[-500n, 1]],
  )
})

test('modules repeat to the end of the model and share its scale factors', () => {
  const mppt = concat(
    hex('00a0 0030  ffff fffe 0000 8000  0000 0000 0002 0000'),
    hex('0001').slice(),
    hex('5374 7269 6e67 2031 0000 0000 0000 0000  000f 1388 02ee  0000 0064 ffff ffff 8000 0004 0000 0000'),
    hex('0002'),
    hex('0000 0000 0000 0000 0000 0000 0000 0000  ffff 1770 0000  0000 0064 ffff ffff 8000 0004 0000 0000'),
  )
  const { repeated } = must(readModel(mppt))
  assert.equal(
    repeated.map(module => ['IDStr', 'DCA', 'DCV', 'DCW', 'DCWH'].map(name => shown(module, name))),
    [
      // The energy's scale factor is not there: 100 of what nobody knows is no value.
      ['String 1', '15e-1 A', '5000e-2 V', '750e0 W', undefined],
      [undefined, undefined, '6000e-2 V', '0e0 W', undefined],
    ],
  )
})

/** The contents that mean "not there", by type (SunSpec Information Model Specification). */
const SENTINELS = {
  int16: '8000',
  uint16: 'ffff',
  int32: '80000000',
  uint32: 'ffffffff',
  uint64: 'ffffffffffffffff',
  acc32: '00000000',
  acc64: '0000000000000000',
  enum16: 'ffff',
  bitfield16: 'ffff',
  bitfield32: 'ffffffff',
  float32: '7fc00000',
  sunssf: '8000',
} as const

test('every sentinel of every point of every model is absent, and so is everything that its scale factor scales', () => {
  for (const id of new Set(alliance.map(([model]) => Number(model)))) {
    const model = modelOf(id)!
    const length = model.lengths[0]!
    const bytes = registers(2 + length, {})
    new DataView(bytes.buffer).setUint16(0, id)
    new DataView(bytes.buffer).setUint16(2, length)
    for (const { type, offset } of model.points) {
      const sentinel = SENTINELS[type as keyof typeof SENTINELS]
      if (sentinel !== undefined) bytes.set(hex(sentinel), 2 * offset)
    }
    assert.equal([...must(readModel(bytes)).points.keys()], [], `${id}`)
    // One register after another holds 1 again: only what has its scale factor, or needs none, appears.
    for (const point of model.points) {
      if (point.type === 'pad' || point.type === 'sunssf') continue
      const one = bytes.slice()
      one.fill(0x31, 2 * point.offset, 2 * (point.offset + point.registers))
      const { points } = must(readModel(one))
      assert.equal([...points.keys()], point.scale === undefined ? [point.name] : [], `${id} ${point.name}`)
    }
  }
})

test('a scale factor beyond what the standard allows scales nothing', () => {
  const scaled = (scale: string) => {
    const meter = METER.slice()
    meter.set(hex(scale), 2 * 54)
    return shown(must(readModel(meter)).points, 'TotWhImp')
  }
  assert.is(scaled('000a'), '1234567e10 Wh')
  assert.is(scaled('fff6'), '1234567e-10 Wh')
  assert.is(scaled('000b'), undefined)
  assert.is(scaled('8000'), undefined)
})

test('a value beyond the scaler of a meter value is brought into it or left out, never cut', () => {
  const imported = (scale: string, value: string) => {
    const meter = METER.slice()
    meter.set(hex(value), 2 * 46)
    meter.set(hex(scale), 2 * 54)
    const found = meterValues(must(readModel(meter)), 'x').find(({ obis }) => obis === '1-0:1.8.0')
    return found && [found.value, found.scaler]
  }
  assert.equal(imported('000a', '0000 0003'), [30n, 9])
  assert.equal(imported('fff6', '0000 0014'), [2n, -9])
  assert.is(imported('fff6', '0000 0015'), undefined)
})

test('a length that no edition of the model has is refused by name; 65 is an older model 1', () => {
  const code = (bytes: Uint8Array): string => {
    const result = readModel(bytes)
    return result.ok ? 'ok' : result.fault.code
  }
  assert.is(code(registers(107, { 0: '00cb 0068' })), 'sunspec.model-length')
  assert.is(code(registers(68, { 0: '0001 0042' })), 'ok')
  assert.is(code(registers(67, { 0: '0001 0041' })), 'ok')
  assert.is(code(registers(66, { 0: '0001 0040' })), 'sunspec.model-length')
  assert.is(code(registers(30, { 0: '00a0 001b' })), 'sunspec.model-length')
  assert.is(code(registers(30, { 0: 'fd85 00fc' })), 'sunspec.unknown-model')
  assert.is(code(hex('00cb')), 'sunspec.answer')
})

test('no bytes at all make the reader throw, and every cut lies within its model', () => {
  const ids = fc.constantFrom(...new Set(alliance.map(([model]) => Number(model))))
  assertProperty(
    fc.property(ids, fc.integer({ min: 0, max: 300 }), fc.uint8Array({ maxLength: 600 }), (id, length, body) => {
      const header = Uint8Array.of(id >> 8, id & 0xff, length >> 8, length & 0xff)
      const result = readModel(concat(header, body))
      const model = modelOf(id)!
      assert.ok(meterRegisters(model) <= 2 + model.lengths[0]!)
      if (!result.ok) return
      const cuts = cutsOf(model, length)
      assert.is(cuts.at(-1), 2 + length)
      for (let i = 1; i < cuts.length; i++) assert.ok(cuts[i]! > cuts[i - 1]!)
      meterValues(result.value, 'x', 'import')
    }),
    2_000,
  )
})

test.run()
