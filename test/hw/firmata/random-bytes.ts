/** What a bad line may make of bytes, said to the firmware: judged by the processor's pins. */
import { armMessage, RELAY_COMMAND, switchMessage } from '../../../drivers/relays/relay-firmware.ts'
import { assert } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { CHARACTER_CYCLES, closedPins, type FirmwareBench, firmwareBench, PINS, sysex } from './firmware-bench.ts'

const SESSION = 4711
export const closing = (pin: number, session = SESSION) => switchMessage(2, session, pin, true)

/** Long enough for these bytes and all that they are answered with. */
export const pass = (bench: FirmwareBench, bytes: number) => bench.board.run((bytes + 20) * CHARACTER_CYCLES)

export function armed(bench: FirmwareBench): void {
  for (let n = 0; n < 3; n++) {
    if (bench.ask(armMessage(1, SESSION, 5000, PINS), 20)?.reason === 'done') return
  }
  throw new Error('the board cannot be armed')
}

/** Bytes as they may come: noise, noise of what matters to a parser, and pieces of true messages. */
export const piece = fc.oneof(
  fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 40 }),
  fc.array(fc.constantFrom(0xf0, RELAY_COMMAND, 1, 2, 3, 0x40, 0x7f, 0xf7, 0x90, 0x91, 0xf4, 0xff, 4, 7), {
    maxLength: 40,
  }),
  fc
    .tuple(fc.constantFrom(...PINS.map(({ pin }) => pin)), fc.nat(14), fc.integer({ min: 0, max: 255 }))
    .map(([pin, at, byte]) => sysex(closing(pin)).with(Math.min(at, 11), byte))
    .filter(bytes => PINS.every(({ pin }) => bytes.join() !== sysex(closing(pin)).join())),
  // True, of another session.
  fc.constantFrom(...PINS.map(({ pin }) => sysex(closing(pin, SESSION + 1)))),
)

/** Says random pieces to a board, armed or not, and answers how many bytes they were: no contact ever closes. */
export function sayRandomBytes(runs: number): number {
  const bench = firmwareBench()
  let bytes = 0
  assertProperty(
    fc.property(fc.boolean(), fc.array(piece, { maxLength: 12 }), (begin, pieces) => {
      if (begin) armed(bench)
      const all = pieces.flat()
      bytes += all.length
      bench.say(...all)
      pass(bench, 2 * all.length)
      assert.equal(closedPins(bench), [])
    }),
    runs,
  )
  return bytes
}
