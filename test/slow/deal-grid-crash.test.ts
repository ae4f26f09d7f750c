import { assert, suite } from '../harness.ts'
import { crashEverywhere } from '../protocol/trade/grid-crash.ts'

const test = suite('trade deal over two ledgers, every crash')

for (const actor of ['seller', 'buyer', 'distributor'] as const) {
  for (const back of [500, 5000, 60_000, 200_000, undefined]) {
    const then = back === undefined ? 'stays dead' : `is back after ${back} ms`
    test(`a ${actor} dies before any one of its outputs and ${then}: both ledgers or neither`, () => {
      const { crashes, ends } = crashEverywhere(actor, back)
      assert.ok(crashes >= (actor === 'distributor' ? 2 : 30), String(crashes))
      console.log(`${actor} ${then}: ${crashes} crashes, ${JSON.stringify(ends)}`)
    })
  }
}

test.run()
