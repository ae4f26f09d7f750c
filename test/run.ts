/**
 * Runs the test files, each in a process of its own, two at a time, and ends with `N passed, N failed` (`, N skipped`).
 *
 *     tsx test/run.ts              every *.test.ts but those under test/slow
 *     tsx test/run.ts --slow       only those under test/slow
 *     tsx test/run.ts modbus light only files whose path contains one of the words
 *
 * A file that runs no test fails; a skip whose reason is not in test/skips.json fails.
 */
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'

const here = fileURLToPath(new URL('.', import.meta.url))
const args = process.argv.slice(2)
const slow = args.includes('--slow')
const words = args.filter(arg => !arg.startsWith('-'))
/** A file may run the whole street several times; beyond this it hangs. */
const FILE_DEADLINE_MS = slow ? 3_600_000 : 420_000

interface Outcome {
  readonly file: string
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly seconds: number
  readonly problem?: string
}

const allowedSkips = new Set(Object.keys(JSON.parse(readFileSync(`${here}skips.json`, 'utf8'))))
const files = readdirSync(here, { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.test.ts') && file.startsWith('slow/') === slow)
  .filter(file => words.length === 0 || words.some(word => file.includes(word)))
  .sort()

function runFile(file: string): Promise<Outcome> {
  const started = performance.now()
  return new Promise(resolve => {
    const child = spawn(process.execPath, ['--import', 'tsx', `${here}${file}`], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NODE_ENV: 'test' },
    })
    let out = ''
    child.stdout.on('data', chunk => {
      out += chunk
    })
    child.stderr.on('data', chunk => {
      out += chunk
    })
    const deadline = setTimeout(() => child.kill('SIGKILL'), FILE_DEADLINE_MS)
    child.on('close', (code, signal) => {
      clearTimeout(deadline)
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
      const seconds = (performance.now() - started) / 1000
      process.stdout.write(
        `${failed > 0 ? 'FAIL' : 'ok  '} ${file}  ${passed} passed${skipped > 0 ? `, ${skipped} skipped` : ''}  ${seconds.toFixed(1)} s${problem ? `  ${problem}` : ''}\n`,
      )
      if (failed > 0) process.stdout.write(`${plain}\n`)
      resolve({ file, passed, failed, skipped, seconds, ...(problem === undefined ? {} : { problem }) })
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
const sum = (pick: (outcome: Outcome) => number) => outcomes.reduce((n, outcome) => n + pick(outcome), 0)
const skipped = sum(outcome => outcome.skipped)
const failed = sum(outcome => outcome.failed)
process.stdout.write(
  `${sum(outcome => outcome.passed)} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`,
)
process.exit(failed === 0 ? 0 : 1)
