/** What the way costs, with and without the distributor's word. */
import { createFeeDesk } from '../../../agent/grid/fees.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { microsPerKwh, type Price, wattHours } from '../../../protocol/quantity.ts'
import { fail, ok, type Result } from '../../../protocol/result.ts'
import { type Instant, instant, type Mono } from '../../../protocol/time.ts'
import { contractHash, encodeContract } from '../../../protocol/trade/contract.ts'
import { assembleFeeOffer, feeOfferToSign } from '../../../protocol/trade/fee-offer.ts'
import type { Body } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'
import { partyOf, verifier } from '../../protocol/ledger/parties.ts'
import { GRID_TERMS } from '../../protocol/trade/grid-deal.ts'

const wires = partyOf('wires')
const price = (micros: number): Price => microsPerKwh(BigInt(micros))
const later = () => new Promise(resolve => setTimeout(resolve, 0))

function openDesk(proven: () => Promise<Result<Price>> = async () => ok(price(30_000))) {
  let ms = 0
  const sent: Body[] = []
  const log: string[] = []
  const answers: Result<Price>[] = []
  const desk = createFeeDesk({
    distributor: { name: 'wires', key: wires.publicKey, paths: { provenPrice: proven, forget: () => {} } },
    clock: { now: () => instant(1_800_000_000_000 + ms), mono: () => ms as Mono },
    ...{ verifier, log: (_level: string, _room: string, text: string) => void log.push(text) },
    send: (_, body) => void sent.push(body),
  })
  const idOf = (name: string) => sha256(utf8(name)).subarray(0, 16)
  return {
    desk,
    sent,
    log,
    answers,
    idOf,
    ask(name: string) {
      const terms = { line: 'elm', to: 'oak', start: instant(1_800_000_900_000), end: instant(1_800_001_800_000) }
      desk.ask({ id: idOf(name), ...terms, energy: wattHours(100n) }, fee => void answers.push(fee))
    },
    async wait(seconds: number) {
      for (let second = 0; second < seconds; second++) {
        ms += 1000
        desk.sweep()
        await later()
      }
    },
    offer: (name: string, micros: number): Body & { readonly kind: 'fee-offer' } => ({
      ...{ kind: 'fee-offer', id: idOf(name), price: price(micros), until: instant(1_800_001_800_000) },
    }),
  }
}

const test = suite('grid fees')

test('the distributor’s word counts where it comes in time, and only once', async () => {
  const { desk, ask, answers, offer, wait } = openDesk()
  ask('a')
  assert.is(desk.hear('wires', offer('a', 20_000)), true)
  assert.is(desk.hear('wires', offer('a', 10_000)), false)
  await wait(10)
  assert.equal(answers, [ok(price(20_000))])
})

test('nobody else’s word counts', async () => {
  const { desk, ask, answers, offer } = openDesk()
  ask('a')
  assert.is(desk.hear('ash', offer('a', 1)), false)
  assert.equal(answers, [])
})

test('a silent distributor is waited for once; then its ledger says what the way costs', async () => {
  const { ask, answers, sent, wait } = openDesk()
  ask('a')
  await wait(2)
  assert.equal(answers, [])
  await wait(1)
  assert.equal(answers, [ok(price(30_000))])
  ask('b')
  await later()
  assert.is(answers.length, 2)
  // It is asked all the same: it may be back.
  assert.is(sent.length, 2)
})

test('a distributor that is back is waited for again', async () => {
  const { desk, ask, answers, offer, wait } = openDesk()
  ask('a')
  await wait(3)
  assert.is(desk.hear('wires', offer('a', 20_000)), false)
  ask('b')
  await later()
  assert.is(answers.length, 1)
  desk.hear('wires', offer('b', 25_000))
  assert.equal(answers[1], ok(price(25_000)))
})

test('what the ledger refuses is refused by its own name, and a ledger that is not proven has one', async () => {
  const refused = openDesk(async () => fail({ code: 'distributor.capacity' }))
  refused.ask('a')
  await refused.wait(3)
  assert.equal(refused.answers, [fail({ code: 'distributor.capacity' })])
  const never = openDesk(() => new Promise(() => {}))
  never.ask('a')
  await never.wait(10)
  assert.equal(never.answers, [fail({ code: 'grid.no-fee', distributor: 'wires' })])
})

const NEGOTIATION = sha256(utf8('a')).subarray(0, 16)
const contract = { ...GRID_TERMS, nonce: NEGOTIATION }
const bytes = encodeContract(contract)
const deal = { contract, bytes, hash: contractHash(bytes) }
const END = instant(1_800_001_800_000)

/** Signed as the distributor signs it, or by somebody else, or for something else. */
function signed(micros: number, by = wires, hash = deal.hash, until: Instant = END) {
  const said = { contract: hash, price: price(micros), until }
  return assembleFeeOffer(said, by.publicKey, by.sign(feeOfferToSign(said, by.publicKey)))
}

test('where congestion has no price nothing is asked for a contract', async () => {
  const { desk, ask, sent, offer } = openDesk()
  ask('a')
  desk.hear('wires', offer('a', 20_000))
  assert.equal(await desk.signedFor(deal), ok(undefined))
  assert.is(sent.length, 1)
})

test('with congestion the contract is asked for once more, and the signed offer at the price first said is the answer', async () => {
  const { desk, ask, sent, offer } = openDesk()
  ask('a')
  desk.hear('wires', { ...offer('a', 30_000), congestion: price(10_000) })
  const answer = desk.signedFor(deal)
  const { nonce: id, line, to, start, end, energy } = contract
  assert.equal(sent.slice(1), [{ kind: 'fee-wanted', id, line, to, start, end, energy, contract: bytes }])
  const sign1 = signed(30_000)
  assert.is(desk.hear('ash', { ...offer('a', 30_000), offer: sign1 }), false)
  assert.is(desk.hear('wires', { ...offer('a', 30_000), offer: sign1 }), true)
  assert.equal(await answer, ok(sign1))
  assert.equal(await desk.signedFor(deal), ok(undefined), 'once')
})

test('where congestion has a price the contract is asked for also while it is nothing yet', async () => {
  const { desk, ask, sent, offer } = openDesk()
  ask('a')
  desk.hear('wires', { ...offer('a', 30_000), congestion: price(0) })
  const answer = desk.signedFor(deal)
  assert.is(sent.length, 2)
  const sign1 = signed(30_000)
  desk.hear('wires', { ...offer('a', 30_000), offer: sign1 })
  assert.equal(await answer, ok(sign1))
})

test('a signed price above the one that the bid was made on is refused, one below is taken', async () => {
  for (const [micros, fault] of [
    [30_001, 'grid.fee-above-quote'],
    [29_999, undefined],
  ] as const) {
    const { desk, ask, offer } = openDesk()
    ask('a')
    desk.hear('wires', { ...offer('a', 30_000), congestion: price(10_000) })
    const answer = desk.signedFor(deal)
    desk.hear('wires', { ...offer('a', 1), offer: signed(micros) })
    const said = await answer
    assert.is(said.ok ? undefined : said.fault.code, fault)
  }
})

test('without the signature, or with one too late or for something else, there is nothing to reserve with', async () => {
  const other = contractHash(encodeContract({ ...contract, nonce: new Uint8Array(16) }))
  const wrong = [
    signed(30_000, partyOf('stranger')),
    signed(30_000, wires, other),
    signed(30_000, wires, deal.hash, instant(1)),
  ]
  for (const reply of [undefined, 'decline', new Uint8Array(3), ...wrong]) {
    const { desk, ask, offer, wait, log } = openDesk()
    ask('a')
    desk.hear('wires', { ...offer('a', 30_000), congestion: price(10_000) })
    const answer = desk.signedFor(deal)
    if (reply === 'decline') desk.hear('wires', { kind: 'decline', id: NEGOTIATION, reason: 'distributor.capacity' })
    else if (reply instanceof Uint8Array) desk.hear('wires', { ...offer('a', 30_000), offer: reply })
    else await wait(4)
    assert.equal(await answer, fail({ code: 'grid.fee-unsigned', distributor: 'wires' }))
    assert.is(log.length, reply instanceof Uint8Array ? 1 : 0)
  }
})

test.run()
