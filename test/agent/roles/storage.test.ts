/** A store and its customers on a real ledger: offer, answer with the reason, awards judged by its terms, notice, the day ahead. */
import { createStorage, type Storage, type StorageOptions } from '../../../agent/roles/storage.ts'
import { createStoreCustomer, type StoreCustomerOptions } from '../../../agent/roles/store-customer.ts'
import type { StoreSettings } from '../../../agent/roles/store-terms.ts'
import { openOptimiser } from '../../../drivers/optimiser/highs.ts'
import { fromHex } from '../../../protocol/bytes.ts'
import { AGREEMENTS, SCHEDULES } from '../../../protocol/ledger/service-tables.ts'
import type { DayAhead } from '../../../protocol/market/schedule-check.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { type Fault, ok } from '../../../protocol/result.ts'
import type { BodyOf } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, buyer, seller } from '../../protocol/ledger/parties.ts'
import { DAY_MS, serviceGenesis, store } from '../../protocol/ledger/service-bench.ts'
import { battery, flat, networkOf, retailer, wh } from '../../protocol/market/storage-days.ts'
import { makeVillage } from './village.ts'

const test = suite('storage')
const optimiser = await openOptimiser()
const QUARTER_MS = 900_000

const settings: StoreSettings = {
  node: 'S',
  capacity: wattHours(10_000n),
  reserve: wattHours(1000n),
  charge: wattHours(2500n),
  discharge: wattHours(2500n),
  chargePermille: 950,
  dischargePermille: 950,
  storePrice: microsPerKwh(100_000n),
  returnPrice: microsPerKwh(200_000n),
  most: wattHours(2000n),
  noticeMs: DAY_MS,
}
const network = networkOf({ T: [undefined, 50_000, 10], S: ['T', 50_000, 10], A: ['T', 1600, 50], B: ['T', 9000, 50] })
const meters = { ada: 'S-1', bob: 'B-1' } as const
/** The ledger's store has a meter of its own. */
const storeMeter = 'X-1'
const genesis = {
  ...serviceGenesis,
  meters: [...serviceGenesis.meters, { ...serviceGenesis.meters[0]!, meterId: storeMeter, owner: store.address }],
}
const dayOf: DayAhead = {
  network,
  slots: 96,
  contracts: [],
  batteries: [battery({ name: 'store', node: 'S', start: wh(5000) })],
  offers: retailer(
    Array.from({ length: 96 }, (_, slot) => (slot < 48 ? 100_000 : 300_000)),
    Array.from({ length: 96 }, (_, slot) => (slot < 48 ? 50_000 : 250_000)),
  ),
}

async function makeMarket(change: Partial<StorageOptions> = {}) {
  const village = await makeVillage(genesis, { ada: seller, bob: buyer, store })
  const { clock, timers } = village
  const health = new Map<string, Fault>()
  const ports = (name: string) => {
    const who = village.of(name)
    return {
      ...{ signer: who.signer, energy: who.energy, post: who.post, clock, timers, log: who.say, record: who.record },
      health: (what: string, fault: Fault | undefined) => {
        if (fault === undefined) health.delete(`${name} ${what}`)
        else health.set(`${name} ${what}`, fault)
      },
    }
  }
  const granted: [string, BodyOf<'award'>][] = []
  const openStore = (): Storage =>
    createStorage({
      ...ports('store'),
      ...{ settings, network, optimiser },
      meterId: () => storeMeter,
      stored: () => wattHours(5000n),
      outlook: () => dayOf,
      granted: (peer, award) => void granted.push([peer, award]),
      peerOf: account =>
        Object.entries({ ada: seller, bob: buyer }).find(([, { address }]) => address === account)?.[0],
      ...change,
    })
  const operator = openStore()
  village.run('store', operator)
  const open = (name: 'ada' | 'bob', node: string, change: Partial<StoreCustomerOptions> = {}, most = 1500n) => {
    const surplus = { seller: 0n, buyer: 0n }
    const awards: BodyOf<'award'>[] = []
    const customer = createStoreCustomer({
      ...ports(name),
      entropy: {
        bytes: n => Uint8Array.from({ length: n }, (_, at) => (awards.length * 31 + at * 7 + clock.now() / 1000) & 255),
      },
      grid: { slotMs: QUARTER_MS, leadMs: 300_000, node },
      store: {
        ...{ peer: 'store', account: store.publicKey, most: wattHours(most) },
        ...{ storePrice: settings.storePrice, returnPrice: settings.returnPrice },
      },
      meterId: () => meters[name],
      left: (_, as) => wattHours(surplus[as]),
      award: (_, award) => void awards.push(award),
      ...change,
    })
    village.run(name, customer)
    return { customer, surplus, awards }
  }
  return { village, operator, openStore, open, health, granted, ports }
}

test("set and forget: offered, accepted, and each slot's surplus or need granted by its terms", async () => {
  const { village, operator, open, granted } = await makeMarket()
  const { customer, surplus, awards } = open('bob', 'B')
  await village.time.advance(5 * 60_000)
  const { id, state } = customer.agreement()!
  assert.is(state, 'accepted', village.of('store').log.join('\n'))
  assert.is(village.record(AGREEMENTS, id)!.state, 'accepted')
  assert.is(operator.customers().get(id)!.node, 'B')
  assert.equal(granted, [], 'nothing before it is in force')
  surplus.seller = 1800n
  await village.time.advance(40 * 60_000)
  assert.ok(awards.length >= 2, village.of('bob').log.join('\n'))
  const { as, energy, price, agreement, start, end } = awards[0]!
  assert.equal([as, energy, price], ['seller', 1500n, settings.storePrice])
  assert.equal([agreement, end - start], [fromHex(id), QUARTER_MS])
  assert.equal(
    granted.map(([peer, award]) => [peer, award.energy]),
    awards.map(one => ['bob', one.energy]),
  )
  surplus.seller = 0n
  surplus.buyer = 700n
  await village.time.advance(QUARTER_MS)
  assert.equal([awards.at(-1)!.as, awards.at(-1)!.energy, awards.at(-1)!.price], ['buyer', 700n, settings.returnPrice])
  assert.is(granted.length, awards.length)
  assert.equal(customer.stats(), { awarded: awards.length, declined: {} })
})

test('an offer that the network does not bear is rejected on the ledger with line, amount and room', async () => {
  const { village, open, health } = await makeMarket()
  const { customer, awards, surplus } = open('bob', 'A', {}, 2000n)
  surplus.seller = 500n
  await village.time.advance(5 * 60_000)
  assert.is(customer.agreement(), undefined)
  const fault = health.get('bob store.agreement')!
  assert.is(fault.code, 'store.rejected')
  assert.is(fault['reason'], 'line A: 2000 Wh a quarter, 400 above its capacity; room for 1600 Wh a quarter')
  await village.time.advance(30 * 60_000)
  assert.equal(awards, [])
})

test('either side gives notice, and nothing is granted after the end', async () => {
  const { village, open, granted } = await makeMarket()
  const { customer, surplus } = open('bob', 'B')
  await village.time.advance(5 * 60_000)
  const { id } = customer.agreement()!
  const ending = customer.end()
  await village.time.advance(3 * 60_000)
  assert.ok((await ending).ok)
  assert.is(customer.agreement()!.state, 'ending')
  const { ends } = village.record(AGREEMENTS, id)!
  surplus.seller = 100n
  await village.time.advance(60 * 60_000)
  assert.ok(granted.length > 0, 'until its notice is over it goes on')
  assert.ok(granted.every(([, { end }]) => end <= ends!))
})

test('an offer of terms that the store does not give is rejected by its price, quantity or notice', async () => {
  const { village, open, health } = await makeMarket({ settings: { ...settings, storePrice: microsPerKwh(90_000n) } })
  open('bob', 'B')
  await village.time.advance(5 * 60_000)
  assert.is(health.get('bob store.agreement')!['reason'], 'pays 90000 a kWh at most, not 100000')
})

test('nobody says for another where its meter hangs', async () => {
  const { village, operator, open } = await makeMarket()
  // Ada names Bob's agreement first, with a node that is not his; what Bob says is lost meanwhile.
  let lost = true
  const { post } = village.of('bob')
  const send: typeof post.send = async (...letter) => (lost ? ok(undefined) : post.send(...letter))
  const { customer } = open('bob', 'B', { post: { ...post, send } })
  const spoil = village.timers.every(1000, () => {
    const id = customer.agreement()?.id
    if (id === undefined) return
    const award = {
      id: new Uint8Array(16),
      as: 'seller' as const,
      start: village.clock.now(),
      end: village.clock.now(),
    }
    const terms = {
      energy: wattHours(1n),
      price: settings.storePrice,
      node: 'A',
      meter: 'B-1',
      agreement: fromHex(id)!,
    }
    void village.of('ada').post.send('store', { kind: 'award', ...award, ...terms }, { reliable: false })
  })
  await village.time.advance(2 * 60_000)
  spoil()
  lost = false
  await village.time.advance(6 * 60_000)
  const { id, state } = customer.agreement()!
  assert.is(state, 'accepted', village.of('store').log.join('\n'))
  assert.is(operator.customers().get(id)?.node, 'B')
})

test('a store that restarts knows its customers', async () => {
  const { village, operator, open, openStore, granted } = await makeMarket()
  const { surplus, customer } = open('bob', 'B')
  await village.time.advance(5 * 60_000)
  assert.is(customer.agreement()!.state, 'accepted')
  operator.stop()
  operator.windDown!()
  const again = openStore()
  again.restore!([village.of('store').kept!])
  village.run('store', again)
  surplus.seller = 100n
  await village.time.advance(40 * 60_000)
  assert.ok(granted.length > 0)
  assert.ok(again.granted().length > 0)
})

test('the day ahead is published before the gate closes, as the optimum has it', async () => {
  const { village, operator } = await makeMarket()
  const day = Math.floor(BEGIN / DAY_MS) + 1
  const gate = day * DAY_MS - DAY_MS / 2
  await village.until(gate - 61 * 60_000)
  assert.is(operator.published(), undefined)
  await village.until(gate - 55 * 60_000)
  const { plan } = village.record(SCHEDULES, `${day}/${storeMeter}`)!
  assert.equal([operator.published()!.day, operator.published()!.plan], [day, plan])
  // Cheap until noon, dear after: full then, empty at the end.
  assert.ok(plan.slice(0, 48).reduce((sum, one) => sum + one, 0n) > 4000n)
  assert.ok(plan.slice(48).reduce((sum, one) => sum + one, 0n) < -8000n)
  assert.equal(flat(1, plan.length), [96])
})

test.run()
