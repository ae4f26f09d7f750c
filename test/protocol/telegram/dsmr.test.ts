import { readdirSync } from 'node:fs'
import { decodeDsmrTelegram } from '../../../drivers/meters/telegrams.ts'
import { concat, utf8 } from '../../../protocol/bytes.ts'
import { crcArc } from '../../../protocol/telegram/crc16.ts'
import { DSMR_FRAME_MAX, type DsmrReading, decodeDsmr, withTotals } from '../../../protocol/telegram/dsmr.ts'
import { encodeDsmr } from '../../../protocol/telegram/dsmr-write.ts'
import { findValue, type MeterValue } from '../../../protocol/telegram/obis.ts'
import { cpuMs } from '../../cpu-time.ts'
import { noSharedData, sharedBytes, sharedPath } from '../../data.ts'
import { assert, suite } from '../../harness.ts'
import { fuzz, fuzzLine } from './fuzz.ts'
import { Gather } from './gather.ts'

const test = suite('dsmr')

const VALUES: readonly MeterValue[] = [
  { obis: '1-0:1.8.1', value: 4_426n, scaler: 0, unit: 'Wh', written: 'kWh' },
  { obis: '1-0:1.8.2', value: 2_399n, scaler: 0, unit: 'Wh', written: 'kWh' },
  { obis: '1-0:2.8.1', value: 2_444n, scaler: 0, unit: 'Wh', written: 'kWh' },
  { obis: '1-0:2.8.2', value: 0n, scaler: 0, unit: 'Wh', written: 'kWh' },
  { obis: '1-0:1.7.0', value: 244n, scaler: 0, unit: 'W', written: 'kW' },
  { obis: '1-0:2.7.0', value: 0n, scaler: 0, unit: 'W', written: 'kW' },
  { obis: '1-0:32.7.0', value: 2301n, scaler: -1, unit: 'V' },
  { obis: '1-0:31.7.0', value: 2n, scaler: 0, unit: 'A' },
]
const TELEGRAM = { model: 'TLN5\\street', equipmentId: 'E0041007626', timestamp: '170102192002W', values: VALUES }
const FRAME = encodeDsmr(TELEGRAM)

const text = (reading: DsmrReading): string => JSON.stringify(reading, (_, v) => (typeof v === 'bigint' ? `${v}n` : v))

function read(bytes: Uint8Array): DsmrReading {
  const pull = decodeDsmr(bytes)
  if (pull.kind !== 'frame') throw new Error(`no frame but ${pull.kind === 'junk' ? pull.fault.code : 'need'}`)
  return pull.value
}

const lines = (...inner: readonly string[]): Uint8Array => utf8(['/TLN5 old', '', ...inner, '!', ''].join('\r\n'))

function sealed(...inner: readonly string[]): Uint8Array {
  const head = utf8(['/TLN5 new', '', ...inner, '!'].join('\r\n'))
  return concat(head, utf8(`${crcArc(head).toString(16).padStart(4, '0')}\r\n`))
}

const code = (bytes: Uint8Array): string => {
  const pull = decodeDsmr(bytes)
  return pull.kind === 'junk' ? pull.fault.code : pull.kind
}

/**
 * Every number with a unit that a person finds in a telegram, as text: name, digits, unit, and time where one stands
 * before it. It knows nothing of powers of ten.
 */
function naive(raw: Uint8Array): string[] {
  const found = new TextDecoder('latin1')
    .decode(raw)
    .matchAll(
      /^(?<name>[-\d:.]+)(?:\*255)?(?:\((?<at>[^()]+)\))?\((?<number>[-\d.]+)\*(?<unit>k?(?:Wh|W|VA|V|A|varh|var)|Hz|m3|GJ)\)\r$|^0-\d:24\.3\.0\((?<at3>\d+)\).*\((?<name3>[-\d:.]+)\)\((?<unit3>m3)\)\r\n\((?<number3>[\d.]+)\)\r$/gm,
    )
  return [...found].map(({ groups = {} }) => {
    const { name, number, unit, at, name3, number3, unit3, at3 } = groups
    return [name ?? name3, (number ?? number3)?.replace(/^0+(?=\d)/, ''), unit ?? unit3, at ?? at3].join(' ').trim()
  })
}

/** A decoded value written back as such a text. */
function spelled({ obis, value, scaler, unit, written = unit, at = '' }: MeterValue): string {
  const places = ({ k: 3, G: 9 }[written[0]!] ?? 0) - scaler
  const digits = value.toString().padStart(places + 1, '0')
  const point = places === 0 ? digits : `${digits.slice(0, -places)}.${digits.slice(-places)}`
  return `${obis} ${point} ${written} ${at}`.trim()
}

test('reads what the simulator writes, digit by digit', () => {
  const reading = read(FRAME)
  assert.equal(reading.values, VALUES)
  assert.is(reading.equipmentId, 'E0041007626')
  assert.is(reading.timestamp, '170102192002W')
  assert.is(reading.model, 'TLN5\\street')
  assert.is(reading.checked, true)
})

test('cut at every byte it asks for more', () => {
  for (let length = 0; length < FRAME.length; length++) {
    const pull = decodeDsmr(FRAME.subarray(0, length))
    assert.is(pull.kind, 'need', `at ${length}`)
    if (pull.kind === 'need') assert.ok(pull.bytes >= 1 && length + pull.bytes <= FRAME.length, `at ${length}`)
  }
})

test('what is no text is not waited for: the rest of a telegram cannot make it one', () => {
  for (const foreign of [0x80, 0xdb, 0xff, 0x7f])
    assert.is(code(concat(FRAME.subarray(0, 40), Uint8Array.of(foreign))), 'dsmr.line')
  assert.is(code(FRAME.subarray(0, 41)), 'need')
})

test('with any one bit flipped there is no wrong reading', () => {
  const right = text(read(FRAME))
  let accepted = 0
  for (let bit = 0; bit < 8 * FRAME.length; bit++) {
    const bytes = Uint8Array.from(FRAME)
    bytes[bit >> 3]! ^= 1 << (bit & 7)
    for (const { value } of new Gather(decodeDsmr).push(bytes).frames) {
      assert.is(text(value), right, `bit ${bit}`)
      accepted++
    }
  }
  // Only the case of the checksum's letters is free.
  assert.ok(accepted <= 4, `${accepted} accepted`)
})

const OTHER = encodeDsmr({
  ...TELEGRAM,
  timestamp: '170102192012W',
  values: VALUES.map(value => ({ ...value, value: value.value + 7n })),
})
const MUTANTS = { telegrams: [FRAME, OTHER], decode: decodeDsmrTelegram, count: 100_000, seed: 21 }

test('100,000 mutated telegrams give no wrong value and no throw, and the good one behind each is found', () => {
  const seen = fuzz(MUTANTS)
  process.stdout.write(fuzzLine('dsmr', seen))
  assert.equal([seen.wrong, seen.hidden, seen.thrown], [0, 0, 0], seen.example)
  // What passes is a checksum in small letters, or one time in 65,536 chance: 1.5 are expected.
  assert.ok(seen.passed <= 12, `${seen.passed} passed`)
})

test('the same mutants with their checksum made good again give wrong values', () => {
  const resealed = (mutant: Uint8Array): Uint8Array => {
    const bang = mutant.lastIndexOf(0x21)
    if (bang < 0) return mutant
    const head = mutant.subarray(mutant.indexOf(0x2f), bang + 1)
    return concat(head, utf8(`${crcArc(head).toString(16).padStart(4, '0')}\r\n`))
  }
  const { wrong, thrown } = fuzz({ ...MUTANTS, count: 20_000, mend: resealed })
  assert.ok(wrong > 400, `${wrong} wrong`)
  assert.is(thrown, 0)
})

test('without its checksum the same telegrams are refused: a version 4 meter always sends one', () => {
  const stripped = concat(FRAME.subarray(0, FRAME.length - 6), utf8('\r\n'))
  assert.is(code(stripped), 'dsmr.crc-missing')
})

test('the checksum is what keeps wrong digits out: an old telegram with a wrong digit is taken, marked unchecked', () => {
  assert.equal(read(lines('1-0:1.8.1(00001.001*kWh)')).values[0]!.value, 1001n)
  const wrong = read(lines('1-0:1.8.1(00009.001*kWh)'))
  assert.equal(wrong.values[0]!.value, 9001n)
  assert.is(wrong.checked, false)
})

test('an old telegram cut short and the next one are not one telegram', () => {
  const whole = lines('1-0:1.8.1(00001.001*kWh)', '1-0:2.8.1(00002.002*kWh)')
  for (let length = 1; length < whole.length; length++) {
    const { frames } = new Gather(decodeDsmr).push(concat(whole.subarray(0, length), whole))
    assert.is(frames.length, 1, `cut at ${length}`)
    assert.equal(frames[0]!.value.values.length, 2)
  }
})

test('decimals are exact whatever their digits; what is older than the telegram says of when; the rest is absent', () => {
  const values = read(
    sealed(
      '1-0:1.8.0*255(00032549.5061662*kWh)',
      '1-0:21.7.0(000557.29*W)',
      '1-0:16.7.0(-01.250*kW)',
      '1-0:14.7.0(50.01*Hz)',
      '0-1:24.2.1(170102161005W)(00000.107*m3)',
      '0-2:24.2.1(240.860*GJ)',
      '0-3:24.2.1(632525252525S)(00000.000*m3)',
      '0-4:24.2.1(170102160000W)(12.345*GJ)',
      '1-0:1.6.0(170101134558W)(02.589*kW)',
      '1-0:51.7.0()',
      '1-0:71.7.0(1*proto)',
    ),
  ).values
  assert.equal(values, [
    { obis: '1-0:1.8.0', value: 325_495_061_662n, scaler: -4, unit: 'Wh', written: 'kWh' },
    { obis: '1-0:21.7.0', value: 55_729n, scaler: -2, unit: 'W' },
    { obis: '1-0:16.7.0', value: -1250n, scaler: 0, unit: 'W', written: 'kW' },
    { obis: '1-0:14.7.0', value: 5001n, scaler: -2, unit: 'Hz' },
    { obis: '0-1:24.2.1', value: 107n, scaler: -3, unit: 'm3', at: '170102161005W' },
    { obis: '0-4:24.2.1', value: 12_345n, scaler: 6, unit: 'J', written: 'GJ', at: '170102160000W' },
    { obis: '1-0:1.6.0', value: 2589n, scaler: 0, unit: 'W', written: 'kW', at: '170101134558W' },
  ])
})

test('an object that comes twice with two values, and a line of no form, make no reading', () => {
  assert.is(code(sealed('1-0:1.8.1(00001.001*kWh)', '1-0:1.8.1(00001.001*kWh)')), 'frame')
  for (const inner of [
    ['1-0:1.8.1(00001.001*kWh)', '1-0:1.8.1(00001.002*kWh)'],
    ['1-0:1.8.1(00001.001*kWh'],
    ['1-0:1.8.999(00001.001*kWh)'],
    ['1-0:1.8.1(00001.001*kWh)x'],
    ['stray words'],
    [''],
    [],
    ['1-0:52.7.0(NaN*V)'],
    ['1-0:52.7.0(*V)'],
    ['1-0:1.7.0(04..08*kW)'],
    ['1-0:1.8.0(1234560000*kWh)'],
    ['0-0:1.0.0(171302192002W)'],
    ['1-3:0.2.8(50)', '0-0:1.0.0(170102192002W)', '0-0:96.1.1(453L303431)'],
    ['(00001.001)', '1-0:1.8.1(00001.001*kWh)'],
    ['0-1:24.2.1(170102161005W)(0000x.107*m3)'],
    ['1-3:0.2.8(50)', '0-0:96.1.1(4530303431)', '1-0:1.8.1(00001.001*kWh)'],
  ])
    assert.is(code(sealed(...inner)), 'dsmr.line', inner.join())
})

test('who sends stands under several names, the best of which counts, in whatever order', () => {
  const names = [
    '0-0:42.0.0(54455354303031)',
    '0-0:96.1.0(9900000001)',
    '0-0:96.1.255(1TLN9900)',
    '0-0:96.1.1(54455354303032)',
  ]
  const ids = ['TEST001', '9900000001', '1TLN9900', 'TEST002']
  for (const [i, id] of ids.entries()) {
    assert.is(read(sealed(...names.slice(0, i + 1))).equipmentId, id)
    assert.is(read(sealed(...names.slice(0, i + 1).reverse())).equipmentId, id)
  }
  // A sub-meter's number is not that of the meter; an empty one is none.
  assert.is(read(sealed('0-1:96.1.1(54455354303032)', '0-0:96.1.1()')).equipmentId, undefined)
})

test('the forms of Luxembourg, Sweden, Austria and of version 3 gas', () => {
  const telegrams: readonly [lines: readonly string[], id: string | undefined][] = [
    [
      [
        '1-3:0.2.8(42)',
        '0-0:1.0.0(170817151052S)',
        '0-0:42.0.0(53414730303030303030303030303030)',
        '1-0:1.8.0(000077.120*kWh)',
        '1-0:3.8.0(000032.200*kvarh)',
        '1-0:3.7.0(00.021*kvar)',
        '1-0:9.7.0(00.130*kVA)',
        '0-1:24.2.1(170817150000S)(00246.138*m3)',
      ],
      'SAG0000000000000',
    ],
    [['0-0:1.0.0(210217184019W)', '1-0:1.8.0(00006678.394*kWh)', '1-0:23.7.0(0000.230*kvar)'], undefined],
    [['1-3:0.2.8(50)', '0-0:1.0.0(221006155014S)', '1-0:1.8.0(006545766*Wh)', '1-0:4.8.2(001204878*varh)'], undefined],
    [['0-1:24.3.0(090212160000)(00)(60)(1)(0-1:24.2.1)(m3)', '(00001.001)', '0-1:24.4.0(1)'], undefined],
  ]
  for (const [inner, id] of telegrams) {
    const bytes = sealed(...inner)
    const reading = read(bytes)
    assert.is(reading.equipmentId, id)
    assert.equal(reading.values.map(spelled), naive(bytes), inner[0])
  }
  assert.equal(read(sealed(...telegrams[3]![0])).values, [
    { obis: '0-1:24.2.1', value: 1001n, scaler: -3, unit: 'm3', at: '090212160000' },
  ])
})

test('totals are the exact sums of both parts, absent without one of them, and never in the place of the meter', () => {
  const values = withTotals(read(FRAME).values)
  assert.equal(findValue(values, '1-0:1.8.0'), {
    obis: '1-0:1.8.0',
    value: 6825n,
    scaler: 0,
    unit: 'Wh',
    derived: true,
  })
  assert.equal(findValue(values, '1-0:2.8.0')?.value, 2444n)
  assert.equal(findValue(values, '1-0:16.7.0')?.value, 244n)
  const one = VALUES.filter(value => value.obis !== '1-0:1.8.2')
  assert.is(findValue(withTotals(one), '1-0:1.8.0'), undefined)
  const own = { obis: '1-0:1.8.0', value: 1n, scaler: 0, unit: 'Wh' } as const
  assert.equal(
    withTotals([...VALUES, own]).filter(value => value.obis === '1-0:1.8.0'),
    [own],
  )
})

test('a total is never made of two tariffs of three, nor of parts that are older than the telegram', () => {
  const third = '1-0:1.8.3(000001.000*kWh)'
  const parts = ['1-0:1.8.1(000004.426*kWh)', '1-0:1.8.2(000002.399*kWh)']
  const total = (...inner: readonly string[]) =>
    findValue(withTotals(read(sealed(...inner)).values), '1-0:1.8.0')?.value
  assert.is(total(...parts), 6825n)
  assert.is(total(...parts, third), undefined)
  // What stood there at the end of a month is no tariff.
  assert.is(total(...parts, '1-0:1.8.1*1(000004.000*kWh)'), 6825n)
  assert.is(total('1-0:1.8.1(170101000000W)(000004.426*kWh)', parts[1]!), undefined)
  assert.is(total(parts[0]!, '1-0:1.8.2(170101000000W)(000002.399*kWh)'), undefined)
})

test('an old telegram may have a slash in its text; a second blank line is that of the next telegram', () => {
  const slash = lines('0-0:96.13.0(a/b)', '1-0:1.8.1(00001.001*kWh)')
  assert.is(read(slash).values.length, 1)
  const cut = decodeDsmr(concat(FRAME.subarray(0, 200), FRAME).subarray(0, 230))
  assert.equal([cut.kind, cut.kind === 'junk' && cut.fault.code], ['junk', 'dsmr.cut'])
})

test('noise that begins with a slash is not waited for, and takes no more than its length in steps', () => {
  for (const head of ['/', '/ab', '/abc\r', '/abc\r\n\r\n', `/${'a'.repeat(40)}`])
    assert.is(code(utf8(head)), 'need', head)
  for (const head of ['/ab\r', '/abc\n', '/abc\r\r', '/abc\r\n1', '/abc\r\n\r1', `/${'a'.repeat(41)}x`, '/abc\x7f'])
    assert.is(code(utf8(head)), 'dsmr.line', head)
  for (const unit of ['/', '/AAA5\r\n\r\n', '/AAA5\r\n\r\nx', '1-0:1.8.0(1/2)\r\n', '/AAA5\r\n', '/AAA5\r\n\r']) {
    const noise = utf8(unit.repeat(65_536 / unit.length))
    let held: Uint8Array = new Uint8Array(0)
    let most = 0
    const ms = cpuMs(() => {
      for (let at = 0; at < noise.length; at += 16) {
        held = concat(held, noise.subarray(at, at + 16))
        for (let pull = decodeDsmr(held); pull.kind !== 'need' && held.length > 0; pull = decodeDsmr(held))
          held = held.slice(pull.kind === 'junk' ? pull.skip : pull.used)
        most = Math.max(most, held.length)
      }
    })
    assert.ok(most < 100 && ms < 10_000, `${JSON.stringify(unit)}: ${most} bytes held, ${ms.toFixed(0)} ms`)
  }
  const stars = sealed(`0-1:24.2.1(a)(${'*'.repeat(8000)})(b)`)
  // The least of some: a collector's turn or a compiler's is not the decoder's time.
  const ms = Math.min(...Array.from({ length: 10 }, () => cpuMs(() => assert.is(decodeDsmr(stars).kind, 'frame'))))
  assert.ok(ms < 20, `${ms} ms`)
})

test('finds telegrams whatever the chunks, and an endless one is dropped at the limit', () => {
  const stream = concat(utf8('5(0)\r\n!'), FRAME, FRAME.subarray(0, 100), FRAME)
  for (const size of [1, 7, 64, stream.length]) {
    const gather = new Gather(decodeDsmr)
    let frames = 0
    for (let at = 0; at < stream.length; at += size) frames += gather.push(stream.subarray(at, at + size)).frames.length
    assert.is(frames, 2, `chunks of ${size}`)
  }
  const gather = new Gather(decodeDsmr)
  gather.push(utf8('/TLN5 endless\r\n\r\n'))
  for (let n = 0; n < 100; n++) {
    gather.push(new Uint8Array(1000).fill(0x30))
    assert.ok(gather.pending <= DSMR_FRAME_MAX)
  }
  assert.is(gather.push(FRAME).frames.length, 1)
})

test.skipIf(noSharedData, 'every real telegram reads: its checksum where it has one, its values to the digit', () => {
  const files = readdirSync(sharedPath('dsmr'))
  assert.is(files.length, 9)
  let numbers = 0
  for (const file of files) {
    const bytes = sharedBytes(`dsmr/${file}`)
    const { frames } = new Gather(decodeDsmr).push(bytes)
    assert.is(frames.length, 1, file)
    const { value, raw } = frames[0]!
    assert.is(value.checked, !/v2_2|v3|v304/.test(file), file)
    assert.ok(value.equipmentId !== undefined, file)
    const read = naive(raw)
    assert.ok(read.length >= 1, file)
    assert.equal(value.values.map(spelled), read, file)
    numbers += read.length
  }
  assert.is(numbers, 106)
})

test.run()
