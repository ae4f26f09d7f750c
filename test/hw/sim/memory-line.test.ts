import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine, type MemoryLineOptions } from '../../../hw/sim/memory-line.ts'
import { noise } from '../../../hw/sim/noise.ts'
import { lineCases } from '../../contracts/line.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('line in memory')

function make(options: Partial<MemoryLineOptions> = {}) {
  const time = createSimTime(0, drainPromises)
  const { clock, timers } = time
  const line = createMemoryLine({ name: 'test', characterMs: 10 / 9.6, clock, timers, ...options })
  return { ...line, time }
}

lineCases(test, 'memory', async () => {
  const { port, device, time } = make()
  return { line: port, device: () => device, pass: ms => time.advance(ms), end: () => device.close() }
})

test('a write ends when its last character has left, and arrives then, plus the latency', async () => {
  const { port, device, time } = make({ characterMs: 10, latencyMs: 5 })
  const ear: number[] = []
  await port.open({ bytes: chunk => ear.push(...chunk), down: () => {} })
  let arrived = -1
  device.onBytes(() => {
    arrived = time.clock.mono()
  })
  let left = -1
  void port.write(new Uint8Array(8)).then(() => {
    left = time.clock.mono()
  })
  //      the other direction has a wire of its own; two writes follow each other on it
  device.write(Uint8Array.of(1, 2))
  device.write(Uint8Array.of(3))
  await time.advance(24)
  assert.equal(ear, [])
  await time.advance(1)
  assert.equal(ear, [1, 2])
  await time.advance(10)
  assert.equal(ear, [1, 2, 3])
  await time.advance(100)
  assert.is(left, 80)
  assert.is(arrived, 85)
})

test('what is under way when the plug is pulled is lost, and plugged in again it opens', async () => {
  const { port, device, time } = make()
  const ear: number[] = []
  const listener = { bytes: (chunk: Uint8Array) => void ear.push(...chunk), down: () => {} }
  await port.open(listener)
  device.write(Uint8Array.of(1))
  const writing = port.write(Uint8Array.of(2))
  device.unplug()
  await time.advance(100)
  assert.is((await writing).ok, false)
  const refused = await port.open(listener)
  assert.is(!refused.ok && refused.fault.code, 'line.unplugged')
  device.plug()
  assert.is((await port.open(listener)).ok, true)
  device.write(Uint8Array.of(3))
  await time.advance(100)
  assert.equal(ear, [3])
})

test('noise flips and loses what its shares say, and nothing without them', async () => {
  let state = 1
  const random = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return state / 2 ** 32
  }
  const bytes = new Uint8Array(10_000)
  assert.is(noise(bytes, { flippedBits: 0, lostBytes: 0 }, random), bytes)
  const flipped = noise(bytes, { flippedBits: 0.01, lostBytes: 0 }, random)
  const bits = flipped.reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
  assert.ok(bits > 700 && bits < 900, `${bits} of 80,000 bits flipped`)
  const { length } = noise(bytes, { flippedBits: 0, lostBytes: 0.1 }, random)
  assert.ok(length > 8_800 && length < 9_200, `${length} of 10,000 bytes left`)

  const { port, device, time } = make({ disturb: chunk => chunk.map(byte => byte ^ 1) })
  const ear: number[] = []
  await port.open({ bytes: chunk => ear.push(...chunk), down: () => {} })
  device.write(Uint8Array.of(4))
  await time.advance(100)
  assert.equal(ear, [5])
})

test.run()
