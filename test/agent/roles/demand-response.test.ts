/** A call from its announcement to the money: two sites, their readings and loads, and a ledger with its light clients. */

import type { Metering } from '../../../agent/metering/run.ts'
import { createAggregator } from '../../../agent/roles/aggregator.ts'
import {
  createDemandResponse,
  type DemandResponse,
  type DemandResponseOptions,
} from '../../../agent/roles/demand-response.ts'
import { equalBytes, toHex } from '../../../protocol/bytes.ts'
import { EVENTS, PARTICIPANTS, participantId } from '../../../protocol/ledger/service-tables.ts'
import { ACCOUNTS } from '../../../protocol/ledger/tables.ts'
import { SLOT_MS } from '../../../protocol/market/baseline.ts'
import { assembleCall, callToSign, encodeCall } from '../../../protocol/market/demand-response.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import type { Reading } from '../../../protocol/reading/reading.ts'
import { must, ok } from '../../../protocol/result.ts'
import { type Instant, instant } from '../../../protocol/time.ts'
import type { Message } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'
import {
  BEGIN,
  buyer,
  CHAIN_ID,
  contextOf,
  FEE,
  RICH,
  readingOf,
  seller,
  sideOf,
  verifier,
} from '../../protocol/ledger/parties.ts'
import { aggregator, serviceGenesis } from '../../protocol/ledger/service-bench.ts'
import { makeVillage } from './village.ts'

const test = suite('demand response, from call to money')

const START = BEGIN + 3 * SLOT_MS
const terms = {
  start: instant(START),
  end: instant(START + 2 * SLOT_MS),
  reportBy: instant(START + 8 * SLOT_MS),
  price: microsPerKwh(400_000n),
  most: wattHours(1000n),
  level: 'high' as const,
}
type Village = Awaited<ReturnType<typeof makeVillage>>

/**
 * A home of 1 kW, 600 W of it a boiler that may stand still: a meter whose readings are signed by its key, now and at any
 * moment of the last weeks.
 */
function makeHome(village: Village, side: 'seller' | 'buyer') {
  const by = { ...sideOf(side, new Uint8Array(0)), direction: 'import' as const }
  const context = contextOf(by)
  let still: readonly string[] = []
  const dispatched: (readonly string[])[] = []
  /** mWh: a kilowatt is 1,000,000 mWh an hour. */
  let register = 10_000_000_000n
  let sequence = 100
  village.timers.every(1000, () => {
    register += (still.includes('boiler') ? 400_000n : 1_000_000n) / 3600n
  })
  const past = (at: number) => 10_000_000_000n - (BigInt(BEGIN - at) * 1_000_000n) / 3_600_000n
  const signed = (reading: Partial<Reading> & { reason: Reading['reason']; mWh: bigint; at: number }) =>
    readingOf(by, context, reading)
  const metering = {
    sign: async (_: string, reason: 'begin' | 'end', session: Reading['session']) => {
      const time = village.clock.now()
      const envelope = signed({ reason, mWh: register, at: time, sequence: sequence++, session: session! })
      return ok({ envelope, context, hash: new Uint8Array(32), reading: { time } as Reading })
    },
  } as unknown as Metering
  return {
    metering,
    meter: { name: 'grid', id: by.meterId },
    aheadMs: 0,
    dispatched,
    readingAt: async (boundary: Instant) =>
      boundary > BEGIN
        ? undefined
        : { envelope: signed({ reason: 'periodic', mWh: past(boundary + 2000), at: boundary + 2000 }), context },
    outlook: ({ from, to }: { from: number; to: number }) => {
      const slots = Array.from({ length: to - from }, () => wattHours(250n))
      const boiler = {
        name: 'boiler',
        planned: slots.map(() => wattHours(150n)),
        comfort: microsPerKwh(50_000n),
        level: 'moderate' as const,
        longest: 8,
      }
      return { expected: slots, loads: [boiler] }
    },
    dispatch: (names: readonly string[]) => {
      still = names
      dispatched.push(names)
    },
    peerOf: (account: Uint8Array) => (equalBytes(account, aggregator.address) ? 'aggregator' : undefined),
  }
}

function open(village: Village, name: string, home: ReturnType<typeof makeHome>): DemandResponse {
  const villager = village.of(name)
  const { clock, timers } = village
  const options: DemandResponseOptions = {
    ...{ ...home, ...villager, chainId: CHAIN_ID, clock, timers, log: villager.say },
    verifier,
  }
  return createDemandResponse(options)
}

type Homes = Record<'ada' | 'bob', ReturnType<typeof makeHome>>

async function makeCalled(change: (homes: Homes, village: Village) => void = () => {}) {
  const village = await makeVillage(serviceGenesis, { ada: seller, bob: buyer, aggregator })
  const { clock, timers } = village
  const homes = { ada: makeHome(village, 'seller'), bob: makeHome(village, 'buyer') }
  change(homes, village)
  const sites = { ada: open(village, 'ada', homes.ada), bob: open(village, 'bob', homes.bob) }
  const who = village.of('aggregator')
  const caller = createAggregator({
    ...{ ...who, chainId: CHAIN_ID, clock, timers, verifier, log: who.say },
    customers: { ada: 'S-1', bob: 'B-1' },
    aheadMs: 0,
  })
  village.run('aggregator', caller)
  village.run('ada', sites.ada)
  village.run('bob', sites.bob)
  const announcing = caller.announce(terms)
  await village.time.advance(120_000)
  const event = must(await announcing)
  return { village, homes, sites, caller, event, id: toHex(event) }
}

test('two sites hear a call, stand still by their plan, prove it by their meters and are paid from the deposit', async () => {
  const { village, homes, sites, caller, event, id } = await makeCalled()
  await village.until(START - 60_000)
  for (const meter of ['S-1', 'B-1']) {
    const one = village.record(PARTICIPANTS, participantId(event, meter))
    assert.equal([one?.admitted, one?.baseline, one?.most], [true, 500n, 300n], village.of('ada').log.join('\n'))
  }
  assert.equal(homes.ada.dispatched, [])
  await village.until(START + SLOT_MS)
  assert.equal(homes.ada.dispatched, [['boiler']], village.of('ada').log.join('\n'))
  await village.until(terms.end + 180_000)
  assert.equal(homes.ada.dispatched, [['boiler'], []])
  for (const [name, party, meter] of [
    ['ada', seller, 'S-1'],
    ['bob', buyer, 'B-1'],
  ] as const) {
    const { report } = village.record(PARTICIPANTS, participantId(event, meter))!
    //  half an hour of 400 W, and the seconds around it
    assert.ok(report!.taken >= 200n && report!.taken <= 215n, `${report!.taken}`)
    const [answered] = sites[name].events()
    assert.equal([answered?.phase, answered?.paid], ['over', report!.paid])
    // Opted in and reported: two fees.
    assert.is(village.record(ACCOUNTS, party.id)!.balance, RICH + report!.paid - 2n * FEE)
  }
  assert.equal(
    caller.customers(event).map(({ state, paid }) => [state, (paid ?? 0n) > 110_000n]),
    [
      ['reported', true],
      ['reported', true],
    ],
  )
  await village.until(terms.reportBy + 61_000)
  assert.is(village.record(EVENTS, id), undefined)
  assert.equal(village.producer.audit().problems, [])
  await village.stop()
}, 60_000)

test('who offers more than its readings give, or leaves a day out, is not admitted and is told why', async () => {
  const told: string[] = []
  const { village, homes, sites, caller, event } = await makeCalled((homes, village) => {
    // Of three days ago there are no readings to show.
    const { readingAt } = homes.ada
    const hidden = START - 3 * 86_400_000
    homes.ada.readingAt = async at => (Math.abs(at - hidden) < 3_600_000 ? undefined : readingAt(at))
    const bob = village.of('bob')
    const { account } = bob.energy
    const inflated: typeof account.submit = content =>
      account.submit(
        content.kind === 'optIn' ? { kind: 'optIn', body: { ...content.body, baseline: wattHours(501n) } } : content,
      )
    Object.assign(bob.energy, { account: { ...account, submit: inflated } })
    for (const name of ['ada', 'bob']) {
      village.of(name).post.onMessage((_, { body }) => {
        if (body.kind === 'decline') told.push(`${name} ${body.reason}`)
      })
    }
  })
  await village.until(START + 60_000)
  assert.equal(told.sort(), ['ada demand-response.hidden-days', 'bob demand-response.inflated'])
  assert.equal(
    caller.customers(event).map(({ state }) => state),
    ['refused', 'refused'],
  )
  for (const name of ['ada', 'bob'] as const) {
    assert.is(sites[name].events()[0]?.phase, 'over')
    assert.equal(homes[name].dispatched, [])
  }
  await village.stop()
}, 60_000)

test('an aggregator that restarts remembers its events: customers show their readings again, and are admitted', async () => {
  const { village, sites, caller, event } = await makeCalled()
  const who = village.of('aggregator')
  assert.ok(caller.customers(event).every(({ state }) => state === 'called'))
  caller.stop()
  const again = createAggregator({
    ...{ ...who, chainId: CHAIN_ID, clock: village.clock, timers: village.timers, verifier, log: who.say },
    customers: { ada: 'S-1', bob: 'B-1' },
    aheadMs: 0,
  })
  assert.equal(again.customers(event), [])
  again.restore?.([who.kept!])
  village.run('aggregator', again)
  await village.until(START + SLOT_MS)
  assert.equal(
    again.customers(event).map(({ state }) => state),
    ['admitted', 'admitted'],
    who.log.join('\n'),
  )
  await village.until(terms.end + 180_000)
  assert.is(sites.ada.events()[0]?.phase, 'over')
  assert.equal(
    again.customers(event).map(({ state }) => state),
    ['reported', 'reported'],
  )
  await village.stop()
}, 60_000)

test('a site that restarts in the window goes on; a call without its event on the ledger moves nobody', async () => {
  const { village, homes, sites, event } = await makeCalled()
  await village.until(START + SLOT_MS / 2)
  const ada = village.of('ada')
  sites.ada.stop()
  assert.equal(homes.ada.dispatched, [['boiler'], []], 'without its agent everything may run')
  await village.time.advance(10_000)
  const again = open(village, 'ada', homes.ada)
  again.restore?.([ada.kept!])
  village.run('ada', again)
  await village.time.advance(5_000)
  assert.equal(homes.ada.dispatched.at(-1), ['boiler'])
  const nowhere = { ...terms, start: instant(terms.end + SLOT_MS), end: instant(terms.end + 2 * SLOT_MS) }
  const call = encodeCall({ ...nowhere, announcer: aggregator.address, chainId: CHAIN_ID })
  const forged = assembleCall(call, buyer.publicKey, buyer.sign(callToSign(call, buyer.publicKey)))
  void village.of('bob').post.send('ada', { kind: 'event', call: forged }, { reliable: true })
  await village.until(terms.end + 180_000)
  assert.ok(village.record(PARTICIPANTS, participantId(event, 'S-1'))!.report!.paid > 100_000n)
  assert.equal(
    again.events().map(({ phase }) => phase),
    ['over'],
  )
  assert.ok(ada.log.some(line => line.includes('call.unknown-event')))
  await village.stop()
}, 60_000)

test('of two calls for one time that come at once from two peers, one is answered', async () => {
  const { village, homes, caller } = await makeCalled()
  const later = { ...terms, start: instant(START + SLOT_MS), end: instant(START + 3 * SLOT_MS) }
  const announcing = caller.announce(later)
  await village.time.advance(120_000)
  must(await announcing)
  const fresh = open(village, 'ada', homes.ada)
  for (const [peer, one] of Object.entries({ aggregator: terms, bob: later })) {
    const bytes = encodeCall({ ...one, announcer: aggregator.address, chainId: CHAIN_ID })
    const call = assembleCall(bytes, aggregator.publicKey, aggregator.sign(callToSign(bytes, aggregator.publicKey)))
    fresh.onMessage!(peer, { body: { kind: 'event', call } } as Message)
  }
  await village.time.advance(30_000)
  assert.is(fresh.events().length, 1)
}, 60_000)

test.run()
