/** The light client at work: witnesses that are away, late or contradict, restarts, and clocks. */
import { fromUtf8, toHex, utf8 } from '../../../protocol/bytes.ts'
import { parseEvidence } from '../../../protocol/chain/evidence-json.ts'
import { lightBlockJson } from '../../../protocol/chain/rpc-json.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { CHAIN, members, seal } from '../../protocol/light/chain-maker.ts'
import { forged, forked, KEY, makeBench, resealed, started } from './light-bench.ts'

const test = suite('the light client and its witnesses')

test('without a witness that answers the head is followed, and nothing new is proven', async () => {
  const bench = await started()
  must(await bench.during(bench.agent.prove(KEY)))
  for (const witness of bench.witnesses) witness.mode = 'down'
  await bench.time.advance(2000)
  assert.is(bench.state(), 'no-witness')
  const refused = await bench.during(bench.agent.prove(KEY))
  assert.is(refused.ok ? 'ok' : refused.fault.code, 'light.no-witness')
  assert.is(bench.agent.head()?.height, BigInt(bench.ledger.chain.length))
  assert.is(bench.agent.head()?.witnessed, false)
  // A long absence must not fill the memory, nor keep the comparison from going on.
  await bench.time.advance(600_000)
  bench.witnesses[1]!.mode = 'fine'
  await bench.time.advance(2000)
  assert.is(bench.state(), 'ok')
  must(await bench.during(bench.agent.prove(KEY)))
  await bench.during(bench.agent.stop())
})

test('with no witness configured it says so from the start', async () => {
  const bench = await started({ witnesses: 0 })
  assert.is(bench.state(), 'no-witness')
  const refused = await bench.during(bench.agent.prove(KEY))
  assert.is(refused.ok ? 'ok' : refused.fault.code, 'light.no-witness')
  await bench.during(bench.agent.stop())
})

test('a witness that is a little behind confirms what it has come to; one that stands still is missing', async () => {
  const bench = await started({ witnesses: 1 })
  bench.witnesses[0]!.behind = 2
  await bench.time.advance(4000)
  assert.is(bench.state(), 'ok')
  assert.is(bench.agent.head()?.witnessed, false)
  // What is proven meanwhile is proven under the last header that the witness confirmed.
  const proven = must(await bench.during(bench.agent.prove(KEY)))
  assert.ok(proven.headerHeight < bench.agent.head()!.height)
  await bench.time.advance(10_000)
  assert.is(bench.state(), 'ok')
  const stood = bench.ledger.chain.length - 2
  bench.time.timers.every(1000, () => {
    bench.witnesses[0]!.behind = bench.ledger.chain.length - stood
  })
  await bench.time.advance(10_000)
  assert.is(bench.state(), 'no-witness')
  await bench.during(bench.agent.stop())
})

test('a primary that never answers is replaced after three deadlines', async () => {
  const bench = await started()
  bench.primary.mode = 'hanging'
  await bench.time.advance(25_000)
  assert.is(bench.state(), 'ok')
  assert.ok(bench.agent.head()!.height > BigInt(bench.ledger.chain.length - 7))
  await bench.during(bench.agent.stop())
})

test('a primary that stands still is replaced', async () => {
  const bench = await started()
  const stood = bench.ledger.chain.length
  bench.time.timers.every(1000, () => {
    bench.primary.behind = bench.ledger.chain.length - stood
  })
  await bench.time.advance(40_000)
  assert.match(bench.transcript.join('\n'), /health stale light.stale/)
  assert.is(bench.agent.head()?.height, BigInt(bench.ledger.chain.length))
  await bench.during(bench.agent.stop())
})

test('two chains signed by the validators end all trust, with evidence both ways, also after a restart', async () => {
  const bench = await started()
  const from = BigInt(bench.ledger.chain.length + 1)
  bench.witnesses[1]!.twist = block => (block.header.height >= from ? forked(block) : block)
  await bench.time.advance(1500)
  assert.is(bench.state(), 'diverged')
  assert.is(bench.agent.head(), undefined)
  const refused = await bench.during(bench.agent.prove(KEY))
  assert.is(refused.ok ? 'ok' : refused.fault.code, 'light.diverged')
  const saved = JSON.parse(fromUtf8(bench.disk.files.get(bench.evidence()[0]!)!)!)
  assert.is(saved.kind, 'lunatic')
  assert.is(saved.byzantine_validators.length, 4)
  // Each side has taken, as its own judge, what is held against the other, and it is what was saved.
  for (const [node, accusation] of [
    [bench.witnesses[1]!, saved.against_primary],
    [bench.primary, saved.against_witness],
  ] as const) {
    assert.equal(node.reported, [must(parseEvidence(accusation))])
  }
  await bench.during(bench.agent.stop())

  const restarted = await bench.during((await bench.again()).start())
  assert.is(restarted.ok ? 'ok' : restarted.fault.code, 'light.diverged')
  bench.witnesses[1]!.twist = undefined
  const height = bench.ledger.chain.length
  const anew = await bench.again({
    trust: { height: BigInt(height), hash: bench.ledger.chain[height - 1]!.commit.blockId.hash },
  })
  must(await bench.during(anew.start()))
  assert.is(anew.health().state, 'ok')
  await anew.stop()
})

test('a witness whose other chain is not signed is dropped; the others go on', async () => {
  const bench = await started()
  bench.witnesses[0]!.twist = resealed
  await bench.time.advance(3000)
  assert.is(bench.state(), 'ok')
  assert.is(bench.evidence().length, 1)
  const asked = bench.witnesses[0]!.asked.length
  await bench.time.advance(3000)
  assert.is(bench.witnesses[0]!.asked.length, asked)
  await bench.during(bench.agent.stop())
})

test('a witness that contradicts and falls silent holds payments up three times at most', async () => {
  const bench = await started()
  const liar = bench.witnesses[0]!
  liar.twist = block => {
    liar.mode = 'down'
    return forged(block)
  }
  bench.time.timers.every(100, () => {
    liar.mode = 'fine'
  })
  await bench.time.advance(1500)
  assert.is(bench.agent.head()?.witnessed, false, 'another witness agrees, but the contradiction is open')
  await bench.time.advance(6500)
  assert.is(bench.state(), 'ok')
  assert.is(bench.agent.head()?.witnessed, true)
  must(await bench.during(bench.agent.prove(KEY)))
  await bench.during(bench.agent.stop())
})

test('a restart goes on from the block kept on disk', async () => {
  const bench = await started()
  await bench.time.advance(3000)
  const { height } = bench.agent.head()!
  await bench.during(bench.agent.stop())
  bench.primary.asked.length = 0
  const second = await bench.again()
  must(await bench.during(second.start()))
  assert.not(bench.primary.asked.includes('block 1'))
  assert.ok(second.head()!.height >= height)
  await second.stop()

  assert.is(second.head()!.height, bench.headers().newest()!.block.header.height)
})

test('what an earlier version kept is taken over once: a divergence binds, a block or nonsense does no harm', async () => {
  for (const [content, code] of [
    ['{"chain_id":"street","diverged":{"height":"7","evidence":"light-evidence-x.json"}}', 'light.diverged'],
    ['{"chain_id":"street"}', 'ok'],
    ['{', 'ok'],
  ] as const) {
    const bench = await makeBench()
    bench.disk.files.set('light-trusted.json', utf8(content))
    let agent = bench.agent
    for (let start = 0; start < 2; start++) {
      const result = await bench.during(agent.start())
      assert.is(result.ok ? 'ok' : result.fault.code, code)
      await bench.during(agent.stop())
      agent = await bench.again()
    }
    assert.is(bench.disk.files.has('light-trusted.json'), code === 'ok')
  }
  const bench = await makeBench()
  const fifth = bench.ledger.chain[4]!
  const kept = { chain_id: CHAIN, hash: toHex(fifth.commit.blockId.hash), block: lightBlockJson(fifth) }
  bench.disk.files.set('light-trusted.json', utf8(JSON.stringify(kept)))
  must(await bench.during(bench.agent.start()))
  assert.not(bench.primary.asked.includes('block 1'))
  assert.not(bench.disk.files.has('light-trusted.json'))
  await bench.during(bench.agent.stop())
})

test('a ground older than the trusting period is refused with what to do', async () => {
  const bench = await makeBench()
  await bench.time.advance(3_600_000)
  const result = await bench.during(bench.agent.start())
  assert.is(result.ok ? 'ok' : result.fault.code, 'light.expired')
  assert.match(result.ok ? '' : (result.fault.hint ?? ''), /set ledger.trust.height and ledger.trust.hash/)
})

test('a configured hash that no node has is refused with what to do', async () => {
  const bench = await makeBench({ config: { trust: { height: 2n, hash: new Uint8Array(32) } } })
  const result = await bench.during(bench.agent.start())
  assert.is(result.ok ? 'ok' : result.fault.code, 'light.anchor')
  const low = await makeBench({ config: { trustLevel: { numerator: 1, denominator: 4 } } })
  const level = await low.during(low.agent.start())
  assert.is(level.ok ? 'ok' : level.fault.code, 'light.trust-level')
})

test('a wall clock set back drops nobody, and all goes on when it is right again', async () => {
  const bench = await started()
  bench.time.stepWall(-60_000)
  await bench.time.advance(3000)
  assert.is(bench.state(), 'stale')
  assert.match(bench.transcript.join('\n'), /health stale light.clock-stepped/)
  assert.is(bench.evidence().length, 0)
  bench.time.stepWall(60_000)
  await bench.time.advance(2000)
  assert.is(bench.state(), 'ok')
  await bench.during(bench.agent.stop())
})

test('a wall clock ten years ahead ends trust in what is old, and no header is believed', async () => {
  const bench = await started()
  bench.time.stepWall(315_360_000_000)
  await bench.time.advance(2000)
  assert.is(bench.state(), 'stale')
  const refused = await bench.during(bench.agent.prove(KEY))
  assert.is(refused.ok ? 'ok' : refused.fault.code, 'light.clock-stepped')
  await bench.during(bench.agent.stop())
})

test('a clock that was wrong from the start is named: ahead by what the head lags, behind by what the validators signed', async () => {
  const ahead = await makeBench()
  ahead.time.stepWall(60_000)
  must(await ahead.during(ahead.agent.start()))
  await ahead.time.advance(2000)
  const { state, fault } = ahead.agent.health()
  assert.equal([state, fault?.code], ['stale', 'light.clock-ahead'])
  assert.ok(Math.abs(Number(fault!['aheadMs']) - 60_000) < 3_000)
  assert.is(ahead.agent.aheadOfLedger()?.code, 'light.clock-ahead')
  ahead.time.stepWall(-60_000)
  await ahead.time.advance(2000)
  assert.is(ahead.state(), 'ok')
  assert.is(ahead.agent.aheadOfLedger(), undefined)
  await ahead.during(ahead.agent.stop())

  // Behind the newest headers, yet not behind the ground.
  const behind = await makeBench({ blocks: 100 })
  behind.time.stepWall(-60_000)
  must(await behind.during(behind.agent.start()))
  assert.equal([behind.state(), behind.agent.health().fault?.code], ['stale', 'light.clock-behind'])
  assert.is(behind.evidence().length, 0)
  await behind.during(behind.agent.stop())

  // Behind the ground itself.
  const before = await makeBench()
  before.time.stepWall(-3_600_000)
  const refused = await before.during(before.agent.start())
  assert.is(refused.ok ? 'ok' : refused.fault.code, 'light.clock-behind')
  assert.is(before.state(), 'stale')
  before.time.stepWall(3_600_000)
  await before.time.advance(3000)
  assert.is(before.state(), 'ok', 'set right, it begins without a restart')
  await before.during(before.agent.stop())
})

test('a header of the future that validators did not sign is a lie, not our clock', async () => {
  const bench = await started()
  bench.primary.twist = block => {
    const { header } = block
    return seal({ ...header, time: { ...header.time, seconds: header.time.seconds + 60n } }, members(4, 70))
  }
  await bench.time.advance(2000)
  assert.not.match(bench.transcript.join('\n'), /clock-behind/)
  assert.match(bench.transcript.join('\n'), /health refused light.validators-hash/)
  assert.is(bench.state(), 'ok', 'the liar is not asked again')
  await bench.during(bench.agent.stop())
})

test('staleness shows within the configured time, also while every node hangs', async () => {
  const bench = await started({ config: { staleAfterMs: 6_000, rpcDeadlineMs: 60_000 } })
  for (const node of [bench.primary, ...bench.witnesses]) node.mode = 'hanging'
  await bench.time.advance(5_000)
  assert.is(bench.state(), 'ok')
  await bench.time.advance(2_100)
  assert.is(bench.state(), 'stale')
  // The last block that was believed is kept, with the reason.
  const [note] = [...bench.disk.files.keys()].filter(name => name.startsWith('light-note-stale-'))
  assert.is(JSON.parse(fromUtf8(bench.disk.files.get(note!)!)!).fault.code, 'light.stale')
})

test('weeks offline: the ground expires while it runs, nothing is believed, and it says how to anchor anew', async () => {
  const bench = await started()
  for (const node of [bench.primary, ...bench.witnesses]) node.mode = 'down'
  await bench.time.advance(3_700_000)
  for (const node of [bench.primary, ...bench.witnesses]) node.mode = 'fine'
  await bench.time.advance(5_000)
  const { state, fault } = bench.agent.health()
  assert.equal([state, fault?.code], ['stale', 'light.expired'])
  assert.match(
    fault?.hint ?? '',
    /set ledger.trust.height and ledger.trust.hash in the configuration to a recent block/,
  )
  await bench.during(bench.agent.stop())
  const { header, commit } = bench.ledger.chain.at(-1)!
  const anew = await bench.again({ trust: { height: header.height, hash: commit.blockId.hash } })
  must(await bench.during(anew.start()))
  assert.is(anew.health().state, 'ok')
  await bench.during(anew.stop())
}, 60_000)

test('with no node at the start it begins by itself when one is there', async () => {
  const bench = await makeBench()
  for (const node of [bench.primary, ...bench.witnesses]) node.mode = 'down'
  const begun = await bench.during(bench.agent.start())
  assert.is(begun.ok ? 'ok' : begun.fault.code, 'rpc.down')
  assert.is(bench.state(), 'stale')
  await bench.time.advance(5_000)
  for (const node of [bench.primary, ...bench.witnesses]) node.mode = 'fine'
  await bench.time.advance(3_000)
  assert.is(bench.state(), 'ok')
  must(await bench.during(bench.agent.prove(KEY)))
  await bench.during(bench.agent.stop())
})

test('the same run gives the same transcript', async () => {
  const run = async () => {
    const bench = await started()
    await bench.time.advance(2000)
    bench.primary.twist = forged
    await bench.during(bench.agent.prove(KEY))
    bench.witnesses[1]!.mode = 'hanging'
    await bench.time.advance(12_000)
    await bench.during(bench.agent.stop())
    return bench.transcript
  }
  assert.equal(await run(), await run())
})

test('a divergence that comes to light while an answer is on its way stops that answer too', async () => {
  const bench = await started()
  const from = BigInt(bench.ledger.chain.length + 1)
  bench.primary.slowly = () => bench.time.timers.sleep(3000)
  const proof = bench.agent.prove(KEY)
  bench.witnesses[0]!.twist = block => (block.header.height >= from ? forked(block) : block)
  const refused = await bench.during(proof)
  assert.is(refused.ok ? 'ok' : refused.fault.code, 'light.diverged')
  assert.ok(bench.primary.asked.some(what => what.startsWith('query')))
  const asked = bench.primary.asked.length
  await bench.time.advance(5000)
  assert.is(bench.primary.asked.length, asked, 'a diverged ledger is not followed')
  await bench.during(bench.agent.stop())
})

test('a configured hash wins over a kept block of the same height, not over a later one', async () => {
  const bench = await started()
  const { height } = bench.agent.head()!
  await bench.during(bench.agent.stop())
  const wrong = new Uint8Array(32)
  const same = await bench.during((await bench.again({ trust: { height, hash: wrong } })).start())
  assert.is(same.ok ? 'ok' : same.fault.code, 'light.anchor')
  const older = await bench.again({ trust: { height: height - 1n, hash: wrong } })
  must(await bench.during(older.start()))
  await bench.during(older.stop())
})

test.run()
