/** A community group at work: readings shown, slots stated and paid; a gateway that lies or is silent, and its successor. */
import { type Community, createCommunity } from '../../../agent/roles/community.ts'
import { equalBytes, toHex } from '../../../protocol/bytes.ts'
import { GROUPS, ORDERS } from '../../../protocol/ledger/service-tables.ts'
import { ACCOUNTS } from '../../../protocol/ledger/tables.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { SLOT_MS } from '../../../protocol/market/baseline.ts'
import {
  assembleStatement,
  encodeStatement,
  orderQuantile,
  statementToSign,
  successor,
  verifyStatement,
} from '../../../protocol/market/community.ts'
import { micros, microsPerKwh } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import type { Instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import {
  BEGIN,
  buyer,
  CHAIN_ID,
  contextOf,
  FEE,
  type Party,
  partyOf,
  readingOf,
  seller,
  stranger,
  verifier,
} from '../../protocol/ledger/parties.ts'
import { serviceGenesis } from '../../protocol/ledger/service-bench.ts'
import { makeVillage } from './village.ts'

const test = suite('community group at work')

const TARIFF = { retail: microsPerKwh(300_000n), feedIn: microsPerKwh(50_000n) }
/** What each imports and exports in a quarter of an hour, Wh. */
const homes = {
  ada: { party: seller, meter: 'S-1', key: partyOf('seller meter'), imported: 0n, exported: 500n },
  bob: { party: buyer, meter: 'B-1', key: partyOf('buyer meter'), imported: 400n, exported: 0n },
  cyd: { party: stranger, meter: 'T-1', key: partyOf('stranger meter'), imported: 300n, exported: 100n },
} as const
type Name = keyof typeof homes
const names = Object.keys(homes) as Name[]
const homeOf = (account: Uint8Array) => names.find(name => equalBytes(homes[name].party.address, account))

const genesis = {
  ...serviceGenesis,
  meters: [
    ...serviceGenesis.meters,
    { meterId: 'T-1', owner: stranger.address, line: 'L2', publicKey: homes.cyd.key.publicKey, feeder: 'F1' },
  ],
}
/** The first whole slot of the group. */
const SLOT = BEGIN / SLOT_MS + 1
const STATED = (SLOT + 1) * SLOT_MS + 180_000

/** Registers that rise evenly; each home's reading of a boundary is taken two seconds after it. */
function readingAt(name: Name) {
  const { meter, key, imported, exported } = homes[name]
  const by = { meterId: meter, by: key, direction: 'import' as const, contract: new Uint8Array(0) }
  const context = contextOf(by)
  return async (boundary: Instant) => {
    const slot = BigInt(boundary / SLOT_MS)
    const register = (obis: string, wh: bigint) => ({ obis, value: slot * wh * 1000n, scaler: -3, unit: 'Wh' as const })
    const registers = [register('1-0:1.8.0', imported), register('1-0:2.8.0', exported)]
    const sequence = Number(slot - 1_999_000n)
    return {
      envelope: readingOf(by, context, { reason: 'periodic', mWh: 0n, at: boundary + 2000, sequence, registers }),
      context,
    }
  }
}

async function makeGroup(run: readonly Name[] = names) {
  const people = Object.fromEntries(names.map(name => [name, homes[name].party as Party]))
  const village = await makeVillage(genesis, people)
  const { clock, timers } = village
  const send = async (name: Name, content: TxContent) => {
    const sent = village.of(name).energy.account.submit(content)
    await village.time.advance(31_000)
    must(await sent)
  }
  await send('ada', { kind: 'found', body: { group: 'sunny' } })
  for (const name of ['bob', 'cyd'] as const) {
    await send('ada', { kind: 'invite', body: { group: 'sunny', account: homes[name].party.address } })
    await send(name, { kind: 'join', body: { group: 'sunny' } })
  }
  const parts = Object.fromEntries(
    run.map(name => {
      const villager = village.of(name)
      const { imported, exported } = homes[name]
      const net = imported - exported
      const part = createCommunity({
        ...{
          ...villager,
          clock,
          timers,
          verifier,
          log: villager.say,
          chainId: CHAIN_ID,
          group: 'sunny',
          tariff: TARIFF,
        },
        rule: 'mid-market',
        quantile: orderQuantile(175_000n, TARIFF),
        meterId: homes[name].meter,
        meterOf: account => homes[homeOf(account)!]?.meter,
        peerOf: homeOf,
        readingAt: readingAt(name),
        forecast: () => [net - 50n, net, net + 60n],
        orderOf: () => undefined,
        saveEvidence: fault => void villager.evidence.push(fault),
      })
      village.run(name, part)
      return [name, part]
    }),
  ) as Record<Name, Community>
  const balance = (name: Name) => village.record(ACCOUNTS, homes[name].party.id)!.balance
  const gateway = () => village.record(GROUPS, 'sunny')!.gateway
  return { village, parts, balance, gateway }
}

//  700 Wh taken, 600 given: all 600 netted at 0.175; 100 bought at 0.30, allotted by import 4 to 3
const NETTED = { ada: -87_500n, bob: 343n * 175n + 57n * 300n, cyd: 257n * 175n + 43n * 300n - 17_500n }

test('each slot is stated by the gateway, found right by every member, and paid; one order stands for all', async () => {
  const { village, parts, balance } = await makeGroup()
  await village.until((SLOT + 1) * SLOT_MS)
  const before = { ada: balance('ada'), bob: balance('bob'), cyd: balance('cyd') }
  await village.until(STATED)
  for (const name of names) {
    const [last] = parts[name].slots().filter(({ slot }) => slot === SLOT)
    assert.equal([name, last?.payment, last?.faults], [name, NETTED[name], []], village.of(name).log.join('\n'))
  }
  // Who owes has paid the gateway, which is the seller: it keeps its own part of it.
  assert.is(before.bob - balance('bob'), NETTED.bob + FEE)
  assert.is(before.cyd - balance('cyd'), NETTED.cyd + FEE)
  //  of three forecasts of 100 Wh net the quantile 1/2 is the second: 700 - 600
  const order = village.record(ORDERS, `${SLOT + 6}/buy/S-1`)
  assert.equal([order?.energy, order?.limit], [100n, TARIFF.retail])
  assert.equal(village.producer.audit().problems, [])
  await village.stop()
}, 60_000)

test('a gateway that states a wrong payment is shown up, replaced by one and the same successor, and nobody pays twice', async () => {
  const { village, parts, balance, gateway } = await makeGroup()
  const ada = village.of('ada')
  const honest = ada.post.send
  Object.assign(ada.post, {
    send: (peer: string, body: Parameters<typeof honest>[1], how: Parameters<typeof honest>[2]) => {
      if (body.kind !== 'shares') return honest(peer, body, how)
      const statement = must(verifyStatement(body.statement, seller.publicKey, verifier))
      const members = statement.members.map(one =>
        equalBytes(one.member, buyer.address) ? { ...one, payment: micros(one.payment + 1000n) } : one,
      )
      const bytes = encodeStatement({ ...statement, members })
      const forged = assembleStatement(bytes, seller.publicKey, seller.sign(statementToSign(bytes, seller.publicKey)))
      return honest(peer, { kind: 'shares', statement: forged }, how)
    },
  })
  await village.until((SLOT + 1) * SLOT_MS)
  const before = { bob: balance('bob'), cyd: balance('cyd') }
  await village.until(STATED)
  const lie = { code: 'community.payment', member: buyer.id, said: NETTED.bob + 1000n, due: NETTED.bob }
  for (const name of ['bob', 'cyd'] as const) assert.equal(village.of(name).evidence, [lie])
  const next = successor(
    [seller, buyer, stranger].map(one => one.address),
    seller.address,
  )!
  assert.is(toHex(gateway()), toHex(next))
  await village.until(STATED + 300_000)
  for (const name of names) {
    const [state] = parts[name].slots().filter(({ slot }) => slot === SLOT)
    assert.equal([name, state?.payment, state?.faults], [name, NETTED[name], []], village.of(name).log.join('\n'))
  }
  // The new gateway has paid the seller what it is owed, and been paid by the other.
  const who = homeOf(next) as 'bob' | 'cyd'
  const other = who === 'bob' ? 'cyd' : 'bob'
  assert.ok(
    before[other] - balance(other) >= NETTED[other] + FEE && before[other] - balance(other) <= NETTED[other] + 3n * FEE,
  )
  assert.equal(village.producer.audit().problems, [])
  await village.stop()
}, 60_000)

test('a silent gateway is replaced, and the slots that it left are stated by the next', async () => {
  const { village, parts, gateway } = await makeGroup(['bob', 'cyd'])
  await village.until((SLOT + 1) * SLOT_MS + 280_000)
  assert.is(toHex(gateway()), seller.id)
  await village.until((SLOT + 1) * SLOT_MS + 500_000)
  assert.is(
    toHex(gateway()),
    toHex(
      successor(
        [seller, buyer, stranger].map(one => one.address),
        seller.address,
      )!,
    ),
  )
  for (const name of ['bob', 'cyd'] as const) {
    const [state] = parts[name].slots().filter(({ slot }) => slot === SLOT)
    // Without the seller's readings two are netted: 100 Wh of the one against the other's and its own.
    assert.equal([name, state?.faults], [name, []])
    assert.ok(state?.payment !== undefined && state.payment > 0n)
  }
  await village.stop()
}, 60_000)

test.run()
