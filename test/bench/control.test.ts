import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { assert, suite } from '../harness.ts'
import { createMark } from './left-behind.ts'
import type { Row } from './report.ts'

const test = suite('bench:control')

const mark = createMark()

const run = (...flags: string[]) =>
  spawnSync(
    process.execPath,
    ['--import', 'tsx', fileURLToPath(new URL('./control.ts', import.meta.url)), '--smoke', '--json', ...flags],
    { encoding: 'utf8', env: mark.env },
  )

test('each fault opens the contact on the simulated board, and the bench leaves no device behind', () => {
  const { status, stdout, stderr } = run()
  assert.is(status, 0, stderr)
  const { rows } = JSON.parse(stdout) as { readonly rows: readonly Row[] }
  const unasked = rows.find(({ id }) => id === 'open.unasked')!.value
  for (const kind of ['overload', 'silence', 'halt', 'stop']) {
    const { counts } = rows.find(({ id }) => id === `open.${kind}`)!
    // What opened before anything was wrong, on a machine that came too late, is no sample.
    assert.ok(counts!['samples']! + unasked >= 3 && counts!['samples']! <= 3, kind)
    assert.ok(counts!['p50']! > 0 && counts!['p50']! <= counts!['max']!, kind)
  }
  assert.equal(mark.carriers(), [], 'processes left behind, and their pseudo-terminals')
}, 240_000)

test('a quota that is no number is refused', () => {
  const { status, stderr } = run('--quota', 'much')
  assert.is(status, 2)
  assert.match(stderr, /--quota takes a number above 0, not much/)
})

test.run()
