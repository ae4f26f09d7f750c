import { concat, hex, toHex } from '../../../../protocol/bytes.ts'
import { type DlmsReading, decodeDlms } from '../../../../protocol/telegram/dlms/dlms.ts'
import { DLMS_TELEGRAM_MAX } from '../../../../protocol/telegram/dlms/gather.ts'
import type { TelegramKeys } from '../../../../protocol/telegram/telegram.ts'
import { cpuMs } from '../../../cpu-time.ts'
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
  assert.is(faultOf(m.map((old, i) => (i === m.length - 2 ? old ^ 1 : old))), 'mbus.checksum')
  assert.is(faultOf(m.map((old, i) => (i === m.length - 1 ? 0x17 : old))), 'mbus.form')
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
    // In plain text with a tag: anybody can write it, and without the authentication key nobody notices.
    [seal(PUSH, 7, 0x10), { encryption: KEYS.encryption }, 'dlms.plain'],
    [seal(PUSH, 7, 0x10), { ...KEYS, authentication: wrong }, 'dlms.key'],
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
  let pulls = 0
  const ms = cpuMs(() => {
    for (let at = 0; at < bytes.length; ) {
      const pull = decodeDlms(bytes.subarray(at), {}, framing)
      pulls++
      if (pull.kind === 'need') break
      at += pull.kind === 'frame' ? pull.used : pull.skip
    }
  })
  return { ms, pulls }
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
    assert.ok(ms < 20_000 && pulls <= 65_536, `${what}: ${ms.toFixed(0)} ms, ${pulls} pulls for 64 kB`)
    if (process.env['TIELINE_FIGURES']) process.stdout.write(`${what}: ${ms.toFixed(1)} ms, ${pulls} pulls for 64 kB\n`)
  }
})

test('a bare notification that says nothing is noise; in a frame it is an empty telegram', () => {
  //                 0f long invoke id, no time, null
  const nothing = push('00')
  assert.is(faultOf(nothing, {}, 'raw'), 'dlms.structure')
  assert.equal(read(concat(...hdlcSegments(nothing, 1000))).values, [])
})

test.run()
