/** The bus at a real Mosquitto: both versions of MQTT, client certificates, an access list, and every way of being refused. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectBus, type MqttOptions } from '../../../drivers/bus/mqtt.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import type { Log } from '../../../drivers/ports.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { type Fault, must } from '../../../protocol/result.ts'
import { noMosquitto, type RealMosquitto, startMosquitto } from '../../agent/real-mosquitto.ts'
import { closing, type Later } from '../../closing.ts'
import { eventually } from '../../eventually.ts'
import { assert, suite } from '../../harness.ts'
import { unhurried } from '../../unhurried.ts'
import { makeAuthority, noOpenssl, textsOf } from './mosquitto-certificates.ts'

const test = suite('the bus at Mosquitto')

/** Of TLS and of programs on a machine that is busy with something else. */
const DEADLINE_MS = 120_000
const timers = unhurried(createSystemTime().timers)
const without = noMosquitto ?? noOpenssl

const folder = mkdtempSync(join(tmpdir(), 'tieline-bus-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const made = () => {
  const [ours, theirs] = [makeAuthority(folder, 'ours'), makeAuthority(folder, 'theirs')]
  return {
    ...{ ours, theirs, broker: ours.issue('broker'), oldBroker: ours.issue('old-broker', { when: 'over' }) },
    ...{
      agent: ours.issue('maple'),
      oldAgent: ours.issue('old-maple', { when: 'over' }),
      stranger: theirs.issue('stranger'),
    },
  }
}
let kept: ReturnType<typeof made> | undefined
const certificates = () => {
  kept ??= made()
  return kept
}

const tlsListener = (files: { readonly cert: string; readonly key: string }, asking: boolean) => [
  'listener 1 127.0.0.1',
  `cafile ${certificates().ours.ca}`,
  `certfile ${files.cert}`,
  `keyfile ${files.key}`,
  ...(asking ? ['require_certificate true', 'use_identity_as_username true'] : ['allow_anonymous true']),
]

async function mosquitto(later: Later, conf: readonly string[], port?: number): Promise<RealMosquitto> {
  const broker = await startMosquitto({ conf, folder, ...(port === undefined ? {} : { port }) })
  later(broker.close)
  return broker
}

/** What mosquitto_sub says, and its end. */
function subscriber(later: Later, args: readonly string[]) {
  const child = spawn('mosquitto_sub', args)
  later(() => child.kill())
  const heard = { text: '', ended: new Promise(resolve => child.once('close', resolve)) }
  child.stdout.on('data', (chunk: Buffer) => {
    heard.text += chunk
  })
  return heard
}

/** Connects once, and patiently for so long: what the one answered, and what the other said in its log. */
async function refused(
  options: Pick<MqttOptions, 'urls' | 'tls' | 'will'>,
  forMs = 1000,
): Promise<readonly [Fault, Fault[]]> {
  const said: Fault[] = []
  const log: Log = (level, _room, _text, fault) => {
    if (level === 'warn' || level === 'error') said.push(fault!)
  }
  const trying = connectBus({ ...options, timers, log: () => {} })
  const patient = must(await connectBus({ ...options, timers, log, patient: true }))
  await timers.sleep(forMs)
  await patient.close()
  const once = await trying
  if (once.ok) throw new Error('it was taken')
  return [once.fault, said]
}

async function isRefused(options: Pick<MqttOptions, 'urls' | 'tls' | 'will'>, code: string): Promise<void> {
  const [fault, said] = await refused(options)
  assert.is(fault.code, code)
  assert.equal(
    said.map(one => one.code),
    [code],
    'once, however often it is tried',
  )
  assert.ok(typeof fault['hint'] === 'string' && !JSON.stringify(said).includes('secret'))
}

for (const version of [5, 4] as const) {
  test.skipIf(
    without,
    `MQTT ${version === 5 ? 5 : '3.1.1'} over TLS with a client certificate, as another client hears it`,
    closing(async later => {
      const { ours, broker, agent } = certificates()
      const rules = join(folder, 'rules')
      writeFileSync(rules, 'user maple\ntopic readwrite tieline/#\n')
      const { port, log } = await mosquitto(later, [...tlsListener(broker, true), `acl_file ${rules}`])
      const said: Fault[] = []
      const bus = must(
        await connectBus({
          ...{ urls: [`mqtts://127.0.0.1:${port}`], timers, version },
          log: (level, _room, _text, fault) => void (level === 'warn' && said.push(fault!)),
          tls: textsOf({ ca: ours.ca, ...agent }),
        }),
      )
      later(bus.close)
      must(await bus.publish('tieline/x', utf8('kept'), { retain: true }))
      must(await bus.publish('tieline/y', utf8('gone')))
      const asked = ['-h', '127.0.0.1', '-p', String(port), '--cafile', ours.ca]
      const as = ['--cert', agent.cert, '--key', agent.key]
      const ear = subscriber(later, [...asked, ...as, '-t', 'tieline/#', '-W', '60', '-C', '2', '-v'])
      await eventually(() => assert.match(ear.text, /kept/))
      // Had the other message been kept too, it would come before this one.
      must(await bus.publish('tieline/z', utf8('now')))
      await ear.ended
      assert.is(ear.text, 'tieline/x kept\ntieline/z now\n')
      assert.match(log(), version === 5 ? /connected from .* \(p5, .*u'maple'/ : /connected from .* \(p2, .*u'maple'/)
      const other = await bus.publish('elsewhere', utf8('1'))
      // MQTT 3.1.1 has no word for it.
      assert.is(other.ok ? 'ok' : other.fault.code, version === 5 ? 'bus.not-allowed' : 'ok')
      await bus.publish('elsewhere', utf8('2'))
      assert.is(said.length, version === 5 ? 1 : 0, 'said once')
    }),
    DEADLINE_MS,
  )
}

test.skipIf(
  without,
  'a certificate that is over, foreign or missing is named, once, on either side',
  closing(async later => {
    const { ours, theirs, broker, oldBroker, agent, oldAgent, stranger } = certificates()
    const current = await mosquitto(later, tlsListener(broker, true))
    const old = await mosquitto(later, tlsListener(oldBroker, false))
    const to = (port: number) => [`mqtts://127.0.0.1:${port}`]
    const { ca } = ours
    await isRefused({ urls: to(old.port), tls: textsOf({ ca }) }, 'bus.certificate-expired')
    await isRefused({ urls: to(current.port), tls: textsOf({ ca: theirs.ca, ...agent }) }, 'bus.certificate-foreign')
    await isRefused({ urls: to(current.port), tls: textsOf({ ca, ...oldAgent }) }, 'bus.own-certificate-refused')
    await isRefused({ urls: to(current.port), tls: textsOf({ ca, ...stranger }) }, 'bus.own-certificate-refused')
    await isRefused({ urls: to(current.port), tls: textsOf({ ca }) }, 'bus.own-certificate-refused')
    const mixed = textsOf({ ca, cert: agent.cert, key: stranger.key })
    const wrong = await connectBus({ urls: to(current.port), timers, log: () => {}, tls: mixed })
    assert.is(wrong.ok ? 'ok' : wrong.fault.code, 'bus.certificate-form')
  }),
  DEADLINE_MS,
)

test.skipIf(
  without,
  'a certificate of tomorrow or of another host, and a broker that takes no will, are named, once',
  closing(async later => {
    const { ours } = certificates()
    const ca = textsOf({ ca: ours.ca })
    for (const [how, code] of [
      [{ when: 'early' }, 'bus.certificate-not-yet-valid'],
      [{ host: 'DNS:broker.example' }, 'bus.certificate-other-name'],
    ] as const) {
      const broker = await mosquitto(later, tlsListener(ours.issue('odd-broker', how), false))
      await isRefused({ urls: [`mqtts://127.0.0.1:${broker.port}`], tls: ca }, code)
      await broker.close()
    }
    const forgetful = await mosquitto(later, ['allow_anonymous true', 'retain_available false'])
    const will = { topic: 'x', payload: utf8('offline') }
    await isRefused({ urls: [`mqtt://127.0.0.1:${forgetful.port}`], will }, 'bus.connect-refused')
  }),
  DEADLINE_MS,
)

test(
  'a name that nobody knows, and a network to which no way leads, are named, once',
  async () => {
    // RFC 6761: never a host. To the address of all hosts TCP leads nowhere.
    await isRefused({ urls: ['mqtt://broker.invalid'] }, 'bus.no-such-host')
    await isRefused({ urls: ['mqtt://255.255.255.255'] }, 'bus.no-way')
  },
  DEADLINE_MS,
)

test.skipIf(
  without,
  'wrong credentials, no TLS, a closed port and silence are named, once',
  closing(async later => {
    const { ours, broker } = certificates()
    const passwords = join(folder, 'passwords')
    spawnSync('mosquitto_passwd', ['-b', '-c', passwords, 'ada', 'right'])
    const conf = ['listener 1 127.0.0.1', `password_file ${passwords}`, 'allow_anonymous false']
    const asking = await mosquitto(later, conf)
    await isRefused({ urls: [`mqtt://ada:secret@127.0.0.1:${asking.port}`] }, 'bus.login-refused')
    await isRefused({ urls: [`mqtt://127.0.0.1:${asking.port}`] }, 'bus.login-refused')
    const ca = textsOf({ ca: ours.ca })
    await isRefused({ urls: [`mqtts://127.0.0.1:${asking.port}`], tls: ca }, 'bus.not-tls')
    await asking.close()
    await isRefused({ urls: [`mqtt://127.0.0.1:${asking.port}`] }, 'bus.port-closed')
    const secured = await mosquitto(later, tlsListener(broker, false))
    await isRefused({ urls: [`mqtt://127.0.0.1:${secured.port}`] }, 'bus.hung-up')
  }),
  DEADLINE_MS,
)

test.skipIf(
  noMosquitto,
  'a broker that stands still after CONNECT is silent, and one that is stopped while it is up is lost',
  closing(async later => {
    const mute = createServer(socket => socket.on('error', () => {}))
    later(() => mute.close())
    await new Promise<void>(resolve => mute.listen(0, '127.0.0.1', resolve))
    const { port } = mute.address() as { port: number }
    const [fault, said] = await refused({ urls: [`mqtt://127.0.0.1:${port}`] }, 6000)
    assert.is(fault.code, 'bus.silent')
    assert.equal(
      said.map(one => one.code),
      ['bus.silent'],
    )
    const mortal = await mosquitto(later, ['allow_anonymous true'])
    const lost: string[] = []
    const log: Log = (level, _room, _text, what) => void (level === 'warn' && lost.push(what!.code))
    const bus = must(await connectBus({ urls: [`mqtt://127.0.0.1:${mortal.port}`], timers, log }))
    later(bus.close)
    await mortal.kill()
    await eventually(() => assert.equal(lost, ['bus.lost', 'bus.port-closed']))
    const again = await mosquitto(later, ['allow_anonymous true'], mortal.port)
    await eventually(() => assert.is(bus.health().up, 1))
    const ear = subscriber(later, ['-p', String(again.port), '-t', 'x', '-C', '1'])
    await eventually(() => assert.match(again.log(), /Sending SUBACK/))
    must(await bus.publish('x', utf8('back')))
    await ear.ended
    assert.is(ear.text, 'back\n')
  }),
  DEADLINE_MS,
)

test.run()
