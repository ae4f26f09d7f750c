/**
 * The configuration file of each site of the street, as its owner would have written it (JSON is YAML): the same text
 * composes an agent in the bench's process, in a process of its own, and in the simulator.
 */
import { toHex } from '../../protocol/bytes.ts'
import { benchSeed, lineEndsOf, type Street, type StreetSite, wiredContacts } from './street.ts'

/** How closely the sites look at what changes slowly. */
export interface StreetPace {
  /** How often the grid meter is read. */
  readonly gridEveryMs: number
  /** How often a meter that speaks unasked does. */
  readonly telegramEveryMs: number
  /** What a contact does without its agent: the board lets go this long after the last close command. */
  readonly holdMs: number
  /** Between two looks at the ledger's head. */
  readonly followMs: number
  /** A head is stale at this age; absent, as an agent does by itself, where blocks are a few seconds apart. */
  readonly staleMs?: number
  /** How far a head may lie behind a clock that is right; absent: as where blocks are a few seconds apart. */
  readonly driftMs?: number
  /** How long a circuit asks for nothing after a deal. */
  readonly pauseMs: number
  /** Contacts and line meters at rest are looked at this often; undefined goes on as during a deal. */
  readonly restMs: number | undefined
}

/** As on a real street, with deals one after the other. */
export const BRISK: StreetPace = {
  gridEveryMs: 2_000,
  telegramEveryMs: 1_000,
  holdMs: 1_500,
  followMs: 4_000,
  pauseMs: 0,
  restMs: undefined,
}

/** For days and weeks: a deal of each circuit every hour and a half, and little in between. */
export const CALM: StreetPace = {
  gridEveryMs: 60_000,
  telegramEveryMs: 5_000,
  holdMs: 10_000,
  followMs: 60_000,
  pauseMs: 5_400_000,
  restMs: 120_000,
}

/** Where the rest of the street is reached. */
export interface StreetPlaces {
  readonly seed: number
  readonly chain: string
  readonly trust: { readonly height: bigint; readonly hash: Uint8Array }
  readonly primary: string
  readonly witnesses: readonly string[]
  readonly relayAs: string | undefined
  readonly brokers: readonly string[]
  /** The ledger of the distribution network, where there is one. */
  readonly distribution?: {
    readonly chain: string
    readonly trust: { readonly height: bigint; readonly hash: Uint8Array }
    readonly primary: string
    readonly witnesses: readonly string[]
  }
  readonly data: string
  /** Device path or host:port of a site's line. */
  readonly lineAt: (site: string, line: SiteLine) => { readonly serial: string } | { readonly tcp: string }
  readonly keysOf: (site: string) => {
    readonly account: Uint8Array
    readonly sealing: Uint8Array
    readonly metering: Uint8Array
  }
  readonly clock:
    | { readonly originWallMs: number; readonly originVirtualMs: number; readonly speed: number }
    | undefined
  readonly pace: StreetPace
  /** The simulator has no johnny-five board: its sites all drive coil boards. */
  readonly coilsOnly: boolean
}

/**
 * `meters` carries the Modbus meters, `grid` a grid meter with a line of its own, `switch` the relay board: an opening never
 * waits behind a meter that does not answer.
 */
export type SiteLine = 'meters' | 'grid' | 'switch'

/** Modbus units on a site's RS-485 bus. */
export const UNIT = { grid: 1, board: 40, lineMeter: (index: number): number => 11 + index }

/** Once a second at the least while a line can be switched; twice a second leaves room for a late answer. */
const LINE_EVERY_MS = 500

/** One deal of the street: two minutes of a 2 to 3 kW circuit. */
const SLOT_S = 60

export function siteConfigText(street: Street, site: StreetSite, places: StreetPlaces): string {
  const ends = lineEndsOf(street, site.name)
  const wired = wiredContacts(street, site)
  const channel = (line: string | undefined, role: string) =>
    `board.${1 + wired.findIndex(contact => contact.line === line && contact.role === role)}`
  const gridOnBus = site.gridMeter === 'eastron-sdm630' || site.gridMeter === 'eastron-sdm120'
  const pushed = site.gridMeter === 'sml' || site.gridMeter === 'dsmr'
  const { pace } = places
  const every = `${pace.gridEveryMs}ms`
  const board = site.relays === 'johnny-five' && !places.coilsOnly
  const hex = (key: Uint8Array) => toHex(key)
  const serial = (line: SiteLine, baud: string, format: string) => ({ ...places.lineAt(site.name, line), baud, format })
  const { over } = site
  const peers = new Set([...ends.map(({ peer }) => peer), ...(over?.peers ?? [])])
  const config = {
    version: '1',
    site: site.name,
    role:
      over !== undefined
        ? over.role
        : site.kind === 'charger'
          ? 'charger'
          : site.kind === 'battery-home'
            ? 'storage'
            : 'household',
    bench: 'true',
    data: places.data,
    keys: { seed: toHex(benchSeed(places.seed, site.name)) },
    ledger: {
      chain: places.chain,
      trust: { height: String(places.trust.height), hash: toHex(places.trust.hash) },
      primary: places.primary,
      witnesses: places.witnesses,
      ...ageing(pace),
      ...(places.relayAs === undefined ? {} : { relay_as: places.relayAs }),
    },
    brokers: places.brokers,
    lines: {
      meters: serial('meters', '9600', '8N1'),
      ...(board ? {} : { switch: serial('switch', '9600', '8N1') }),
      ...(gridOnBus
        ? {}
        : site.gridMeter === 'modbus-tcp'
          ? { grid: places.lineAt(site.name, 'grid') }
          : { grid: serial('grid', site.gridMeter === 'dsmr' ? '115200' : '9600', '8N1') }),
    },
    meters: {
      grid: pushed
        ? { protocol: site.gridMeter, line: 'grid', every, id: site.gridMeterId }
        : gridOnBus
          ? {
              protocol: 'modbus-rtu',
              line: 'meters',
              page: site.gridMeter,
              unit: String(UNIT.grid),
              every,
              id: site.gridMeterId,
            }
          : { protocol: 'modbus-tcp', line: 'grid', page: 'shelly-pro-3em', unit: '1', every, id: site.gridMeterId },
      ...Object.fromEntries(
        ends.map(({ line, side }, index) => [
          line.id,
          {
            protocol: 'modbus-rtu',
            line: 'meters',
            page: 'eastron-sdm120',
            unit: String(UNIT.lineMeter(index)),
            every: `${LINE_EVERY_MS}ms`,
            id: side === 'seller' ? line.sellerMeterId : line.buyerMeterId,
          },
        ]),
      ),
    },
    relays: {
      board: board
        ? { driver: 'johnny-five', bank: `${site.name}-gpio` }
        : { driver: 'modbus-coils', line: 'switch', unit: String(UNIT.board), timed: `${pace.holdMs}ms` },
    },
    direct_lines: ends.map(({ line, side, peer }) => ({
      id: line.id,
      side,
      peer,
      meter: line.id,
      limit: `${line.limitMa}mA`,
      peer_meter: side === 'seller' ? line.buyerMeterId : line.sellerMeterId,
      contacts:
        side === 'seller'
          ? { line: channel(line.id, 'line'), upstream: channel(line.id, 'upstream') }
          : { line: channel(line.id, 'line'), own: channel(undefined, 'own') },
      ...(side === 'buyer' && site.circuit !== undefined
        ? { circuit: { name: site.circuit.name, load: `${site.circuit.demandW}W` } }
        : {}),
    })),
    peers: Object.fromEntries(
      [...peers].map(peer => {
        const keys = places.keysOf(peer)
        return [peer, { account: hex(keys.account), sealing: hex(keys.sealing), metering: hex(keys.metering) }]
      }),
    ),
    trade: {
      ...(ends.some(end => end.side === 'seller')
        ? {
            sell: {
              reserve: site.battery === undefined ? '0.09' : '0.14',
              opening: '0.24',
              ...(site.battery === undefined ? {} : { capacity: `${site.battery.powerW}W` }),
            },
          }
        : {}),
      ...(ends.some(end => end.side === 'buyer') ? { buy: { limit: '0.28', opening: '0.08' } } : {}),
      slot: `${SLOT_S}s`,
      receipt_window: '30s',
      dispute_window: '30s',
      energy: `${Math.round(((site.circuit?.demandW ?? 2_000) * SLOT_S) / 3_600)}Wh`,
      loss: '3%',
      pause: `${pace.pauseMs}ms`,
    },
    ...over?.sections,
    ...(over?.distributor === undefined || places.distribution === undefined
      ? {}
      : {
          distribution: {
            distributor: over.distributor,
            chain: places.distribution.chain,
            trust: {
              height: String(places.distribution.trust.height),
              hash: toHex(places.distribution.trust.hash),
            },
            primary: places.distribution.primary,
            witnesses: places.distribution.witnesses,
            ...ageing(pace),
          },
        }),
    ...(pace.restMs === undefined ? {} : { rest: { look: `${pace.restMs}ms`, line_meters: `${pace.restMs}ms` } }),
    page: { off: 'true' },
    ...(places.clock === undefined
      ? {}
      : {
          clock: {
            origin_wall_ms: String(places.clock.originWallMs),
            origin_virtual_ms: String(places.clock.originVirtualMs),
            speed: String(places.clock.speed),
          },
        }),
  }
  return `${JSON.stringify(config, null, 2)}\n`
}

const ageing = ({ followMs, staleMs, driftMs }: StreetPace) => ({
  follow: `${followMs}ms`,
  ...(driftMs === undefined ? {} : { max_clock_drift: `${driftMs}ms` }),
  ...(staleMs === undefined ? {} : { stale_after: `${staleMs}ms` }),
})
