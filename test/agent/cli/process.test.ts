/** `tieline` as a process of its own: what its surroundings do to it. */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createSystemTime } from '../../../drivers/clock.ts'
import { openPty } from '../../../drivers/line/pty.ts'
import { PAGES } from '../../../drivers/meters/catalogue.ts'
import { createHomeMeter } from '../../../hw/sim/home-meter.ts'
import { createSlaveStats, createUnit, serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { createPageBank } from '../../../hw/sim/page-bank.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const { clock, timers } = createSystemTime()
const MAIN = fileURLToPath(new URL('../../../agent/main.ts', import.meta.url))
/** A process that has not ended by then never would; a busy machine takes seconds to start one. */
const DEADLINE_MS = 15_000

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

async function simulated() {
  const pty = must(await openPty())
  const page = PAGES.get('eastron-sdm630')!
  const unit = createUnit(must(createPageBank({ page, serial: '41000101', measure: createHomeMeter(1, clock) })))
  const stats = createSlaveStats()
  const around = { stats, clock, timers, random: seededRandom(1) }
  const stop = serveModbus(pty, new Map([[1, unit]]), { ...around, turnaroundMs: 5, characterMs: 1, framing: 'rtu' })
  const close = async () => {
    stop()
    await pty.close()
  }
  return { unit, stats, close, flags: ['--page', page.name, '--line', pty.path] }
}

const test = suite('cli as a process')

test('reading again and again ends when nobody reads what it says any more', async () => {
  const { flags, close } = await simulated()
  const { child, said, ended } = start('read', ...flags, '--every', '100ms')
  await said
  child.stdout.destroy()
  const { code, err } = await ended
  await close()
  assert.is(err, '')
  assert.is(code, 0)
})

test('Ctrl-C ends repeated reading in order, and before the first reading it is no success', async () => {
  const { unit, stats, flags, close } = await simulated()
  const good = start('read', ...flags, '--every', '100ms')
  await good.said
  good.child.kill('SIGINT')
  assert.equal(await good.ended, { code: 0, signal: null, err: '' })
  unit.faults.dead = true
  const before = stats.requests
  const silent = start('read', ...flags)
  while (stats.requests === before) await timers.sleep(20)
  silent.child.kill('SIGINT')
  const { code, err } = await silent.ended
  await close()
  assert.is(err, 'tieline read: ended before the meter was read\n')
  assert.is(code, 75)
})

test('Ctrl-C ends what waits for standard input at once', async () => {
  const { child, ended } = start('decode', 'sml', '-')
  // Longer than a start takes; a signal before it ends the process all the same.
  await timers.sleep(1_500)
  child.kill('SIGINT')
  assert.is((await ended).signal, 'SIGINT')
})

test.run()
