import { equalBytes, hex } from '../../../protocol/bytes.ts'
import { crc16 } from '../../../protocol/modbus/crc.ts'
import {
  decodeRtuAnswer,
  decodeRtuRequest,
  decodeTcp,
  decodeTcpRequest,
  encodeRtu,
  encodeTcp,
} from '../../../protocol/modbus/frame.ts'
import { decodeAnswer, encodeRequest, type ModbusAnswer, type ModbusRequest } from '../../../protocol/modbus/pdu.ts'
import { decodeRequest, encodeAnswer, encodeException } from '../../../protocol/modbus/slave.ts'
import { must } from '../../../protocol/result.ts'
import { noSharedData, sharedText } from '../../data.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('modbus frames')

/** Each function with a request and a good answer to it. */
const EXCHANGES: readonly (readonly [ModbusRequest, ModbusAnswer])[] = [
  [
    { fn: 1, address: 0x13, count: 10 },
    { kind: 'bits', bits: Array.from({ length: 10 }, (_, i) => i % 3 === 0) },
  ],
  [
    { fn: 2, address: 0, count: 8 },
    { kind: 'bits', bits: Array.from({ length: 8 }, (_, i) => i < 3) },
  ],
  [
    { fn: 3, address: 0xfc00, count: 2 },
    { kind: 'registers', bytes: hex('02 71 9b 41') },
  ],
  [
    { fn: 4, address: 0x48, count: 4 },
    { kind: 'registers', bytes: hex('44 9a 52 2b 00 00 00 00') },
  ],
  [{ fn: 5, address: 3, on: true }, { kind: 'written' }],
  [{ fn: 6, address: 1, value: 0xabcd }, { kind: 'written' }],
  [{ fn: 15, address: 0, bits: [true, false, true] }, { kind: 'written' }],
  [{ fn: 16, address: 7, values: [1, 0xffff] }, { kind: 'written' }],
  [
    { fn: 23, address: 4, count: 2, writeAddress: 9, values: [5] },
    { kind: 'registers', bytes: hex('de ad be ef') },
  ],
  [
    { fn: 43, code: 1, object: 0 },
    {
      kind: 'identification',
      identification: {
        conformity: 0x81,
        next: 2,
        objects: [
          { id: 0, bytes: hex('41 42') },
          { id: 1, bytes: hex('') },
        ],
      },
    },
  ],
]

const NAMES = (request: ModbusRequest) => `function ${request.fn}`

test('the check value is the one of the catalogue', () => {
  // "123456789" -> 0x4B37
  assert.is(crc16(hex('31 32 33 34 35 36 37 38 39')), 0x4b37)
  assert.is(crc16(hex('')), 0xffff)
})

test('requests stand on the wire as in the specification', () => {
  //                                                   fn addr  count
  assert.equal(encodeRequest({ fn: 1, address: 0x13, count: 0x13 }), hex('01 00 13 00 13'))
  assert.equal(encodeRequest({ fn: 3, address: 0x6b, count: 3 }), hex('03 00 6b 00 03'))
  assert.equal(encodeRequest({ fn: 5, address: 0xac, on: true }), hex('05 00 ac ff 00'))
  assert.equal(encodeRequest({ fn: 6, address: 1, value: 3 }), hex('06 00 01 00 03'))
  const bits = [true, false, true, true, false, false, true, true, true, false]
  assert.equal(encodeRequest({ fn: 15, address: 0x13, bits }), hex('0f 00 13 00 0a 02 cd 01'))
  assert.equal(encodeRequest({ fn: 16, address: 1, values: [0x0a, 0x0102] }), hex('10 00 01 00 02 04 00 0a 01 02'))
  assert.equal(
    encodeRequest({ fn: 23, address: 3, count: 6, writeAddress: 0x0e, values: [0xff, 0xff, 0xff] }),
    hex('17 00 03 00 06 00 0e 00 03 06 00 ff 00 ff 00 ff'),
  )
  assert.equal(encodeRequest({ fn: 43, code: 1, object: 0 }), hex('2b 0e 01 00'))
  //                                             unit PDU           crc
  assert.equal(encodeRtu(1, hex('04 00 48 00 02')), hex('01 04 00 48 00 02 f1 dd'))
})

test('a request that the protocol cannot carry is our own bug', () => {
  const bad: ModbusRequest[] = [
    { fn: 3, address: 0, count: 126 },
    { fn: 3, address: 0, count: 0 },
    { fn: 4, address: 0xffff, count: 2 },
    { fn: 6, address: 0, value: 0x1_0000 },
    { fn: 6, address: 1.5, value: 0 },
    { fn: 16, address: 0, values: Array.from({ length: 124 }, () => 0) },
    { fn: 15, address: 0, bits: [] },
  ]
  for (const request of bad) assert.throws(() => encodeRequest(request), /modbus/)
})

for (const [request, answer] of EXCHANGES) {
  const frame = encodeRtu(0x2a, encodeAnswer(request, answer))

  test(`an answer to ${NAMES(request)} survives the way there and back`, () => {
    const pull = decodeRtuAnswer(0x2a, request, frame)
    assert.is(pull.kind, 'frame')
    if (pull.kind !== 'frame') return
    assert.is(pull.used, frame.length)
    assert.equal(must(decodeAnswer(request, pull.value)), answer)
  })

  test(`an answer to ${NAMES(request)} cut at any byte asks for more and tells how much at least`, () => {
    for (let cut = 0; cut < frame.length; cut++) {
      const pull = decodeRtuAnswer(0x2a, request, frame.subarray(0, cut))
      assert.is(pull.kind, 'need', `cut at ${cut}`)
      if (pull.kind === 'need') assert.ok(pull.bytes >= 1 && pull.bytes <= frame.length - cut, `cut at ${cut}`)
    }
  })

  test(`an answer to ${NAMES(request)} with any one or two bits flipped is never a frame`, () => {
    const bits = 8 * frame.length
    for (let first = 0; first < bits; first++) {
      for (let second = first; second < bits; second++) {
        const mutant = frame.slice()
        mutant[first >> 3]! ^= 1 << (first & 7)
        if (second !== first) mutant[second >> 3]! ^= 1 << (second & 7)
        assert.is.not(decodeRtuAnswer(0x2a, request, mutant).kind, 'frame', `bits ${first} and ${second}`)
      }
    }
  })

  test(`a request of ${NAMES(request)} is read by a slave as it was meant, whole or not at all`, () => {
    const bytes = encodeRtu(7, encodeRequest(request))
    const pull = decodeRtuRequest(bytes)
    assert.equal(pull.kind === 'frame' && pull.value, { unit: 7, request })
    for (let cut = 0; cut < bytes.length; cut++) assert.is(decodeRtuRequest(bytes.subarray(0, cut)).kind, 'need')
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const mutant = bytes.slice()
      mutant[bit >> 3]! ^= 1 << (bit & 7)
      assert.is.not(decodeRtuRequest(mutant).kind, 'frame', `bit ${bit}`)
    }
  })

  test(`an exception to ${NAMES(request)} is a fault with its name`, () => {
    const pdu = encodeException(request.fn, 2)
    const pull = decodeRtuAnswer(1, request, encodeRtu(1, pdu))
    assert.is(pull.kind, 'frame')
    assert.equal(decodeAnswer(request, pdu), {
      ok: false,
      fault: { code: 'modbus.exception', function: request.fn, exception: 2, name: 'illegal data address' },
    })
  })

  test(`${NAMES(request)} over TCP: whole, cut, and with a broken header`, () => {
    const bytes = encodeTcp(0x1234, 9, encodeRequest(request))
    const asked = decodeTcpRequest(bytes)
    assert.equal(asked.kind === 'frame' && asked.value, { transaction: 0x1234, unit: 9, request })
    for (let cut = 0; cut < bytes.length; cut++) assert.is(decodeTcp(bytes.subarray(0, cut)).kind, 'need')
    const foreign = bytes.slice()
    foreign[3] = 1
    assert.is(decodeTcp(foreign).kind, 'junk')
    const long = bytes.slice()
    long[4] = 2
    assert.is(decodeTcp(long).kind, 'junk')
  })
}

test('an answer of another unit, function, length or address is not taken', () => {
  const request: ModbusRequest = { fn: 3, address: 0, count: 2 }
  const codeOf = (frame: Uint8Array, asked: ModbusRequest = request) => {
    const pull = decodeRtuAnswer(1, asked, frame)
    return pull.kind === 'junk' ? pull.fault.code : pull.kind
  }
  assert.is(codeOf(encodeRtu(2, hex('03 04 00 01 00 02'))), 'modbus.unit')
  assert.is(codeOf(encodeRtu(1, hex('04 04 00 01 00 02'))), 'modbus.function')
  assert.is(codeOf(encodeRtu(1, hex('03 02 00 01'))), 'modbus.length')
  assert.is(codeOf(encodeRtu(1, hex('84 02'))), 'modbus.function')
  assert.is(codeOf(encodeRtu(1, hex('05 00 03 00 00')), { fn: 5, address: 3, on: true }), 'modbus.echo')
  assert.is(codeOf(encodeRtu(1, hex('10 00 07 00 03')), { fn: 16, address: 7, values: [1, 2] }), 'modbus.echo')
})

test('a good frame is found behind junk of any length, byte by byte', () => {
  assertProperty(
    fc.property(fc.uint8Array({ maxLength: 40 }), noise => {
      const request: ModbusRequest = { fn: 4, address: 0, count: 2 }
      const frame = encodeRtu(3, hex('04 04 43 66 33 34'))
      let rest = new Uint8Array([...noise, ...frame])
      for (;;) {
        const pull = decodeRtuAnswer(3, request, rest)
        if (pull.kind === 'junk') rest = rest.slice(pull.skip)
        // Noise that looks like the head of the answer swallows it: then nothing is taken, which is right as well.
        else return pull.kind === 'need' || equalBytes(pull.value, frame.subarray(1, 7))
      }
    }),
  )
})

test('no bytes at all make a slave or a master throw', () => {
  const anything = fc.uint8Array({ maxLength: 260 })
  assertProperty(
    fc.property(anything, fc.nat(EXCHANGES.length - 1), (bytes, which) => {
      const [request] = EXCHANGES[which]!
      decodeRtuRequest(bytes)
      decodeTcpRequest(bytes)
      decodeRtuAnswer(bytes[0] ?? 0, request, bytes)
      decodeAnswer(request, bytes)
    }),
    2_000,
  )
})

interface PublicFrame {
  readonly dir: 'request' | 'response'
  readonly hex: string
  readonly crcOk: boolean
}

test.skipIf(noSharedData, 'the public frames of a BAUER meter have the CRC that was said of them', () => {
  const frames = JSON.parse(sharedText('modbus/bsm-ws36a-frames.json')) as PublicFrame[]
  assert.is(frames.length, 45)
  let requests = 0
  let answers = 0
  for (const { dir, hex: text, crcOk } of frames) {
    const bytes = hex(text)
    const sound = crc16(bytes, 0, bytes.length - 2) === (bytes[bytes.length - 2]! | (bytes[bytes.length - 1]! << 8))
    assert.is(sound, crcOk)
    // Two frames that the collection calls requests are the answers to a write: they repeat five bytes of it.
    const pull = decodeRtuRequest(bytes)
    if (crcOk && dir === 'request' && pull.kind === 'frame') requests++
    if (bytes[1] !== 3 || dir !== 'response') continue
    const asked: ModbusRequest = { fn: 3, address: 0, count: Math.max(1, bytes[2]! >> 1) }
    const answer = decodeRtuAnswer(bytes[0]!, asked, bytes)
    assert.is(answer.kind === 'frame' && answer.used === bytes.length, crcOk)
    if (answer.kind === 'frame') answers++
  }
  console.log(`public frames: ${requests} requests, ${answers} register answers`)
  assert.ok(requests >= 18 && answers >= 19)
})

test("a coil written with a maker's own value is the frame of the maker's manual, and never on or off", () => {
  const flash = { fn: 5, address: 0x0200, value: 7 } as const
  // Waveshare, Modbus RTU Relay, development protocol: relay 0 on for 700 ms.
  assert.equal(encodeRtu(1, encodeRequest(flash)), hex('01 05 02 00 00 07 8d b0'))
  assert.equal(decodeRequest(hex('05 02 00 00 07')), { ok: true, value: flash })
  for (const value of [0, 0xff00, 0x1_0000, 0.5])
    assert.throws(() => encodeRequest({ fn: 5, address: 0, value }), /coil value/)
})

test.run()
