/** Certificates of a real Mosquitto that are renewed on disk while a site runs: the next connection is made with them. */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readTls } from '../../agent/broker-tls.ts'
import { openBrokers } from '../../agent/brokers.ts'
import { createHealth } from '../../agent/health.ts'
import type { World } from '../../agent/world.ts'
import { connectBus } from '../../drivers/bus/mqtt.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import { must } from '../../protocol/result.ts'
import { closing } from '../closing.ts'
import { makeAuthority, noOpenssl } from '../drivers/bus/mosquitto-certificates.ts'
import { eventually } from '../eventually.ts'
import { assert, suite } from '../harness.ts'
import { unhurried } from '../unhurried.ts'
import { noMosquitto, startMosquitto } from './real-mosquitto.ts'

const test = suite('broker_tls renewed')

test.skipIf(
  noMosquitto ?? noOpenssl,
  'authority, certificate and key are read anew for each connection; files that are no use are named, and those of before count',
  closing(async later => {
    const folder = mkdtempSync(join(tmpdir(), 'tieline-renewed-'))
    later(() => rmSync(folder, { recursive: true, force: true }))
    const [old, next] = [makeAuthority(folder, 'old'), makeAuthority(folder, 'next')]
    const listener = (of: typeof old) => {
      const { cert, key } = of.issue('broker')
      const files = [`cafile ${of.ca}`, `certfile ${cert}`, `keyfile ${key}`]
      return ['listener 1 127.0.0.1', ...files, 'require_certificate true', 'use_identity_as_username true']
    }
    const files = { ca: join(folder, 'ca.crt'), cert: join(folder, 'site.crt'), key: join(folder, 'site.key') }
    const put = (of: typeof old, site: { readonly cert: string; readonly key: string }) => {
      copyFileSync(of.ca, files.ca)
      copyFileSync(site.cert, files.cert)
      copyFileSync(site.key, files.key)
    }
    const first = old.issue('maple')
    put(old, first)
    const before = await startMosquitto({ conf: listener(old), folder })
    later(before.close)
    const { clock, timers: system } = createSystemTime()
    const timers = unhurried(system)
    const log = () => {}
    const world = {
      ...{ clock, timers, log },
      openBus: (urls, how) => connectBus({ urls, timers, log, ...how }),
    } as Pick<World, 'openBus' | 'timers'> as World
    const health = createHealth(clock, log)
    const codes = () =>
      health
        .items()
        .map(({ name, fault }) => `${name} ${fault.code}`)
        .sort()
    const brokers = [`mqtts://127.0.0.1:${before.port}`]
    const { bus, close } = await openBrokers({ brokers, brokerTls: files }, world, health)
    later(close)
    await eventually(() => assert.equal([bus.health().up, codes()], [1, []]))
    // Whoever reads them once.
    const once = must(await connectBus({ urls: brokers, timers, log, tls: must(await readTls(files)) }))
    later(once.close)
    assert.is(once.health().up, 1)

    // Another authority for all: only who read the new files is taken.
    await before.close()
    writeFileSync(files.cert, 'half a cert')
    const after = await startMosquitto({ conf: listener(next), folder, port: before.port })
    later(after.close)
    await eventually(() => assert.equal(codes(), ['brokers bus.none-up', 'brokers.tls bus.certificate-file']))
    const second = next.issue('maple')
    put(next, { cert: second.cert, key: first.key })
    await eventually(() => assert.equal(codes(), ['brokers bus.none-up', 'brokers.tls bus.certificate-form']))
    put(next, second)
    await eventually(() => assert.equal([bus.health().up, codes()], [1, []]))
    assert.ok((await bus.publish('tieline/1/x', new Uint8Array(1))).ok)

    // Files that are no use take nothing away from a broker that takes those of before.
    writeFileSync(files.key, '')
    await after.close()
    const again = await startMosquitto({ conf: listener(next), folder, port: before.port })
    later(again.close)
    await eventually(() => assert.equal([bus.health().up, codes()], [1, ['brokers.tls bus.key-file']]))
    assert.is(once.health().up, 0)
  }),
  120_000,
)

test.run()
