import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { assert, suite } from '../harness.ts'
import type { Row } from './report.ts'

const test = suite('the market’s bench')

test('bench:market --smoke --json: rates beside their floor, growth, and all of the linear program’s gain', () => {
  const program = fileURLToPath(new URL('./market.ts', import.meta.url))
  const args = ['--import', 'tsx', program, '--smoke', '--json']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  assert.is(status, 0, stderr)
  const { rows } = JSON.parse(stdout) as { rows: readonly Row[] }
  const by = new Map(rows.map(row => [row.id, row]))
  for (const id of ['bid.200', 'clear.2000', 'cents.clear.2000', 'certificate.2000', 'growth.clear.2000']) {
    const row = by.get(id)
    assert.ok(row !== undefined && row.value > 0, `no figure ${id}`)
  }
  assert.ok(by.get('clear.2000')!.floor!.value > 0)
  for (const id of ['welfare.bid.200', 'welfare.clear.2000']) assert.is(by.get(id)?.value, 100)
}, 120_000)

test.run()
