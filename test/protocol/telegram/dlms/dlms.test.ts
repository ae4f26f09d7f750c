import { concat, hex, toHex } from '../../../../protocol/bytes.ts'
import { type DlmsReading, decodeDlms } from '../../../../protocol/telegram/dlms/dlms.ts'
import { DLMS_TELEGRAM_MAX } from '../../../../protocol/telegram/dlms/gather.ts'
import type { TelegramKeys } from '../../../../protocol/telegram/telegram.ts'
import { assert, suite } from '../../../harness.ts'
import { Gather } from '../gather.ts'
import { blocks, hdlc, hdlcSegments, KEYS, mbus, mbusSegments, seal, TITLE } from './seal.ts'

const test = suite('dlms')

//                   notification   no time  array of 4
const PUSH = hex(`   0f 00000001    00       01 04
  02 02  0906 0000600100ff  0a 05 5445535431
  02 03  0906 0100010800ff  06 00995986  02 02 0f00 161e
  02 03  0906 0100100700ff  05 fffffc18  02 02 0fff 161b
  02 03  0906 0100200700ff  12 0903      02 02 0fff 1623`)
const VALUES = [
  { obis: '1-0:1.8.0', value: 0x995986n, scaler: 0, unit: 'Wh' },
  { obis: '1-0:16.7.0', value: -1000n, scaler: -1, unit: 'W' },
  { obis: '1-0:32.7.0', value: 0x903n, scaler: -1, unit: 'V' },
]
const SEALED = seal(PUSH, 7)
const HDLC = concat(...hdlcSegments(PUSH, 1000))

function read(bytes: Uint8Array, keys: TelegramKeys = {}, framing?: 'raw'): DlmsReading {
  const pull = decodeDlms(bytes, keys, framing)
  if (pull.kind !== 'frame') throw new Error(`no frame but ${pull.kind === 'junk' ? pull.fault.code : 'need'}`)
  assert.is(pull.used, bytes.length)
  return pull.value
}

const faultOf = (bytes: Uint8Array, keys: TelegramKeys = {}, framing?: 'raw'): string => {
  const pull = decodeDlms(bytes, keys, framing)
  return pull.kind === 'junk' ? pull.fault.code : pull.kind
}

const push = (body: string) => concat(hex('0f 00000001 00'), hex(body))
const readPush = (body: string) => read(hdlc(concat(hex('e6e700'), push(body))))
/** The same sealed by the meter of a maker. */
const readSealed = (body: string, title = TITLE) =>
  read(hdlc(concat(hex('e6e700'), seal(push(body), 1, 0x30, title))), KEYS)

/** Every way on the wire of the same APDU. */
function framings(apdu: Uint8Array): readonly (readonly Uint8Array[])[] {
  return [
    hdlcSegments(apdu, 1000),
    hdlcSegments(apdu, 40),
    hdlcSegments(apdu, 1000, '00020023 03'),
    mbusSegments(apdu, 240),
    mbusSegments(apdu, 10),
    blocks(apdu, 30).map((block, i) => hdlc(concat(hex(i === 0 ? 'e6e700' : ''), block))),
    blocks(apdu, 30).map(block => hdlc(concat(hex('e6e700'), block))),
    blocks(apdu, 50).flatMap(block => hdlcSegments(block, 20)),
    blocks(apdu, 30).flatMap(block => mbusSegments(block, 12)),
  ]
}

test('the same push reads alike in every framing, plain and sealed, whole and in parts', () => {
  for (const [apdu, keys] of [
    [PUSH, {}],
    [SEALED, KEYS],
    [SEALED, { encryption: KEYS.encryption }],
    [seal(PUSH, 7, 0x20), { encryption: KEYS.encryption }],
    [seal(PUSH, 7, 0x10), KEYS],
  ] as const) {
    for (const [i, frames] of framings(apdu).entries()) {
      const reading = read(concat(...frames), keys)
      assert.equal(reading.values, VALUES, `framing ${i}`)
      assert.is(reading.meterId, 'TEST1')
      assert.is(reading.counter, apdu === PUSH ? undefined : 7)
    }
    const raw = read(apdu, keys, 'raw')
    assert.equal(raw.values, VALUES)
    assert.equal(read(concat(...blocks(apdu, 30)), keys, 'raw').values, VALUES)
  }
})

test('checked is what a CRC-16 or a tag covers, not what a sum of eight bits or nothing does', () => {
  const open = { encryption: KEYS.encryption }
  assert.is(read(HDLC).checked, true)
  assert.is(read(concat(...mbusSegments(PUSH, 200))).checked, false)
  assert.is(read(concat(...mbusSegments(SEALED, 200)), open).checked, false)
  assert.is(read(concat(...mbusSegments(SEALED, 200)), KEYS).checked, true)
  assert.is(read(PUSH, {}, 'raw').checked, false)
  assert.is(read(SEALED, KEYS, 'raw').checked, true)
})

test('cut anywhere, every framing waits; what it asks for is never too much', () => {
  for (const [i, frames] of framings(SEALED).entries()) {
    const bytes = concat(...frames)
    for (let length = 0; length < bytes.length; length++) {
      const pull = decodeDlms(bytes.subarray(0, length), KEYS)
      assert.is(pull.kind, 'need', `framing ${i} at ${length}`)
      assert.ok(pull.kind === 'need' && pull.bytes >= 1 && length + pull.bytes <= bytes.length, `${i} at ${length}`)
    }
  }
})

test('a part lost, twice, early or from another sender makes no reading, and the next telegram is read', () => {
  for (const [i, frames] of framings(PUSH).entries()) {
    if (frames.length < 3) continue
    const [first, second, ...rest] = frames as [Uint8Array, Uint8Array, ...Uint8Array[]]
    const whole = concat(...frames)
    for (const [what, parts] of Object.entries({
      lost: [first, ...rest],
      'first lost': [second, ...rest],
      'last lost': frames.slice(0, -1),
      early: [first, ...rest.slice(0, 1), second, ...rest.slice(1)],
      cut: [first, second.subarray(0, 9), ...rest],
      noise: [first, hex('00'), second, ...rest],
      other: [first, ...framings(SEALED)[i]!.slice(1)],
    })) {
      const { frames: heard } = new Gather(bytes => decodeDlms(bytes, {})).push(concat(...parts, whole))
      assert.is(heard.length, 1, `framing ${i}, ${what}`)
      assert.equal(heard[0]!.value.values, VALUES)
    }
  }
})

test('segments of two HDLC senders do not mix, and flags between frames are nothing', () => {
  const [a, b, c, ...rest] = hdlcSegments(PUSH, 40) as [Uint8Array, Uint8Array, Uint8Array, ...Uint8Array[]]
  const other = hdlcSegments(PUSH, 40, 'cf0225')
  assert.is(faultOf(concat(a, other[1]!, c, ...rest)), 'dlms.segment')
  assert.equal(read(concat(a, hex('7e7e7e'), b, hex('7e'), c, ...rest)).values, VALUES)
  // One flag for two frames.
  assert.equal(read(concat(a, b.subarray(1), c, ...rest)).values, VALUES)
  const twice = new Gather(bytes => decodeDlms(bytes, {})).push(concat(HDLC, HDLC.subarray(1), hex('7e7e'), HDLC))
  assert.is(twice.frames.length, 3)
})

test('information frames of HDLC are numbered in order or not at all', () => {
  const parts = [0, 40, 80].map((at, i) =>
    concat(hex(i === 0 ? 'e6e700' : ''), PUSH.subarray(at, i === 2 ? 999 : at + 40)),
  )
  const sent = (...controls: readonly number[]) =>
    concat(...parts.map((part, i) => hdlc(part, { more: i < 2, control: controls[i]! })))
  //                                 rrrpsss0
  assert.equal(read(sent(0b00000000, 0b00000010, 0b00010100)).values, VALUES)
  assert.equal(read(sent(0b00001110, 0b00000000, 0b00010010)).values, VALUES)
  assert.equal(read(sent(0b00010000, 0b00010000, 0b00010000)).values, VALUES)
  assert.is(faultOf(sent(0b00000000, 0b00000100, 0b00010110)), 'dlms.segment')
  assert.is(faultOf(sent(0b00000010, 0b00000000, 0b00010010)), 'dlms.segment')
  assert.is(faultOf(sent(0b00000000, 0b00000011, 0b00010100)), 'dlms.segment')
})

test('an address of three bytes, a wrong header checksum and a wrong closing flag are refused by name', () => {
  const frame = hdlc(concat(hex('e6e700'), PUSH))
  const patched = (at: number, byte: number) => frame.map((old, i) => (i === at ? byte : old))
  assert.is(faultOf(hdlc(concat(hex('e6e700'), PUSH), { addresses: '020203 03' })), 'dlms.header')
  assert.is(faultOf(patched(7, 0)), 'dlms.crc')
  assert.is(faultOf(patched(frame.length - 1, 0x7f)), 'dlms.header')
  assert.is(faultOf(patched(frame.length - 2, 0)), 'dlms.crc')
  const m = mbus(0x10, PUSH)
  assert.is(faultOf(m.map((old, i) => (i === m.length - 2 ? old ^ 1 : old))), 'dlms.checksum')
  assert.is(faultOf(m.map((old, i) => (i === m.length - 1 ? 0x17 : old))), 'dlms.header')
  assert.is(faultOf(mbus(0x72, PUSH)), 'dlms.header')
})

test('a wrong key, none, and what is not sealed as it was agreed have names of their own, and cost one telegram', () => {
  const wrong = hex('ff0102030405060708090a0b0c0d0e0f')
  const cases: readonly (readonly [Uint8Array, TelegramKeys, string])[] = [
    [SEALED, {}, 'dlms.no-key'],
    [SEALED, { encryption: wrong }, 'dlms.key'],
    [SEALED, { ...KEYS, encryption: wrong }, 'dlms.key'],
    [SEALED, { ...KEYS, authentication: wrong }, 'dlms.key'],
    [seal(PUSH, 7, 0x20), { encryption: wrong }, 'dlms.key'],
    [seal(PUSH, 7, 0x20), KEYS, 'dlms.no-tag'],
    [PUSH, KEYS, 'dlms.plain'],
    [SEALED, { encryption: hex('00') }, 'cipher.key'],
    [seal(PUSH, 7, 0x31 + 1), KEYS, 'cipher.control'],
  ]
  for (const [apdu, keys, code] of cases) {
    const frame = hdlc(concat(hex('e6e700'), apdu))
    const pull = decodeDlms(frame, keys)
    assert.is(pull.kind === 'junk' && pull.fault.code, code)
    assert.is(pull.kind === 'junk' && pull.skip, frame.length)
    // The serial number in the title is nobody's business.
    assert.ok(pull.kind === 'junk' && !JSON.stringify(pull.fault).includes(toHex(TITLE.subarray(3))))
  }
})

test('a sealed push that does not name its meter is known by its system title', () => {
  const body = '02 03 0906 0100010800ff 06 00000001 0202 0f00 161e'
  assert.is(readPush(body).meterId, undefined)
  assert.is(readSealed(body).meterId, toHex(TITLE))
})

test('integers of every type and sign come back exactly; what is no integer is absent', () => {
  for (const [type, value] of [
    ['05 80000000', -(1n << 31n)],
    ['06 ffffffff', (1n << 32n) - 1n],
    ['0f 80', -128n],
    ['10 8000', -32768n],
    ['11 ff', 255n],
    ['12 ffff', 65535n],
    ['14 8000000000000000', -(1n << 63n)],
    ['15 ffffffffffffffff', (1n << 64n) - 1n],
    ['00', undefined],
    ['03 01', undefined],
    ['04 09 ff80', undefined],
    ['0a 02 3132', undefined],
    ['0c 02 3132', undefined],
    ['0d 12', undefined],
    ['16 01', undefined],
    ['17 3f800000', undefined],
    ['18 3ff0000000000000', undefined],
    ['19 07e70401061520230000ff00', undefined],
    ['1a 07e7040106', undefined],
    ['1b 15202300', undefined],
    ['1e 00000001', undefined],
    ['ff', undefined],
  ] as const) {
    const { values } = readPush(`02 03 0906 0100010800ff ${type} 0202 0ffe 161e`)
    assert.equal(values, value === undefined ? [] : [{ obis: '1-0:1.8.0', value, scaler: -2, unit: 'Wh' }], type)
  }
})

test('a compact array is the list that it stands for', () => {
  //            array of  structure of 3: octets, double-long-unsigned, structure of integer and enum
  const type = '13        02 03 09 06 02 02 0f 16'
  const body = `${type} 1a  06 0100010800ff 00000007 00 1e   06 0100020800ff 00000008 ff 1e`
  const { values } = readPush(body)
  assert.equal(
    values.map(v => `${v.obis} ${v.value} ${v.scaler} ${v.unit}`),
    ['1-0:1.8.0 7 0 Wh', '1-0:2.8.0 8 -1 Wh'],
  )
  for (const bad of ['13 00 ffff', '13 02 00 04 00000000', `${type} 1b 06 0100010800ff 00000007 00 1e`, '13 13 01 00'])
    assert.is(faultOf(hdlc(concat(hex('e6e700'), push(bad)))), 'dlms.structure', bad)
})

test('bytes left over, lists without end and without bottom, and lengths beyond the frame are no telegram', () => {
  for (const body of [
    '01 00 00',
    '02 02 06 00000001',
    '01 82ffff',
    '01 83000001',
    '09 7f',
    '02',
    '99',
    '01 01'.repeat(500),
    `01 820bb8 ${'00'.repeat(1900)}`,
    '',
  ])
    assert.is(faultOf(hdlc(concat(hex('e6e700'), push(body)))), 'dlms.structure', body.slice(0, 20))
  assert.is(faultOf(hdlc(concat(hex('e6e700'), hex('0f 0000')))), 'dlms.structure')
  assert.is(faultOf(hdlc(hex('e6e700'))), 'dlms.structure')
  assert.is(faultOf(hdlc(hex('e6e700 55 00'))), 'dlms.structure')
})

test('a register that comes twice with two values makes no reading; with one it counts once', () => {
  const energy = (value: string, scaler = '00') => `02 03 0906 0100010800ff 06 ${value} 0202 0f${scaler} 161e`
  assert.is(readPush(`01 02 ${energy('00000001')} ${energy('00000001')}`).values.length, 1)
  for (const other of [energy('00000002'), energy('00000001', '01')])
    assert.is(faultOf(hdlc(concat(hex('e6e700'), push(`01 02 ${energy('00000001')} ${other}`)))), 'dlms.twice')
})

test('names and values in one row, in structures of their own and mixed are all read (Austria, Salzburg)', () => {
  const clock = '0906 0000010000ff 090c 07e60b0c06103600 00ffc400'
  const reading = readPush(`02 09 ${clock}
    02 02  0906 00002a0000ff  0910 4b464d31323030323030323334383034
    02 03  0906 0100200700ff  12 08f4  0202 0fff 1623
    0906 0100010700ff  06 000002ca  0202 0f00 161b
    0906 0100020700ff  06 00000000`)
  assert.equal(reading.values, [
    { obis: '1-0:32.7.0', value: 2292n, scaler: -1, unit: 'V' },
    { obis: '1-0:1.7.0', value: 714n, scaler: 0, unit: 'W' },
  ])
  assert.is(reading.meterId, 'KFM1200200234804')
  assert.is(reading.time, '2022-11-12T16:54:00+01:00')
})

test("a meter's number at the end without a name is taken for its name (Lower Austria)", () => {
  const row = '090c 07e60b0c061036000000ff00 0906 0100010800ff 06 00000001 0202 0f00 161e'
  assert.is(readPush(`02 05 ${row} 090c 313831323230303030303039`).meterId, '181220000009')
})

test("a meter's number is text, or else hex, or a number; zeros are none; the best register of those there are counts", () => {
  const id = (value: string, obis = '0000600100ff') => readPush(`01 01 02 02 0906 ${obis} ${value}`).meterId
  assert.is(id('0a 06 202d31320000'), ' -12')
  assert.is(id('09 04 00bc614e'), '00bc614e')
  assert.is(id('06 00bc614e'), '12345678')
  assert.is(id('09 04 00000000'), undefined)
  assert.is(id('09 00'), undefined)
  assert.is(id('0a 01 31', '0100010800ff'), undefined)
  const two = '01 02 02 02 0906 0000600101ff 0a01 31 02 02 0906 0000600100ff 0a01 32'
  assert.is(readPush(two).meterId, '2')
})

test('a push that begins with its own description is read by it (push setup, Energomera and others)', () => {
  const object = (classId: string, obis: string, attribute: string) =>
    `02 04 12 ${classId} 0906 ${obis} 0f ${attribute} 12 0000`
  const list = [
    object('0028', '0000190900ff', '02'),
    object('0001', '0000600100ff', '02'),
    object('0003', '0100010800ff', '02'),
    object('0003', '0100010800ff', '03'),
    object('0003', '0100020800ff', '02'),
  ].join(' ')
  const reading = readPush(`02 05 01 05 ${list}  0904 31323334  06 00000064  0202 0f01 161e  06 000000c8`)
  // Export has no scaler: it is no value.
  assert.equal(reading.values, [{ obis: '1-0:1.8.0', value: 100n, scaler: 1, unit: 'Wh' }])
  assert.is(reading.meterId, '1234')
})

test('numbers without a scaler are values only by the convention of their maker', () => {
  const pairs = '090c 07e60b0c061036000000ff00 0906 0100010800ff 06 00000001 0906 0100010700ff 06 00000002'
  assert.equal(readPush(`02 05 ${pairs}`).values, [])
  assert.equal(readSealed(`02 05 ${pairs}`).values, [])
  assert.equal(readSealed(`02 05 ${pairs}`, hex('4c475a 0000000001')).values, [
    { obis: '1-0:1.8.0', value: 1n, scaler: 0, unit: 'Wh' },
    { obis: '1-0:1.7.0', value: 2n, scaler: 0, unit: 'W' },
  ])
  const kamstrup = (list: string) =>
    readPush(`02 05 0a0e ${Buffer.from(list).toString('hex')} 0906 0101010800ff 06 00000001 0906 01011f0700ff 12 0002`)
  assert.equal(kamstrup('Kamstrup_V0001').values, [
    { obis: '1-1:1.8.0', value: 1n, scaler: 1, unit: 'Wh' },
    { obis: '1-1:31.7.0', value: 2n, scaler: -2, unit: 'A' },
  ])
  assert.equal(kamstrup('Kamstrup_V0002').values, [])
  assert.equal(readPush('02 01 06 000003b4').values, [])
})

test("Kaifa's lists of 1, 9, 13, 14 and 18 are read by their order, another length is not", () => {
  const kaifa = (body: string) => read(hdlc(concat(hex('e6e700'), push(body)), { addresses: '010201', control: 0x10 }))
  const line = (reading: DlmsReading) => reading.values.map(v => `${v.obis} ${v.value} ${v.scaler} ${v.unit}`)
  const head = '0907 4b464d5f303031 0904 31323334 0902 4d41 06 00000001 06 00000002 06 00000003 06 00000004'
  const energy = '090c 07e10a0905051e0fff800000 06 0000000b 06 0000000c 06 0000000d 06 0000000e'
  const one = '06 00000005 06 00000006'
  const three = '06 00000005 06 00000006 06 00000007 06 00000008 06 00000009 06 0000000a'
  const power = ['1-0:1.7.0 1 0 W', '1-0:2.7.0 2 0 W', '1-0:3.7.0 3 0 var', '1-0:4.7.0 4 0 var']
  const registers = ['1-0:1.8.0 11 0 Wh', '1-0:2.8.0 12 0 Wh', '1-0:3.8.0 13 0 varh', '1-0:4.8.0 14 0 varh']
  const single = ['1-0:31.7.0 5 -3 A', '1-0:32.7.0 6 -1 V']
  const phases = ['31', '51', '71'].map((c, i) => `1-0:${c}.7.0 ${5 + i} -3 A`)
  phases.push(...['32', '52', '72'].map((c, i) => `1-0:${c}.7.0 ${8 + i} -1 V`))
  assert.equal(line(kaifa('02 01 06 000003b4')), ['1-0:1.7.0 948 0 W'])
  assert.equal(line(kaifa(`02 09 ${head} ${one}`)), [...power, ...single])
  assert.equal(line(kaifa(`02 0d ${head} ${three}`)), [...power, ...phases])
  assert.equal(line(kaifa(`02 0e ${head} ${one} ${energy}`)), [...power, ...single, ...registers])
  assert.equal(line(kaifa(`02 12 ${head} ${three} ${energy}`)), [...power, ...phases, ...registers])
  assert.is(kaifa(`02 0d ${head} ${three}`).meterId, '1234')
  assert.equal(line(kaifa(`02 0a ${head} ${one} 06 00000007`)), [])
})

test('event notifications and get-responses are taken apart, and say nothing without a unit', () => {
  const response = 'c4 01 c1 00 02 03 0906 0100010800ff 06 00000001 0202 0f00 161e'
  assert.is(read(hdlc(concat(hex('e6e700'), hex(response)))).values.length, 1)
  const event = 'c2 01 0c 07e704010615202300ff8880 0003 0100010800ff 02 06 00000001'
  const reading = read(hdlc(concat(hex('e6e700'), hex(event))))
  assert.equal(reading.values, [])
  assert.is(reading.time, '2023-04-01T21:32:35+02:00')
})

test('times with parts unsaid or impossible are none, and a deviation is told as an offset', () => {
  const time = (clock: string) => read(hdlc(concat(hex('e6e700'), hex(`0f 00000001 0c ${clock} 01 00`)))).time
  assert.is(time('07e7 04 01 06 15 20 23 00 ff88 80'), '2023-04-01T21:32:35+02:00')
  assert.is(time('07e7 04 01 06 15 20 23 00 0000 00'), '2023-04-01T21:32:35Z')
  assert.is(time('07e7 04 01 06 15 20 23 ff 012c 00'), '2023-04-01T21:32:35-05:00')
  assert.is(time('07e7 04 01 06 15 20 23 ff 8000 ff'), '2023-04-01T21:32:35')
  for (const none of ['ffff 04 01 06 15 20 23 00 8000 00', '07e7 0d 01 06 15 20 23 00 8000 00'])
    assert.is(time(none), undefined)
})

test('bare blocks out of order, and a line heard from the middle on, cost what was cut and no more', () => {
  const [a, b, ...rest] = blocks(PUSH, 30) as [Uint8Array, Uint8Array, ...Uint8Array[]]
  const whole = concat(a, b, ...rest)
  for (const parts of [
    [a, ...rest],
    [b, ...rest],
    [b, a, ...rest],
    [a, a, b, ...rest],
  ]) {
    const { frames, faults } = new Gather(bytes => decodeDlms(bytes, {}, 'raw')).push(concat(...parts, whole))
    // The first block twice is a beginning and a telegram.
    assert.is(frames.length, parts[1] === a && parts[2] === b ? 2 : 1)
    assert.ok(faults.length > 0)
  }
  for (let from = 1; from < PUSH.length; from++) {
    const gather = new Gather(bytes => decodeDlms(bytes, {}, 'raw'))
    const frames = gather.push(concat(PUSH.subarray(from), PUSH, PUSH)).frames.map(({ value }) => value)
    assert.equal(frames.at(-1)?.values, VALUES, `from ${from}`)
  }
})

test('a telegram longer than any is dropped, and what is held stays bounded', () => {
  const endless = (segment: Uint8Array, first: Uint8Array) => {
    const gather = new Gather(bytes => decodeDlms(bytes, {}))
    gather.push(first)
    let faults = 0
    for (let n = 0; n < 300; n++) {
      faults += gather.push(segment).faults.length
      assert.ok(gather.pending <= DLMS_TELEGRAM_MAX + 2100, `${gather.pending} held`)
    }
    assert.ok(faults >= 1)
    assert.equal(gather.push(HDLC).frames.length, 1)
  }
  endless(hdlc(new Uint8Array(500), { more: true }), hdlc(concat(hex('e6e700'), new Uint8Array(500)), { more: true }))
  endless(hdlc(new Uint8Array(3), { more: true }), hdlc(concat(hex('e6e700'), new Uint8Array(3)), { more: true }))
  const raw = new Gather(bytes => decodeDlms(bytes, {}, 'raw'))
  raw.push(push('01 82ffff'))
  for (let n = 0; n < 100; n++) raw.push(new Uint8Array(1000))
  assert.ok(raw.pending <= DLMS_TELEGRAM_MAX)
})

/** Milliseconds to pull everything out of `bytes`, and the number of pulls. */
function drain(bytes: Uint8Array, framing: 'linked' | 'raw' = 'linked'): { ms: number; pulls: number } {
  const from = process.hrtime.bigint()
  let pulls = 0
  for (let at = 0; at < bytes.length; ) {
    const pull = decodeDlms(bytes.subarray(at), {}, framing)
    pulls++
    if (pull.kind === 'need') break
    at += pull.kind === 'frame' ? pull.used : pull.skip
  }
  return { ms: Number(process.hrtime.bigint() - from) / 1e6, pulls }
}

test('no noise takes more than its length in steps: flags, starts, headers that promise much, segments without end', () => {
  const most = hdlc(concat(hex('e6e700'), new Uint8Array(2000))).subarray(0, 12)
  const open = hdlc(hex('e6e700 00'), { more: true })
  for (const [what, unit, framing] of [
    ['flags', hex('7e'), 'linked'],
    ['starts', hex('68'), 'linked'],
    ['formats', hex('a7ff'), 'linked'],
    ['flags and formats', hex('7ea7ff'), 'linked'],
    ['M-Bus heads', hex('68ffff6853ff000167'), 'linked'],
    ['M-Bus heads with stops', hex('6806066853ff00016716'), 'linked'],
    ['HDLC heads', most, 'linked'],
    ['open segments', open, 'linked'],
    ['notifications', hex('0f'), 'raw'],
    ['arrays', hex('0f0000000000 0101'), 'raw'],
    ['blocks', hex('e0400001000001'), 'raw'],
  ] as const) {
    const noise = (length: number) => concat(...Array<Uint8Array>(Math.ceil(length / unit.length)).fill(unit))
    drain(noise(8192), framing)
    const { ms, pulls } = drain(noise(65_536), framing)
    assert.ok(ms < 2_000 && pulls <= 65_536, `${what}: ${ms.toFixed(0)} ms, ${pulls} pulls for 64 kB`)
    if (process.env['TIELINE_FIGURES']) process.stdout.write(`${what}: ${ms.toFixed(1)} ms, ${pulls} pulls for 64 kB\n`)
  }
})

test.run()
