/**
 * Sites that trade over the grid, for benches: of each the real parts (agent/parts.ts), its real account
 * on both ledgers, real keys and a real chain of signed readings. Behind the meter is a steady power; how letters go is the
 * bench's to say. One light client of each ledger verifies for all.
 */
import type { GridConfig, PeerConfig, SiteConfig } from '../../agent/config/site-config.ts'
import { createChain } from '../../agent/metering/chain.ts'
import type { Metering } from '../../agent/metering/run.ts'
import { createParts, type Parts, type PartsOptions } from '../../agent/parts.ts'
import type { LedgerView } from '../../agent/roles/part.ts'
import { createLedgerAccount } from '../../agent/trading/account.ts'
import type { Post } from '../../agent/trading/post.ts'
import { systemEntropy } from '../../drivers/crypto/entropy.ts'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import type { Clock, Signer } from '../../drivers/ports.ts'
import type { Journal } from '../../drivers/store/journal.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { ueidOf } from '../../protocol/identity/key.ts'
import { microsPerKwh, milliwatts, wattHours } from '../../protocol/quantity.ts'
import { ok } from '../../protocol/result.ts'
import { type MeterValue, OBIS } from '../../protocol/telegram/obis.ts'
import { type Instant, instant } from '../../protocol/time.ts'
import {
  type BenchLedger,
  type BenchLedgers,
  type BenchTime,
  ENERGY,
  GRID,
  openLedgers,
  signerOf,
} from './grid-ledgers.ts'

/** A trader or a distributor, before anything of it runs. */
export interface Site {
  readonly name: string
  readonly node: string
  readonly feeder: number
  readonly role: 'buyer' | 'seller' | 'distributor'
  readonly way: 'matching' | 'bidding'
  readonly account: Signer
  readonly metering: Signer
  /** X25519; made where letters are sealed. */
  readonly sealing: Uint8Array | undefined
  readonly meterId: string
  /** Import positive. */
  readonly watts: number
  /** By index. */
  readonly peers: readonly number[]
  readonly distributor: number
  readonly leadMs: number
}

export interface Plan {
  readonly agents: number
  readonly feeders: number
  /** Neighbours that each one knows on its feeder; everybody there where absent. */
  readonly neighbours?: number
  readonly sealed: boolean
  readonly leadMs: (buyer: number) => number
  readonly ways: readonly Site['way'][]
}

/** Of a buyer: 1.2 kW and up to 1.8 kW more; a seller has half as much again as a buyer lacks in the mean. */
const buyerWatts = (n: number): number => 1_200 + ((n * 331) % 7) * 300
const SELLER_WATTS = -3_200

/** Traders in turn buyers and sellers, parted among the feeders; the distributors of the feeders come last. */
export function planSites({ agents, feeders, neighbours, sealed, leadMs, ways }: Plan): readonly Site[] {
  const each = Math.ceil(agents / feeders)
  const secret = (name: string) => (sealed ? sealingSecret(name) : undefined)
  const keys = (name: string) => ({
    ...{ name, account: signerOf(`${name} account`), metering: signerOf(`${name} metering`) },
    sealing: secret(name),
  })
  const traders = Array.from({ length: agents }, (_, n): Site => {
    const feeder = Math.floor(n / each)
    const first = feeder * each
    const count = Math.min(each, agents - first)
    const reach = Math.min(count - 1, neighbours ?? count - 1)
    // The nearest on either side, in a ring.
    const near = Array.from({ length: reach }, (_, at) => (at % 2 === 0 ? 1 + at / 2 : -(at + 1) / 2))
    const role = n % 2 === 0 ? 'buyer' : 'seller'
    return {
      ...keys(`site-${n}`),
      ...{ node: `f${feeder}-${n % 4 < 2 ? 'a' : 'b'}`, feeder, role, way: ways[(n >> 1) % ways.length]! },
      ...{ meterId: `M-${n}`, watts: role === 'buyer' ? buyerWatts(n) : SELLER_WATTS },
      peers: near.map(step => first + ((n - first + step + count) % count)),
      ...{ distributor: agents + feeder, leadMs: leadMs(n >> 1) },
    }
  })
  const distributors = Array.from({ length: feeders }, (_, feeder): Site => {
    const index = agents + feeder
    return {
      ...keys(`wires-${feeder}`),
      ...{ node: `f${feeder}`, feeder, role: 'distributor', way: 'matching', meterId: `M-${index}`, watts: 50 },
      ...{ peers: traders.flatMap((site, n) => (site.feeder === feeder ? [n] : [])), distributor: index },
      leadMs: leadMs(0),
    }
  })
  return [...traders, ...distributors]
}

const sealingSecret = (name: string): Uint8Array => signerOf(`${name} sealing`).publicKey

/** Whom a site knows: its neighbours and its distributor. */
export const peersOf = (sites: readonly Site[], { role, peers, distributor }: Site): readonly Site[] =>
  [...peers, ...(role === 'distributor' ? [] : [distributor])].map(at => sites[at]!)

/** Which letters a site sends and hears. */
export type PostOf = (site: Site, peers: readonly Site[]) => Post | Promise<Post>

export interface RunningSite {
  readonly site: Site
  readonly parts: Parts
  readonly post: Post
}

export interface Sites {
  readonly ledgers: BenchLedgers
  readonly running: readonly RunningSite[]
  /** Nothing new is begun. */
  windDown(): void
  stop(): Promise<void>
}

const verifier = createVerifier()
/** Nothing of a bench outlives it. */
const journal = {
  append: async () => ok({ index: 0, segment: 1, at: 0 }),
  flush: () => {},
  kept: () => [],
} as Partial<Journal> as Journal
/** A capacity that no slot of a feeder comes near. */
const CAPACITY = wattHours(10_000_000n)
const [TRUNK, BRANCH] = [microsPerKwh(10_000n), microsPerKwh(20_000n)]

const gridConfigOf = ({ node, role, way, leadMs }: Site, n: number, slotMs: number): GridConfig => ({
  ...{ meter: 'grid', node, source: 'solar', slotMs, leadMs, way, premium: {}, strict: false, refuse: [] },
  ...{ receiptWindowMs: 20_000, disputeWindowMs: 20_000 },
  ...(role === 'buyer'
    ? { buy: { limit: microsPerKwh(300_000n), opening: microsPerKwh(100_000n), least: wattHours(5n) } }
    : {
        sell: {
          reserve: microsPerKwh(100_000n + BigInt((n * 7919) % 50) * 1_000n),
          opening: microsPerKwh(160_000n),
        },
      }),
})

/** A meter behind which a steady power flows; what it signs, it signs in its chain. */
function meterOf({ account, metering: signer, meterId, watts }: Site, clock: Clock): Metering {
  const began = clock.now()
  const identity = {
    ...{ device: ueidOf(account.publicKey), software: new Uint8Array(32).fill(0x5f) },
    ...{ trust: signer.trust, timeSource: () => 'ntp' },
  }
  const chain = createChain({
    ...{ name: 'grid', meterId, page: 'eastron-sdm630', signer, journal, clock, identity, boot: 1 },
    ...{ clockSets: () => 0, restored: undefined },
  })
  /** Milliwatt-hours since the beginning, beyond a megawatt-hour. */
  const register = (at: Instant, power: number): bigint =>
    1_000_000_000n + (BigInt(Math.max(0, power)) * BigInt(at - began)) / 3_600n
  const values = (at: Instant): MeterValue[] => [
    { obis: OBIS.energyImport, value: register(at, watts), scaler: -3, unit: 'Wh' },
    { obis: OBIS.energyExport, value: register(at, -watts), scaler: -3, unit: 'Wh' },
  ]
  const rawHash = new Uint8Array(32)
  const power = milliwatts(watts * 1000)
  const metering: Pick<Metering, 'latest' | 'sign' | 'onReading' | 'onSigned'> = {
    latest() {
      const [taken, takenMono] = [clock.now(), clock.mono()]
      return { reading: { meterId, taken, takenMono, values: values(taken), rawHash }, power, voltage: undefined }
    },
    sign(_, reason, session) {
      const [taken, takenMono] = [clock.now(), clock.mono()]
      const worth = { quality: 'synchronised', beforeSync: false, errors: [] } as const
      const more = session === undefined ? {} : { session }
      return chain.sign({ registers: values(taken), reason, taken, takenMono, ...worth, ...more, urgent: true })
    },
    onReading: () => {},
    onSigned: () => {},
  }
  return metering as Metering
}

/** Everything starts, each site at a moment of its own within a second, as sites that nobody started together. */
export async function openSites(
  sites: readonly Site[],
  { slotMs, blockMs }: { readonly slotMs: number; readonly blockMs: number },
  time: BenchTime,
  postOf: PostOf,
): Promise<Sites> {
  const { clock, timers } = time
  const traders = sites.filter(({ role }) => role !== 'distributor')
  const ledgers = await openLedgers(
    {
      accounts: sites.map(({ account }) => account.publicKey),
      distributors: sites.filter(({ role }) => role === 'distributor').map(({ account }) => account.publicKey),
      meters: traders.map(({ meterId, account, node, metering }) => ({
        ...{ meterId, owner: addressOf(account.publicKey), line: node, publicKey: metering.publicKey },
        source: 'solar',
      })),
    },
    blockMs,
    time,
  )
  const view = ({ producer, light, nodes }: BenchLedger, signer: Signer): LedgerView => {
    const { chainId } = producer.genesis
    return { chainId, light, nodes, account: createLedgerAccount({ chainId, signer, light, nodes, log: () => {} }) }
  }
  const running: RunningSite[] = []
  for (const [n, site] of sites.entries()) {
    const known = peersOf(sites, site)
    const post = await postOf(site, known)
    const peers: Record<string, PeerConfig> = {}
    for (const { name, account, metering, sealing } of known) {
      peers[name] = {
        ...{ account: account.publicKey, metering: metering.publicKey },
        // Of the post office alone, which the bench opens.
        sealing: sealing ?? account.publicKey,
      }
    }
    const config: Partial<SiteConfig> = {
      ...{ ledger: { chain: ENERGY } as NonNullable<SiteConfig['ledger']>, peers, directLines: [] },
      meters: { grid: { id: site.meterId } } as unknown as SiteConfig['meters'],
      ...(site.role === 'distributor'
        ? { distributor: { lines: linesOf(site.feeder) } }
        : { grid: gridConfigOf(site, n, slotMs) }),
      distribution: { chain: GRID, distributor: sites[site.distributor]!.name } as SiteConfig['distribution'] & {},
    }
    // No site of a bench trades under one-time keys: what makes those is left out.
    const options: Partial<PartsOptions> = {
      ...{ config: config as SiteConfig, signer: site.account, post, clock, timers, verifier, entropy: systemEntropy },
      ...{ energy: view(ledgers.energy, site.account), distribution: view(ledgers.distribution, site.account) },
      ...{ metering: meterOf(site, clock), log: () => {}, health: () => {}, saveEvidence: () => {} },
      ...{ journal, optimiser: undefined, direct: () => [], recordDeal: async () => ok(undefined) },
    }
    const parts = createParts(options as PartsOptions)
    running.push({ site, parts, post })
    timers.after((n * 997) % 1000, parts.start)
  }
  return {
    ledgers,
    running,
    windDown() {
      for (const { parts } of running) parts.windDown()
    },
    async stop() {
      for (const { parts, post } of running) {
        parts.stop()
        post.stop()
      }
      await ledgers.stop()
    },
  }
}

const linesOf = (feeder: number) => ({
  [`f${feeder}`]: { capacity: CAPACITY, tariff: TRUNK },
  [`f${feeder}-a`]: { feeder: `f${feeder}`, capacity: CAPACITY, tariff: BRANCH },
  [`f${feeder}-b`]: { feeder: `f${feeder}`, capacity: CAPACITY, tariff: BRANCH },
})

/** The wall time so long before the gate of a slot. */
export const beforeGate = (slotMs: number, leadMs: number, ms: number): Instant =>
  instant(Math.ceil(1_800_000_000_000 / slotMs) * slotMs - leadMs - ms)
