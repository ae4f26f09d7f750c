import { equalBytes, hex } from '../../../protocol/bytes.ts'
import { lrc8 } from '../../../protocol/modbus/crc.ts'
import { decodeAscii, decodeAsciiAnswer, decodeAsciiRequest, encodeAscii } from '../../../protocol/modbus/frame.ts'
import { encodeRequest, type ModbusRequest } from '../../../protocol/modbus/pdu.ts'
import { encodeException } from '../../../protocol/modbus/slave.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('modbus ascii frames')

const text = (characters: string): Uint8Array => new TextEncoder().encode(characters)

/** Registers 108 to 110 of unit 17: 0x11 + 0x03 + 0x6b + 0x03 = 0x82, and 0x100 - 0x82 = 0x7e. */
const REQUEST: ModbusRequest = { fn: 3, address: 0x6b, count: 3 }
const ASKED = ':1103006B00037E\r\n'
/** 0x11 + 0x03 + 0x06 + 0xae + 0x41 + 0x56 + 0x52 + 0x43 + 0x40 = 0x234, and 0x300 - 0x234 = 0xcc. */
const ANSWERED = ':110306AE4156524340CC\r\n'

test('frames stand on the wire as the specification draws them', () => {
  assert.equal(encodeAscii(0x11, encodeRequest(REQUEST)), text(ASKED))
  assert.equal(encodeAscii(0x11, hex('03 06 ae 41 56 52 43 40')), text(ANSWERED))
  assert.is(lrc8(hex('')), 0)
  const asked = decodeAsciiRequest(text(ASKED))
  assert.equal(asked, { kind: 'frame', value: { unit: 0x11, request: REQUEST }, used: ASKED.length })
  const answered = decodeAsciiAnswer(0x11, REQUEST, text(ANSWERED))
  assert.equal(answered, { kind: 'frame', value: hex('03 06 ae 41 56 52 43 40'), used: ANSWERED.length })
  assert.is(decodeAsciiAnswer(0x11, REQUEST, text(ANSWERED.toLowerCase())).kind, 'frame', 'small letters')
  assert.is(decodeAsciiAnswer(0x11, REQUEST, encodeAscii(0x11, encodeException(3, 2))).kind, 'frame')
})

test('the longest frame is 513 characters, and one character more is none', () => {
  const longest = encodeAscii(1, new Uint8Array(253))
  assert.is(longest.length, 513)
  assert.is(decodeAscii(longest).kind, 'frame')
  assert.is(decodeAscii(encodeAscii(1, new Uint8Array(254))).kind, 'junk')
})

test('a frame cut at any character asks for more and tells how much at least', () => {
  for (const whole of [text(ASKED), text(ANSWERED), encodeAscii(3, hex('83 02'))]) {
    for (let cut = 0; cut < whole.length; cut++) {
      const pull = decodeAscii(whole.subarray(0, cut))
      assert.ok(pull.kind === 'need' && pull.bytes >= 1 && pull.bytes <= whole.length - cut, `cut at ${cut}`)
    }
  }
})

test('a frame with any one bit flipped, or any one character lost, is never taken', () => {
  const whole = text(ANSWERED)
  for (let bit = 0; bit < 8 * whole.length; bit++) {
    const mutant = whole.slice()
    mutant[bit >> 3]! ^= 1 << (bit & 7)
    const pull = decodeAsciiAnswer(0x11, REQUEST, mutant)
    // A letter that turned small is the same digit.
    const same = pull.kind === 'frame' && equalBytes(text(new TextDecoder().decode(mutant).toUpperCase()), whole)
    assert.ok(pull.kind !== 'frame' || same, `bit ${bit}`)
  }
  for (let at = 0; at < whole.length; at++) {
    const short = Uint8Array.from([...whole.subarray(0, at), ...whole.subarray(at + 1)])
    assert.is.not(decodeAsciiAnswer(0x11, REQUEST, short).kind, 'frame', `character ${at}`)
  }
})

test('an answer of another unit, function or length is passed over whole', () => {
  const used = (unit: number, pdu: string) => {
    const pull = decodeAsciiAnswer(0x11, REQUEST, encodeAscii(unit, hex(pdu)))
    return pull.kind === 'junk' && `${pull.fault.code} ${pull.skip}`
  }
  assert.is(used(0x12, '03 06 ae 41 56 52 43 40'), 'modbus.unit 23')
  assert.is(used(0x11, '04 06 ae 41 56 52 43 40'), 'modbus.function 23')
  assert.is(used(0x11, '03 04 ae 41 56 52'), 'modbus.length 19')
  assert.is(used(0x11, '03 06 ae 41 56 52'), 'modbus.length 19')
  assert.is(used(0x11, '83 02 00'), 'modbus.length 13')
})

test('a frame is found at once behind a broken one or any noise', () => {
  assertProperty(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(ASKED.length - 1), (noise, cut) => {
      let rest = new Uint8Array([...noise, ...text(ASKED.slice(0, cut)), ...text(ASKED)])
      for (;;) {
        const pull = decodeAsciiRequest(rest)
        if (pull.kind === 'junk') rest = rest.slice(pull.skip)
        else return pull.kind === 'frame' && pull.used === rest.length
      }
    }),
    1_000,
  )
})

test('no bytes at all make a decoder throw or stand still', () => {
  const characters = fc.constantFrom(...text(':0123456789abcdefABCDEF\r\nxyz'))
  assertProperty(
    fc.property(fc.array(characters, { maxLength: 80 }), bytes => {
      const pull = decodeAsciiRequest(Uint8Array.from(bytes))
      decodeAsciiAnswer(1, REQUEST, Uint8Array.from(bytes))
      return pull.kind === 'need' ? pull.bytes > 0 : pull.kind === 'junk' ? pull.skip > 0 : pull.used > 0
    }),
    2_000,
  )
})

test.run()
