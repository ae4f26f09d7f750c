/** A store's network as it is proven of a real distribution ledger: the lines of its customers up to the main grid. */
import { proveNetwork } from '../../../agent/roles/store-network.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { fromUtf8 } from '../../../protocol/bytes.ts'
import type { Genesis } from '../../../protocol/ledger/genesis.ts'
import { createNetworkCheck, type Network, readNetwork } from '../../../protocol/market/network-check.ts'
import { wattHours } from '../../../protocol/quantity.ts'
import { fail, must, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { gridGenesis } from '../../protocol/ledger/grid.ts'
import { partyOf, RICH } from '../../protocol/ledger/parties.ts'
import { makeVillage } from './village.ts'

const test = suite('store network')
const wires = partyOf('distributor')
const genesis: Genesis = {
  ...gridGenesis,
  accounts: [...gridGenesis.accounts, { publicKey: wires.publicKey, balance: RICH }],
  meters: [],
  roles: [{ role: 'distributor', holder: wires.address }],
}
/**
 *     T --- F1 --- H-ada, H-ben        L1 --- L2 --- ... --- L8
 */
const LINES: readonly (readonly [line: string, capacity: bigint, feeder?: string])[] = [
  ['T', 9000n],
  ['F1', 6000n, 'T'],
  ['H-ada', 1000n, 'F1'],
  ['H-ben', 500n, 'F1'],
  ...Array.from({ length: 8 }, (_, at) => [`L${at + 1}`, 100n, ...(at === 0 ? [] : [`L${at}`])] as [string, bigint]),
]

async function makeWires() {
  const village = await makeVillage(genesis, { wires })
  const { energy } = village.of('wires')
  for (const [line, capacity, feeder] of LINES) {
    const body = { line, energy: wattHours(capacity), ...(feeder === undefined ? {} : { feeder }) }
    must(await awaited(village.time, energy.account.submit({ kind: 'capacity', body }), 300_000))
    await village.time.advance(60_000)
  }
  const asked: string[] = []
  const light = {
    prove(key: Uint8Array) {
      asked.push(fromUtf8(key)!)
      return energy.light.prove(key)
    },
  }
  const proven = (nodes: readonly string[]): Promise<Result<Network>> =>
    awaited(village.time, proveNetwork(light, nodes), 600_000)
  return { village, energy, asked, proven }
}

test('lines from each node up, each proven once, judged by their capacity alone', async () => {
  const { village, asked, proven } = await makeWires()
  const { lines, slotMs, voltage } = must(await proven(['H-ada', 'H-ben']))
  assert.equal([slotMs, voltage], [900_000, undefined])
  assert.equal(
    [...lines].map(([name, { feeder, capacity, resistance }]) => [name, capacity, feeder, resistance]),
    [
      ['H-ada', 1000n, 'F1', 0],
      ['F1', 6000n, 'T', 0],
      ['T', 9000n, undefined, 0],
      ['H-ben', 500n, 'F1', 0],
    ],
  )
  assert.equal(asked, ['line/H-ada', 'line/F1', 'line/T', 'line/H-ben'])
  // As a store uses it: ben's line is the narrowest.
  const check = createNetworkCheck(must(readNetwork({ slotMs, lines })))
  const move = { slot: 0, from: 'H-ada', to: 'H-ben' }
  assert.is(check.take({ ...move, energy: wattHours(500n) }).kind, 'accepted')
  assert.is(check.take({ ...move, energy: wattHours(1n) }).kind, 'rejected')

  // The deepest that the ledger takes is whole; whoever is on no line is left out, and nobody is nothing.
  assert.equal([...must(await proven(['L8'])).lines.keys()], ['L8', 'L7', 'L6', 'L5', 'L4', 'L3', 'L2', 'L1'])
  assert.equal([...must(await proven(['H-none', 'T'])).lines.keys()], ['T'])
  assert.is(must(await proven([])).lines.size, 0)
  await village.stop()
}, 60_000)

test('a ledger that cannot be proven is no network, however much of it was', async () => {
  const { village, energy } = await makeWires()
  const stale = { code: 'light.stale' }
  let left = 2
  const light = { prove: (key: Uint8Array) => (left-- > 0 ? energy.light.prove(key) : Promise.resolve(fail(stale))) }
  const found = await awaited(village.time, proveNetwork(light as never, ['H-ada', 'H-ben']), 600_000)
  assert.equal(found, fail(stale))
  await village.stop()
}, 60_000)

test.run()
