/** The form of `grid` and `distributor`: trading over the grid, and the lines that a distributor answers for. */
import { REWARD_SINKS } from '../../protocol/market/reward.ts'
import { SOURCES } from '../../protocol/trade/contract.ts'
import * as forms from './literal-forms.ts'
import * as literals from './literals.ts'
import {
  about,
  duration,
  energy,
  flag,
  group,
  lineName,
  name,
  named,
  oneOf,
  power,
  price,
  scalar,
  set,
  v,
  whole,
  window,
} from './schema-words.ts'
import type {
  BatteryConfig,
  CarParkConfig,
  DistributorConfig,
  GridConfig,
  ParkCarConfig,
  RegistrarConfig,
  StorageConfig,
} from './site-config.ts'

const premium = v.optional(price)
const energyOrNone = scalar(literals.parseEnergy, 'an energy, as in 2kWh or 500Wh', forms.ENERGY)

const store = v.pipe(
  group({
    peer: about('The store’s operator.', name),
    store_price: about('What storing a kWh brings or costs by the agreement.', price),
    return_price: about('What a kWh out of the store costs.', price),
    most: about('No more is stored than this.', energy),
    reward: about('What points that the store issues become.', v.optional(oneOf(...REWARD_SINKS))),
    balance: about(
      'An hour ahead, so much more of each slot is given, or taken.',
      v.optional(
        v.pipe(
          group({
            sell: about('At this price or above it is sold.', v.optional(price)),
            buy: about('At this price or below it is bought.', v.optional(price)),
            most: about('So much of each slot.', energy),
          }),
          v.transform(({ sell, buy, most }) => ({ most, ...set({ sell, buy }) })),
        ),
      ),
    ),
  }),
  v.transform(({ store_price, return_price, reward, balance, ...rest }) => ({
    ...rest,
    ...set({ reward, balance }),
    storePrice: store_price,
    returnPrice: return_price,
  })),
)

/** What is asked for a kWh that is sold; the same over a direct line and over the grid. */
export const sellForm = about(
  'How this site sells; it sells nothing without.',
  v.optional(
    v.pipe(
      group({
        reserve: about('No kWh is sold below this.', price),
        opening: about('The first price that is asked.', price),
        capacity: about(
          'What a battery or generator can give at any time; without it, the surplus that the grid meter shows is sold.',
          v.optional(power),
        ),
      }),
      v.transform(({ capacity, ...rest }) => ({ ...rest, ...set({ capacity }) })),
    ),
  ),
)

export const gridForm = v.pipe(
  group({
    meter: about('The grid meter.', name),
    node: about('The node of the distribution network from which that meter hangs.', lineName),
    source: about('What the sold energy is made from.', oneOf(...SOURCES)),
    slot: about(
      'Windows start at multiples of this.',
      v.optional(duration(10_000, 86_400_000, 'a duration from 10s to 1d'), '15min'),
    ),
    lead: about(
      'A slot is asked for so long before it starts.',
      v.optional(duration(5000, 3_600_000, 'a duration from 5s to 1h'), '60s'),
    ),
    way: about('How a seller is found.', v.optional(oneOf('matching', 'bidding', 'auction'), 'matching')),
    sell: sellForm,
    buy: about(
      'How this site buys over the grid; it buys nothing without.',
      v.optional(
        v.pipe(
          group({
            limit: about('The most that a kWh may cost.', price),
            opening: about('The first price that is bid.', price),
            least: about('Less is not worth a deal.', v.optional(energy, '1Wh')),
            energy: about('Wanted in every slot, whatever the meter shows.', v.optional(energy)),
          }),
          v.transform(({ energy, ...rest }) => ({ ...rest, ...set({ energy }) })),
        ),
      ),
    ),
    premium: about(
      'What a kWh of a source is worth beyond its price.',
      v.optional(
        v.pipe(
          group({
            solar: about('Of the sun.', premium),
            wind: about('Of the wind.', premium),
            battery: about('Out of a battery.', premium),
            conventional: about('Of any other source.', premium),
          }),
          v.transform(it => set(it)),
        ),
        {},
      ),
    ),
    strict: about('Whether nothing but what premium names is bought.', v.optional(flag, 'false')),
    refuse: about('Peers that are never traded with.', v.optional(v.array(name, 'must be a list of names'), [])),
    receipt_window: about('Time for receipts after a slot.', v.optional(window, '60s')),
    dispute_window: about('Time for a dispute after that.', v.optional(window, '120s')),
    receipts: about(
      'Sealed receipts show the amount to nobody else.',
      v.optional(v.literal('sealed', 'must be sealed, or left out for open receipts')),
    ),
    store: about('A standing agreement with a store.', v.optional(store)),
    tariff: about(
      'The supplier’s, for what nobody else takes or gives.',
      v.optional(
        v.pipe(
          group({
            import: about('What a kWh from the grid costs.', price),
            feed_in: about('What a kWh into the grid brings.', price),
          }),
          v.check(it => it.import >= it.feed_in, 'pays more for energy than it costs'),
          v.transform(it => ({ import: it.import, feedIn: it.feed_in })),
        ),
      ),
    ),
    pseudonyms: about(
      'Orders of the call auction under one-time keys.',
      v.optional(
        group({
          registrar: about('The peer that certifies them.', name),
          feeder: about('The feeder that an order names for its place.', lineName),
        }),
      ),
    ),
  }),
  v.transform(
    ({
      slot,
      lead,
      receipt_window,
      dispute_window,
      sell,
      buy,
      receipts,
      store,
      tariff,
      pseudonyms,
      ...rest
    }): GridConfig => ({
      ...rest,
      ...set({ sell, buy, receipts, store, tariff, pseudonyms }),
      slotMs: slot,
      leadMs: lead,
      receiptWindowMs: receipt_window,
      disputeWindowMs: dispute_window,
    }),
  ),
)

const feederLine = v.pipe(
  group({
    feeder: about('The line that it hangs from.', v.optional(lineName)),
    capacity: about('What it carries in a quarter of an hour.', energy),
    tariff: about('What its use costs, for a kWh.', price),
    congestion: about('What a kWh costs beyond that where the slot is wholly reserved.', v.optional(price)),
  }),
  v.transform(({ feeder, congestion, ...rest }) => ({ ...rest, ...set({ feeder, congestion }) })),
)

export const distributorForm = v.pipe(
  group({ lines: about('The lines of the network, by their names on the ledger.', named(feederLine, lineName)) }),
  v.transform((it): DistributorConfig => it),
)

const efficiency = v.optional(
  scalar(text => literals.parsePermille(text) || undefined, 'a share above 0%, as in 95%', forms.SHARE),
  '95%',
)

export const storageForm = v.pipe(
  group({
    capacity: about('What the store holds.', energy),
    reserve: about('Never below this.', v.optional(energyOrNone, '0Wh')),
    stored: about(
      'What is in it when the agent first starts; from then on its meter counts.',
      v.optional(energyOrNone),
    ),
    charge: about('The most that goes in, in a quarter of an hour.', energy),
    discharge: about('The most that comes out, in a quarter of an hour.', energy),
    charge_efficiency: about('What arrives of what goes in.', efficiency),
    discharge_efficiency: about('What comes out of what is taken.', efficiency),
    store_price: about('It pays no more for a kWh.', price),
    return_price: about('It asks no less for a kWh.', price),
    most: about('For one customer.', energy),
    notice: about(
      'How long before its end an agreement is cancelled.',
      v.optional(duration(0, 30 * 86_400_000, 'a duration up to 30d'), '1d'),
    ),
    reward: about('For 1,000 points; without it none are issued.', v.optional(price)),
  }),
  v.check(it => it.return_price >= it.store_price, 'asks less for energy than it pays'),
  v.check(it => it.reserve < it.capacity && (it.stored ?? 0n) <= it.capacity, 'has more in it than its capacity'),
  v.transform(
    ({
      charge_efficiency,
      discharge_efficiency,
      store_price,
      return_price,
      notice,
      stored,
      reward,
      ...rest
    }): StorageConfig => ({
      ...rest,
      ...set({ stored, reward }),
      chargePermille: charge_efficiency,
      dischargePermille: discharge_efficiency,
      storePrice: store_price,
      returnPrice: return_price,
      noticeMs: notice,
    }),
  ),
)

/** As many slots ahead as a quota gives certificates for; each costs two keys of 2,048 bits. */
const slotsAhead = whole(1, 96, 'a number of slots from 1 to 96')

export const registrarForm = v.pipe(
  group({
    slot: about(
      'Slots of the market whose keys it certifies.',
      v.optional(duration(10_000, 86_400_000, 'a duration from 10s to 1d'), '15min'),
    ),
    ahead: about('Keys are published for so many slots ahead.', v.optional(slotsAhead, '4')),
  }),
  v.transform(({ slot, ahead }): RegistrarConfig => ({ slotMs: slot, ahead })),
)

export const batteryForm = v.pipe(
  group({
    capacity: about('What the battery holds.', energy),
    reserve: about('Nothing is sold out of it below this.', v.optional(energyOrNone, '0Wh')),
    stored: about('What is in it when the agent first starts; from then on its meters count.', energyOrNone),
    charge_efficiency: about('What arrives of what goes in.', efficiency),
    discharge_efficiency: about('What comes out of what is taken.', efficiency),
  }),
  v.check(it => it.reserve < it.capacity && it.stored <= it.capacity, 'has more in it than its capacity'),
  v.transform(
    ({ charge_efficiency, discharge_efficiency, ...rest }): BatteryConfig => ({
      ...rest,
      chargePermille: charge_efficiency,
      dischargePermille: discharge_efficiency,
    }),
  ),
)

const noRise = v.optional(price, '0')

export const carParkForm = v.pipe(
  group({
    connection: about('What the car park’s connection to the grid carries.', power),
    price: about('What the first kWh of a slot from the grid costs.', price),
    rise: about('By how much each further one is dearer.', noRise),
  }),
  v.transform((it): CarParkConfig => it),
)

export const parkCarForm = v.pipe(
  group({
    station: about('The peer that holds the auction.', name),
    power: about('The most that it charges or gives with.', power),
    willingness: about('What a kWh is worth to it, where it charges.', v.optional(price)),
    cost: about('What a kWh costs it, where it gives.', v.optional(price)),
    wear: about('By how much each further kWh is dearer.', noRise),
    leave_with: about('What must be in it when it leaves.', v.optional(energyOrNone, '0Wh')),
  }),
  v.check(
    it => (it.willingness === undefined) !== (it.cost === undefined),
    'must have either willingness (it charges) or cost (it gives)',
  ),
  v.check(it => it.cost === undefined || it.leave_with === 0n, 'gives: leave_with is for a car that charges'),
  v.transform(
    ({ willingness, cost, leave_with, ...rest }): ParkCarConfig => ({
      ...rest,
      ...set({ willingness, cost }),
      leaveWith: leave_with,
    }),
  ),
)
