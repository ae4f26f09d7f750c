/** What a bad line makes of the bytes closes no contact: on the processor's pins, for each single byte and by chance. */
import { lookMessage } from '../../../drivers/relays/relay-firmware.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, fc } from '../../property.ts'
import { closedPins, firmwareBench, PINS, sysex } from './firmware-bench.ts'
import { armed, closing, pass, piece, sayRandomBytes } from './random-bytes.ts'
import { noStandardFirmata, STANDARD_HEX } from './standard-firmata.ts'

const test = suite('firmware of a relay board, disturbed')

test('a valid closing with any one byte changed closes no contact at all', () => {
  const bench = firmwareBench()
  armed(bench)
  const valid = sysex(closing(4))
  let said = 0
  for (const [at, right] of valid.entries()) {
    for (let byte = 0; byte < 256; byte++) {
      if (byte === right) continue
      bench.say(...valid.with(at, byte))
      pass(bench, valid.length)
      assert.equal(closedPins(bench), [], `byte ${at} as ${byte}`)
      said++
    }
    // A changed byte may have disarmed the board: FFh does.
    armed(bench)
  }
  assert.is(said, valid.length * 255)
  bench.say(...valid)
  pass(bench, valid.length)
  assert.equal(closedPins(bench), [4])
}, 60_000)

test('any two neighbouring bits changed, or a byte lost or doubled, close nothing', () => {
  const bench = firmwareBench()
  armed(bench)
  const valid = sysex(closing(7))
  const damaged = valid.flatMap((byte, at) => [
    valid.toSpliced(at, 1),
    valid.toSpliced(at, 0, byte),
    ...Array.from({ length: 7 }, (_, bit) => valid.with(at, byte ^ (3 << bit))),
  ])
  for (const bytes of damaged) {
    // A doubled first or last byte leaves a whole message behind or before it.
    const whole = bytes.join().includes(valid.join())
    bench.say(...bytes)
    pass(bench, bytes.length)
    assert.equal(closedPins(bench), whole ? [7] : [], bytes.join())
    if (whole) armed(bench)
  }
})

test('a frame that is cut off at any place closes nothing, nor with the frame that comes after it', () => {
  const bench = firmwareBench()
  armed(bench)
  const valid = sysex(closing(4))
  for (let length = 1; length < valid.length; length++) {
    for (const part of [valid.slice(0, length), valid.slice(length)]) {
      bench.say(...part, ...sysex(lookMessage(9)))
      pass(bench, 30)
      assert.equal(closedPins(bench), [])
    }
  }
  // Cut by another closing: that one counts, and the first does not.
  bench.say(...valid.slice(0, 6), ...sysex(closing(7)))
  pass(bench, 30)
  assert.equal(closedPins(bench), [7])
})

test('an overlong message is none, whatever it begins or ends with, and the next is heard', () => {
  const bench = firmwareBench()
  armed(bench)
  for (const length of [40, 56, 57, 64, 128, 200, 1000]) {
    const message = closing(4)
    bench.say(0xf0, ...message, ...new Array<number>(length).fill(0x55), 0xf7)
    bench.say(0xf0, ...new Array<number>(length).fill(0x0e), ...message, 0xf7)
    pass(bench, 2 * length + 30)
    assert.equal(closedPins(bench), [], `${length} bytes`)
  }
  assert.is(bench.ask(lookMessage(9))?.sequence, 9)
})

test('bytes that come faster than they are read end their message', () => {
  const bench = firmwareBench()
  armed(bench)
  // The board answers each look for longer than it takes to ask: its memory for what comes in runs over.
  for (let n = 0; n < 200; n++) bench.say(...sysex(lookMessage(9)))
  bench.say(...sysex(closing(4)))
  pass(bench, 6000)
  assert.ok(closedPins(bench).every(pin => pin === 4))
  assert.is(bench.ask(lookMessage(9))?.sequence, 9)
})

test('random bytes close no contact, armed or not', () => {
  assert.ok(sayRandomBytes(300) > 1000)
})

test('among random bytes a true closing is heard, as often as they leave it whole', () => {
  const bench = firmwareBench()
  let heard = 0
  let cases = 0
  assertCovering(
    fc.property(fc.constantFrom(...PINS.map(({ pin }) => pin)), piece, (pin, noise) => {
      armed(bench)
      // What ends whatever the noise began.
      bench.say(...noise, 0xf7, ...sysex(closing(pin)))
      pass(bench, 2 * noise.length + 20)
      const closed = closedPins(bench)
      assert.ok(closed.length === 0 || (closed.length === 1 && closed[0] === pin))
      heard += closed.length
      cases++
    }),
    100,
  )
  // A system reset among the noise disarms; all else leaves the closing be.
  assert.ok(heard > cases / 2, `${heard} of ${cases}`)
})

test.skipIf(
  noStandardFirmata,
  "without a check, as StandardFirmata writes pins, one changed byte closes another's contact",
  () => {
    const bench = firmwareBench(STANDARD_HEX, 2500)
    // Pins 8 to 15; pin 8 to be high.
    const write = [0x91, 0x01, 0x00]
    const others = new Set<number>()
    for (let byte = 0; byte < 128; byte++) {
      bench.say(...write.with(1, byte))
      bench.run(2)
      for (const pin of [9, 10, 11, 12]) if (bench.board.pin(pin) === 'high') others.add(pin)
    }
    assert.equal([...others].sort(), [10, 11, 12, 9])
  },
)

test.run()
