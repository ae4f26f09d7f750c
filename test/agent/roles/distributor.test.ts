/** A distributor on a real ledger: its tariffs, its price for congestion, and what it signs for one contract. */

import { createFeeDesk } from '../../../agent/grid/fees.ts'
import { createDistributor, type DistributorOptions } from '../../../agent/roles/distributor.ts'
import { createPathPrices } from '../../../agent/roles/fee-quote.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { toHex } from '../../../protocol/bytes.ts'
import type { Genesis } from '../../../protocol/ledger/genesis.ts'
import { LINES, RESERVATIONS } from '../../../protocol/ledger/network-tables.ts'
import { micros, microsPerKwh, type Price, wattHours } from '../../../protocol/quantity.ts'
import { fail, ok, type Result } from '../../../protocol/result.ts'
import { later } from '../../../protocol/time.ts'
import { type Contract, contractHash, encodeContract } from '../../../protocol/trade/contract.ts'
import { verifyFeeOffer } from '../../../protocol/trade/fee-offer.ts'
import type { Body, BodyOf } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'
import { ada, ben, gridGenesis } from '../../protocol/ledger/grid.ts'
import { partyOf, RICH, verifier } from '../../protocol/ledger/parties.ts'
import { GRID_TERMS } from '../../protocol/trade/grid-deal.ts'
import { makeVillage } from './village.ts'

const test = suite('distributor')
const wires = partyOf('distributor')
/** The ledger on which the contracts are. */
const ELSEWHERE = 'energy-9'
const genesis: Genesis = {
  ...gridGenesis,
  accounts: [...gridGenesis.accounts, { publicKey: wires.publicKey, balance: RICH }],
  meters: [],
  roles: [{ role: 'distributor', holder: wires.address }],
  peers: [{ chainId: ELSEWHERE, trustingPeriodMs: 86_400_000, maxClockDriftMs: 10_000, relayMarginMs: 60_000 }],
}
const QUARTER_MS = 900_000
const line = (tariff: bigint, more: { feeder?: string; congestion?: Price } = {}) => ({
  ...{ capacity: wattHours(1000n), tariff: microsPerKwh(tariff), ...more },
})
/** 0.02 a kWh on each of the homes' lines; ada's costs 0.10 more where it is wholly reserved. */
const lines: DistributorOptions['lines'] = {
  F1: line(10_000n),
  'H-ada': line(20_000n, { feeder: 'F1', congestion: microsPerKwh(100_000n) }),
  'H-ben': line(20_000n, { feeder: 'F1' }),
}

async function makeWires() {
  const village = await makeVillage(genesis, { ada: ada.owner, ben: ben.owner, wires })
  const who = village.of('wires')
  const { clock, timers } = village
  const open = () =>
    createDistributor({
      ...{
        config: { distribution: { chain: 'net' } },
        signer: who.signer,
        post: who.post,
        clock,
        timers,
        log: who.say,
      },
      ...{ energy: who.energy, distribution: who.energy, record: who.record, health: () => {}, lines },
    } as unknown as DistributorOptions)
  const part = open()
  village.run('wires', part)
  const seller = village.of('ada')
  const heard: Body[] = []
  const asked: Body[] = []
  const fees = createFeeDesk({
    distributor: {
      ...{ name: 'wires', key: wires.publicKey },
      paths: createPathPrices(seller.energy.light, clock, wires.address),
    },
    ...{ clock, verifier, log: seller.say },
    send(peer, body) {
      asked.push(body)
      void seller.post.send(peer, body, { reliable: true })
    },
  })
  seller.post.onMessage((peer, { body }) => {
    heard.push(body)
    if (body.kind === 'fee-offer' || body.kind === 'decline') fees.hear(peer, body)
  })
  timers.every(1000, fees.sweep)
  // Lines and tariffs are announced, and in force.
  await village.time.advance(5 * 60_000)
  const start = Math.ceil((clock.now() + 60_000) / QUARTER_MS) * QUARTER_MS
  const contractOf = (nonce: number, energy: bigint): Contract => ({
    ...{ ...GRID_TERMS, chainId: ELSEWHERE, line: 'H-ada', to: 'H-ben', energy: wattHours(energy) },
    ...{ seller: ada.owner.address, buyer: ben.owner.address, nonce: new Uint8Array(16).fill(nonce) },
    ...{ start: later(0 as never, start), end: later(0 as never, start + QUARTER_MS) },
  })
  const questionOf = ({ nonce: id, line, to, start, end, energy }: Contract) => ({
    id,
    line,
    to: to!,
    start,
    end,
    energy,
  })
  return {
    ...{ village, part, heard, asked, fees, contractOf, questionOf },
    quote: (contract: Contract): Promise<Result<Price>> =>
      awaited(village.time, new Promise(answered => fees.ask(questionOf(contract), answered)), 600_000),
    /** Reserves with what the distributor signed; the price that the ledger took, or why there is nothing to reserve with. */
    async reserve(contract: Contract, most: Price): Promise<Price | undefined | Result<never>> {
      const bytes = encodeContract(contract)
      const hash = contractHash(bytes)
      const offer = await awaited(village.time, fees.signedFor({ contract, bytes, hash }), 600_000)
      if (!offer.ok) return offer
      const signed = offer.value === undefined ? {} : { offer: offer.value }
      const body = { contract: bytes, feeMost: micros((contract.energy * most) / 1000n + 1n), ...signed }
      await awaited(village.time, seller.energy.account.submit({ kind: 'reserve', body }), 600_000)
      await village.time.advance(2 * 60_000)
      return village.record(RESERVATIONS, toHex(hash))?.price
    },
    /** Hands a reservation in at the tariffs: what the ledger says to that. */
    async unsigned(contract: Contract): Promise<string> {
      const body = { contract: encodeContract(contract), feeMost: micros(1_000_000n) }
      const sent = await awaited(village.time, seller.energy.account.submit({ kind: 'reserve', body }), 600_000)
      return sent.ok ? 'taken' : String(sent.fault['log']).split(' ')[0]!
    },
    /** What the distributor answers for a contract. */
    async signs(question: Omit<BodyOf<'fee-wanted'>, 'kind'>): Promise<Body | undefined> {
      const before = heard.length
      void seller.post.send('wires', { kind: 'fee-wanted', ...question }, { reliable: true })
      await village.time.advance(5 * 60_000)
      return heard[before]
    },
  }
}

test('lines with a price for congestion are declared as reserved by signed offer, the others by their tariffs', async () => {
  const { village } = await makeWires()
  const line = (name: string) => village.record(LINES, name)
  assert.ok(line('H-ada')!.offersSince !== undefined)
  assert.equal([line('F1')!.offersSince, line('H-ben')!.offersSince], [undefined, undefined])
  assert.equal([line('H-ada')!.capacity, line('H-ada')!.feeder], [1000n, 'F1'])
  await village.stop()
})

test('the first pays the tariffs; who comes later pays for what is reserved, as it was told; the ledger takes nothing unsigned', async () => {
  const { village, quote, reserve, unsigned, asked, contractOf } = await makeWires()
  const first = contractOf(1, 400n)
  assert.equal(await quote(first), ok(microsPerKwh(40_000n)))
  assert.is(await unsigned(first), 'ledger.offer-required')
  assert.is(await reserve(first, microsPerKwh(40_000n)), 40_000n)
  assert.equal(
    asked.map(({ kind }) => kind),
    ['fee-wanted', 'fee-wanted'],
  )

  // 400 of 1,000 Wh are reserved: 0.04 more.
  const second = contractOf(2, 300n)
  assert.equal(await quote(second), ok(microsPerKwh(80_000n)))
  // In between somebody else reserves: what was said holds.
  const third = contractOf(3, 200n)
  assert.equal(await quote(third), ok(microsPerKwh(80_000n)))
  assert.is(await reserve(third, microsPerKwh(80_000n)), 80_000n)
  assert.is(await unsigned(second), 'ledger.offer-required')
  assert.is(await reserve(second, microsPerKwh(80_000n)), 80_000n)
  assert.is(asked.length, 6)
  await village.stop()
})

test('it signs for the contract that was asked for and for no other, at the price of the moment where it has said none', async () => {
  const { village, quote, reserve, signs, contractOf, questionOf } = await makeWires()
  const first = contractOf(1, 500n)
  await quote(first)
  await reserve(first, microsPerKwh(40_000n))
  const contract = contractOf(2, 100n)
  const bytes = encodeContract(contract)
  const answer = await signs({ ...questionOf(contract), contract: bytes })
  assert.ok(answer?.kind === 'fee-offer' && answer.offer !== undefined)
  const read = verifyFeeOffer(answer.kind === 'fee-offer' ? answer.offer! : bytes, wires.publicKey, verifier)
  assert.equal(read, ok({ contract: contractHash(bytes), price: microsPerKwh(90_000n), until: contract.end }))
  for (const change of [{ energy: wattHours(99n) }, { line: 'H-ben', to: 'H-ada' }, { line: 'H-ben' }]) {
    const other = await signs({ ...questionOf(contract), ...change, contract: bytes })
    assert.is(other?.kind, 'decline')
  }
  const nonsense = await signs({ ...questionOf(contract), contract: new Uint8Array(40) })
  assert.is(nonsense?.kind, 'decline')
  await village.stop()
})

test('what it said for one contract is no price of another one under the same number', async () => {
  const { village, quote, reserve, signs, contractOf, questionOf } = await makeWires()
  const first = contractOf(1, 400n)
  await quote(first)
  await reserve(first, microsPerKwh(40_000n))
  assert.equal(await quote(contractOf(2, 1n)), ok(microsPerKwh(80_000n)))
  const third = contractOf(3, 400n)
  await quote(third)
  assert.is(await reserve(third, microsPerKwh(80_000n)), 80_000n)
  const signed = []
  for (const contract of [contractOf(2, 150n), contractOf(2, 1n)]) {
    const answer = await signs({ ...questionOf(contract), contract: encodeContract(contract) })
    signed.push(answer?.kind === 'fee-offer' ? answer.price : answer?.kind)
  }
  assert.equal(signed, [120_000n, 80_000n])
  await village.stop()
})

test('once the distributor is gone nothing is reserved on its line with a price for congestion, and by the tariffs on one without', async () => {
  const { village, part, quote, reserve, contractOf } = await makeWires()
  const first = contractOf(1, 400n)
  assert.equal(await quote(first), ok(microsPerKwh(40_000n)))
  part.stop()
  assert.equal(await reserve(first, microsPerKwh(40_000n)), fail({ code: 'grid.fee-unsigned', distributor: 'wires' }))
  // Nor does it come to a contract: the ledger says itself that its tariffs are not the price.
  const second = contractOf(2, 300n)
  assert.equal(await quote(second), fail({ code: 'distributor.offer-required', line: 'H-ada' }))
  const beside = { ...contractOf(3, 300n), line: 'H-ben', to: 'F1' }
  assert.equal(await quote(beside), ok(microsPerKwh(20_000n)))
  assert.is(await reserve(beside, microsPerKwh(20_000n)), 20_000n)
  await village.stop()
})

test.run()
