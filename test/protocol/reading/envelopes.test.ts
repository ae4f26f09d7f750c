import { concat } from '../../../protocol/bytes.ts'
import { splitEnvelope } from '../../../protocol/reading/envelopes.ts'
import { assert, suite } from '../../harness.ts'
import { contextOf, firstReading, sampleContext, sealContext, sealReading } from './sample.ts'

const test = suite('envelopes in one file')

const context = await sealContext(sampleContext)
const reading = await sealReading(firstReading((await contextOf()).hash))

test('envelopes stand one behind the other, and each is found whole', () => {
  const file = concat(context, reading, reading)
  const first = splitEnvelope(file)
  assert.equal(first, { kind: 'frame', value: context, used: context.length })
  const second = splitEnvelope(file.subarray(context.length))
  assert.equal(second, { kind: 'frame', value: reading, used: reading.length })
})

test('an envelope cut at any byte needs more, never less than it says', () => {
  for (let end = 0; end < reading.length; end++) {
    const found = splitEnvelope(reading.subarray(0, end))
    assert.is(found.kind, 'need', `cut at ${end}`)
    if (found.kind === 'need') assert.ok(found.bytes >= 1 && end + found.bytes <= reading.length, `cut at ${end}`)
  }
})

test('what does not begin an envelope is junk of one byte, so that the next one is found', () => {
  for (const byte of [0x00, 0xd1, 0x84, 0xff]) {
    const found = splitEnvelope(concat(Uint8Array.of(byte, 0x84), reading))
    assert.is(found.kind === 'junk' && found.skip, 1)
  }
  // A payload that says it is 4 GB long is none of ours, and nothing waits for it.
  assert.is(splitEnvelope(Uint8Array.of(0xd2, 0x84, 0x5a, 0xff, 0xff, 0xff, 0xff)).kind, 'junk')
})

test.run()
