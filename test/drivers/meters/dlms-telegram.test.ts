import { TELEGRAMS } from '../../../drivers/meters/telegrams.ts'
import { concat } from '../../../protocol/bytes.ts'
import { encodePush, inHdlc } from '../../../protocol/telegram/dlms/write.ts'
import { assert, suite } from '../../harness.ts'
import { mbusSegments } from '../../protocol/telegram/dlms/seal.ts'
import { Gather } from '../../protocol/telegram/gather.ts'

const test = suite('dlms telegram')

const PUSH = encodePush({
  meterId: 'TEST1',
  sequence: 1,
  values: [
    { obis: '1-1:1.7.0', value: 5n, scaler: 0, unit: 'W' },
    { obis: '1-1:2.7.0', value: 7n, scaler: 0, unit: 'W' },
    { obis: '1-0:2.7.0', value: 7n, scaler: 0, unit: 'W' },
  ],
})
const HDLC = inHdlc(PUSH)
const BROKEN = HDLC.map((byte, i) => (i === HDLC.length - 2 ? byte ^ 1 : byte))

/** Whether each frame that one line gives is checked. */
function heard(kind: string, ...parts: readonly Uint8Array[]): readonly boolean[] {
  const gather = new Gather(TELEGRAMS.get(kind)!({}))
  return parts.flatMap(part => gather.push(part).frames.map(({ value }) => value.checked))
}

test('bare telegrams are believed from a line that begins with one, never from one that had a link', () => {
  assert.equal(heard('dlms', PUSH, PUSH), [false, false])
  assert.equal(heard('dlms', HDLC, PUSH, HDLC), [true, true])
  assert.equal(heard('dlms', PUSH, HDLC, PUSH, HDLC), [false, true, true])
  assert.equal(heard('dlms', ...mbusSegments(PUSH, 30), PUSH), [false])
  // Noise first: whatever it is, it is no line of bare telegrams.
  assert.equal(heard('dlms', Uint8Array.of(1), PUSH, PUSH), [])
  assert.equal(heard('dlms-raw', Uint8Array.of(1), PUSH, PUSH), [false, false])
})

test('what stands inside of a frame whose checksum fails is not taken for a bare telegram', () => {
  assert.equal(heard('dlms', BROKEN, BROKEN, HDLC), [true])
  assert.equal(heard('dlms', concat(BROKEN, BROKEN), BROKEN), [])
  // The defence switched off: the same bytes where bare telegrams are asked for.
  assert.equal(heard('dlms-raw', BROKEN), [false])
})

test("registers of Kamstrup's channel are also given on channel 0, and their difference is the power", () => {
  const { frames } = new Gather(TELEGRAMS.get('dlms')!({})).push(HDLC)
  assert.equal(
    frames[0]?.value.values.map(v => `${v.obis} ${v.value}`),
    ['1-1:1.7.0 5', '1-1:2.7.0 7', '1-0:2.7.0 7', '1-0:1.7.0 5', '1-0:16.7.0 -2'],
  )
})

test.run()
