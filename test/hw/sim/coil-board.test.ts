import { drainPromises } from '../../../drivers/drain.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import type { Position } from '../../../drivers/ports.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createCoilBoard } from '../../../hw/sim/coil-board.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { serveModbus } from '../../../hw/sim/modbus-slave.ts'
import type { Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('coil board')

/** A four-channel board at unit 40, driven by the real master over a line in memory at 9,600 baud. */
async function bench() {
  const time = createSimTime(0, drainPromises)
  const { clock, timers } = time
  const { port, device } = createMemoryLine({ name: 'bus', characterMs: 10 / 9.6, clock, timers })
  const moves: [channel: number, position: Position, at: number][] = []
  const moved = (channel: number, position: Position) => void moves.push([channel, position, clock.mono()])
  const board = createCoilBoard({ channels: 4, moved, clock, timers })
  const random = () => 1
  serveModbus(device, new Map([[40, board.unit]]), {
    framing: 'rtu',
    characterMs: 0,
    turnaroundMs: 2,
    clock,
    timers,
    random,
  })
  const master = createModbusMaster({ line: port, clock, timers, framing: 'rtu' })
  await master.open()
  const done = async <T>(running: Promise<Result<T>>): Promise<Result<T>> => {
    let result: Result<T> | undefined
    void running.then(value => {
      result = value
    })
    for (let n = 0; result === undefined && n < 2000; n++) await time.advance(1)
    return result!
  }
  return { time, master, board, moves, done }
}

test('coils close and open contacts and read back', async () => {
  const { master, board, moves, done } = await bench()
  assert.is((await done(master.writeCoil(40, 2, true))).ok, true)
  assert.is((await done(master.writeCoils(40, 0, [true, false]))).ok, true)
  const read = await done(master.readCoils(40, 0, 4))
  assert.equal(read.ok && read.value, [true, false, true, false])
  assert.equal(
    moves.map(([channel, position]) => [channel, position]),
    [
      [2, 'closed'],
      [0, 'closed'],
    ],
  )
  await done(master.writeCoil(40, 2, false))
  assert.is(board.position(2), 'open')
  const beyond = await done(master.writeCoil(40, 4, true))
  assert.is(!beyond.ok && beyond.fault['exception'], 2)
})

test('timed-on opens by itself unless it is renewed, and a coil holds for good', async () => {
  const { time, master, board, moves, done } = await bench()
  await done(master.writeCoil(40, 3, true))
  await done(master.writeRegister(40, 0, 1000))
  for (let n = 0; n < 4; n++) {
    await time.advance(450)
    assert.is((await done(master.writeRegisters(40, 0, [1000, 0]))).ok, true)
  }
  const last = time.clock.mono()
  assert.is(board.position(0), 'closed')
  const rest = await done(master.readRegisters(40, 'holding', 0, 1))
  const left = rest.ok ? (rest.value.bytes[0]! << 8) | rest.value.bytes[1]! : -1
  assert.ok(left > 900 && left < 1000, `${left} ms left`)
  await time.advance(2000)
  assert.is(board.position(0), 'open')
  assert.is(board.position(3), 'closed')
  const [, , openedAt] = moves.at(-1)!
  assert.ok(openedAt > last + 900 && openedAt <= last + 1000, `opened ${openedAt - last} ms after the last renewal`)
})

test('0 opens at once and no older timer opens it again later', async () => {
  const { time, master, board, done } = await bench()
  await done(master.writeRegister(40, 1, 500))
  await done(master.writeRegister(40, 1, 0))
  assert.is(board.position(1), 'open')
  await done(master.writeCoil(40, 1, true))
  await time.advance(2000)
  assert.is(board.position(1), 'closed')
})

test('a welded contact stays closed while its coil reads off, until it is mended', async () => {
  const { time, master, board, moves, done } = await bench()
  board.weld(0, true)
  assert.is(board.position(0), 'open')
  await done(master.writeRegister(40, 0, 500))
  await time.advance(1000)
  assert.is(board.position(0), 'closed')
  const read = await done(master.readCoils(40, 0, 1))
  assert.equal(read.ok && read.value, [false])
  assert.is(moves.length, 1)
  board.weld(0, false)
  assert.is(board.position(0), 'open')
  assert.is(moves.length, 2)
})

test('without power every relay lets go', async () => {
  const { master, board, done } = await bench()
  await done(master.writeCoils(40, 0, [true, true, false, true]))
  board.powerLoss()
  assert.equal([0, 1, 2, 3].map(board.position), ['open', 'open', 'open', 'open'])
})

test.run()
