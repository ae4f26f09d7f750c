import { assert, suite } from '../harness.ts'
import { closedPins, firmwareBench, PINS, sysex } from '../hw/firmata/firmware-bench.ts'
import { armed, closing, pass, sayRandomBytes } from '../hw/firmata/random-bytes.ts'

const test = suite('firmware of a relay board, disturbed at length')

const RUNS = 20_000

test(`${RUNS} times random bytes close no contact`, () => {
  assert.ok(sayRandomBytes(RUNS) > RUNS)
}, 900_000)

for (const { pin } of PINS) {
  test(`a valid closing of pin ${pin} with any two of its bits changed closes no contact at all`, () => {
    const bench = firmwareBench()
    const valid = sysex(closing(pin))
    const bits = valid.length * 8
    const flip = (bytes: readonly number[], bit: number) => bytes.with(bit >> 3, bytes[bit >> 3]! ^ (1 << (bit & 7)))
    for (let one = 0; one < bits; one++) {
      // A changed byte may disarm the board.
      armed(bench)
      for (let two = one + 1; two < bits; two++) {
        bench.say(...flip(flip(valid, one), two))
        pass(bench, valid.length)
        assert.equal(closedPins(bench), [], `bits ${one} and ${two}`)
      }
    }
  }, 300_000)
}

test.run()
