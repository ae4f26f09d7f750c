/** The light client at work: following, proving, and sources that lie. */
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { fromUtf8, toHex, utf8 } from '../../../protocol/bytes.ts'
import type { LightBlock } from '../../../protocol/chain/light-block.ts'
import { parseLightBlock } from '../../../protocol/chain/rpc-json.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { seal } from '../../protocol/light/chain-maker.ts'
import { forged, group, KEY, LOCKED, resealed, started } from './light-bench.ts'

const test = suite('the light client at work')

test('from a height and a hash it skips to the head in one step and follows it, block by block', async () => {
  const bench = await started({ blocks: 50 })
  assert.is(bench.agent.head()?.height, 50n)
  assert.is(bench.agent.stats().headersVerified, 1)
  await bench.time.advance(5000)
  const head = bench.agent.head()!
  assert.is(head.height, 55n)
  assert.is(head.witnessed, true)
  assert.is(head.validators, 4)
  assert.is(head.signedBy.length, 3)
  assert.is(toHex(head.hash), toHex(bench.ledger.chain[54]!.commit.blockId.hash))
  assert.is(bench.agent.stats().headersVerified, 6)
  assert.is(bench.state(), 'ok')
  await bench.during(bench.agent.stop())
})

test('a value and an absence are proven under the next header', async () => {
  const bench = await started()
  assert.is(must(await bench.during(bench.agent.prove(KEY))).value, undefined)
  bench.ledger.changes.set(bench.ledger.chain.length + 1, [KEY, LOCKED])
  const proven = must(await bench.during(bench.agent.prove(KEY, BigInt(bench.ledger.chain.length + 1))))
  assert.is(toHex(proven.value!), toHex(LOCKED))
  assert.is(proven.headerHeight, proven.stateHeight + 1n)
  const header = bench.ledger.chain[Number(proven.headerHeight) - 1]!.header
  assert.is(toHex(proven.appHash), toHex(header.appHash))
  assert.is(bench.agent.stats().proofsVerified, 2)
  await bench.during(bench.agent.stop())
})

test('asked for a state that is not there yet it waits, and gives up within its bound', async () => {
  const bench = await started()
  const soon = BigInt(bench.ledger.chain.length + 3)
  assert.ok(must(await bench.during(bench.agent.prove(KEY, soon))).stateHeight >= soon)
  const never = await bench.during(bench.agent.prove(KEY, 10_000n))
  assert.is(never.ok ? 'ok' : never.fault.code, 'light.not-yet')
  await bench.during(bench.agent.stop())
})

test('a false value under a true header is refused, kept as evidence, and the next node asked', async () => {
  const bench = await started()
  bench.primary.twistValue = () => LOCKED
  const proven = must(await bench.during(bench.agent.prove(KEY)))
  assert.is(proven.value, undefined)
  assert.is(bench.agent.stats().refusals, 1)
  assert.is(bench.evidence().length, 1)
  assert.match(bench.transcript.join('\n'), /primary sent something that does not verify ics23.form/)
  assert.match(bench.transcript.join('\n'), /health refused ics23.form/)
  const asked = bench.primary.asked.length
  await bench.time.advance(3000)
  assert.is(bench.primary.asked.length, asked, 'nobody asks the liar again')
  await bench.during(bench.agent.stop())
})

for (const [what, twist, code] of [
  ['changed after signing', forged, 'light.header-hash'],
  ['signed by strangers', resealed, 'light.validators-hash'],
] as const)
  test(`a header ${what} is refused by name and kept, and the first witness takes over`, async () => {
    const bench = await started()
    bench.primary.twist = twist
    await bench.time.advance(4000)
    assert.is(bench.state(), 'ok')
    assert.is(bench.agent.head()?.height, BigInt(bench.ledger.chain.length))
    assert.match(bench.transcript.join('\n'), new RegExp(`health refused ${code}`))
    const [file] = bench.evidence()
    const saved = JSON.parse(fromUtf8(bench.disk.files.get(file!)!)!)
    assert.is(saved.fault.code, code)
    assert.is(saved.source, 'primary')
    assert.is(fromUtf8(must(parseLightBlock(saved.light_block)).header.appHash), 'forged')
    await bench.during(bench.agent.stop())
  })

test('with a verifier that accepts everything the forged chain is believed: the signatures are what holds', async () => {
  // The set is the real one, only the signatures are of other blocks.
  const unsigned = (block: LightBlock): LightBlock => {
    const { header, commit, validators } = seal({ ...block.header, appHash: utf8('forged') }, group)
    return { header, commit: { ...commit, signatures: block.commit.signatures }, validators }
  }
  for (const [verifier, appHash, refusals] of [
    [{ verify: () => true }, 'forged', 0],
    [createVerifier(), undefined, 1],
  ] as const) {
    const bench = await started({ verifier, witnesses: 1 })
    bench.primary.twist = unsigned
    for (const witness of bench.witnesses) witness.twist = unsigned
    await bench.time.advance(1000)
    await bench.during(bench.agent.stop())
    assert.is(fromUtf8(bench.headers().newest()!.block.header.appHash), appHash)
    assert.is(bench.agent.stats().refusals > 0, refusals > 0)
  }
})

test('where only liars are left nothing is proven; it heals when they stop', async () => {
  const bench = await started({ witnesses: 1 })
  bench.primary.twist = forged
  bench.witnesses[0]!.twist = forged
  const height = bench.agent.head()!.height
  await bench.time.advance(1500)
  const proven = await bench.during(bench.agent.prove(KEY))
  assert.is(proven.ok ? 'ok' : proven.fault.code, 'light.refused')
  assert.is(proven.ok ? '' : proven.fault['because'], 'light.header-hash')
  assert.is(bench.state(), 'refused')
  assert.is(bench.agent.head()?.height, height)
  bench.witnesses[0]!.twist = undefined
  await bench.time.advance(2000)
  // The liar that was dropped stays away, so no witness is left.
  assert.is(bench.state(), 'no-witness')
  assert.ok(bench.agent.head()!.height > height)
  await bench.during(bench.agent.stop())
})

test('whoever lied is heard again after an hour, as a witness', async () => {
  const bench = await started({ witnesses: 1 })
  bench.primary.twist = forged
  await bench.time.advance(2000)
  bench.primary.twist = undefined
  assert.is(bench.state(), 'no-witness')
  await bench.time.advance(3_590_000)
  assert.is(bench.state(), 'no-witness')
  await bench.time.advance(15_000)
  assert.is(bench.state(), 'ok')
  assert.match(bench.transcript.join('\n'), /primary is heard again/)
  await bench.during(bench.agent.stop())
}, 180_000)

test('a block or a state of another height than asked for is no answer, and no lie either', async () => {
  const bench = await started()
  bench.primary.heightError = -1n
  const proven = await bench.during(bench.agent.prove(KEY))
  assert.is(proven.ok ? 'ok' : proven.fault.code, 'light.wrong-height')
  bench.primary.twist = () => bench.ledger.chain[0]!
  await bench.time.advance(5000)
  assert.is(bench.state(), 'ok')
  assert.is(bench.agent.stats().refusals, 0)
  assert.match(bench.transcript.join('\n'), /witness 1 takes the place of primary/)
  await bench.during(bench.agent.stop())
})

test.run()
