import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { assert, suite } from '../harness.ts'
import { figureOf, race } from './measure.ts'
import type { Row } from './report.ts'

const test = suite('the benches')

interface Result {
  readonly command: string
  readonly seconds: number
  readonly machine: { readonly cpu: string; readonly cores: number; readonly node: string; readonly load: number[] }
  readonly rows: readonly Row[]
}

const run = (program: string, ...args: readonly string[]) =>
  spawnSync(process.execPath, ['--import', 'tsx', fileURLToPath(new URL(program, import.meta.url)), ...args], {
    encoding: 'utf8',
  })

/** What each bench has to answer for, whatever the machine. */
const IDS: Readonly<Record<string, readonly string[]>> = {
  './light.ts': [
    ...['adjacent.4', 'adjacent.21', 'adjacent.100', 'backwards', 'skip.4.steps', 'skip.4.bytes', 'skip.100.bytes'],
    ...['escrow.compact', 'escrow.answer', 'escrow.check', 'memory.light'],
  ],
  './readings.ts': ['sign', 'verify', 'append.alone', 'append.together', 'size.two', 'size.five', 'wear'],
  './ledger.ts': [
    ...['transfer', 'commit', 'receipt', 'day'].flatMap(load => [`${load}.thread`, `${load}.cores`]),
    ...['growth.10000.rss', 'growth.10000.leaf', 'growth.10000.commit', 'growth.10000.prove', 'store.commit'],
  ],
}

for (const [program, ids] of Object.entries(IDS)) {
  test(`${program} --quick --json: every figure with its samples, the machine and the command`, () => {
    const { status, stdout, stderr } = run(program, '--quick', '--json')
    assert.is(status, 0, stderr)
    const { command, seconds, machine, rows } = JSON.parse(stdout) as Result
    assert.match(command, /^npm run bench:(light|ledger|readings) -- --quick --json$/)
    assert.ok(seconds > 0 && machine.cpu !== '' && machine.cores >= 1 && machine.load.length === 3)
    assert.is(machine.node, process.version)
    assert.is(new Set(rows.map(({ id }) => id)).size, rows.length, 'an id twice')
    for (const id of ids)
      assert.ok(
        rows.some(row => row.id === id),
        `no figure ${id}`,
      )
    for (const { id, value, samples, clock, unit } of rows) {
      assert.ok(Number.isFinite(value) && value > 0, `${id}: ${value}`)
      if (samples === undefined || !unit.endsWith('/s')) continue
      const rates = samples.map(one => one.count / (clock === 'wall' ? one.wallSeconds : one.cpuSeconds))
      assert.is(value, figureOf(rates).median, `${id} is not what its samples say`)
    }
    const skip = rows.find(({ id }) => id === 'skip.4.steps')
    assert.ok(skip === undefined || skip.value === 1)
  }, 400_000)
}

test('--help says what there is; a flag that is none is one line and exit code 2', () => {
  const help = run('./light.ts', '--help')
  assert.is(help.status, 0)
  assert.match(help.stdout, /--quick/)
  const wrong = run('./ledger.ts', '--fast')
  assert.is(wrong.status, 2)
  assert.is(wrong.stdout, '')
  assert.is(wrong.stderr.trim().split('\n').length, 1)
}, 60_000)

test('the median of an odd and of an even number of values', () => {
  assert.equal(figureOf([3, 1, 2]), { median: 2, lowest: 1, highest: 3 })
  assert.equal(figureOf([4, 1, 2, 3]), { median: 2.5, lowest: 1, highest: 4 })
})

test('contestants take turns, and what makes ready does not count', async () => {
  const turns: string[] = []
  const timed = await race(
    [
      { name: 'a', run: () => turns.push('a') && 1 },
      { name: 'b', prepare: () => void turns.push('ready'), run: () => turns.push('b') && 7 },
    ],
    { rounds: 2, sampleMs: 0 },
  )
  assert.equal(turns, ['a', 'ready', 'b', 'a', 'ready', 'b', 'a', 'ready', 'b'])
  assert.equal(
    timed.get('b')!.samples.map(({ count }) => count),
    [7, 7],
  )
})

test.run()
