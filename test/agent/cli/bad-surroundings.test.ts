/** `tieline run` where something around it is wrong: it is named, and the meter is read. Judged by the simulated meter's own count. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../free-port.ts'
import { assert, suite } from '../../harness.ts'
import { ensureBuiltPage } from './built-page.ts'
import { runTieline } from './cli-run.ts'
import { onPty, timers } from './sdm630-sim.ts'

await ensureBuiltPage()
const test = suite('run in bad surroundings')

const siteOf = (device: string, rest: string): string => `version: 1
site: maple
role: household
bench: true
data: data
keys: {seed: ${'12'.repeat(32)}}
ledger:
  chain: street-1
  trust: {height: 1, hash: ${'ab'.repeat(32)}}
  primary: http://127.0.0.1:9
  witnesses: []
brokers: ['mqtt://127.0.0.1:9']
lines: {rs485: {serial: ${device}, baud: 115200}}
meters: {grid: {line: rs485, protocol: modbus-rtu, page: eastron-sdm630, unit: 1, every: 250ms}}
trade: {slot: 60s, energy: 1kWh}
${rest}`

const until = async (what: string, done: () => boolean | Promise<boolean>) => {
  for (let n = 0; !(await done()); n++) {
    assert.ok(n < 1200, what)
    await timers.sleep(50)
  }
}

/** A site that runs in this process; it is ended, and its exit code looked at, whatever `work` finds. */
async function running(
  rest: string,
  work: (around: { readonly requests: () => number; readonly folder: string }) => Promise<void>,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-bad-'))
  const meter = await onPty()
  const file = join(folder, 'site.yaml')
  writeFileSync(file, siteOf(meter.pty.path, rest))
  let end = () => {}
  const interrupted = new Promise<void>(resolve => {
    end = resolve
  })
  let ready = false
  const ran = runTieline(['run', '--config', file, '--json'], {
    interrupted,
    onOut: () => {
      ready = true
    },
  })
  try {
    await Promise.race([until('ready', () => ready), ran.then(({ err }) => assert.unreachable(err))])
    await work({ requests: () => meter.stats.requests, folder })
  } finally {
    end()
    await ran
    await meter.close()
    rmSync(folder, { recursive: true, force: true })
  }
  const { exit, err } = await ran
  assert.is(exit, 0, err)
  return err
}

/** Some readings more, each of several requests. */
async function isRead(requests: () => number): Promise<void> {
  const before = requests()
  await until('the meter is read', () => requests() > before + 10)
}

const answers = async (port: number): Promise<boolean> =>
  fetch(`http://127.0.0.1:${port}/api/health`).then(
    ({ ok }) => ok,
    () => false,
  )

test('the port of its page is taken: it says so and reads on; freed, the page opens without a restart', async () => {
  const other = createServer((_, response) => response.writeHead(404).end())
  const port = await freePort()
  await new Promise<void>(resolve => other.listen(port, '127.0.0.1', resolve))
  const err = await running(`page: {listen: '127.0.0.1:${port}'}\n`, async ({ requests }) => {
    await isRead(requests)
    assert.not.ok(await answers(port))
    await new Promise(resolve => {
      other.close(resolve)
      other.closeAllConnections()
    })
    await until('the page is there', () => answers(port))
    await isRead(requests)
  }).finally(() => other.close())
  const said = err.split('\n').filter(line => line.includes('page is raised'))
  assert.is(said.length, 1, err)
  assert.match(said[0]!, /http\.port-busy .*host=127\.0\.0\.1 port=\d+.*: another program listens there; stop it/)
  assert.match(err, /page is cleared/)
}, 180_000)

test('a password file that is not there, and files of TLS for publishing: named, no page opens, and the meter is read', async () => {
  const rest = `page: {listen: '127.0.0.1:1', password_file: none}
mqtt: {brokers: ['mqtts://127.0.0.1:9'], ca: none.pem}
`
  const err = await running(rest, ({ requests }) => isRead(requests))
  assert.match(err, /page is raised.*file\.missing.*none/)
  assert.match(err, /publish is raised.*none\.pem/)
}, 150_000)

test('32 tabs on the stream of events, one of which never reads: the meter is asked as often as without them', async () => {
  const port = await freePort()
  await running(`page: {listen: '127.0.0.1:${port}'}\n`, async ({ requests }) => {
    await isRead(requests)
    const asked = async () => {
      const before = requests()
      await timers.sleep(3_000)
      return requests() - before
    }
    const alone = await asked()
    let heard = 0
    const tabs = Array.from({ length: 32 }, (_, n) => {
      const tab = connect(port, '127.0.0.1', () => tab.write('GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n')).on(
        'error',
        () => {},
      )
      if (n === 0) return tab.pause()
      return tab.on('data', () => heard++)
    })
    await until('they hear', () => heard > 62)
    // Tabs that hinder do so all the time; another program on this machine for a while.
    let beside = await asked()
    for (let tries = 1; beside * 2 <= alone && tries < 20; tries++) beside = await asked()
    assert.ok(beside * 2 > alone, `${beside} beside them, ${alone} alone`)
    for (const tab of tabs) tab.destroy()
  })
}, 150_000)

test('a second agent on one data folder is refused by name, and the first reads on', async () => {
  await running('page: {off: true}\n', async ({ requests, folder }) => {
    const second = await runTieline(['run', '--config', join(folder, 'site.yaml')], { interrupted: Promise.resolve() })
    assert.is(second.exit, 69, second.err)
    assert.match(second.err, /^maple does not start: disk\.held .*another process writes here: end it first$/m)
    await isRead(requests)
  })
}, 150_000)

test.run()
