/** The parts of an agent beside its direct lines, by what its configuration names. */
import type { Journal } from '../drivers/store/journal.ts'
import type { JournalRecord } from '../drivers/store/journal-block.ts'
import type { Optimiser } from '../protocol/market/optimiser.ts'
import { wattHours } from '../protocol/quantity.ts'
import type { OffsetAt } from '../protocol/reading/calendar.ts'
import { fail, type Result } from '../protocol/result.ts'
import { isOver } from '../protocol/trade/deal-state.ts'
import { createSiteBills, type SiteBills } from './bill/site-bill.ts'
import { type Coining, type CoinParts, createCoinParts } from './coin-parts.ts'
import { overlaps, type Window } from './grid/decide.ts'
import { createNetForecast } from './grid/net-forecast.ts'
import { directOutlets } from './grid/routing.ts'
import { createGridTrading, type GridTrading, type PromisedElsewhere } from './grid/run.ts'
import { DEAL, PART } from './keeping.ts'
import type { History } from './metering/history.ts'
import { createParkParts, type ParkParts } from './park-parts.ts'
import { type Claims, createClaims } from './roles/claims.ts'
import { createDistributor, type DistributorPart } from './roles/distributor.ts'
import type { Dispatch, Part, PartOptions } from './roles/part.ts'
import { createPseudonyms, type Pseudonyms, type PseudonymsOptions } from './roles/pseudonyms.ts'
import { createRegistrar, type Registrar, type RegistrarOptions } from './roles/registrar.ts'
import { createServiceParts, type ServiceParts } from './service-parts.ts'
import { createStoreParts, type StoreParts } from './store-parts.ts'
import type { DealInfo } from './trading/trading.ts'
import type { World } from './world.ts'

/** A distributor that is there claims within seconds of a settlement; this is a tenth of what a claim may take. */
const CLAIM_PATIENCE_MS = 60_000

export interface Parts extends ParkParts, StoreParts, CoinParts {
  readonly grid: GridTrading | undefined
  /** Of this site's own reservations as a seller. */
  readonly claims: Claims | undefined
  readonly distributor: DistributorPart | undefined
  readonly registrar: Registrar | undefined
  readonly pseudonyms: Pseudonyms | undefined
  readonly services: ServiceParts
  /** Undefined without a supplier's tariff, and where the history cannot be opened. */
  readonly bills: SiteBills | undefined
  /** Takes what it kept out of the journal's replay, and starts. */
  start(): void
  windDown(): void
  stop(): void
}

/** What one-time keys, their certificates and coins are made with. */
export type Certifying = Pick<RegistrarOptions, 'createIssuer'> &
  Pick<PseudonymsOptions, 'createSigner' | 'blindMessage' | 'verifyPss'> &
  Coining

export interface PartsOptions extends Omit<PartOptions, 'record'> {
  readonly journal: Journal
  /** For the operator of a store. */
  readonly optimiser: Optimiser | undefined
  readonly certifying: Certifying
  readonly dispatch: Dispatch | undefined
  /** What the meters counted; undefined where its index cannot be opened. */
  readonly history: Pick<History, 'energy' | 'entries'> | undefined
  readonly offsetAt: OffsetAt
  readState: World['readState']
  /** Durable on success. */
  recordDeal(bytes: Uint8Array): Promise<Result<unknown>>
  /** Deals over direct lines: what they promise is not promised again. */
  direct(): readonly DealInfo[]
}

export function createParts(options: PartsOptions): Parts {
  const { config, journal, log } = options
  const parts = new Map<string, Part>()
  /** Of each part the newest record is kept, under its name. */
  const optionsOf = (name: string): PartOptions => ({
    ...options,
    record: bytes => journal.append(PART + name, bytes, { urgent: true }),
  })

  function elsewhere(window: Window): PromisedElsewhere {
    const sums = { seller: 0n, buyer: 0n }
    for (const { runner } of options.direct()) {
      const { role, state, contract } = runner.deal()
      // What flows is in the meter's own count already.
      if (!isOver(runner.deal()) && state !== 'started' && overlaps(contract, window)) sums[role] += contract.energy
    }
    return { sold: wattHours(sums.seller), bought: wattHours(sums.buyer) }
  }

  const named = config.grid?.pseudonyms
  const pseudonyms: Pseudonyms | undefined =
    named === undefined
      ? undefined
      : createPseudonyms({
          ...options,
          ...options.certifying,
          slotMs: config.grid!.slotMs,
          registrar: named.registrar,
          ownMeter: () => grid?.ownMeter(),
        })
  if (pseudonyms !== undefined) parts.set('pseudonyms', pseudonyms)

  let claims: Claims | undefined
  if (config.grid !== undefined && options.distribution !== undefined) {
    const { distribution } = options
    claims = createClaims({ ...optionsOf('claims'), distribution, patienceMs: CLAIM_PATIENCE_MS })
    parts.set('claims', claims)
  }
  const { history } = options
  const forecast =
    config.grid === undefined || history === undefined
      ? undefined
      : createNetForecast({ ...options, history, meter: config.grid.meter })
  const grid: GridTrading | undefined =
    config.grid === undefined
      ? undefined
      : createGridTrading({
          ...optionsOf('grid'),
          grid: config.grid,
          pseudonyms,
          elsewhere,
          ...(config.battery === undefined ? {} : { spare: () => park.battery?.spare() }),
          reserved: deal => void claims?.follow(deal),
          // What a meter shows is what direct lines leave; what a generator or a battery can give at any time is not.
          direct: window =>
            config.grid?.sell?.capacity === undefined
              ? []
              : directOutlets(options.direct(), options.clock.now(), window),
          forecast: window => forecast?.net(window),
          storeLive() {
            const state = stores.storeCustomer?.agreement()?.state
            return state === 'accepted' || state === 'ending'
          },
          recordDeal: options.recordDeal,
        })
  if (grid !== undefined) parts.set('grid', grid)
  const tariff = config.grid?.tariff
  const bills =
    tariff === undefined || history === undefined
      ? undefined
      : createSiteBills({
          ...options,
          ...{
            tariff,
            history,
            meter: config.grid!.meter,
            deals: () => [...options.direct(), ...(grid?.deals() ?? [])],
          },
          ...(forecast === undefined ? {} : { forecast }),
        })
  const distributor =
    config.distributor === undefined || options.distribution === undefined
      ? undefined
      : createDistributor({
          ...optionsOf('distributor'),
          distribution: options.distribution,
          lines: config.distributor.lines,
        })
  if (distributor !== undefined) parts.set('distributor', distributor)

  const stores: StoreParts = createStoreParts({
    ...{ config, grid, optionsOf, optimiser: options.optimiser },
    add: (name, part) => void parts.set(name, part),
  })

  const park: ParkParts = createParkParts({
    ...{ config, grid, optionsOf, direct: options.direct },
    add: (name, part) => void parts.set(name, part),
  })

  const registrar =
    config.registrar === undefined
      ? undefined
      : createRegistrar({ ...options, ...options.certifying, settings: config.registrar })
  if (registrar !== undefined) parts.set('registrar', registrar)

  const coins = createCoinParts({
    ...{ config, optionsOf, coining: options.certifying },
    add: (name, part) => void parts.set(name, part),
  })

  grid?.onDispatch((deal, on) => options.dispatch?.deal(deal, on))
  const services = createServiceParts({
    ...{ config, grid, optionsOf, dispatch: options.dispatch },
    readState: async () => {
      const served = [config.ledger?.primary, ...(config.ledger?.witnesses ?? [])].find(url => url?.startsWith('http'))
      return served === undefined
        ? fail({ code: 'regulator.no-node', hint: 'name a node by http' })
        : options.readState(served)
    },
    add: (name, part) => void parts.set(name, part),
  })

  return {
    ...park,
    ...stores,
    ...coins,
    grid,
    claims,
    distributor,
    services,
    bills,
    registrar,
    pseudonyms,
    start() {
      const kept = new Map<string, Uint8Array[]>([...parts.keys()].map(name => [name, []]))
      for (const record of journal.kept()) ownerOf(record, kept)?.push(record.bytes)
      for (const [name, part] of parts) {
        part.restore?.(kept.get(name)!)
        part.start()
        options.post.onMessage((peer, message) => part.onMessage?.(peer, message))
      }
      if (parts.size > 0) log('info', 'parts', `at work: ${[...parts.keys()].join(', ')}`)
    },
    windDown() {
      for (const part of parts.values()) part.windDown?.()
    },
    stop() {
      forecast?.stop()
      for (const part of parts.values()) part.stop()
    },
  }
}

/** The records of the part that wrote this one; deals are the grid's to look through. */
const ownerOf = ({ kind }: JournalRecord, kept: ReadonlyMap<string, Uint8Array[]>): Uint8Array[] | undefined =>
  kind === DEAL ? kept.get('grid') : kind.startsWith(PART) ? kept.get(kind.slice(PART.length)) : undefined
