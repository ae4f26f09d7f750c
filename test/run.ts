/**
 * Runs the test files, each in a process of its own, two at a time, and ends with `N passed, N failed` (`, N skipped`).
 *
 *     tsx test/run.ts              every *.test.ts but those under test/slow
 *     tsx test/run.ts --slow       only those under test/slow
 *     tsx test/run.ts modbus light only files whose path contains one of the words
 *
 * A file that runs no test fails; a skip whose reason is not in test/skips.json fails. Of a run of all files, one or two
 * that fail are run once more with the machine to themselves, because a browser or another program may have been starved
 * by what ran beside it; they are named at the end. What failed with a seed has failed: its next case would be another.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const args = process.argv.slice(2)
const slow = args.includes('--slow')
const words = args.filter(arg => !arg.startsWith('-'))
/** More than so many failures are no accident of the machine. */
const AGAIN_MAX = 2
/** A file may run the whole street several times; beyond this it hangs. */
const FILE_DEADLINE_MS = slow ? 3_600_000 : 900_000

interface Outcome {
  readonly file: string
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** A property found a case against it. */
  readonly seeded: boolean
}

const allowedSkips = new Set(Object.keys(JSON.parse(readFileSync(`${here}skips.json`, 'utf8'))))
const files = readdirSync(here, { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.test.ts') && file.startsWith('slow/') === slow)
  .filter(file => words.length === 0 || words.some(word => file.includes(word)))
  .sort()

const running = new Set<ChildProcess>()
function endGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // Nothing of it runs any more.
  }
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(signal, () => {
    for (const child of running) endGroup(child)
    process.exit(1)
  })

function runFile(file: string): Promise<Outcome> {
  const started = performance.now()
  return new Promise(resolve => {
    const child = spawn(process.execPath, ['--import', 'tsx', `${here}${file}`], {
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, so that what it started and left running ends with it: it would hold the pipe open.
      detached: true,
      env: { ...process.env, NODE_ENV: 'test' },
    })
    let out = ''
    child.stdout.on('data', chunk => {
      out += chunk
    })
    child.stderr.on('data', chunk => {
      out += chunk
    })
    running.add(child)
    const deadline = setTimeout(() => endGroup(child), FILE_DEADLINE_MS)
    child.on('exit', () => {
      clearTimeout(deadline)
      running.delete(child)
      endGroup(child)
    })
    child.on('close', (code, signal) => {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: uvu colours its summary.
      const plain = out.replace(/\u001b\[\d+m/g, '')
      const figure = (name: string) =>
        [...plain.matchAll(new RegExp(`^\\s*${name}:\\s+(\\d+)`, 'gm'))].reduce(
          (sum, match) => sum + Number(match[1]),
          0,
        )
      const total = figure('Total')
      const passed = figure('Passed')
      const skipped = figure('Skipped')
      const strangers = [...plain.matchAll(/^SKIP (.*)$/gm)]
        .map(match => (JSON.parse(match[1]!) as { reason: string }).reason)
        .filter(reason => !allowedSkips.has(reason))
      const problem =
        signal !== null
          ? `killed by ${signal}${signal === 'SIGKILL' ? ` after ${FILE_DEADLINE_MS / 1000} s` : ''}`
          : total + skipped === 0
            ? 'ran no test'
            : strangers.length > 0
              ? `skip reason not in test/skips.json: ${strangers.join(', ')}`
              : code !== 0 && passed === total
                ? `exit code ${code}`
                : undefined
      const failed = total - passed + (problem === undefined ? 0 : 1)
      // Each property says its seed before it runs; that it is what failed, it says itself, unless it never came to its end.
      const ended = signal === null && !/\bno end after \d+ ms/.test(plain)
      const seeds = ended ? plain.replace(/drawn from seed \d+/g, '') : plain
      const seconds = (performance.now() - started) / 1000
      process.stdout.write(
        `${failed > 0 ? 'FAIL' : 'ok  '} ${file}  ${passed} passed${skipped > 0 ? `, ${skipped} skipped` : ''}  ${seconds.toFixed(1)} s${problem ? `  ${problem}` : ''}\n`,
      )
      if (failed > 0) process.stdout.write(`${plain}\n`)
      resolve({ file, passed, failed, skipped, seeded: /Property failed after|\bseed[ :=]+-?\d/i.test(seeds) })
    })
  })
}

if (files.length === 0) {
  process.stderr.write(`no test file matches ${words.join(' ')}\n`)
  process.exit(2)
}
const outcomes: Outcome[] = []
const queue = [...files]
const workers = Math.max(1, Math.min(2, availableParallelism()))
await Promise.all(
  Array.from({ length: workers }, async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) outcomes.push(await runFile(file))
  }),
)
const failures = outcomes.filter(outcome => outcome.failed > 0)
const alone: string[] = []
if (words.length === 0 && !slow && failures.length <= AGAIN_MAX && failures.every(outcome => !outcome.seeded))
  for (const failure of failures) {
    process.stdout.write(`again, alone: ${failure.file}\n`)
    const second = await runFile(failure.file)
    outcomes[outcomes.indexOf(failure)] = second
    if (second.failed === 0) alone.push(failure.file)
  }
const sum = (pick: (outcome: Outcome) => number) => outcomes.reduce((n, outcome) => n + pick(outcome), 0)
const skipped = sum(outcome => outcome.skipped)
const failed = sum(outcome => outcome.failed)
for (const file of alone) process.stdout.write(`passed only at the second try, alone: ${file}\n`)
process.stdout.write(
  `${sum(outcome => outcome.passed)} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
)
process.exit(failed === 0 ? 0 : 1)
