import { utf8 } from '../../../protocol/bytes.ts'
import { crcArc, crcKermit, crcX25 } from '../../../protocol/telegram/crc16.ts'
import { assert, suite } from '../../harness.ts'
import { dice } from './mutate.ts'

const test = suite('crc16')

/** One bit after the other, as the definition says. */
function bitwise(bytes: Uint8Array, polynomial: number, start: number): number {
  let crc = start
  for (const byte of bytes)
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (((crc ^ (byte >>> bit)) & 1) * polynomial)
  return crc
}

test('the check values of the catalogue of parametrised CRC algorithms', () => {
  const digits = utf8('123456789')
  assert.is(crcX25(digits), 0x906e)
  assert.is(crcKermit(digits), 0x2189)
  assert.is(crcArc(digits), 0xbb3d)
})

test('every length and every stretch reads as bit by bit', () => {
  const roll = dice(16)
  const bytes = Uint8Array.from({ length: 300 }, () => roll(256))
  for (let from = 0; from < 6; from++) {
    for (let to = from; to <= bytes.length; to++) {
      const part = bytes.subarray(from, to)
      assert.is(crcX25(bytes, from, to), bitwise(part, 0x8408, 0xffff) ^ 0xffff)
      assert.is(crcKermit(bytes, from, to), bitwise(part, 0x8408, 0))
      assert.is(crcArc(bytes, from, to), bitwise(part, 0xa001, 0))
    }
  }
})

test.run()
