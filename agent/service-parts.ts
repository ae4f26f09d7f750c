/** What a site does for others beside trading, by what its configuration names. */
import { equalBytes } from '../protocol/bytes.ts'
import { addressOf } from '../protocol/crypto/hash.ts'
import { SLOT_MS } from '../protocol/market/baseline.ts'
import { orderQuantile } from '../protocol/market/community.ts'
import { microsPerKwh, wattHours } from '../protocol/quantity.ts'
import { instant } from '../protocol/time.ts'
import type { CommunityConfig } from './config/service-config.ts'
import type { SiteConfig } from './config/site-config.ts'
import type { GridTrading } from './grid/run.ts'
import { type Aggregator, createAggregator } from './roles/aggregator.ts'
import { followBoundaries } from './roles/boundary-readings.ts'
import { type Community, createCommunity } from './roles/community.ts'
import { createDemandResponse, type DemandResponse } from './roles/demand-response.ts'
import { createMembership } from './roles/membership.ts'
import type { Dispatch, Part, PartOptions } from './roles/part.ts'
import { createRegulator, type Regulator, type RegulatorOptions } from './roles/regulator.ts'

export interface ServiceParts {
  readonly demandResponse: DemandResponse | undefined
  readonly aggregator: Aggregator | undefined
  readonly community: Community | undefined
  readonly regulator: Regulator | undefined
}

export interface ServiceOptions {
  readonly config: SiteConfig
  readonly grid: Pick<GridTrading, 'expected'> | undefined
  readonly dispatch: Dispatch | undefined
  /** The whole state of the energy ledger, as one of its nodes says. */
  readState: RegulatorOptions['state']
  optionsOf(name: string): PartOptions
  /** Starts a part with the others. */
  add(name: string, part: Part): void
}

/** A member says what it may take in so many ways, as all members do: the points of a forecast. */
const POINTS = 12

export function createServiceParts(options: ServiceOptions): ServiceParts {
  const { config, grid, optionsOf } = options
  const { chainId } = optionsOf('').energy
  const peers = Object.entries(config.peers).map(([name, { account }]) => ({ name, address: addressOf(account) }))
  const peerOf = (account: Uint8Array) => peers.find(({ address }) => equalBytes(address, account))?.name
  const added = <T extends Part>(name: string, part: T): T => {
    options.add(name, part)
    return part
  }
  /** The grid meter with the serial that is pinned for it: checked with the configuration. */
  const meter = config.grid && { name: config.grid.meter, id: config.meters[config.grid.meter]?.id ?? '' }
  const readingAt =
    meter !== undefined && (config.demandResponse ?? config.community) !== undefined
      ? followBoundaries(optionsOf('').metering, meter.name)
      : undefined
  /** Net import of a quarter of an hour, Wh. */
  const expected = (slot: number): bigint | undefined =>
    grid?.expected({ start: instant(slot * SLOT_MS), end: instant((slot + 1) * SLOT_MS) })

  function openDemandResponse(): DemandResponse | undefined {
    const section = config.demandResponse
    if (section === undefined || meter === undefined || readingAt === undefined) return undefined
    const { log } = optionsOf('')
    return added(
      'demand-response',
      createDemandResponse({
        ...optionsOf('demand-response'),
        ...{ chainId, meter, readingAt, peerOf, aheadMs: section.aheadMs },
        outlook({ from, to }) {
          const slots = Array.from({ length: to - from }, (_, at) => expected(from + at))
          if (slots.includes(undefined)) return undefined
          const taken = slots.map(net => wattHours(net! > 0n ? net! : 0n))
          const loads = Object.entries(section.loads).map(([name, { power, ...terms }]) => ({
            ...{ name, ...terms },
            // mW over a quarter of an hour
            planned: taken.map(() => wattHours((BigInt(power) * BigInt(SLOT_MS)) / 3_600_000_000n)),
          }))
          return { expected: taken, loads }
        },
        dispatch(still) {
          log('info', 'call', still.length === 0 ? 'everything may run' : `stands still: ${still.join(', ')}`)
          options.dispatch?.standStill(still)
        },
      }),
    )
  }

  function openCommunity(section: CommunityConfig | undefined): Community | undefined {
    if (section === undefined || meter === undefined || readingAt === undefined) return undefined
    const { group, found, rule, tariff, members } = section
    const accounts = Object.keys(members).map(name => addressOf(config.peers[name]!.account))
    options.add('membership', createMembership({ ...optionsOf('membership'), group, found, members: accounts }))
    const middle = microsPerKwh((tariff.retail + tariff.feedIn) / 2n)
    return added(
      'community',
      createCommunity({
        ...optionsOf('community'),
        ...{ chainId, group, rule, tariff, peerOf, readingAt },
        meterId: meter.id,
        quantile: orderQuantile(section.orderPrice ?? middle, tariff),
        meterOf: account => members[peerOf(account) ?? ''],
        forecast(slot) {
          const net = expected(slot)
          return net === undefined ? undefined : Array.from({ length: POINTS }, () => net)
        },
        // Orders of the hour-ahead book are matched by nobody yet: nothing of them is delivered.
        orderOf: () => undefined,
      }),
    )
  }

  const { aggregator, regulator } = config
  return {
    demandResponse: openDemandResponse(),
    aggregator:
      aggregator && added('aggregator', createAggregator({ ...optionsOf('aggregator'), ...aggregator, chainId })),
    community: openCommunity(config.community),
    regulator:
      regulator &&
      added('regulator', createRegulator({ ...optionsOf('regulator'), duties: regulator, state: options.readState })),
  }
}
