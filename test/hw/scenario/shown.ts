/** Runs the commands of the paper's rows as anybody would, a process each, and holds every row against what was printed. */
import { execFile } from 'node:child_process'
import { fieldOf, holds } from '../../../hw/scenario/row-check.ts'
import { ROWS } from '../../../hw/scenario/rows.ts'
import { assert, type Suite, suite } from '../../harness.ts'

/** All that CI shows, by the file that shows it; rows.test.ts holds that nothing is missing here. */
export const SHOWN = {
  'rows-attacks': ['attacks', 'privacy'],
  'rows-models': ['direct-cable', 'feeder', 'microgrid'],
  'rows-storage': ['storage', 'no-meter'],
  'rows-groups': ['community', 'car-park'],
  'rows-office': ['office-homes'],
  'rows-compare': ['compare'],
  'rows-benches': ['bench:deals', 'bench:scale', 'bench:savings'],
} as const satisfies Readonly<Record<string, readonly string[]>>

const REPORTS = ['attacks', 'compare', 'privacy']
/** Of one command, on a busy machine. */
const PATIENCE_MS = 400_000
const MAX_OUTPUT = 16 * 1024 * 1024

const argvOf = (by: string): readonly string[] =>
  by.startsWith('bench:')
    ? [`test/bench/${by.slice('bench:'.length)}.ts`, '--quick', '--json']
    : REPORTS.includes(by)
      ? ['hw/bench/main.ts', by, '--json']
      : ['hw/bench/main.ts', 'scenario', by, '--json']

interface Ran {
  readonly code: number
  readonly json: unknown
  readonly said: string
}

const run = (by: string): Promise<Ran> =>
  new Promise(resolve => {
    const args = ['--import', 'tsx', ...argvOf(by)]
    const options = { timeout: PATIENCE_MS, maxBuffer: MAX_OUTPUT }
    const child = execFile(process.execPath, args, options, (_, stdout, stderr) => {
      let json: unknown
      try {
        json = JSON.parse(stdout)
      } catch {
        // Not a JSON object: every row of this command says so.
      }
      resolve({ code: child.exitCode ?? -1, json, said: `${stdout.slice(-400)}\n${stderr.slice(-400)}` })
    })
  })

/** One test a command, and one a row of it. */
export function showRows(name: keyof typeof SHOWN): Suite {
  const t = suite(name)
  for (const by of SHOWN[name]) {
    let ran: Ran | undefined
    t(
      `${by} ends with everything held`,
      async () => {
        ran = await run(by)
        const problems = JSON.stringify(fieldOf(ran.json, 'problems') ?? ran.said)
        assert.is(ran.code, 0, `${by}: ${problems}`)
      },
      PATIENCE_MS,
    )
    for (const row of ROWS.filter(one => one.by === by)) {
      t(`${row.row}: ${row.what}`, () => {
        const value = fieldOf(ran?.json, row.field)
        assert.ok(holds(value, row.holds), `${row.field} is ${JSON.stringify(value)}, not ${JSON.stringify(row.holds)}`)
      })
    }
  }
  return t
}
