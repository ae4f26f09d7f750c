import { drainPromises } from '../../../drivers/drain.ts'
import { createTelegramMeter } from '../../../drivers/meters/telegram-meter.ts'
import { TELEGRAMS } from '../../../drivers/meters/telegrams.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { concat, hex, utf8 } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { crcArc } from '../../../protocol/telegram/crc16.ts'
import { DSMR_FRAME_MAX, decodeDsmr } from '../../../protocol/telegram/dsmr.ts'
import { encodeDsmr } from '../../../protocol/telegram/dsmr-write.ts'
import { findValue, type MeterValue, OBIS } from '../../../protocol/telegram/obis.ts'
import { decodeEncryptedP1 } from '../../../protocol/telegram/p1-encrypted.ts'
import { cpuMs } from '../../cpu-time.ts'
import { assert, suite } from '../../harness.ts'
import { fuzz, fuzzLine } from './fuzz.ts'
import { Gather } from './gather.ts'
import { P1_KEYS, P1_TITLE, sealP1 } from './seal-p1.ts'

const test = suite('p1 encrypted')

const values = (watthours: bigint, watts: bigint): readonly MeterValue[] => [
  { obis: '1-0:1.8.0', value: watthours, scaler: 0, unit: 'Wh' },
  { obis: '1-0:2.8.0', value: 0n, scaler: 0, unit: 'Wh' },
  { obis: '1-0:1.7.0', value: watts, scaler: 0, unit: 'W' },
  { obis: '1-0:2.7.0', value: 0n, scaler: 0, unit: 'W' },
  { obis: '1-0:32.7.0', value: 2301n, scaler: -1, unit: 'V' },
]
const telegram = (timestamp: string, watthours: bigint, watts: bigint) =>
  encodeDsmr({ model: 'SAG5\\street', equipmentId: 'SAG0000001', timestamp, values: values(watthours, watts) })
const TEXT = telegram('170817151052S', 77_120n, 244n)
const FRAME = sealP1(TEXT, 1000)
const OTHER = sealP1(telegram('170817151102S', 77_121n, 251n), 1001)

/** Where the security control stands, and where the text and its tag begin. */
const [CONTROL_AT, TEXT_AT, TAG_AT] = [
  FRAME.length - 17 - TEXT.length,
  FRAME.length - 12 - TEXT.length,
  FRAME.length - 12,
]

const { encryption } = P1_KEYS
const decode = (bytes: Uint8Array) => decodeEncryptedP1(bytes, P1_KEYS)
/** As people have it who were given one key only. */
const decodeUntagged = (bytes: Uint8Array) => decodeEncryptedP1(bytes, { encryption })

const code = (pull: ReturnType<typeof decode>): string => (pull.kind === 'junk' ? pull.fault.code : pull.kind)

test('reads what OpenSSL sealed, as the same telegram in plain text reads', () => {
  const plain = decodeDsmr(TEXT)
  if (plain.kind !== 'frame') throw new Error('no telegram')
  const value = { ...plain.value, systemTitle: P1_TITLE, counter: 1000 }
  const frame = { kind: 'frame', value, used: FRAME.length }
  assert.equal(decode(FRAME), frame)
  assert.equal(decodeUntagged(FRAME), frame)
  assert.equal(decodeUntagged(sealP1(TEXT, 1000, 0x20)), { ...frame, used: FRAME.length - 12 })
  assert.equal(decode(concat(FRAME, OTHER)), frame)
})

test('lengths in one, two and three bytes; counters to the last', () => {
  for (const [filler, counter] of [
    [0, 0],
    [90, 1],
    [300, 0xffffffff],
    [DSMR_FRAME_MAX - 100, 7],
  ] as const) {
    const head = utf8(`/TLN5 x\r\n\r\n1-0:1.7.0(00.001*kW)\r\n0-0:96.13.0(${'41'.repeat(filler / 2)})\r\n!`)
    const text = concat(head, utf8(`${crcArc(head).toString(16).padStart(4, '0')}\r\n`))
    const pull = decode(sealP1(text, counter))
    assert.is(pull.kind === 'frame' && pull.value.counter, counter, `${filler}: ${code(pull)}`)
  }
})

test('cut at every byte it asks for more, and never for more than is missing', () => {
  for (let length = 0; length < FRAME.length; length++) {
    const pull = decode(FRAME.subarray(0, length))
    assert.is(pull.kind, 'need', `at ${length}`)
    if (pull.kind === 'need') assert.ok(pull.bytes >= 1 && length + pull.bytes <= FRAME.length, `at ${length}`)
  }
})

test('with the wrong key, the wrong authentication key, and without a tag where one is due, there is no reading', () => {
  const other = hex('000102030405060708090a0b0c0d0e0f')
  assert.is(code(decodeEncryptedP1(FRAME, { ...P1_KEYS, encryption: other })), 'p1.key')
  assert.is(code(decodeEncryptedP1(FRAME, { encryption: other })), 'p1.key')
  assert.is(code(decodeEncryptedP1(FRAME, { ...P1_KEYS, authentication: other })), 'cipher.tag')
  assert.is(code(decode(sealP1(TEXT, 1000, 0x20))), 'cipher.untagged')
  const relabelled = Uint8Array.from(FRAME)
  relabelled[CONTROL_AT] = 0x20
  assert.is(code(decode(relabelled)), 'cipher.untagged')
  assert.is(code(decodeUntagged(relabelled)), 'dsmr.cut')
  relabelled[CONTROL_AT] = 0x10
  assert.is(code(decode(relabelled)), 'p1.header')
})

test('with any one bit flipped there is no frame, and the next telegram is found; untagged, the tag and the suite are free', () => {
  for (let bit = 0; bit < 8 * FRAME.length; bit++) {
    const bytes = Uint8Array.from(FRAME)
    bytes[bit >> 3]! ^= 1 << (bit & 7)
    const counters = new Gather(decode).push(concat(bytes, OTHER)).frames.map(({ value }) => value.counter)
    assert.equal(counters, [1001], `bit ${bit}`)
    const untagged = new Gather(decodeUntagged).push(concat(bytes, OTHER)).frames.map(({ value }) => value.counter)
    const free = bit >= 8 * TAG_AT || bit === 8 * CONTROL_AT
    assert.equal(untagged, free ? [1000, 1001] : [1001], `bit ${bit}, untagged`)
  }
})

test('the tag is what keeps a forger out: without its key a telegram changed with care, CRC and all, is taken', () => {
  // Counter mode: a flipped bit of the ciphertext flips that bit of the text, so whoever knows the text can change it.
  const wanted = telegram('170817151052S', 99_120n, 244n)
  const forged = Uint8Array.from(FRAME)
  for (let i = 0; i < TEXT.length; i++) forged[TEXT_AT + i]! ^= TEXT[i]! ^ wanted[i]!
  const pull = decodeUntagged(forged)
  assert.is(pull.kind === 'frame' && pull.value.values[0]!.value, 99_120n)
  assert.is(code(decode(forged)), 'cipher.tag')
})

test('a telegram of an old meter without its CRC needs the tag', () => {
  const text = utf8('/TLN5 old\r\n\r\n1-0:1.7.0(00.001*kW)\r\n!\r\n')
  const pull = decode(sealP1(text, 5))
  assert.is(pull.kind === 'frame' && pull.value.checked, true)
  assert.is(code(decodeUntagged(sealP1(text, 5))), 'p1.unchecked')
})

test('finds telegrams whatever the chunks, behind noise and behind one cut short; memory is bounded', () => {
  const stream = concat(hex('00 db db 08 db 08 7f'), FRAME, FRAME.subarray(0, 100), OTHER, FRAME)
  for (const size of [1, 7, 64, stream.length]) {
    const gather = new Gather(decode)
    let frames = 0
    for (let at = 0; at < stream.length; at += size) frames += gather.push(stream.subarray(at, at + size)).frames.length
    assert.is(frames, 3, `chunks of ${size}`)
  }
  const gather = new Gather(decode)
  gather.push(concat(hex('db 08'), P1_TITLE, hex('82 20 11 30 00000000')))
  for (let n = 0; n < 100; n++) {
    gather.push(new Uint8Array(1000).fill(0xdb))
    assert.ok(gather.pending <= DSMR_FRAME_MAX + 32)
  }
  assert.is(gather.push(concat(FRAME, OTHER)).frames.length, 2)
})

test('noise of marks that each promise thousands of bytes takes no more time than a line has', () => {
  //                                title            7680 bytes, encrypted with a tag, counter 1
  const mark = (n: number) => hex(`db08 ${(0x100000 + n).toString(16).padStart(16, '0')} 82 1e00 30 00000001`)
  const noise = concat(...Array.from({ length: 4_000 }, (_, n) => mark(n)))
  const ms = cpuMs(() => {
    for (let at = 0; at < noise.length; ) {
      const pull = decodeEncryptedP1(noise.subarray(at, at + 8_192), P1_KEYS)
      if (pull.kind === 'need') break
      at += pull.kind === 'junk' ? pull.skip : pull.used
    }
  })
  // 68 kB take six seconds at 115,200 baud.
  assert.ok(ms < 1_500, `${ms} ms`)
})

test('100,000 mutated telegrams give no wrong value and no throw, and the good one behind each is found', () => {
  const decoder = TELEGRAMS.get('dsmr')!
  const telegrams = [FRAME, OTHER]
  const tagged = fuzz({ telegrams, decode: decoder(P1_KEYS), count: 100_000, seed: 22 })
  process.stdout.write(fuzzLine('encrypted p1', tagged))
  // A tag of 96 bits lets nothing through.
  assert.equal([tagged.passed, tagged.wrong, tagged.hidden, tagged.thrown], [0, 0, 0, 0], tagged.example)
  const untagged = fuzz({ telegrams, decode: decoder({ encryption }), count: 20_000, seed: 23 })
  process.stdout.write(fuzzLine('encrypted p1 without its tag', untagged))
  assert.equal([untagged.wrong, untagged.hidden, untagged.thrown], [0, 0, 0], untagged.example)
  assert.ok(untagged.passed > 100, 'damage of the tag alone passes where it is not checked')
})

test('a meter read with its keys: its own number, totals, no replay, and nothing in plain text', async () => {
  const { clock, timers, advance } = createSimTime(1_700_000_000_000, drainPromises)
  const wire = createMemoryLine({ name: 'p1', characterMs: 0.09, clock, timers })
  const meter = createTelegramMeter({
    page: 'dsmr',
    line: wire.port,
    decode: TELEGRAMS.get('dsmr')!(P1_KEYS),
    clock,
    timers,
  })
  must(await meter.open())
  const seen: string[] = []
  for (const sent of [FRAME, FRAME, TEXT, OTHER, FRAME]) {
    const read = meter.read()
    await advance(1)
    wire.device.write(sent)
    await advance(13_000)
    const result = await read
    seen.push(
      result.ok ? `${result.value.meterId} ${findValue(result.value.values, OBIS.power)?.value} W` : result.fault.code,
    )
  }
  assert.equal(seen, ['SAG0000001 244 W', 'meter.replayed', 'meter.silent', 'SAG0000001 251 W', 'meter.replayed'])
  await meter.close()
})

test('a meter whose key nobody gave is named as such, however its telegrams arrive', () => {
  const keyless = TELEGRAMS.get('dsmr')!({})
  for (const size of [1, 50, 1000]) {
    const gather = new Gather(keyless)
    const faults: string[] = []
    const stream = concat(FRAME, OTHER, FRAME, TEXT)
    let frames = 0
    for (let at = 0; at < stream.length; at += size) {
      const seen = gather.push(stream.subarray(at, at + size))
      faults.push(...seen.faults.map(({ code }) => code))
      frames += seen.frames.length
    }
    assert.equal(faults, ['p1.no-key', 'p1.no-key', 'p1.no-key'], `chunks of ${size}`)
    assert.is(frames, 1)
  }
  // Joined in the middle of one, and with something that only looks like a beginning.
  for (const begun of [FRAME.subarray(60), hex('db'), hex('db 00'), utf8('/TLN5 x\r\n\r\n')]) {
    const { faults, frames } = new Gather(keyless).push(concat(begun, TEXT))
    assert.is(frames.length, 1, `${faults.map(({ code }) => code)}`)
  }
})

test.run()
