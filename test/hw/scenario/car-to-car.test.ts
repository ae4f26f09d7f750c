/** One car charges another, judged at the wires between them. */
import { carToCar, startTransfer } from '../../../hw/scenario/car-to-car.ts'
import { TRANSFER_LIMITS } from '../../../protocol/safety/car-to-car.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('car-to-car scenario')

test('everything holds, by any seed', async () => {
  for (const seed of [1, 2]) {
    const result = await carToCar.run({ seed, realSigner: false, onProgress: () => {} })
    assert.equal([result.problems, result.ok], [[], true])
  }
}, 240_000)

test('without the limit on a silent meter both go on by what it said last', async () => {
  const flowsAfter = async (readingMs: number) => {
    const run = startTransfer(10_000n, { limits: { ...TRANSFER_LIMITS, readingMs } })
    await run.advance(20_000)
    run.station.giver.blindMeter()
    await run.advance(4_000)
    return run.flowing() > 0
  }
  assert.equal([await flowsAfter(TRANSFER_LIMITS.readingMs), await flowsAfter(Number.POSITIVE_INFINITY)], [false, true])
})

test('without heartbeats a silent port is left to its own watchdog, and the other gives to the station', async () => {
  const exported = async (heartbeatMs: number) => {
    const run = startTransfer(10_000n, { limits: { ...TRANSFER_LIMITS, heartbeatMs } })
    await run.advance(20_000)
    const before = run.station.supply().exported
    run.station.taker.silence()
    await run.advance(6_000)
    return run.station.supply().exported - before
  }
  assert.ok((await exported(Number.POSITIVE_INFINITY)) > 3n * (await exported(TRANSFER_LIMITS.heartbeatMs)))
})

test('stopped by the agent, nothing flows any more', async () => {
  const stopped = startTransfer(10_000n)
  await stopped.advance(20_000)
  stopped.transfer.stop()
  await stopped.advance(1_000)
  assert.equal([stopped.flowing(), stopped.transfer.phase()], [0, 'running'])
})

test.run()
