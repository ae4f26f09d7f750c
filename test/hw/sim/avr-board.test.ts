import { readFileSync } from 'node:fs'
import type { DeviceEnd } from '../../../drivers/line/device-end.ts'
import { armMessage, switchMessage } from '../../../drivers/relays/relay-firmware.ts'
import { AVR_HZ, createAvrBoard, readIntelHex } from '../../../hw/sim/avr-board.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('avr board')

/** Opcodes of the AVR instruction set manual. */
const SLEEP = 0x9588
const NOP = 0x0000

/** A program as Intel HEX: two bytes a word, the low one first. */
function hexOf(words: readonly number[]): string {
  const lines = words.map((word, at) => {
    const bytes = [2, (2 * at) >> 8, (2 * at) & 0xff, 0, word & 0xff, word >> 8]
    return `:${toHex(Uint8Array.from([...bytes, -bytes.reduce((sum, byte) => sum + byte, 0)]))}`
  })
  return [...lines, ':00000001FF'].join('\n')
}

function run(hex: string, cycles: number, say: readonly (readonly [at: number, bytes: readonly number[]])[] = []) {
  const events: string[] = []
  const sent: number[] = []
  let hear: (chunk: Uint8Array) => void = () => {}
  const end: DeviceEnd = {
    write: bytes => void sent.push(...bytes),
    onBytes: listener => {
      hear = listener
    },
    unplug: () => {},
    close: async () => {},
  }
  const onPin = (pin: number, drive: string, cycle: number) => events.push(`${pin} ${drive} ${cycle}`)
  const board = must(createAvrBoard({ hex, end, onPin }))
  for (const [at, bytes] of say) {
    board.run(at - board.cycles())
    hear(Uint8Array.from(bytes))
  }
  board.run(cycles - board.cycles())
  return { board, events, sent }
}

test('a program changes pins in the cycles that the manual gives its instructions', () => {
  const { events, board } = run(
    hexOf([
      0x9a54, // sbi DDRD, 4    2 cycles
      NOP, //                   1
      0x9a5c, // sbi PORTD, 4   2
      0x9854, // cbi DDRD, 4    2
      0xcfff, // rjmp .
    ]),
    100,
  )
  // Told with the cycle in which the instruction begins.
  assert.equal(events, ['4 low 0', '4 high 3', '4 pulled-up 5'])
  assert.is(board.pin(4), 'pulled-up')
})

test('a level given from outside is what the program reads, until it drives the pin', () => {
  // sbic PIND, 2 skips the jump while the pin is low: then sbi DDRB, 0
  const program = hexOf([0x994a, 0xcffe, 0x9a20, 0xcfff])
  const end = { write: () => {}, onBytes: () => {}, unplug: () => {}, close: async () => {} }
  const board = must(createAvrBoard({ hex: program, end }))
  board.drive(2, 1)
  board.run(100)
  assert.is(board.pin(8), 'input')
  board.drive(2, 0)
  board.run(100)
  assert.is(board.pin(8), 'low')
})

test('a reset lets every pin go and starts the program anew', () => {
  const program = hexOf([0x9a54, 0xcfff])
  const { board, events } = run(program, 100)
  board.pressReset()
  assert.is(board.pin(4), 'input')
  board.run(10)
  assert.equal([board.pin(4), board.resets(), events.length], ['low', 1, 3])
})

test('an asleep processor does at each time what an awake one does', () => {
  const asleep = readFileSync('hw/firmata/relay.hex', 'utf8')
  const words = [...new Uint16Array(must(readIntelHex(asleep)).buffer)]
  const end = words.findLastIndex(word => word !== 0xffff) + 1
  assert.is(words.filter(word => word === SLEEP).length, 1)
  const awake = hexOf(words.slice(0, end).map(word => (word === SLEEP ? NOP : word)))
  const ms = AVR_HZ / 1000
  const say = [
    [20 * ms, [0xf0, ...armMessage(1, 5, 100, [{ pin: 4, use: 'closed-low' }]), 0xf7]],
    [40 * ms, [0xf0, ...switchMessage(2, 5, 4, true), 0xf7]],
  ] as const
  const [one, other] = [asleep, awake].map(hex => run(hex, 200 * ms, say))
  assert.equal(one!.sent, other!.sent)
  assert.is(one!.events.length, 4)
  for (const [at, event] of one!.events.entries()) {
    const [pin, drive, cycle] = event.split(' ')
    const [otherPin, otherDrive, otherCycle] = other!.events[at]!.split(' ')
    assert.equal([pin, drive], [otherPin, otherDrive])
    // Less than a byte's time on the line apart: an awake one may be in the middle of its loop.
    assert.ok(Math.abs(Number(cycle) - Number(otherCycle)) < 200, `${event} and ${other!.events[at]}`)
  }
})

test.run()
