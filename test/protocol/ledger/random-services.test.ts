import { eventId } from '../../../protocol/ledger/service-tables.ts'
import { parseTx, type TxContent } from '../../../protocol/ledger/tx.ts'
import { wattHours } from '../../../protocol/quantity.ts'
import { contractHash } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { audited, call, operatorServes } from './operator-serves.ts'
import {
  BEGIN,
  Bench,
  buyer,
  commitOf,
  contextOf,
  operator,
  readingOf,
  receiptOf,
  seller,
  sideOf,
  signTx,
  terms,
} from './parties.ts'
import { reserveOf } from './two-ledgers.ts'

const test = suite('books of the services')

const callOf = (n: number) => ({ ...call, most: wattHours(2000n + BigInt(n)) })
const eventOf = (n: number) => eventId({ ...callOf(n), announcer: operator.address })

function reportOf(side: 'seller' | 'buyer', event: Uint8Array, wh: bigint): TxContent {
  const by = { ...sideOf(side, new Uint8Array(0)), direction: 'import' as const }
  const context = contextOf(by)
  const session = { contract: event, line: 'L1', direction: 'import' as const }
  const begin = readingOf(by, context, { reason: 'begin', mWh: 0n, at: call.start, session })
  const end = readingOf(by, context, { reason: 'end', mWh: wh * 1000n, at: call.end, session, sequence: 9 })
  return {
    kind: 'report',
    body: { event, meterId: side === 'seller' ? 'S-1' : 'B-1', begin, end, contexts: [context] },
  }
}

const KINDS = [
  ...['event', 'optIn', 'admit', 'optOut', 'report', 'wait', 'issue', 'redeem', 'found', 'invite', 'join', 'leave'],
]

test('events, points and groups: deposits are paid out or given back, points are earned, members are members', () => {
  const taken = new Set<string>()
  const play = (steps: readonly { kind: string; n: number; side: boolean; wh: bigint }[]): void => {
    const bench = new Bench(operatorServes)
    const commit = commitOf(terms)
    const at = { begin: { at: BEGIN + 60_000 }, end: { at: BEGIN + 60_001 } }
    bench.block([signTx(buyer, 0n, commit)], 60_001)
    bench.send(seller, receiptOf(sideOf('seller', commit.body.contract), 1_500_000n, at))
    bench.send(buyer, receiptOf(sideOf('buyer', commit.body.contract), 1_400_000n, at))
    const deal = contractHash(commit.body.contract)
    for (const { kind, n, side, wh } of steps) {
      const party = side ? seller : buyer
      const meterId = side ? 'S-1' : 'B-1'
      const event = eventOf(n)
      const offer = { event, meterId, baseline: wattHours(1500n), most: wattHours(n === 0 ? 1500n : 700n) }
      const contents: Record<string, readonly [typeof party, TxContent]> = {
        event: [operator, { kind: 'event', body: callOf(n) }],
        optIn: [party, { kind: 'optIn', body: offer }],
        admit: [operator, { kind: 'admit', body: offer }],
        optOut: [party, { kind: 'optOut', body: { event, meterId } }],
        report: [party, reportOf(side ? 'seller' : 'buyer', event, wh)],
        issue: [operator, { kind: 'issue', body: { deal } }],
        redeem: [seller, { kind: 'redeem', body: { issuer: operator.address, amount: wattHours(wh) } }],
        found: [operator, { kind: 'found', body: { group: 'g' } }],
        invite: [operator, { kind: 'invite', body: { group: 'g', account: party.address } }],
        join: [party, { kind: 'join', body: { group: 'g' } }],
        leave: [wh > 700n ? party : operator, { kind: 'leave', body: { group: 'g' } }],
      }
      const chosen = contents[kind]
      if (chosen === undefined) bench.block([], 100_000)
      else if (bench.send(...chosen).code === 0) taken.add(kind)
      audited(bench)
    }
    bench.block([], 100_000_000)
    const { money } = audited(bench)
    assert.is(money.deposited, 0n)
    assert.is(money.balances, money.minted)
  }
  const all = (...kinds: string[]) => kinds.map(kind => ({ kind, n: 0, side: true, wh: 600n }))
  const over = Array.from({ length: 12 }, () => 'wait')
  play(all('event', 'optIn', 'optOut', 'optIn', 'admit', ...over, 'report', 'issue', 'redeem'))
  play(all('found', 'invite', 'join', 'leave'))
  assert.equal([...taken].sort(), KINDS.filter(kind => kind !== 'wait').sort())
  const step = fc.record({
    kind: fc.constantFrom(...KINDS),
    n: fc.nat(1),
    side: fc.boolean(),
    wh: fc.bigInt(1n, 1500n),
  })
  assertProperty(fc.property(fc.array(step, { minLength: 10, maxLength: 50 }), play), 40)
}, 240_000)

test('hostile bytes in the place of any body are refused or taken, and never throw', () => {
  const bench = new Bench(operatorServes)
  const event = eventId({ ...call, announcer: operator.address })
  const { contract } = commitOf(terms).body
  const bodies: readonly TxContent[] = [
    reserveOf(contract),
    { kind: 'event', body: call },
    reportOf('seller', event, 5n),
    { kind: 'release', body: { deal: event, height: 1n, proof: Uint8Array.of(18, 3, 1, 2, 3) } },
    { kind: 'schedule', body: { meterId: 'S-1', day: 5, plan: Array.from({ length: 96 }, () => -5n) } },
  ]
  assertProperty(
    fc.property(
      fc.constantFrom(...bodies),
      fc.array(fc.tuple(fc.nat(5000), fc.nat(255)), { maxLength: 3 }),
      (body, flips) => {
        const tx = signTx(seller, 0n, body)
        for (const [at, value] of flips) tx[at % tx.length] = value
        parseTx(tx)
        // Whatever signature stands there is believed, so that the rules behind it see the bytes.
        bench.app.checkTx(tx, { verify: () => true })
      },
    ),
    1500,
  )
}, 60_000)

test.run()
