import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { assert, suite } from '../harness.ts'
import { planSites } from './grid-sites.ts'
import type { Row } from './report.ts'

const t = suite('agents on a bench')

t('neighbours know each other, on their own feeder only, and everybody its distributor', () => {
  for (const [agents, feeders, neighbours] of [
    [2, 1, 16],
    [10, 1, 16],
    [40, 2, 16],
    [18, 1, 16],
  ] as const) {
    const sites = planSites({ agents, feeders, neighbours, sealed: false, leadMs: () => 60_000, ways: ['matching'] })
    assert.is(sites.length, agents + feeders)
    for (const [n, { peers, feeder, distributor }] of sites.slice(0, agents).entries()) {
      assert.is(peers.length, Math.min(neighbours, agents / feeders - 1))
      assert.is(new Set(peers).size, peers.length)
      for (const peer of peers) {
        assert.is.not(peer, n)
        assert.is(sites[peer]!.feeder, feeder)
        assert.ok(sites[peer]!.peers.includes(n), `${peer} does not know ${n}`)
      }
      assert.is(sites[distributor]!.role, 'distributor')
      assert.ok(sites[distributor]!.peers.includes(n))
    }
  }
})

t(
  'the bench settles deals of ten agents on both ledgers, and answers with every fact',
  () => {
    const program = fileURLToPath(new URL('./scale.ts', import.meta.url))
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', program, '--smoke', '--json'], {
      encoding: 'utf8',
    })
    assert.is(status, 0, stderr)
    const { bench, facts, rows } = JSON.parse(stdout) as {
      readonly bench: string
      readonly facts: Record<string, unknown>
      readonly rows: readonly Row[]
    }
    assert.is(bench, 'scale')
    for (const { id, value } of rows) assert.ok(Number.isFinite(value), id)
    assert.equal(facts['sizes'], ['10'])
    assert.is(facts['problems'], 0)
    assert.ok((facts['signed'] as number[])[0]! >= 5)
    assert.equal(facts['settled'], facts['signed'])
    for (const name of ['messages_per_agent_slot', 'ledger_bytes_per_deal', 'cpu_ms_per_agent_slot'])
      assert.ok((facts[name] as number) > 0, name)
    assert.ok(Number.isFinite(facts['memory_kb_per_agent']))
    assert.equal(facts['growth'], {})
  },
  360_000,
)

t.run()
