import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { tielineSim } from '../../../hw/sim/cli.ts'
import { assert, suite } from '../../harness.ts'
import { keepTerminal } from '../../terminal.ts'

async function run(...args: string[]) {
  const { terminal, out, err } = keepTerminal()
  const exit = await tielineSim(args, terminal)
  return { exit, out: out(), err: err() }
}

const test = suite('sim cli')

test('a wrong flag is one line that says what to do, and nothing runs', async () => {
  const cases: readonly [args: string[], says: RegExp][] = [
    [['--seed', 'x'], /--seed must be a whole number from 0 to 999999999, not "x"/],
    [['--homes', '6'], /--homes must be odd/],
    [['--homes', '3'], /--homes must be a whole number from 5 to 99/],
    [['--days', '0'], /--days must be a whole number from 1 to 30/],
    [['--days', '1', '--seconds', '60'], /--days or --seconds, not both/],
    [['--fault', 'no-witnes'], /--fault knows no "no-witnes"; it knows forged-header/],
    [['--sede', '7'], /unknown option '--sede'/],
  ]
  for (const [args, says] of cases) {
    const { exit, out, err } = await run(...args)
    assert.is(exit, EXIT.usage, args.join(' '))
    assert.is(out, '')
    assert.match(err, says)
  }
})

test('a run prints its hash and one JSON object, and exits 0 only if all held', async () => {
  const { exit, out, err } = await run('--seed', '7', '--seconds', '130')
  const [first, second, rest] = out.split('\n')
  assert.match(first!, /^transcript [0-9a-f]{64}$/)
  const result = JSON.parse(second!) as { ok: boolean; sites: number; problems: string[] }
  assert.equal([result.ok, result.problems, result.sites, exit, rest], [true, [], 5, EXIT.ok, ''])
  assert.match(err, /\d+ events in [\d.]+ s/)
}, 60_000)

test('with --json the object stands alone and carries the hash; too few deals are exit 1', async () => {
  const { exit, out } = await run('--seed', '7', '--seconds', '60', '--json')
  const result = JSON.parse(out) as { ok: boolean; transcript: string; problems: string[] }
  assert.match(result.transcript, /^[0-9a-f]{64}$/)
  assert.equal([result.ok, exit], [false, EXIT.no])
  assert.match(result.problems.join(), /deals settled|settled no energy/)
}, 60_000)

test.run()
