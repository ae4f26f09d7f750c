/**
 * The street's ports on this machine: pseudo-terminals opened through serialport, TCP, MQTT brokers, the ledger's RPC over
 * HTTP, files. Only what stands behind the lines is simulated.
 */
import type { SiteConfig } from '../../agent/config/site-config.ts'
import type { Producer } from '../../agent/validator/producer.ts'
import { rpcRoutes } from '../../agent/validator/rpc.ts'
import { systemWorld, type World } from '../../agent/world.ts'
import { type Broker, startBroker } from '../../drivers/bus/broker.ts'
import { createSystemTime, scaleFrom, type TimeScale } from '../../drivers/clock.ts'
import { createSigner } from '../../drivers/crypto/signer.ts'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { type HttpServer, serveHttp } from '../../drivers/http/server.ts'
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import { openPty } from '../../drivers/line/pty.ts'
import { openTcpServer } from '../../drivers/line/tcp-server.ts'
import type { Clock, Log, Timers } from '../../drivers/ports.ts'
import { makeLink, removeLink } from '../../drivers/store/folder.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import { auxiliaryLine, outputLine, type SiteDevices } from '../sim/devices.ts'
import { withFaults } from '../sim/ledger-rpc.ts'
import { seededRandom } from '../sim/random.ts'
import { BRISK, type SiteLine } from '../sim/site-config.ts'
import type { StreetSite } from '../sim/street.ts'
import { type OpenedLine, ORIGIN_MS, type StreetPorts } from '../sim/street-run.ts'
import { noPortFaults, type PortFaults, struckWorld } from './stage.ts'

/** Two, so that one that is down is no reason to stop. */
const WITNESSES = 2

export interface RealPorts extends StreetPorts {
  readonly scale: TimeScale
  readonly clock: Clock
  readonly timers: Timers
  readonly ownBrokers: readonly Broker[]
  readonly faults: ReadonlyMap<string, PortFaults>
  /** Serves the ledger; called once its producer stands. */
  serveLedger(producer: Producer): Promise<Result<void>>
  close(): Promise<void>
}

export interface RealPortsOptions {
  readonly speed: number
  readonly seed: number
  readonly sites: readonly string[]
  /** Brokers of the user's; none starts `brokers` of our own. */
  readonly brokerUrls: readonly string[]
  readonly brokers: number
  /** Folder for the sites' data. */
  readonly data: string
  /** A site's log; `clock` is the street's. */
  readonly logOf: (site: string, clock: Clock) => Log
  readonly onBug: (error: unknown) => void
}

export async function openRealPorts(options: RealPortsOptions): Promise<Result<RealPorts>> {
  const scale = scaleFrom(ORIGIN_MS, options.speed)
  const { clock, timers } = createSystemTime(scale, () => 'synchronised')
  const closers: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const closeOne of closers.reverse()) await closeOne()
  }

  const ownBrokers: Broker[] = []
  for (let n = 0; options.brokerUrls.length === 0 && n < options.brokers; n++) {
    const broker = await startBroker()
    if (!broker.ok) {
      await close()
      return broker
    }
    ownBrokers.push(broker.value)
    closers.push(() => broker.value.close())
  }
  const faults = new Map(options.sites.map((site): [string, PortFaults] => [site, noPortFaults()]))
  let nodes: readonly HttpServer[] = []

  function worldOf(site: StreetSite, config: SiteConfig, devices: SiteDevices): World {
    const world = systemWorld(config, options.logOf(site.name, clock))
    const struck = faults.get(site.name)!
    const shared: World = {
      ...world,
      // One clock for the whole bench process; a child process makes its own from the same scale.
      clock,
      timers,
      openLedger: url =>
        withFaults(world.openLedger(url), url === config.ledger?.primary ? struck.primary : struck.witnesses),
      openGpioBank: bank =>
        devices.gpio === undefined
          ? fail({ code: 'gpio.no-bank', bank })
          : ok({
              bank: devices.gpio,
              contact: channel => ({
                name: `${bank}.${channel}`,
                output: outputLine(channel),
                closedLevel: 1,
                auxiliary: { line: auxiliaryLine(channel), closedLevel: 1 },
              }),
            }),
    }
    return struckWorld(shared, struck)
  }

  return ok({
    clock,
    timers,
    scale,
    verifier: createVerifier(),
    random: seededRandom(options.seed),
    paced: false,
    coilsOnly: false,
    pace: BRISK,
    signer: createSigner,
    openLine: (site, line, kind) => openLine(options.data, site, line, kind),
    primaryOf: () => nodes[0]!.url,
    witnessesOf: () => nodes.slice(1).map(({ url }) => url),
    brokers: options.brokerUrls.length > 0 ? options.brokerUrls : ownBrokers.map(({ url }) => url),
    dataOf: site => `${options.data}/${site}`,
    worldOf,
    ownBrokers,
    faults,
    async serveLedger(producer) {
      const servers: HttpServer[] = []
      for (let n = 0; n < 1 + WITNESSES; n++) {
        const server = await serveHttp({ port: 0, routes: rpcRoutes(producer, timers), onBug: options.onBug })
        if (!server.ok) return server
        servers.push(server.value)
        closers.push(() => server.value.close())
      }
      nodes = servers
      return done
    },
    close,
  })
}

/**
 * Each pseudo-terminal gets a name of its own that goes when it is unplugged: the number of a terminal that is gone is soon
 * given to another, and an agent that looks for its meter must not open a stranger's.
 */
async function openLine(
  folder: string,
  site: string,
  line: SiteLine,
  kind: 'serial' | 'tcp',
): Promise<Result<OpenedLine>> {
  if (kind === 'serial') {
    const pty = await openPty()
    if (!pty.ok) return pty
    const path = `${folder}/${site}-${line}`
    const linked = makeLink(pty.value.path, path)
    if (!linked.ok) return linked
    return ok({
      place: { serial: path },
      attach: serve => serve(pty.value),
      unplug: () => {
        removeLink(path)
        pty.value.unplug()
      },
      close: async () => {
        removeLink(path)
        await pty.value.close()
      },
    })
  }
  let serve: (end: DeviceEnd) => void = () => {}
  const server = await openTcpServer({ host: '127.0.0.1', port: 0 }, end => serve(end))
  if (!server.ok) return server
  return ok({
    place: { tcp: `127.0.0.1:${server.value.port}` },
    attach: next => {
      serve = next
    },
    unplug: () => server.value.unplug(),
    close: () => server.value.close(),
  })
}
