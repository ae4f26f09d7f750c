/** `tieline run` as a process, its meter on a pseudo-terminal, at a real Mosquitto: killed, and refused. */
import { execFile, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { closing, type Later } from '../../closing.ts'
import { eventually } from '../../eventually.ts'
import { assert, suite } from '../../harness.ts'
import { without } from '../../programs.ts'
import { onPty, timers } from '../cli/sdm630-sim.ts'
import { noMosquitto, startMosquitto } from '../real-mosquitto.ts'

const test = suite('a site at a broker')

const missing = noMosquitto ?? without('no-mosquitto', 'mosquitto_sub', '--help')
const MAIN = fileURLToPath(new URL('../../../agent/main.ts', import.meta.url))
/** A program from its sources, and each 15 s a reading that is signed. */
const DEADLINE_MS = 180_000

async function until(holds: () => boolean, what: () => string): Promise<void> {
  for (let waited = 0; !holds(); waited += 50) {
    if (waited > DEADLINE_MS / 2 || /does not start|site\.yaml:\d/.test(what())) throw new Error(what())
    await timers.sleep(50)
  }
}

/** A site of one meter that is told to the broker at this address. */
async function site(later: Later, url: string) {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-killed-'))
  later(() => rmSync(folder, { recursive: true, force: true }))
  const meter = await onPty()
  later(meter.close)
  const file = join(folder, 'site.yaml')
  writeFileSync(
    file,
    `version: 1
site: elm
role: household
bench: true
data: data
keys: {seed: ${'ab'.repeat(32)}}
lines: {bus: {serial: ${meter.pty.path}, baud: 115200}}
meters: {grid: {line: bus, protocol: modbus-rtu, page: eastron-sdm630, unit: 1, every: 200ms}}
mqtt: {brokers: ['${url}'], every: 1s}
page: {off: true}
`,
  )
  const child = spawn(process.execPath, ['--import', 'tsx', MAIN, 'run', '--config', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.on('data', chunk => {
    said += chunk
  })
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    child.kill(signal)
    await ended
  }
  later(() => end('SIGKILL'))
  return {
    said: () => said,
    requests: () => meter.stats.requests,
    end,
    /** Each signed reading and gap, as the journal is given out. */
    async signed(): Promise<readonly { readonly sequence: number; readonly reason: string }[]> {
      const args = ['--import', 'tsx', MAIN, 'journal', 'export', join(folder, 'data/journal')]
      // Awaited, because the meter lives in this process and goes on answering.
      const { stdout } = await promisify(execFile)(process.execPath, args, { encoding: 'utf8' })
      const records = stdout.split('\n').flatMap(line => (line === '' ? [] : [JSON.parse(line)]))
      return records.filter(({ sequence }) => sequence !== undefined)
    },
  }
}

test.skipIf(
  missing,
  'killed with SIGKILL, it is offline by its last will, also for whoever asks later',
  closing(async later => {
    const folder = mkdtempSync(join(tmpdir(), 'tieline-will-'))
    later(() => rmSync(folder, { recursive: true, force: true }))
    const broker = await startMosquitto({ conf: ['allow_anonymous true'], folder })
    later(broker.close)
    const asked = ['-h', '127.0.0.1', '-p', String(broker.port), '-t', 'tieline/tieline_elm/availability']
    const elm = await site(later, `mqtt://127.0.0.1:${broker.port}`)
    let heard = ''
    const ear = spawn('mosquitto_sub', asked)
    later(() => ear.kill())
    ear.stdout.on('data', chunk => {
      heard += chunk
    })
    await until(() => heard.includes('online\n'), elm.said)
    await elm.end('SIGKILL')
    await until(
      () => heard.endsWith('offline\n'),
      () => heard,
    )
    const asker = spawnSync('mosquitto_sub', [...asked, '-C', '1', '-W', '60'], { encoding: 'utf8' })
    assert.is(asker.stdout, 'offline\n')
  }),
  DEADLINE_MS,
)

test.skipIf(
  missing,
  'while the broker refuses its password, it says so in one line, and the meter is read and signed without a gap',
  closing(async later => {
    const folder = mkdtempSync(join(tmpdir(), 'tieline-refused-'))
    later(() => rmSync(folder, { recursive: true, force: true }))
    const passwords = join(folder, 'passwords')
    spawnSync('mosquitto_passwd', ['-b', '-c', passwords, 'elm', 'right'])
    const conf = ['listener 1 127.0.0.1', `password_file ${passwords}`, 'allow_anonymous false']
    const broker = await startMosquitto({ conf, folder })
    later(broker.close)
    const elm = await site(later, `mqtt://elm:wrong-secret@127.0.0.1:${broker.port}`)
    await until(() => elm.said().includes('bus.login-refused'), elm.said)
    const before = elm.requests()
    await eventually(() => assert.ok(elm.requests() > before + 20))
    await eventually(async () => assert.ok((await elm.signed()).length >= 2))
    await elm.end('SIGTERM')
    assert.is(elm.said().split('bus.login-refused').length, 2)
    assert.not.match(elm.said(), /wrong-secret/)
    const signed = await elm.signed()
    const sequences = signed.map(({ sequence }) => sequence)
    assert.ok(signed.every(({ reason }) => typeof reason === 'string' && reason !== 'gap'))
    assert.equal(
      sequences,
      sequences.map((_, n) => n + 1),
    )
  }),
  DEADLINE_MS,
)

test.run()
