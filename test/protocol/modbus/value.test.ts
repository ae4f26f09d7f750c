import { hex } from '../../../protocol/bytes.ts'
import { decodeNumber, encodeNumber, type NumberFormat } from '../../../protocol/modbus/value.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('modbus values')

const format = (type: NumberFormat['type'], scaler = 0, more: Partial<NumberFormat> = {}): NumberFormat => ({
  type,
  order: 'high-first',
  scaler,
  ...more,
})

test('integers of every width, signed and not, in both word orders', () => {
  assert.is(decodeNumber(hex('ff fe'), format('u16')), 65534n)
  assert.is(decodeNumber(hex('ff fe'), format('i16')), -2n)
  assert.is(decodeNumber(hex('00 01 00 02'), format('u32')), 65538n)
  assert.is(decodeNumber(hex('00 02 00 01'), format('u32', 0, { order: 'low-first' })), 65538n)
  assert.is(decodeNumber(hex('ff ff ff fe'), format('i32')), -2n)
  assert.is(decodeNumber(hex('00 00 00 00 00 01 00 00'), format('u64')), 65536n)
  assert.is(decodeNumber(hex('00 00 00 01 00 00 00 00'), format('u64', 0, { order: 'low-first' })), 65536n)
})

test('a float becomes the decimal of its resolution', () => {
  //                        sign 0, exponent 134, mantissa: 230.2 V as the nearest single
  assert.is(decodeNumber(hex('43 66 33 33'), format('f32', -1)), 2302n)
  assert.is(decodeNumber(hex('43 66 33 33'), format('f32', -2)), 23020n)
  // -1919.7 W
  assert.is(decodeNumber(hex('c4 ef f6 66'), format('f32', -1)), -19197n)
  // 0.5 rounds away from zero, in both directions; the smallest single rounds to 0, and so does minus zero
  assert.is(decodeNumber(hex('3f 00 00 00'), format('f32')), 1n)
  assert.is(decodeNumber(hex('bf 00 00 00'), format('f32')), -1n)
  assert.is(decodeNumber(hex('00 00 00 01'), format('f32', -9)), 0n)
  assert.is(decodeNumber(hex('80 00 00 00'), format('f32', -3)), 0n)
  // 2^30 in tens
  assert.is(decodeNumber(hex('4e 80 00 00'), format('f32', 1)), 107374182n)
})

test('not a number, infinite, beyond any meter, and sentinels are absent', () => {
  for (const bytes of ['7f c0 00 00', 'ff c0 00 01', '7f 80 00 00', 'ff 80 00 00', '7f 7f ff ff'])
    assert.is(decodeNumber(hex(bytes), format('f32', -3)), undefined, bytes)
  assert.is(decodeNumber(hex('ff ff ff ff ff ff ff ff'), format('u64')), undefined)
  assert.is(decodeNumber(hex('80 00'), format('i16', 0, { sentinels: [0x8000n] })), undefined)
  assert.is(decodeNumber(hex('00 00'), format('i16', 0, { sentinels: [0x8000n] })), 0n)
})

test('every counter of 1 Wh in kWh up to 8,191 kWh comes back exactly from the nearest single', () => {
  assertProperty(
    fc.property(fc.bigInt(0n, 8_191_999n), wattHours => {
      const registers = encodeNumber(wattHours, format('f32', -3))
      assert.is(decodeNumber(registers, format('f32', -3)), wattHours)
    }),
    5_000,
  )
  // Beyond, singles lie 1/1024 kWh or more apart: half of that is the most that can be off.
  const beyond = decodeNumber(encodeNumber(100_000_003n, format('f32', -3)), format('f32', -3))!
  assert.ok(beyond >= 99_999_999n && beyond <= 100_000_007n)
})

test('what an integer register holds comes back as it was', () => {
  const ranges = [
    ['u16', 0n, 0xffffn],
    ['i16', -0x8000n, 0x7fffn],
    ['u32', 0n, 0xffff_ffffn],
    ['i32', -0x8000_0000n, 0x7fff_ffffn],
    ['u64', 0n, 2n ** 63n - 1n],
    ['i64', 1n - 2n ** 63n, 2n ** 63n - 1n],
  ] as const
  for (const [type, low, high] of ranges)
    for (const order of ['high-first', 'low-first'] as const)
      assertProperty(
        fc.property(fc.bigInt(low, high), value => {
          const as = format(type, 0, { order })
          assert.is(decodeNumber(encodeNumber(value, as), as), value)
        }),
        100,
      )
})

test('a rising counter never falls by rounding', () => {
  assertProperty(
    fc.property(fc.integer({ min: 0, max: 0x7f7f_fffe }), raw => {
      const at = (bits: number) => {
        const bytes = new Uint8Array(4)
        new DataView(bytes.buffer).setUint32(0, bits)
        return decodeNumber(bytes, format('f32', -3))
      }
      const [one, next] = [at(raw), at(raw + 1)]
      if (one !== undefined && next !== undefined) assert.ok(one <= next)
    }),
    2_000,
  )
})

test.run()
