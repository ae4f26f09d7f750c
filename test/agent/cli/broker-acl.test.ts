/** The access list that `tieline init --broker` writes, at a real Mosquitto: rows of history pass for their own site alone. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readTls } from '../../../agent/broker-tls.ts'
import { connectBus } from '../../../drivers/bus/mqtt.ts'
import { fromUtf8, utf8 } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { noOpenssl } from '../../programs.ts'
import { noMosquitto, startMosquitto } from '../real-mosquitto.ts'
import { runTieline } from './cli-run.ts'
import { timers } from './sdm630-sim.ts'
import { meterAndBoard, siteText, startTieline } from './site-process.ts'

const test = suite('the access list of init --broker')

const OWN = 'tieline/tieline_maple/history'
const OTHERS = 'tieline/tieline_oak/history'

/** What Home Assistant hears of both: first a row of maple's own, then what oak says, as maple and as itself. */
async function heardBy(home: (conf: readonly string[]) => readonly string[]): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-acl-'))
  const hub = join(folder, 'hub')
  const made = await runTieline(['init', '--broker', 'maple', 'oak', '--out', hub, '--host', '127.0.0.1', '--json'])
  assert.is(made.exit, 0, made.err)
  const installed = readFileSync(join(hub, 'broker/mosquitto.conf'), 'utf8')
  const conf = installed.replaceAll('/etc/mosquitto/tieline', join(hub, 'broker')).split('\n')
  const broker = await startMosquitto({ conf: home(conf), folder: join(folder, 'run') })
  const url = `mqtts://127.0.0.1:${broker.port}`
  const filesOf = (site: string) => {
    const at = join(hub, 'sites', site)
    return { ca: join(at, 'ca.crt'), cert: join(at, `${site}.crt`), key: join(at, `${site}.key`) }
  }
  const as = async (site: string) =>
    must(await connectBus({ urls: [url], timers, log: () => {}, tls: must(await readTls(filesOf(site))) }))
  const meter = await meterAndBoard()
  const file = join(folder, 'site.yaml')
  const { ca, cert, key } = filesOf('maple')
  const publishing = `mqtt: {brokers: ['${url}'], ca: ${ca}, cert: ${cert}, key: ${key}, history: on}\npage: {off: true}\n`
  writeFileSync(file, siteText(meter.path, publishing))
  const [hears, oak] = [await as('home-assistant'), await as('oak')]
  const heard: string[] = []
  for (const topic of [OWN, OTHERS])
    must(await hears.subscribe(topic, payload => heard.push(`${topic} ${fromUtf8(payload)}`)))
  const site = startTieline(['run', '--config', file, '--json'])
  try {
    await site.until(() => heard.length > 0)
    const { exit, err } = await site.end()
    assert.is(exit, 0, err)
    // Refused with a reason on MQTT 5; what comes of it, the listener judges.
    await oak.publish(OWN, utf8('forged'))
    must(await oak.publish(OTHERS, utf8('own')))
    for (let n = 0; n < 2400 && !heard.includes(`${OTHERS} own`); n++) await timers.sleep(25)
    return heard
  } finally {
    await site.end('SIGKILL')
    await hears.close()
    await oak.close()
    await broker.close()
    await meter.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

test.skipIf(
  noMosquitto ?? noOpenssl,
  "a site's rows of history reach Home Assistant, and nobody else's in its name",
  async () => {
    const heard = await heardBy(conf => conf)
    const rows = heard.filter(line => line.startsWith(OWN))
    assert.ok(rows.length > 0)
    for (const row of rows) assert.type(JSON.parse(row.slice(OWN.length)), 'object')
    assert.is(heard.at(-1), `${OTHERS} own`)
    assert.not.ok(heard.includes(`${OWN} forged`))
  },
  240_000,
)

test.skipIf(
  noMosquitto ?? noOpenssl,
  'without the list the forged row is heard',
  async () => {
    const heard = await heardBy(conf => conf.filter(line => !line.startsWith('acl_file')))
    assert.ok(heard.includes(`${OWN} forged`))
  },
  240_000,
)

test.run()
