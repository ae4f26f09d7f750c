/** The regulator: what it can do, what it sees, and what it cannot. */
import { createRegulator, type WholeState } from '../../../agent/roles/regulator.ts'
import { fromUtf8, toHex } from '../../../protocol/bytes.ts'
import { REFUSAL_CODES, type RefusalCode } from '../../../protocol/ledger/fault.ts'
import { ACCOUNTS, DEALS, METERS } from '../../../protocol/ledger/tables.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { SLOT_MS } from '../../../protocol/market/baseline.ts'
import { micros, microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { must, ok } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { type Contract, contractHash } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import {
  BEGIN,
  buyer,
  CHAIN_ID,
  commitOf,
  nameOf,
  type Party,
  partyOf,
  receiptOf,
  seller,
  sideOf,
  signTx,
  stranger,
  terms,
} from '../../protocol/ledger/parties.ts'
import { serviceGenesis } from '../../protocol/ledger/service-bench.ts'
import { makeVillage } from './village.ts'

const test = suite('regulator')

const regulator = stranger
const genesis = {
  ...serviceGenesis,
  roles: [...serviceGenesis.roles, { role: 'regulator' as const, holder: regulator.address }],
}

async function makeOffice(change: (state: WholeState) => WholeState = state => state) {
  const village = await makeVillage(genesis, { ada: seller, bob: buyer, regulator })
  const { producer, clock } = village
  const office = village.of('regulator')
  const part = createRegulator({
    ...{ ...office, clock, timers: village.timers, log: office.say, health: () => {} },
    state: async () => {
      const height = producer.status().height - 1n
      return ok(change({ height, entries: producer.entries(height)! }))
    },
  })
  village.run('regulator', part)
  const wait = async <T>(call: Promise<T>, ms = 61_000): Promise<T> => {
    await village.time.advance(ms)
    return call
  }
  /** The ledger's verdict on a transaction, in a block or before one. */
  const verdict = async (by: Party, content: TxContent): Promise<string> => {
    const { sequence } = village.record(ACCOUNTS, by.id)!
    const tx = signTx(by, sequence, content)
    const submitted = producer.submit(tx)
    if (submitted.kind !== 'checked') return submitted.kind
    if (submitted.outcome.code !== 0) return nameOf(submitted.outcome)
    await village.time.advance(31_000)
    const place = producer.tx(submitted.hash)!
    return nameOf(place.block.results[place.index]!)
  }
  return { village, part, wait, verdict }
}

/** A deal of a minute on the line between the two, so long after the beginning. */
const contractOf = (afterMs: number, change: Partial<Contract> = {}): Contract => {
  const start = instant(BEGIN + afterMs)
  return { ...terms, start, end: instant(start + 60_000), nonce: new Uint8Array(16).fill(afterMs / 60_000), ...change }
}

test('a band is in force from its moment on, and a contract outside of it is refused from then', async () => {
  const { village, part, wait, verdict } = await makeOffice()
  const band = { from: instant(BEGIN + 600_000), floor: microsPerKwh(50_000n), ceiling: microsPerKwh(250_000n) }
  // The contract's price is 250,001.
  assert.is(await verdict(buyer, commitOf(contractOf(900_000))), 'taken')
  assert.equal(must(await wait(part.publishBand(band))), band)
  await village.until(band.from + 31_000)
  assert.is(await verdict(buyer, commitOf(contractOf(1_200_000))), 'ledger.price-band')
  const price = microsPerKwh(250_000n)
  assert.is(await verdict(buyer, commitOf(contractOf(1_200_000, { price }))), 'taken')
  const late = await wait(part.publishBand({ ...band, from: instant(BEGIN) }))
  assert.is(late.ok || late.fault.code, 'account.tx-refused')
  await village.stop()
}, 60_000)

test('a suspended meter begins no contract from the next slot on, and finishes what it has', async () => {
  const { village, part, wait, verdict } = await makeOffice()
  const next = BEGIN + SLOT_MS
  const running = contractOf(SLOT_MS + 300_000)
  assert.is(await verdict(buyer, commitOf(running)), 'taken')
  assert.is(must(await wait(part.suspend('S-1'))), next)
  assert.equal(village.record(METERS, 'S-1')!.suspended, { from: next })
  assert.is(await verdict(buyer, commitOf(contractOf(SLOT_MS + 600_000))), 'ledger.meter-suspended')
  await village.until(running.end + 5000)
  const { contract } = commitOf(running).body
  const at = { begin: { at: running.start + 1000 }, end: { at: running.end - 1000 } }
  assert.is(await verdict(seller, receiptOf(sideOf('seller', contract), 1_000_000n, at)), 'taken')
  assert.is(await verdict(buyer, receiptOf(sideOf('buyer', contract), 1_000_000n, at)), 'taken')
  assert.is(village.record(DEALS, toHex(contractHash(contract)))!.state, 'settled')
  const unknown = await wait(part.suspend('S-9'))
  assert.is(unknown.ok || unknown.fault.code, 'account.tx-refused')
  await village.stop()
}, 60_000)

test('it sees totals by slot and feeder, of a state that its own light client has checked', async () => {
  let [altered, doubled] = [false, false]
  const isDeal = ([key]: readonly [Uint8Array, Uint8Array]) => fromUtf8(key)!.startsWith('deal/')
  const { village, part, wait, verdict } = await makeOffice(state => {
    const entries = [...state.entries]
    if (doubled) return { ...state, entries: [...entries, ...entries.filter(isDeal)] }
    return { ...state, entries: altered ? entries.filter(one => !isDeal(one)) : entries }
  })
  for (const after of [300_000, 420_000, SLOT_MS]) {
    assert.is(await verdict(buyer, commitOf(contractOf(after))), 'taken')
  }
  const { contract } = commitOf(contractOf(300_000)).body
  await village.until(BEGIN + 365_000)
  const at = { begin: { at: BEGIN + 301_000 }, end: { at: BEGIN + 359_000 } }
  assert.is(await verdict(seller, receiptOf(sideOf('seller', contract), 1_400_000n, at)), 'taken')
  assert.is(await verdict(buyer, receiptOf(sideOf('buyer', contract), 1_500_000n, at)), 'taken')
  await village.time.advance(61_000)
  const slot = BEGIN / SLOT_MS
  const totals = must(await wait(part.totals()))
  assert.equal(totals, [
    {
      ...{ slot, feeder: 'F1', sites: 2, deals: 2 },
      contracted: wattHours(4000n),
      delivered: wattHours(1400n),
      //  1.4 kWh at 250,001
      paid: micros(350_001n),
    },
    {
      ...{ slot: slot + 1, feeder: 'F1', sites: 2, deals: 1 },
      contracted: wattHours(2000n),
      delivered: wattHours(0n),
      paid: micros(0n),
    },
  ])
  altered = true
  const lied = await wait(part.totals())
  assert.is(lied.ok || lied.fault.code, 'regulator.state')
  doubled = true
  const twice = await wait(part.totals())
  assert.is(twice.ok || twice.fault.code, 'regulator.state-twice')
  await village.stop()
}, 60_000)

test('it cannot forge, order, mint, enrol, reserve, announce or speak for anybody else', async () => {
  const { village, verdict } = await makeOffice()
  const contract = contractOf(600_000)
  const someone = partyOf('someone')
  const tried: readonly [RefusalCode, TxContent][] = [
    // A contract needs its buyer to hand it in, and a meter of the buyer's.
    ['ledger.not-the-buyer', commitOf(contract)],
    [
      'ledger.meter-owner',
      commitOf({ ...contract, buyer: regulator.address, buyerMeter: 'B-1' }, { seller: regulator, buyer: regulator }),
    ],
    ['ledger.operator-only', { kind: 'mint', body: { to: regulator.address, amount: micros(1n) } }],
    ['ledger.operator-only', { kind: 'role', body: { role: 'enroller', holder: regulator.address, held: true } }],
    ['ledger.role-only', { kind: 'revoke', body: { meterId: 'S-1' } }],
    [
      'ledger.role-only',
      { kind: 'enrol', body: { meterId: 'X-1', owner: regulator.address, line: 'L9', publicKey: someone.publicKey } },
    ],
    ['ledger.role-only', { kind: 'capacity', body: { line: 'L9', energy: wattHours(1n) } }],
    [
      'ledger.role-only',
      {
        kind: 'event',
        body: {
          start: instant(BEGIN + 900_000),
          end: instant(BEGIN + 1_800_000),
          reportBy: instant(BEGIN + 2_700_000),
          price: microsPerKwh(1n),
          most: wattHours(1n),
        },
      },
    ],
    ['ledger.role-only', { kind: 'found', body: { group: 'state' } }],
    ['ledger.role-only', { kind: 'issue', body: { deal: new Uint8Array(32) } }],
    [
      'ledger.meter-owner',
      {
        kind: 'order',
        body: {
          meterId: 'S-1',
          slot: Math.floor(BEGIN / SLOT_MS) + 8,
          side: 'sell',
          energy: wattHours(1n),
          limit: microsPerKwh(1n),
        },
      },
    ],
  ]
  for (const [expected, content] of tried) {
    assert.ok(REFUSAL_CODES[expected] > 0)
    assert.is(await verdict(regulator, content), expected, content.kind)
  }
  // A transaction in another's name is not that one's.
  const forged = signTx(
    seller,
    village.record(ACCOUNTS, seller.id)!.sequence,
    { kind: 'transfer', body: { to: regulator.address, amount: micros(1n) } },
    { signedBy: regulator, chainId: CHAIN_ID },
  )
  const submitted = village.producer.submit(forged)
  assert.is(submitted.kind === 'checked' && nameOf(submitted.outcome), 'ledger.signature')
  await village.stop()
}, 60_000)

test.run()
