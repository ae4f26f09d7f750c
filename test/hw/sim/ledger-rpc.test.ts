/** The simulated node keeps the contract of every node; its faults are those of a bad one, and nothing else. */
import { createSystemTime } from '../../../drivers/clock.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimRpc, type NodeFaults, withFaults } from '../../../hw/sim/ledger-rpc.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { instantOf } from '../../../protocol/chain/chain-time.ts'
import { hashHeader } from '../../../protocol/chain/header.ts'
import { SMT_SPEC, verifyMembership } from '../../../protocol/chain/ics23.ts'
import { verify, verifyAnchor } from '../../../protocol/light/verify.ts'
import { must } from '../../../protocol/result.ts'
import { later } from '../../../protocol/time.ts'
import { makeProducer } from '../../agent/validator/street.ts'
import { ledgerRpcCases } from '../../contracts/ledger-rpc.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, buyer, CHAIN_ID, verifier } from '../../protocol/ledger/parties.ts'

const test = suite('simulated ledger rpc')
const { timers } = createSystemTime()

ledgerRpcCases(test, 'sim', async validators => {
  const { producer } = makeProducer({ keep: 10 }, validators)
  return { producer, rpc: createSimRpc({ name: 'sim', producer, timers, latencyMs: 1 }), close: async () => {} }
})

/** A node three blocks high whose faults can be switched. */
async function node(): Promise<{ faults: NodeFaults; rpc: ReturnType<typeof withFaults> }> {
  const { producer } = makeProducer()
  for (let i = 0; i < 3; i++) await producer.produce()
  const faults: NodeFaults = {}
  return { faults, rpc: withFaults(createSimRpc({ name: 'bad', producer, timers, latencyMs: 0 }), faults) }
}

test('an answer takes its latency in virtual time', async () => {
  const time = createSimTime(BEGIN, drainPromises)
  const rpc = createSimRpc({ name: 'slow', producer: makeProducer().producer, timers: time.timers, latencyMs: 300 })
  let answered = false
  void rpc.status().then(() => {
    answered = true
  })
  await time.advance(299)
  assert.not.ok(answered)
  await time.advance(1)
  assert.ok(answered)
})

test('a node that is down says so, a silent one never answers, and both recover', async () => {
  const { faults, rpc } = await node()
  faults.down = true
  const down = await rpc.status()
  assert.is(down.ok ? '' : down.fault.code, 'rpc.unreachable')
  faults.down = false
  faults.silent = true
  const silence = await Promise.race([rpc.status(), new Promise(resolve => setTimeout(resolve, 20, 'silence'))])
  assert.is(silence, 'silence')
  faults.silent = false
  assert.ok((await rpc.status()).ok)
})

test('a node that withholds knows of no newer block', async () => {
  const { faults, rpc } = await node()
  faults.withholdAfter = 1n
  assert.is(must(await rpc.status()).height, 1n)
  assert.ok((await rpc.lightBlock(1n)).ok)
  const newer = await rpc.lightBlock(2n)
  assert.is(newer.ok ? '' : newer.fault.code, 'rpc.height-too-high')
})

for (const forge of ['app-hash', 'signature'] as const) {
  test(`a block with a forged ${forge} is refused by the light client`, async () => {
    const { faults, rpc } = await node()
    const options = {
      chainId: CHAIN_ID,
      trustingPeriodMs: 86_400_000,
      maxClockDriftMs: 10_000,
      trustLevel: { numerator: 1, denominator: 3 },
    }
    const first = must(await rpc.lightBlock(1n))
    const now = later(instantOf(first.header.time), 5_000)
    const anchor = { height: 1n, hash: hashHeader(first.header) }
    const trusted = must(verifyAnchor(anchor, first, options, now, verifier))
    assert.is(verify(trusted, must(await rpc.lightBlock(2n)), options, now, verifier).kind, 'trusted')
    faults.forge = forge
    assert.is(verify(trusted, must(await rpc.lightBlock(2n)), options, now, verifier).kind, 'invalid')
  })
}

test('a forged state does not agree with its proof', async () => {
  const { faults, rpc } = await node()
  const key = utf8(`account/${buyer.id}`)
  const { appHash } = must(await rpc.lightBlock(2n)).header
  const honest = must(await rpc.query(key, 1n))
  assert.ok(verifyMembership(SMT_SPEC, appHash, honest.proof, key, honest.value!).ok)
  faults.forgeState = () => utf8('a million')
  const forged = must(await rpc.query(key, 1n))
  assert.not.ok(verifyMembership(SMT_SPEC, appHash, forged.proof, key, forged.value!).ok)
})

test.run()
