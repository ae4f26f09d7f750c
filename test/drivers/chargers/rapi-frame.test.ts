import { decodeRapi, encodeRapi } from '../../../drivers/chargers/rapi-frame.ts'
import { concat, utf8 } from '../../../protocol/bytes.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('rapi frames')

const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes)

test('frames are those of the protocol’s own examples', () => {
  for (const [words, frame] of [
    [['GA'], '$GA^22\r'],
    [['G0'], '$G0^53\r'],
    [['G3'], '$G3^50\r'],
    [['G4'], '$G4^57\r'],
    [['GM'], '$GM^2E\r'],
    [['ST', '0', '0', '0', '0'], '$ST 0 0 0 0^23\r'],
  ] as const) {
    assert.is(text(encodeRapi(words)), frame)
    assert.equal(decodeRapi(utf8(frame)), {
      kind: 'frame',
      value: { words: [...words], sequence: undefined },
      used: frame.length,
    })
  }
})

test('a frame is found again with its number, whatever follows it', () => {
  const frame = encodeRapi(['OK', '16', '0021'], 0xa5)
  assert.equal(decodeRapi(concat(frame, utf8('$OK'))), {
    kind: 'frame',
    value: { words: ['OK', '16', '0021'], sequence: 0xa5 },
    used: frame.length,
  })
  for (let length = 0; length < frame.length; length++)
    assert.is(decodeRapi(frame.subarray(0, length)).kind, 'need', String(length))
})

test('junk before a frame, a frame cut off, without a check, with a wrong one or too long is dropped', () => {
  const codeOf = (bytes: string) => {
    const pull = decodeRapi(utf8(bytes))
    return pull.kind === 'junk' ? [pull.fault.code, pull.skip] : pull.kind
  }
  assert.equal(codeOf('\r\nOK$GA^22\r'), ['rapi.junk', 4])
  assert.equal(codeOf('$OK 1$GA^22\r'), ['rapi.cut-off', 5])
  assert.equal(codeOf('$GA\r$'), ['rapi.form', 4])
  assert.equal(codeOf('$GA^23\r'), ['rapi.check', 7])
  assert.equal(codeOf(`$${'A'.repeat(200)}`), ['rapi.long', 201])
})

test('any bytes are taken apart to their end, and never more than are there', () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc.constant(encodeRapi(['OK', '1'], 3)),
    fc.constantFrom(utf8('$'), utf8('\r'), utf8('^')),
  )
  assertProperty(
    fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
      let bytes = concat(...pieces)
      for (;;) {
        const pull = decodeRapi(bytes)
        if (pull.kind === 'need') return bytes.length < 128
        const used = pull.kind === 'frame' ? pull.used : pull.skip
        if (!(used > 0 && used <= bytes.length)) return false
        bytes = bytes.subarray(used)
      }
    }),
  )
})

test.run()
