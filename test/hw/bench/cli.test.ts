/** What `npm start` says to bad input, as a process of its own. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { startChild } from '../../../drivers/process/child.ts'
import { assert, suite } from '../../harness.ts'

const MAIN = fileURLToPath(new URL('../../../hw/bench/main.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'tieline-bench-cli-'))

/** TMPDIR is the test's own, so that what a run leaves behind is seen. */
async function bench(...args: string[]) {
  const out: string[] = []
  const err: string[] = []
  const child = await startChild({
    entry: MAIN,
    args,
    env: { TMPDIR: folder },
    onOut: line => out.push(line),
    onErr: line => err.push(line),
  })
  if (!child.ok) throw new Error(child.fault.code)
  const { code } = await child.value.ended
  return { code, out, err }
}

function profiles(name: string, files: Readonly<Record<string, string>>): string {
  const path = join(folder, name)
  mkdirSync(path)
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text)
  return path
}

const inner = suite('bench command')
/** Programs of their own, which a busy machine takes its time to start. */
const test = Object.assign(
  (name: string, body: () => void | Promise<void>, ms = 180_000) => inner(name, body, ms),
  inner,
)

test('a busy port is one line that names it and what to do', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  const { code, out, err } = await bench('--port', String(port))
  server.close()
  assert.is(code, EXIT.unavailable)
  assert.equal(out, [])
  assert.equal(err, [`port ${port} is busy; stop the program that listens there, or choose another with --port`])
})

test('a mistake in a profile is one line with its place, before anything is opened', async () => {
  const path = profiles('bad', { 'maple.csv': 'time,load_w,generation_w\n00:00,310,0\n06:00,three,0\n' })
  for (const args of [[], ['--once', '--json']]) {
    const { code, out, err } = await bench(...args, '--profiles', path)
    assert.is(code, EXIT.configuration)
    assert.equal(out, [])
    assert.equal(err, [`${path}/maple.csv:3:7: watts, 0 to 1000000`])
  }
})

test('a folder without any profile is told which files are looked for', async () => {
  const { code, err } = await bench('--profiles', profiles('empty', {}))
  assert.is(code, EXIT.configuration)
  assert.is(err.length, 1)
  assert.match(err[0]!, /^profile\.none .+put at least one of maple\.csv, birch\.csv, .+ there$/)
})

test('a wrong flag leaves with 2 and says how to ask for help', async () => {
  const { code, out, err } = await bench('--onec')
  assert.is(code, EXIT.usage)
  assert.equal(out, [])
  assert.equal(err, ["tieline-bench: unknown option '--onec' (Did you mean --once?); --help shows how"])
  const typo = await bench('metre')
  assert.is(typo.code, EXIT.usage)
  assert.equal(typo.err, ['tieline-bench: unknown command "metre", did you mean "meter"?'])
})

process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

test.run()
