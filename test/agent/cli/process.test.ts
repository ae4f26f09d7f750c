/** `tieline` as a process of its own: what its surroundings do to it. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { assert, suite } from '../../harness.ts'
import { onPty, READ, timers } from './sdm630-sim.ts'

const MAIN = fileURLToPath(new URL('../../../agent/main.ts', import.meta.url))
/** A process that has not ended by then never would; a busy machine takes many seconds to start one. */
const DEADLINE_MS = 100_000
const TEST_MS = 120_000

function start(...args: readonly string[]) {
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, ...args])
  let err = ''
  child.stderr.on('data', chunk => {
    err += chunk
  })
  const late = setTimeout(() => child.kill('SIGKILL'), DEADLINE_MS)
  const ended = new Promise<{ code: number | null; signal: string | null; err: string }>(resolve => {
    child.on('close', (code, signal) => {
      clearTimeout(late)
      resolve({ code, signal, err })
    })
  })
  return { child, ended, said: new Promise<void>(resolve => child.stdout.once('data', () => resolve())) }
}

const test = suite('cli as a process')

test(
  'reading again and again ends when nobody reads what it says any more',
  async () => {
    const { pty, close } = await onPty()
    const { child, said, ended } = start(...READ, pty.path, '--every', '100ms')
    await said
    child.stdout.destroy()
    const { code, err } = await ended
    await close()
    assert.is(err, '')
    assert.is(code, 0)
  },
  TEST_MS,
)

test(
  'Ctrl-C ends repeated reading in order, and before the first reading it is no success',
  async () => {
    const { pty, unit, stats, close } = await onPty()
    const good = start(...READ, pty.path, '--every', '100ms')
    await good.said
    good.child.kill('SIGINT')
    assert.equal(await good.ended, { code: 0, signal: null, err: '' })
    unit.faults.dead = true
    const before = stats.requests
    const silent = start(...READ, pty.path)
    while (stats.requests === before) await timers.sleep(20)
    silent.child.kill('SIGINT')
    const { code, err } = await silent.ended
    await close()
    assert.is(err, 'tieline read: ended before the meter was read\n')
    assert.is(code, 75)
  },
  TEST_MS,
)

test(
  'Ctrl-C ends what waits for standard input at once',
  async () => {
    const { child, ended } = start('decode', 'sml', '-')
    // Longer than a start takes; a signal before it ends the process all the same.
    await timers.sleep(1_500)
    child.kill('SIGINT')
    assert.is((await ended).signal, 'SIGINT')
  },
  TEST_MS,
)

test.run()
