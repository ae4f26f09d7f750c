/** A store's operator, and a store's customer: the parts of either, by what the configuration names. */
import { equalBytes } from '../protocol/bytes.ts'
import { addressOf } from '../protocol/crypto/hash.ts'
import type { Optimiser } from '../protocol/market/optimiser.ts'
import type { SiteConfig } from './config/site-config.ts'
import { AFTER_AWARDS } from './grid/decide.ts'
import type { GridTrading } from './grid/run.ts'
import { createBalanceOffer } from './roles/balance-offer.ts'
import type { Part, PartOptions } from './roles/part.ts'
import { createRewardRedeem } from './roles/reward-redeem.ts'
import { createStorage, type Storage } from './roles/storage.ts'
import { createStoreBalance, type StoreBalance } from './roles/store-balance.ts'
import { createStoreCharge } from './roles/store-charge.ts'
import { createStoreCustomer, type StoreCustomer } from './roles/store-customer.ts'
import { createStoreDeclare } from './roles/store-declare.ts'
import { proveNetwork } from './roles/store-network.ts'
import { createStoreRewards, type StoreRewards } from './roles/store-rewards.ts'

export interface StoreParts {
  readonly storage: Storage | undefined
  readonly storeBalance: StoreBalance | undefined
  readonly storeRewards: StoreRewards | undefined
  readonly storeCustomer: StoreCustomer | undefined
}

export interface StorePartsOptions {
  readonly config: SiteConfig
  readonly grid: GridTrading | undefined
  /** For the operator of a store. */
  readonly optimiser: Optimiser | undefined
  optionsOf(name: string): PartOptions
  /** Starts a part with the others. */
  add(name: string, part: Part): void
}

export function createStoreParts(options: StorePartsOptions): StoreParts {
  const { config, grid } = options
  const none = { storage: undefined, storeBalance: undefined, storeRewards: undefined, storeCustomer: undefined }
  if (config.grid === undefined || grid === undefined) return none
  return { ...none, ...operatorParts(options, grid), storeCustomer: customerParts(options, grid) }
}

function operatorParts({ config, optimiser, optionsOf, add }: StorePartsOptions, grid: GridTrading) {
  if (config.storage === undefined || optimiser === undefined) return {}
  const settings = { node: config.grid!.node, ...config.storage }
  const peerOf = (account: Uint8Array) =>
    Object.entries(config.peers).find(([, one]) => equalBytes(addressOf(one.account), account))?.[0]
  const charge = createStoreCharge(optionsOf('store-charge'), [config.grid!.meter], config.storage)
  add('store-charge', charge)
  const { distribution } = optionsOf('storage')
  const shared = {
    ...{ settings, peerOf, meterId: grid.ownMeter, contracted: grid.contracted },
    ...(distribution === undefined
      ? {}
      : { networkOf: (nodes: readonly string[]) => proveNetwork(distribution.light, nodes) }),
  }
  const storage = createStorage({
    ...optionsOf('storage'),
    ...shared,
    optimiser,
    stored: charge.stored,
    granted: (peer, award) => grid.standing.granted(peer, award),
  })
  add('storage', storage)
  const { customers } = storage
  const storeBalance = createStoreBalance({
    ...optionsOf('store-balance'),
    ...shared,
    ...{ customers, awarded: grid.standing.awarded },
  })
  add('store-balance', storeBalance)
  const storeRewards = createStoreRewards({
    ...optionsOf('store-rewards'),
    ...{ settings, customers, stored: charge.stored, deals: grid.deals },
    ...(config.storage.reward === undefined ? {} : { rate: config.storage.reward }),
  })
  add('store-rewards', storeRewards)
  return { storage, storeBalance, storeRewards }
}

function customerParts({ config, optionsOf, add }: StorePartsOptions, grid: GridTrading): StoreCustomer | undefined {
  const store = config.grid!.store
  if (store === undefined) return undefined
  const { account } = config.peers[store.peer]!
  const customer = createStoreCustomer({
    ...optionsOf('store'),
    // Requests and bids come first; what they leave goes to the store, or comes from it.
    grid: { ...config.grid!, leadMs: Math.floor((config.grid!.leadMs * AFTER_AWARDS) / 12) },
    store: { ...store, account },
    meterId: grid.ownMeter,
    left: grid.forStore,
    award: grid.standing.awarded,
  })
  add('store', customer)
  add(
    'store-declare',
    createStoreDeclare({ ...optionsOf('store-declare'), meterId: grid.ownMeter, deals: grid.deals, peer: store.peer }),
  )
  if (store.balance !== undefined) {
    const offer = createBalanceOffer({
      ...optionsOf('store-order'),
      ...{ peer: store.peer, balance: store.balance, meterId: grid.ownMeter, granted: grid.standing.granted },
      agreement: () => {
        const agreement = customer.agreement()
        return agreement?.state === 'accepted' ? agreement.id : undefined
      },
    })
    add('store-order', offer)
  }
  if (store.reward !== undefined && store.reward !== 'points')
    add('reward-redeem', createRewardRedeem({ ...optionsOf('reward-redeem'), issuer: addressOf(account) }))
  return customer
}
