/** An EVerest station behind a real Mosquitto that takes known certificates only. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../../agent/config/load.ts'
import { openSiteCharging } from '../../../agent/site-charging.ts'
import { connectBus } from '../../../drivers/bus/mqtt.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { startEverestStation } from '../../../hw/sim/chargers/everest-station.ts'
import { must } from '../../../protocol/result.ts'
import { closing } from '../../closing.ts'
import { makeAuthority, noOpenssl, textsOf } from '../../drivers/bus/mosquitto-certificates.ts'
import { eventually } from '../../eventually.ts'
import { assert, suite } from '../../harness.ts'
import { noMosquitto, startMosquitto } from '../real-mosquitto.ts'
import { EVEREST_CONFIG } from './session-site.ts'

const test = suite('a station behind a broker with certificates')

test.skipIf(
  noMosquitto ?? noOpenssl,
  "is reached with the site's own files where its broker is one of the site's, and is told what it may; else its broker is named",
  closing(async later => {
    const folder = mkdtempSync(join(tmpdir(), 'tieline-station-'))
    later(() => rmSync(folder, { recursive: true, force: true }))
    const authority = makeAuthority(folder, 'site')
    const own = authority.issue('broker')
    const tlsLines = [`cafile ${authority.ca}`, `certfile ${own.cert}`, `keyfile ${own.key}`]
    const conf = ['listener 1 127.0.0.1', ...tlsLines, 'require_certificate true', 'use_identity_as_username true']
    const broker = await startMosquitto({ conf, folder })
    later(broker.close)
    const url = `mqtts://127.0.0.1:${broker.port}`
    const { clock, timers } = createSystemTime()
    const log = () => {}
    const raised = new Map<string, string>()
    const { ca } = authority
    const files = { ca, ...authority.issue('maple') }

    const bus = must(
      await connectBus({ urls: [url], timers, log, tls: textsOf({ ca, ...authority.issue('station') }) }),
    )
    later(bus.close)
    const ticking = {
      ...timers,
      every: (...tick: Parameters<typeof timers.every>) => {
        const cancel = timers.every(...tick)
        later(async () => cancel())
        return cancel
      },
    }
    const box = startEverestStation({
      ...{ clock, timers: ticking, bus, bootMa: 20_000, carMa: 16_000, reactionMs: 200 },
      ...{ evse: 'evse_api', limits: 'limits_api' },
    })

    const text = EVEREST_CONFIG.replace('mqtt://station.sim:1883', url)
    const loaded = loadConfig(text, 'site.yaml')
    assert.ok(loaded.ok)
    const world = {
      ...{ clock, timers, log, entropy: systemEntropy },
      openBus: (urls: readonly string[], how?: object) => connectBus({ urls, timers, log, ...how }),
    }
    const around = {
      devices: { masterOn: () => Promise.reject(new Error('no line')), lineOf: () => assert.unreachable() as never },
      metering: { onReading: () => {}, latest: () => undefined } as never,
      ...{ sessions: undefined, watchdogFed: () => undefined },
      health: (what: string, fault: { readonly code: string } | undefined) =>
        fault === undefined ? void raised.delete(what) : void raised.set(what, fault.code),
    }
    const open = (brokers: readonly string[]) =>
      openSiteCharging({ ...loaded.value, brokers, brokerTls: files }, world, around).then(must)
    const strange = await open(['mqtts://elsewhere.sim:8883'])
    await eventually(() => assert.is(raised.get(`chargers.127.0.0.1:${broker.port}`), 'bus.none-up'))
    await strange!.stop()
    assert.equal(box.schedules, [])

    raised.clear()
    const known = await open([url])
    later(async () => known!.stop())
    await eventually(() => assert.ok(box.schedules.length > 0))
    await eventually(() => assert.is(known!.views()[0]?.hold.reach, 'heard'))
    assert.not.ok(raised.has(`chargers.127.0.0.1:${broker.port}`))
  }),
  120_000,
)

test.run()
