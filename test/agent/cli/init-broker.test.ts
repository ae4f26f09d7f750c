/** The broker that `tieline init --broker` sets up, judged by a real Mosquitto. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readTls } from '../../../agent/broker-tls.ts'
import { tieline } from '../../../agent/cli/tieline.ts'
import { connectBus } from '../../../drivers/bus/mqtt.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import type { Bus } from '../../../drivers/ports.ts'
import { fromUtf8, utf8 } from '../../../protocol/bytes.ts'
import { type Fault, faultLine, must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { noOpenssl } from '../../programs.ts'
import { keepTerminal } from '../../terminal.ts'
import { noMosquitto, startMosquitto } from '../real-mosquitto.ts'

const test = suite('init --broker')
const { timers } = createSystemTime()
const DEADLINE_MS = 120_000

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-broker-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function make(out: string, sites: readonly string[], more = ['--host', '127.0.0.1']) {
  const kept = keepTerminal()
  const args = ['init', '--broker', ...sites, '--out', out, '--json', ...more]
  const code = await tieline(args, kept.terminal, () => new Promise(() => {}))
  return { code, out: kept.out(), err: kept.err() }
}

/** A client with these files; undefined of none. */
async function connect(port: number, ca: string, at: string | undefined) {
  const faults: Fault[] = []
  const files = at === undefined ? { ca } : { ca, cert: `${at}.crt`, key: `${at}.key` }
  const log = (_level: string, _room: string, _text: string, fault?: Fault) => {
    if (fault !== undefined) faults.push(fault)
  }
  const bus = await connectBus({ urls: [`mqtts://127.0.0.1:${port}`], timers, log, tls: must(await readTls(files)) })
  return { bus, faults }
}

async function hears(bus: Bus, topic: string): Promise<string[]> {
  const heard: string[] = []
  must(await bus.subscribe(topic, payload => heard.push(fromUtf8(payload) ?? '')))
  return heard
}

async function until(what: () => boolean): Promise<void> {
  for (let n = 0; n < 2400 && !what(); n++) await timers.sleep(25)
  assert.ok(what())
}

const expire = (out: string, site: string) => {
  const [ca, at] = [join(out, 'authority/ca'), join(out, 'sites', site, site)]
  execFileSync('openssl', ['req', '-new', '-key', `${at}.key`, '-subj', `/CN=${site}`, '-out', `${at}.csr`])
  const signing = ['-CA', `${ca}.crt`, '-CAkey', `${ca}.key`, '-set_serial', '7', '-days', '0']
  execFileSync('openssl', ['x509', '-req', '-in', `${at}.csr`, ...signing, '-out', `${at}.crt`], { stdio: 'ignore' })
}

test.skipIf(
  noMosquitto ?? noOpenssl,
  'two sites trade over it, neither speaks for the other, and who is not certified stays outside and hears why',
  () =>
    inFolder(async folder => {
      const out = join(folder, 'hub')
      const made = await make(out, ['elm', 'oak', 'old'])
      assert.is(made.code, 0, made.err)
      // Where the printed commands would put it only root may write.
      const installed = readFileSync(join(out, 'broker/mosquitto.conf'), 'utf8')
      const conf = installed.replaceAll('/etc/mosquitto/tieline', join(out, 'broker')).split('\n')
      const broker = await startMosquitto({ conf, folder: join(folder, 'run') })
      const ca = join(out, 'sites/elm/ca.crt')
      const buses: Bus[] = []
      const as = async (site: string) => {
        const bus = must((await connect(broker.port, ca, join(out, 'sites', site, site))).bus)
        buses.push(bus)
        return bus
      }
      try {
        const [elm, oak, home] = [await as('elm'), await as('oak'), await as('home-assistant')]
        const inbox = await hears(oak, 'tieline/1/0a')
        must(await elm.publish('tieline/1/0a', utf8('bid')))
        await until(() => inbox.join() === 'bid')

        const seen = await hears(home, 'tieline/tieline_oak/state')
        // Refused with a reason code on MQTT 5, dropped in silence on 3.1.1.
        await elm.publish('tieline/tieline_oak/state', utf8('forged'))
        must(await oak.publish('tieline/tieline_oak/state', utf8('own')))
        await until(() => seen.length > 0)
        assert.equal(seen, ['own'])
        const announced = await hears(home, 'homeassistant/device/tieline_elm/config')
        await oak.publish('homeassistant/device/tieline_elm/config', utf8('forged'))
        must(await elm.publish('homeassistant/device/tieline_elm/config', utf8('own')))
        await until(() => announced.length > 0)
        assert.equal(announced, ['own'])

        const other = join(folder, 'other')
        assert.is((await make(other, ['elm'])).code, 0)
        expire(out, 'old')
        await timers.sleep(1500)
        for (const at of [undefined, join(other, 'sites/elm/elm'), join(out, 'sites/old/old')]) {
          const refused = await connect(broker.port, ca, at)
          assert.not.ok(refused.bus.ok, at ?? 'without a certificate')
          const said = refused.faults.map(faultLine).join('\n')
          assert.match(said, /certificate/i, `${at}: ${said}`)
          // One line, and no private key in it.
          assert.not.match(said, /PRIVATE/)
        }
      } finally {
        for (const bus of buses) await bus.close()
        await broker.close()
      }
    }),
  DEADLINE_MS,
)

test.skipIf(
  noOpenssl,
  'run again it keeps the authority, every key and every site, and what was there stands beside it',
  () =>
    inFolder(async folder => {
      const out = join(folder, 'hub')
      assert.is((await make(out, ['elm'])).code, 0)
      const text = (file: string) => readFileSync(join(out, file), 'utf8')
      const before = ['authority/ca.crt', 'sites/elm/elm.key', 'sites/elm/elm.crt'].map(text)
      const again = await make(out, ['oak'])
      assert.is(again.code, 0, again.err)
      assert.equal(['authority/ca.crt', 'sites/elm/elm.key'].map(text), before.slice(0, 2))
      assert.is.not(text('sites/elm/elm.crt'), before[2])
      assert.match(text('broker/acl'), /user elm[\s\S]*user oak/)
      const said = JSON.parse(again.out)
      assert.is(said.backup, `${out}.1.bak`)
      assert.equal(
        said.expiries.map(({ of }: { of: string }) => of),
        ['authority', 'broker', 'elm', 'oak', 'home-assistant'],
      )
      for (const key of ['authority/ca.key', 'broker/server.key', 'sites/elm/elm.key', 'sites/oak/oak.key'])
        assert.is(statSync(join(out, key)).mode & 0o777, 0o600, key)
      assert.equal(readdirSync(folder).sort(), ['hub', 'hub.1.bak'])
      const verified = execFileSync('openssl', [
        'verify',
        '-CAfile',
        join(out, 'authority/ca.crt'),
        join(out, 'sites/elm/elm.crt'),
      ])
      assert.match(String(verified), /OK/)
    }),
  DEADLINE_MS,
)

test.skipIf(
  noOpenssl,
  'cut off between taking the old away and putting the new in place it goes on, with the authority that sites know',
  () =>
    inFolder(async folder => {
      const out = join(folder, 'hub')
      assert.is((await make(out, ['elm'])).code, 0)
      const ca = readFileSync(join(out, 'authority/ca.crt'), 'utf8')
      renameSync(out, join(folder, '.hub.unfinished'))
      assert.is((await make(out, ['oak'])).code, 0)
      assert.is(readFileSync(join(out, 'authority/ca.crt'), 'utf8'), ca)
      assert.equal(readdirSync(join(out, 'sites')), ['elm', 'home-assistant', 'oak'])
      // What was cut off before it was whole is no broker.
      mkdirSync(join(folder, '.half.unfinished/authority'), { recursive: true })
      writeFileSync(join(folder, '.half.unfinished/authority/ca.crt'), 'half')
      const anew = await make(join(folder, 'half'), ['elm'])
      assert.is(anew.code, 0, anew.err)
      assert.equal(readdirSync(folder).sort(), ['half', 'hub', 'hub.1.bak'])
    }),
  DEADLINE_MS,
)

test.skipIf(
  noOpenssl,
  'renewed without a word more it has the hosts and the port that it had, and an authority that outlives what it signs',
  () =>
    inFolder(async folder => {
      const out = join(folder, 'hub')
      const first = await make(out, ['elm'], ['--host', 'hub.local', '--host', '::1', '--port', '18883'])
      assert.is(first.code, 0, first.err)
      const at = join(out, 'authority/ca')
      const old = join(folder, 'old.crt')
      // Signed by the same key, and it ends tomorrow.
      const request = ['req', '-x509', '-new', '-key', `${at}.key`, '-subj', '/CN=Tieline broker authority']
      execFileSync('openssl', [...request, '-days', '1', '-out', `${at}.crt`])
      renameSync(join(out, 'sites/elm/elm.crt'), old)
      const again = await make(out, [], [])
      assert.is(again.code, 0, again.err)
      assert.is(JSON.parse(again.out).url, 'mqtts://hub.local:18883')
      const text = (...args: string[]) => String(execFileSync('openssl', args))
      const server = text('x509', '-in', join(out, 'broker/server.crt'), '-noout', '-ext', 'subjectAltName')
      assert.match(server, /DNS:hub.local, IP Address:0:0:0:0:0:0:0:1, DNS:localhost, IP Address:127.0.0.1/)
      assert.match(readFileSync(join(out, 'broker/mosquitto.conf'), 'utf8'), /^listener 18883$/m)
      const tenYears = text('x509', '-in', `${at}.crt`, '-noout', '-checkend', String(3_000 * 86_400))
      assert.match(tenYears, /will not expire/)
      for (const signed of [old, join(out, 'sites/elm/elm.crt')])
        assert.match(text('verify', '-CAfile', `${at}.crt`, signed), /OK/)
    }),
  DEADLINE_MS,
)

test('what is no host, and a place that holds something else, are refused and left as they are', () =>
  inFolder(async folder => {
    for (const host of ['a b', 'hub#', 'a+', 'a/b', 'hüb', '..', '1.2.3', '999.1.1.1', ':::', 'x'.repeat(70)])
      assert.is((await make(join(folder, 'hub'), ['elm'], ['--host', host])).code, 2, host)
    const [file, other] = [join(folder, 'file'), join(folder, 'other')]
    writeFileSync(file, 'mine')
    mkdirSync(other)
    writeFileSync(join(other, 'letter'), 'mine')
    for (const out of [file, other]) assert.is((await make(out, ['elm'])).code, 2)
    assert.is(readFileSync(file, 'utf8'), 'mine')
    assert.equal(readdirSync(other), ['letter'])
    assert.equal(readdirSync(folder).sort(), ['file', 'other'])
  }))

test('without openssl it names what to install and leaves nothing behind', () =>
  inFolder(async folder => {
    const path = process.env['PATH']
    process.env['PATH'] = '/nowhere'
    try {
      const { code, err } = await make(join(folder, 'hub'), ['elm'])
      assert.is(code, 69)
      assert.match(err, /program\.missing.*openssl.*apt install openssl/)
      assert.equal(readdirSync(folder), [])
    } finally {
      process.env['PATH'] = path
    }
  }))

test('names that are none, or two sites that would publish as one, are refused', () =>
  inFolder(async folder => {
    for (const sites of [[], ['home-assistant'], ['a b'], ['../x'], ['a_b', 'a-5f-b']])
      assert.is((await make(join(folder, 'hub'), sites)).code, 2, sites.join())
    assert.equal(readdirSync(folder), [])
  }))

test.run()
