/** A group, its gateways, and what each member paid: a lie stands where nobody can work the account out. */
import { runCommunity } from '../../../hw/scenario/community.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('scenario community')
const SETTINGS = { seed: 4, realSigner: false, onProgress: () => {} }

test('the gateway that lies and the one that is silent are replaced by the members, and nobody is worse off', async () => {
  const { ok, facts, problems } = await runCommunity(SETTINGS)
  assert.ok(ok, problems.join('\n'))
  const gateways = facts['gateways'] as readonly string[]
  assert.equal([gateways.length, gateways[0], new Set(gateways).size], [4, 'ada', 3])
  assert.ok((facts['lie_found_by'] as number) >= 3, String(facts['lie_found_by']))
  assert.is(facts['worse_off'], 0)
}, 360_000)

test('where the gateway shows no readings of its own its lie stands, and the judge says so', async () => {
  const { ok, problems } = await runCommunity(SETTINGS, { blind: true })
  assert.ok(!ok)
  assert.ok(problems.includes('the gateway lied, and is still the gateway'), problems.join('\n'))
}, 360_000)

test.run()
