/** A community group's slot from signed readings, and what becomes of a gateway that lies. */

import { GROUPS } from '../../../protocol/ledger/service-tables.ts'
import { SLOT_MS } from '../../../protocol/market/baseline.ts'
import {
  assembleStatement,
  encodeStatement,
  groupOrder,
  type MemberReadings,
  orderQuantile,
  recompute,
  type SlotTerms,
  type Statement,
  statementToSign,
  stateSlot,
  successor,
  verifyStatement,
} from '../../../protocol/market/community.ts'
import { micros, microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import type { Reading } from '../../../protocol/reading/reading.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import {
  BEGIN,
  buyer,
  CHAIN_ID,
  contextOf,
  type Party,
  partyOf,
  readingOf,
  seller,
  stranger,
  verifier,
} from '../ledger/parties.ts'
import { bench } from '../ledger/service-bench.ts'

const test = suite('community group')

const SLOT = Math.ceil(BEGIN / SLOT_MS) + 4
const TARIFF = { retail: microsPerKwh(300_000n), feedIn: microsPerKwh(50_000n) }
const terms: SlotTerms = { chainId: CHAIN_ID, group: 'sunny', slot: SLOT, rule: 'mid-market', tariff: TARIFF }

/** A member's readings around the slot: registers in mWh at its begin, and what was counted. */
function readingsOf(
  party: Party,
  imported: bigint,
  exported: bigint | undefined,
  change: { begin?: Partial<Reading>; end?: Partial<Reading>; from?: bigint } = {},
): MemberReadings {
  const meterKey = partyOf(`${party.id} meter`)
  const by = {
    meterId: `M-${party.id.slice(0, 4)}`,
    by: meterKey,
    direction: 'import' as const,
    contract: new Uint8Array(0),
  }
  const context = contextOf(by)
  const registers = (i: bigint, e: bigint | undefined): Reading['registers'] => [
    { obis: '1-0:1.8.0', value: i, scaler: -3, unit: 'Wh' },
    ...(e === undefined ? [] : [{ obis: '1-0:2.8.0', value: e, scaler: -3, unit: 'Wh' } as const]),
  ]
  const { from = 7_000_999n } = change
  const at = (boundary: number) => ({ reason: 'periodic' as const, mWh: 0n, at: boundary * SLOT_MS + 2000 })
  const begin = readingOf(by, context, {
    ...at(SLOT),
    registers: registers(from, exported === undefined ? undefined : 1n),
    ...change.begin,
  })
  const end = readingOf(by, context, {
    ...at(SLOT + 1),
    sequence: 60,
    registers: registers(from + imported, exported === undefined ? undefined : 1n + exported),
    ...change.end,
  })
  return {
    ...TARIFF,
    member: party.address,
    meterId: by.meterId,
    publicKey: meterKey.publicKey,
    begin,
    end,
    contexts: [context],
  }
}

const three = [
  readingsOf(seller, 0n, 2_000_000n),
  readingsOf(buyer, 1_500_001n, undefined),
  readingsOf(stranger, 1_000_000n, 0n),
]
const statement = must(stateSlot(terms, three, verifier))
const codes = (said: Statement, shown: readonly MemberReadings[] = three) =>
  recompute(said, shown, verifier).map(({ code }) => code)

test('a gateway’s statement is what any member makes of the signed readings', () => {
  const paid = new Map(statement.members.map(one => [Buffer.from(one.member).toString('hex'), one]))
  // Registers are rounded down: 7,000 to 8,501 Wh
  assert.is(paid.get(buyer.id)!.imported, 1501n)
  assert.is(paid.get(seller.id)!.exported, 2000n)
  assert.is(paid.get(seller.id)!.payment, -350_000n)
  const sum = statement.members.reduce((all, { payment }) => all + payment, 0n)
  assert.is(sum + statement.residue + statement.reserve, statement.external)
  assert.equal(codes(statement), [])
  assert.equal(codes(statement, [...three].reverse()), [])
})

test('a gateway that lies is shown with both figures', () => {
  const lie = (who: Party, change: Partial<Statement['members'][number]>) => ({
    ...statement,
    members: statement.members.map(one => (one.member === who.address ? { ...one, ...change } : one)),
  })
  const payment = recompute(lie(seller, { payment: micros(-349_999n) }), three, verifier)
  assert.equal(payment, [{ code: 'community.payment', member: seller.id, said: -349_999n, due: -350_000n }])
  const energy = recompute(lie(seller, { exported: wattHours(1999n) }), three, verifier)
  assert.equal(energy, [
    { code: 'community.energy', member: seller.id, direction: 'export', said: 1999n, metered: 2000n },
  ])
  assert.equal(codes({ ...statement, residue: micros(7n) }), ['community.sum'])
  // A consistent account with one member's energy made up: every payment is right but for it.
  const forged = must(stateSlot(terms, [three[0]!, three[1]!, readingsOf(stranger, 900_000n, 0n)], verifier))
  const found = recompute(forged, three, verifier)
  assert.ok(
    found.some(({ code }) => code === 'community.energy') && found.some(({ code }) => code === 'community.payment'),
  )
  const without = must(stateSlot(terms, three.slice(0, 2), verifier))
  assert.equal(codes(without), ['community.left-out'])
  assert.equal(codes(statement, three.slice(0, 2)), ['community.no-reading'])
})

test('readings of another time, meter, key or state are no readings', () => {
  const refused = (one: MemberReadings) => {
    const stated = stateSlot(terms, [one], verifier)
    return stated.ok ? 'stated' : 'reason' in stated.fault ? stated.fault.reason : stated.fault.code
  }
  const good = readingsOf(buyer, 1000n, 0n)
  assert.is(refused(good), 'stated')
  assert.is(refused({ ...good, publicKey: stranger.publicKey }), 'reading.kid')
  assert.is(refused({ ...good, meterId: 'M-0' }), 'of another meter')
  assert.is(refused({ ...good, contexts: [] }), 'community.no-context')
  assert.is(refused({ ...good, begin: good.end, end: good.begin }), 'community.reading-time')
  const at = (ms: number) => instant((SLOT + 1) * SLOT_MS + ms)
  assert.is(refused(readingsOf(buyer, 1n, 0n, { end: { time: at(-1) } })), 'community.reading-time')
  assert.is(refused(readingsOf(buyer, 1n, 0n, { end: { time: at(30_001) } })), 'community.reading-time')
  assert.is(refused(readingsOf(buyer, 1n, 0n, { end: { time: at(30_000) } })), 'stated')
  assert.is(refused(readingsOf(buyer, 1n, 0n, { end: { errors: ['energy'] } })), 'energy')
  assert.is(refused(readingsOf(buyer, 1n, 0n, { end: { sequence: 5 } })), 'not after the first')
  assert.is(refused(readingsOf(buyer, -1n, 0n)), 'community.register')
  assert.is(refused(readingsOf(buyer, 1n, 0n, { end: { reason: 'gap', registers: [] } })), 'community.register')
})

test('neighbouring slots count each watt-hour once, whatever the registers', () => {
  assertProperty(
    fc.property(fc.bigInt(0n, 5000n), fc.bigInt(0n, 5000n), fc.bigInt(0n, 9999n), (a, b, from) => {
      const imported = (mWh: bigint, at: bigint) =>
        must(stateSlot(terms, [readingsOf(buyer, mWh, undefined, { from: at })], verifier)).members[0]!.imported
      assert.is(imported(a, from) + imported(b, from + a), imported(a + b, from))
    }),
    20,
  )
})

test('a signed statement is its gateway’s word, and fits one message with fifty members', () => {
  const bytes = encodeStatement(statement)
  const signed = assembleStatement(bytes, seller.publicKey, seller.sign(statementToSign(bytes, seller.publicKey)))
  assert.equal(must(verifyStatement(signed, seller.publicKey, verifier)), statement)
  const read = verifyStatement(signed, buyer.publicKey, verifier)
  assert.is(read.ok || read.fault.code, 'cose.signature')
  const big = {
    ...statement,
    members: Array.from({ length: 50 }, (_, i) => ({ ...statement.members[0]!, member: new Uint8Array(20).fill(i) })),
  }
  const all = encodeStatement(big)
  const whole = assembleStatement(all, seller.publicKey, seller.sign(statementToSign(all, seller.publicKey)))
  assert.ok(verifyStatement(whole, seller.publicKey, verifier).ok, `${whole.length} bytes`)
  assertProperty(
    fc.property(fc.uint8Array({ maxLength: 300 }), junk => !verifyStatement(junk, seller.publicKey, verifier).ok),
    200,
  )
})

test('any member puts another in the gateway’s place on the ledger, and all name the same one', () => {
  const { ledger, take, refused } = bench()
  take(seller, { kind: 'found', body: { group: 'sunny' } })
  for (const one of [buyer, stranger]) {
    take(seller, { kind: 'invite', body: { group: 'sunny', account: one.address } })
    take(one, { kind: 'join', body: { group: 'sunny' } })
  }
  const { members, gateway } = ledger.record(GROUPS, 'sunny')!
  const next = successor(members, gateway)!
  assert.equal(successor([...members].reverse(), gateway), next)
  const by = [buyer, stranger].find(one => one.address !== next)!
  take(by, { kind: 'gateway', body: { group: 'sunny', gateway: next } })
  assert.equal(ledger.record(GROUPS, 'sunny')!.gateway, next)
  refused('ledger.not-a-member', by, { kind: 'gateway', body: { group: 'sunny', gateway: partyOf('nobody').address } })
  // Three steps go round three members.
  assert.equal(successor(members, successor(members, next)!), gateway)
  assert.is(successor([gateway], gateway), undefined)
})

test('an order at the critical fractile costs least over the forecasts that it was made from', () => {
  assertProperty(
    fc.property(
      fc.array(fc.bigInt(-3000n, 3000n), { minLength: 1, maxLength: 12 }),
      fc.bigInt(50_001n, 299_999n),
      (nets, price) => {
        const cost = (order: bigint) =>
          nets.reduce(
            (sum, net) =>
              sum + order * price + (net > order ? (net - order) * TARIFF.retail : (net - order) * TARIFF.feedIn),
            0n,
          )
        const { side, energy } = groupOrder(nets, orderQuantile(price, TARIFF)) ?? { side: 'buy', energy: 0n }
        const ordered = cost(side === 'buy' ? energy : -energy)
        const best = nets.map(cost).reduce((a, b) => (a < b ? a : b))
        // The quantile is in thousandths: where that decides between two forecasts, they cost alike to a thousandth.
        const slack = (BigInt(nets.length) * 6000n * 250_000n) / 1000n
        assert.ok(ordered - best <= slack, `${ordered} for ${best}`)
      },
    ),
    300,
  )
  assert.equal(
    [orderQuantile(300_000n, TARIFF), orderQuantile(50_000n, TARIFF), orderQuantile(175_000n, TARIFF)],
    [0, 1000, 500],
  )
  assert.is(groupOrder([], 500), undefined)
  assert.equal(groupOrder([-5n, 7n, 9n], 0), { side: 'sell', energy: wattHours(5n) })
  assert.equal(groupOrder([-5n, 7n, 9n], 500), { side: 'buy', energy: wattHours(7n) })
  assert.equal(groupOrder([-5n, 7n, 9n], 1000), { side: 'buy', energy: wattHours(9n) })
})

test.run()
