import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { assert, suite } from '../harness.ts'
import type { Row } from './report.ts'
import { sealedDeal } from './sealed-deal.ts'

const t = suite('deals on a bench')

t('a day over a direct line under a sealed receipt takes a commit and the receipt', async () => {
  const { kinds, transactions, slots } = await sealedDeal()
  assert.equal(kinds, ['commit', 'sealed'])
  assert.is(transactions, 2)
  assert.is(slots, 96)
})

t(
  'the bench signs a contract over a real broker, and answers with every fact',
  () => {
    const program = fileURLToPath(new URL('./deals.ts', import.meta.url))
    const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', program, '--smoke', '--json'], {
      encoding: 'utf8',
    })
    assert.is(status, 0, stderr)
    const { bench, facts, rows } = JSON.parse(stdout) as {
      readonly bench: string
      readonly facts: Record<string, number> & {
        readonly by_agents: readonly Record<string, number>[]
        readonly ledger_transactions_per_deal: Record<string, Record<string, Record<string, number>>>
      }
      readonly rows: readonly Row[]
    }
    assert.is(bench, 'deals')
    for (const { id, value } of rows) assert.ok(Number.isFinite(value), id)
    assert.is(facts['energy_transactions_per_sealed_deal'], 2)
    assert.is(facts['slots_per_transaction'], 48)
    for (const name of ['request_to_signed_p50_ms', 'request_to_signed_p99_ms', 'messages_per_deal', 'bytes_per_deal'])
      assert.ok(facts[name]! > 0, name)
    assert.equal(
      facts.by_agents.map(({ agents, contracts }) => [agents, contracts]),
      [[2, 1]],
    )
    // Want, bid, award, accept and countersign, and each acknowledged.
    assert.ok(facts.by_agents[0]!['pair_messages_per_deal']! >= 10)
    for (const way of ['matching', 'bidding']) {
      const { energy, distribution } = facts.ledger_transactions_per_deal[way]!
      assert.is(energy!['commit'], 1)
      assert.is(energy!['receipt'], 2)
      assert.is(distribution!['reserve'], 1)
      assert.is(distribution!['claim'], 1)
    }
  },
  120_000,
)

t.run()
