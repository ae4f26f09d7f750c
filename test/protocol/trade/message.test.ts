import { toHex } from '../../../protocol/bytes.ts'
import { decode, encode } from '../../../protocol/cbor.ts'
import { micros, microsPerKwh, millivolts, milliwattHours, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { type Body, decodeMessage, encodeMessage, type Message, topicOf } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('trade message')

const fill = (length: number, byte = 5) => new Uint8Array(length).fill(byte)
const reading = { envelope: fill(240), context: fill(300) }
const bodies: readonly Body[] = [
  {
    kind: 'request',
    id: fill(16),
    line: 'L1',
    start: instant(1_800_000_000_000),
    end: instant(1_800_000_900_000),
    energy: wattHours(500n),
    least: wattHours(100n),
    price: microsPerKwh(150_000n),
    final: false,
  },
  { kind: 'offer', id: fill(16), energy: wattHours(400n), price: microsPerKwh(190_000n), final: true },
  { kind: 'accept', id: fill(16), contract: fill(140), half: fill(230) },
  { kind: 'countersign', hash: fill(32), half: fill(230) },
  { kind: 'decline', id: fill(16), reason: 'bargain.too-dear' },
  { kind: 'committed', hash: fill(32), tx: fill(32) },
  { kind: 'ready', hash: fill(32), begin: reading },
  { kind: 'started', hash: fill(32), begin: reading },
  { kind: 'heartbeat', hash: fill(32), line: 'L1', contact: 'unknown', sequence: 7, welded: false },
  {
    kind: 'heartbeat',
    hash: fill(32),
    line: 'L1',
    contact: 'closed',
    sequence: 8,
    echo: 3,
    welded: true,
    voltage: millivolts(230_100),
  },
  { kind: 'reading', hash: fill(32), reading },
  { kind: 'stop', hash: fill(32), reason: 'fault', code: 'meter.stale' },
  { kind: 'stop', hash: fill(32), reason: 'window' },
  { kind: 'stopped', hash: fill(32) },
  { kind: 'receipt-copy', hash: fill(32), begin: reading, end: reading },
  { kind: 'receipt-wanted', hash: fill(32) },
  { kind: 'head', head: fill(215) },
  { kind: 'ack', epoch: 3, sequence: 12 },
  {
    kind: 'want',
    id: fill(16),
    start: instant(1_800_000_000_000),
    end: instant(1_800_000_900_000),
    energy: wattHours(500n),
    least: wattHours(100n),
    way: 'bidding',
    to: 'N7',
    sealBy: instant(1_799_999_000_000),
    awardBy: instant(1_799_999_001_000),
    receipts: 'sealed',
  },
  { kind: 'sealed-bid', id: fill(16), commitment: fill(32) },
  { kind: 'reveal', id: fill(16), commitments: [fill(32), fill(32, 6)] },
  {
    kind: 'bid',
    id: fill(16),
    energy: wattHours(500n),
    price: microsPerKwh(250_000n),
    fee: microsPerKwh(20_000n),
    source: 'wind',
    line: 'N1',
    meter: '21000001',
    salt: fill(16),
  },
  {
    kind: 'award',
    id: fill(16),
    as: 'buyer',
    start: instant(1_800_000_000_000),
    end: instant(1_800_000_900_000),
    energy: wattHours(500n),
    price: microsPerKwh(250_000n),
    node: 'N7',
    meter: '21000002',
    agreement: fill(32),
  },
  {
    kind: 'fee-wanted',
    id: fill(16),
    line: 'N1',
    to: 'N7',
    start: instant(1_800_000_000_000),
    end: instant(1_800_000_900_000),
    energy: wattHours(500n),
  },
  { kind: 'fee-offer', id: fill(16), price: microsPerKwh(20_000n), until: instant(1_799_999_001_000) },
  { kind: 'reserved', hash: fill(32), tx: fill(32) },
  { kind: 'order', order: fill(300) },
  { kind: 'event', call: fill(250) },
  { kind: 'usage', about: fill(32), meter: '21000002', readings: [reading, reading] },
  { kind: 'forecast', group: 'sunny', slot: 2_000_000, nets: [-500n, 700n] },
  { kind: 'shares', statement: fill(900) },
  {
    kind: 'certificate-wanted',
    id: fill(16),
    slot: instant(1_800_000_000_000),
    side: 'offer',
    meter: '21000001',
    blinded: fill(256),
  },
  { kind: 'certificate', id: fill(16), signature: fill(256) },
  { kind: 'coin-wanted', epoch: instant(1_799_884_800_000), denomination: micros(10_000n), withdrawal: fill(32) },
  { kind: 'passed', what: 'order', bytes: fill(600), walking: true },
  {
    kind: 'park-enter',
    id: fill(16),
    start: instant(1_800_000_000_000),
    end: instant(1_800_000_900_000),
    side: 'charge',
    least: wattHours(0n),
    most: wattHours(20_000n),
  },
  { kind: 'park-call', id: fill(16), round: 3, energy: milliwattHours(2_345_678n) },
  { kind: 'park-answer', id: fill(16), round: 3, price: microsPerKwh(310_000n) },
  {
    kind: 'park-match',
    id: fill(16),
    session: fill(32),
    deal: fill(16, 6),
    partner: fill(20),
    energy: wattHours(2_345n),
    price: microsPerKwh(310_000n),
  },
]
const message = (body: Body): Message => ({
  from: fill(20, 1),
  to: fill(20, 2),
  epoch: 3,
  sequence: 12,
  sent: instant(1_800_000_000_000),
  reliable: true,
  body,
})
const code = (payload: Uint8Array) => {
  const read = decodeMessage(payload)
  return read.ok ? 'ok' : read.fault.code
}

test('every kind reads back as it was written', () => {
  for (const body of bodies) assert.equal(must(decodeMessage(encodeMessage(message(body)))), message(body))
  assert.is(new Set(bodies.map(body => body.kind)).size, 37)
})

test('the bytes are a map of seven with kind and fields as a pair', () => {
  // a7                                  map of 7
  //   01 54 01..  02 54 02..            from, to
  //   03 03  04 0c  05 1b 000001a3185c5000   epoch 3, sequence 12, sent
  //   06 f5                             reliable
  //   07 82 0c a1 01 58 20 ..           [12 stopped, {1: hash}]
  const hex = toHex(encodeMessage(message({ kind: 'stopped', hash: fill(32) })))
  const tail = '0303040c051b000001a3185c500006f507820ca1015820'
  assert.is(hex, `a70154${'01'.repeat(20)}0254${'02'.repeat(20)}${tail}${'05'.repeat(32)}`)
})

test('the largest message fits a sealed one', () => {
  const big = { envelope: fill(800), context: fill(800) }
  const payload = encodeMessage(message({ kind: 'receipt-copy', hash: fill(32), begin: big, end: big }))
  // Sealing adds 45 bytes of header and nonce, 16 of tag and 92 of COSE_Sign1.
  assert.ok(payload.length + 45 + 16 + 92 <= 4096, String(payload.length))
  assert.is(code(payload), 'ok')
})

test('wrong kinds, shapes and keys are refused by name', () => {
  const stopped = message({ kind: 'stopped', hash: fill(32) })
  const tampered = (change: (map: Map<number, unknown>) => void) => {
    const map = must(decode(encodeMessage(stopped))) as Map<number, never>
    change(map)
    return code(encode(map))
  }
  assert.is(
    tampered(map => map.set(7, [99, new Map()])),
    'record.shape',
  )
  assert.is(
    tampered(map => map.set(7, [12])),
    'record.shape',
  )
  assert.is(
    tampered(map => map.set(7, [12, new Map()])),
    'record.missing',
  )
  assert.is(
    tampered(map => map.set(7, [12, new Map([[1, fill(31)]])])),
    'record.shape',
  )
  assert.is(
    tampered(map => map.set(8, 1)),
    'record.unknown-key',
  )
  assert.is(
    tampered(map => map.set(4, 0)),
    'record.shape',
    'sequences begin at 1',
  )
  assert.is(
    tampered(map => map.delete(2)),
    'record.missing',
  )
  assert.is(code(fill(3901, 0)), 'cbor.too-long')
})

test('no byte string makes the decoder throw, and what it accepts it would write again', () => {
  const good = fc.constantFrom(...bodies).map(body => encodeMessage(message(body)))
  const mutant = fc.tuple(good, fc.nat(), fc.integer({ min: 1, max: 255 })).map(([payload, at, flip]) => {
    const copy = Uint8Array.from(payload)
    copy[at % copy.length]! ^= flip
    return copy
  })
  assertProperty(
    fc.property(fc.oneof(mutant, fc.uint8Array({ maxLength: 200 })), input => {
      const read = decodeMessage(input)
      if (read.ok) assert.is(toHex(encodeMessage(read.value)), toHex(input))
    }),
    3000,
  )
})

test('an agent listens under its address', () => {
  assert.is(topicOf(fill(20, 0xab)), `tieline/1/${'ab'.repeat(20)}`)
})

test.run()
