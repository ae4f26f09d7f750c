/**
 * What each role can do on the ledger, and that it can do nothing else: every role sends every kind of transaction about
 * things of others. A role gives its own kinds and no other; nobody speaks for a party, and no kind orders or opens what others send.
 */
import { toHex } from '../../../protocol/bytes.ts'
import { ROLE_NAMES } from '../../../protocol/ledger/fields.ts'
import { agreementId, eventId } from '../../../protocol/ledger/service-tables.ts'
import type { TxContent, TxKind } from '../../../protocol/ledger/tx.ts'
import { epochAt } from '../../../protocol/privacy/coins.ts'
import { micros, microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { instant } from '../../../protocol/time.ts'
import { contractHash } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import {
  BEGIN,
  type Bench,
  buyer,
  commitOf,
  operator,
  type Party,
  partyOf,
  receiptOf,
  seller,
  sideOf,
  signTx,
  stranger,
  terms,
  verifier,
} from './parties.ts'
import { anchorOf, followOf, NET_ID, reserveOf, Street } from './two-ledgers.ts'
import { evidence, keys, StakedBench, stake, stakedGenesis, UNIT, unstake } from './validators.ts'

const test = suite('power of roles')

const DAY_MS = 86_400_000
const ACTORS = ['operator', ...ROLE_NAMES, 'nobody'] as const
type Actor = (typeof ACTORS)[number]
const partyFor = (actor: Actor): Party => (actor === 'operator' ? operator : partyOf(`who is ${actor}`))
const store = partyOf('a store')

/** What an actor comes to: `taken`, or the name of the refusal; one word where it is the same for all others. */
type Row = readonly [
  what: string,
  content: (actor: Party) => TxContent,
  by: Partial<Record<Actor, string>>,
  others: string,
]

const [kWh, some] = [wattHours(1000n), micros(5n)]
const price = microsPerKwh(100_000n)
const netTerms = { ...terms, chainId: NET_ID }
const far = (ms: number) => instant(BEGIN + ms)
const group = 'street'

/** The distribution ledger of two-ledgers.ts with everything on it that somebody could lay hands on. */
function world() {
  const street = new Street()
  const { net } = street
  const openFor = (party: Party) =>
    net.take(stranger, { kind: 'open', body: { publicKey: party.publicKey, amount: micros(250_000n) } })
  for (const actor of ACTORS) if (actor !== 'operator') openFor(partyFor(actor))
  openFor(store)
  const grant = (role: (typeof ROLE_NAMES)[number], holder: Party) =>
    net.take(operator, { kind: 'role', body: { role, holder: holder.address, held: true } })
  for (const role of ROLE_NAMES) grant(role, partyFor(role))
  grant('storage', store)
  grant('aggregator', store)
  grant('community', seller)
  for (const [side, owner] of [
    ['seller', seller],
    ['buyer', buyer],
  ] as const) {
    const { meterId, by } = sideOf(side, new Uint8Array(0))
    const body = { meterId, owner: owner.address, line: 'L1', publicKey: by.publicKey }
    net.take(operator, { kind: 'enrol', body })
  }
  // A settled deal, a locked one, one on the other ledger that is reserved for, an agreement, an event and a group.
  const settled = commitOf({ ...netTerms, start: far(60_000), end: far(120_000) })
  net.take(buyer, settled)
  const open = commitOf({ ...netTerms, start: far(600_000), end: far(660_000), receipts: 'sealed' })
  net.take(buyer, open)
  const elsewhere = commitOf({ ...terms, start: far(900_000), end: far(960_000) }).body.contract
  net.take(buyer, reserveOf(elsewhere))
  street.until(BEGIN + 121_000)
  for (const side of ['seller', 'buyer'] as const) {
    net.take(side === 'seller' ? seller : buyer, receiptOf(sideOf(side, settled.body.contract), 1_000_000n))
  }
  const offer = {
    ...{ storage: store.address, meterId: 'S-1', storePrice: price, returnPrice: price, most: kWh },
    ...{ noticeMs: DAY_MS, from: far(2 * DAY_MS), answerBy: far(DAY_MS) },
  }
  net.take(seller, { kind: 'propose', body: offer })
  const call = { start: far(3_600_000), end: far(7_200_000), reportBy: far(DAY_MS), price, most: kWh }
  net.take(store, { kind: 'event', body: call })
  const event = eventId({ ...call, announcer: store.address })
  net.take(buyer, { kind: 'optIn', body: { event, meterId: 'B-1', baseline: kWh, most: kWh } })
  net.take(seller, { kind: 'found', body: { group } })
  const agreement = agreementId({ ...offer, owner: seller.address })
  return { street, net, settled, open, elsewhere, offer, agreement, call, event }
}

const lay = world()
const { net } = lay
const { event, agreement } = lay
const [openHash, elsewhereHash] = [contractHash(lay.open.body.contract), contractHash(lay.elsewhere)]
lay.street.energy.block([])
lay.street.until(Math.max(net.time, lay.street.energy.time) + 1000)
const header = lay.street.energy.blocks.at(-1)!
const receipt = receiptOf(sideOf('buyer', lay.open.body.contract), 1000n)
const day = Math.floor(BEGIN / DAY_MS) + 2
const part = { event, meterId: 'B-1', baseline: kWh, most: kWh }
const noProof = { height: 1n, proof: Uint8Array.of(1) }
const newKey = partyOf('a new key').publicKey
const modulus = new Uint8Array(256).fill(0xff)
const [epoch, denomination] = [epochAt(far(0)), micros(10_000n)]
const coin = { epoch, denomination, key: newKey, signature: modulus, proof: new Uint8Array(64) }
const halves = { sellerSign1: Uint8Array.of(1), buyerSign1: Uint8Array.of(1) }
const sealed = { deal: openHash, energy: kWh, evidence: new Uint8Array(32), ...halves }

const ROWS: readonly Row[] = [
  ['its own coins', () => ({ kind: 'transfer', body: { to: seller.address, amount: some } }), {}, 'taken'],
  ['an account for its own coins', () => ({ kind: 'open', body: { publicKey: newKey, amount: some } }), {}, 'taken'],
  ['its own key', () => ({ kind: 'rekey', body: { publicKey: newKey } }), {}, 'taken'],
  [
    'new coins',
    ({ address }) => ({ kind: 'mint', body: { to: address, amount: some } }),
    { operator: 'taken' },
    'ledger.operator-only',
  ],
  ['coins burnt', () => ({ kind: 'burn', body: { amount: some } }), { operator: 'taken' }, 'ledger.operator-only'],
  [
    'a meter enrolled',
    () => ({ kind: 'enrol', body: { meterId: 'N-1', owner: seller.address, line: 'L1', publicKey: newKey } }),
    { operator: 'taken', enroller: 'taken' },
    'ledger.role-only',
  ],
  [
    'a meter revoked',
    () => ({ kind: 'revoke', body: { meterId: 'S-1' } }),
    { operator: 'taken', enroller: 'taken' },
    'ledger.role-only',
  ],
  [
    'a meter suspended',
    () => ({ kind: 'suspend', body: { meterId: 'S-1', from: far(DAY_MS) } }),
    { regulator: 'taken' },
    'ledger.role-only',
  ],
  [
    'a price band',
    () => ({ kind: 'band', body: { from: far(DAY_MS), floor: price, ceiling: price } }),
    { regulator: 'taken' },
    'ledger.role-only',
  ],
  [
    'an issuer key',
    () => ({ kind: 'issuerKey', body: { slot: far(DAY_MS), side: 'bid', modulus } }),
    { registrar: 'taken' },
    'ledger.role-only',
  ],
  [
    'a key of coins',
    () => ({ kind: 'mintKey', body: { epoch, denomination, modulus } }),
    { mint: 'taken' },
    'ledger.role-only',
  ],
  [
    'its own money into a coin that nobody signs',
    () => ({ kind: 'withdraw', body: { epoch, denomination, blinded: modulus } }),
    {},
    'ledger.no-mint-key',
  ],
  [
    'a coin for a withdrawal that there is not',
    () => ({ kind: 'signCoin', body: { epoch, denomination, withdrawal: openHash, signature: modulus } }),
    {},
    'ledger.no-withdrawal',
  ],
  ['a coin that nobody signed', () => ({ kind: 'deposit', body: { coins: [coin] } }), {}, 'ledger.no-mint-key'],
  [
    'a role for itself',
    ({ address }) => ({ kind: 'role', body: { role: 'issuer', holder: address, held: true } }),
    { operator: 'taken', issuer: 'ledger.operator-only' },
    'ledger.operator-only',
  ],
  ['a contract of others', () => lay.open, {}, 'ledger.not-the-buyer'],
  ["a receipt in another's name", () => receipt, {}, 'ledger.not-a-party'],
  ['a sealed receipt of others', () => ({ kind: 'sealed', body: sealed }), {}, 'ledger.not-a-party'],
  [
    "a quantity in another's name",
    () => ({ kind: 'quantity', body: { deal: openHash, energy: kWh } }),
    {},
    'ledger.not-a-party',
  ],
  ['a true header', () => followOf(header), {}, 'taken'],
  [
    'another beginning of a living peer',
    () => anchorOf(header),
    { operator: 'ledger.peer-alive' },
    'ledger.operator-only',
  ],
  [
    'a line of its own',
    () => ({ kind: 'capacity', body: { line: 'N1', energy: kWh } }),
    { distributor: 'taken' },
    'ledger.role-only',
  ],
  [
    "another distributor's line",
    () => ({ kind: 'capacity', body: { line: 'L1', energy: kWh } }),
    { distributor: 'ledger.other-distributor' },
    'ledger.role-only',
  ],
  [
    "another distributor's tariff",
    () => ({ kind: 'tariff', body: { line: 'L1', from: far(DAY_MS), price } }),
    { distributor: 'ledger.other-distributor' },
    'ledger.role-only',
  ],
  ['capacity for a contract of others', () => reserveOf(lay.elsewhere), {}, 'ledger.not-a-party'],
  ['a fee without a proof', () => ({ kind: 'claim', body: { deal: elsewhereHash, ...noProof } }), {}, 'ledger.proof'],
  [
    'a fee back without a proof',
    () => ({ kind: 'release', body: { deal: elsewhereHash, ...noProof } }),
    {},
    'ledger.proof',
  ],
  ["another's meter offered to a store", () => ({ kind: 'propose', body: lay.offer }), {}, 'ledger.meter-owner'],
  ["another store's answer", () => ({ kind: 'answer', body: { agreement, accepted: true } }), {}, 'ledger.not-a-party'],
  ["the end of others' agreement", () => ({ kind: 'end', body: { agreement } }), {}, 'ledger.not-a-party'],
  [
    "another meter's plan",
    () => ({ kind: 'schedule', body: { meterId: 'S-1', day, plan: Array.from({ length: 96 }, () => 0n) } }),
    {},
    'ledger.meter-owner',
  ],
  [
    "another meter's order",
    () => ({ kind: 'order', body: { meterId: 'S-1', slot: day * 96, side: 'buy', energy: kWh, limit: price } }),
    {},
    'ledger.meter-owner',
  ],
  [
    'a call for demand response',
    () => ({ kind: 'event', body: { ...lay.call, most: wattHours(1n) } }),
    { aggregator: 'taken', distributor: 'taken' },
    'ledger.role-only',
  ],
  [
    "another's meter in an event",
    () => ({ kind: 'optIn', body: { ...part, meterId: 'S-1' } }),
    {},
    'ledger.meter-owner',
  ],
  ["a baseline in another's event", () => ({ kind: 'admit', body: part }), {}, 'ledger.not-a-party'],
  [
    "another's way out of an event",
    () => ({ kind: 'optOut', body: { event, meterId: 'B-1' } }),
    {},
    'ledger.not-a-party',
  ],
  [
    "a report in another's name",
    () => ({ kind: 'report', body: { ...receipt.body, event, meterId: 'B-1' } }),
    {},
    'ledger.not-a-party',
  ],
  [
    'points for a settled deal',
    () => ({ kind: 'issue', body: { deal: contractHash(lay.settled.body.contract) } }),
    { issuer: 'taken' },
    'ledger.role-only',
  ],
  [
    'points that it does not have',
    () => ({ kind: 'redeem', body: { issuer: store.address, amount: kWh } }),
    {},
    'ledger.points',
  ],
  ['a group', () => ({ kind: 'found', body: { group: 'another' } }), { community: 'taken' }, 'ledger.role-only'],
  ['a guest of others', () => ({ kind: 'invite', body: { group, account: store.address } }), {}, 'ledger.not-a-member'],
  ['a group without invitation', () => ({ kind: 'join', body: { group } }), {}, 'ledger.not-invited'],
  ['a way out of where it is not', () => ({ kind: 'leave', body: { group } }), {}, 'ledger.not-a-member'],
  [
    "others' gateway",
    ({ address }) => ({ kind: 'gateway', body: { group, gateway: address } }),
    {},
    'ledger.not-a-member',
  ],
  [
    'its own journal',
    () => ({ kind: 'head', body: { journal: new Uint8Array(16), frame: 1n, hash: new Uint8Array(32) } }),
    {},
    'taken',
  ],
]

/** Kinds about validators, on a ledger that has some. */
const STAKING: readonly Row[] = [
  ['a validator of its own', actor => stake(keys[4]!, UNIT, actor), { validator: 'taken' }, 'ledger.role-only'],
  ["another's stake", () => unstake(keys[0]!, UNIT), {}, 'ledger.validator-owner'],
  ['true evidence', () => evidence(keys[1]!), {}, 'taken'],
  ['false evidence', () => evidence(keys[1]!, { by: keys[2]! }), {}, 'ledger.evidence-signature'],
]

/** What a transaction would come to in the next block, without a trace. */
function judge(bench: Bench, chainId: string, by: Party, content: TxContent, signedBy = by): string {
  const tx = signTx(by, bench.sequence(by), content, { chainId, signedBy })
  const block = { height: bench.app.height + 1n, time: instant(bench.time + 1), txs: [tx], verifier }
  const judged = bench.app.judgeTxs(block)
  return judged.ok ? 'taken' : judged.fault.code
}

function showMatrix(bench: Bench, chainId: string, rows: readonly Row[]): void {
  const before = toHex(bench.app.appHash)
  for (const [what, content, by, others] of rows) {
    const came = Object.fromEntries(
      ACTORS.map(actor => [actor, judge(bench, chainId, partyFor(actor), content(partyFor(actor)))]),
    )
    assert.equal(came, Object.fromEntries(ACTORS.map(actor => [actor, by[actor] ?? others])), what)
  }
  assert.is(toHex(bench.app.appHash), before)
}

test('every role by every kind: what is its own it may, and what is not is refused by name', () => {
  showMatrix(net, NET_ID, ROWS)
})

function staked(): StakedBench {
  const roles = ROLE_NAMES.map(role => ({ role, holder: partyFor(role).address }))
  const accounts = ACTORS.filter(actor => actor !== 'operator').map(actor => ({
    publicKey: partyFor(actor).publicKey,
    balance: micros(10n * UNIT),
  }))
  const bench = new StakedBench({
    ...stakedGenesis,
    accounts: [...stakedGenesis.accounts, ...accounts],
    roles,
  })
  bench.block([])
  return bench
}

test('every role by every kind about validators', () => {
  showMatrix(staked(), terms.chainId, STAKING)
})

test('no kind of transaction is missing from these tables', () => {
  const shown = new Set<TxKind>([...ROWS, ...STAKING].map(([, content]) => content(operator).kind))
  // A kind that is not in them would be refused as malformed before any role is looked at.
  const all: Record<TxKind, true> = {
    ...{ transfer: true, open: true, rekey: true, mint: true, burn: true, enrol: true, revoke: true, suspend: true },
    ...{ role: true, band: true, stake: true, unstake: true, evidence: true, commit: true, receipt: true },
    ...{ sealed: true, quantity: true, follow: true, anchor: true, capacity: true, tariff: true, reserve: true },
    ...{ claim: true, release: true, propose: true, answer: true, end: true, schedule: true, order: true },
    ...{ event: true, optIn: true, admit: true, optOut: true, report: true, issue: true, redeem: true },
    ...{ found: true, invite: true, join: true, leave: true, gateway: true, head: true },
    issuerKey: true,
    ...{ mintKey: true, withdraw: true, signCoin: true, deposit: true },
  }
  assert.equal([...shown].sort(), Object.keys(all).sort())
})

test('no role speaks for another: a transaction in its name and by another key is none, of whatever kind', () => {
  for (const [what, content] of ROWS) {
    for (const actor of ACTORS) {
      const forged = judge(net, NET_ID, seller, content(seller), partyFor(actor))
      assert.is(forged, 'ledger.signature', `${what} by ${actor} for the seller`)
    }
  }
})

test('nobody reorders: a transaction counts at its own place among its sender’s, and not twice', () => {
  const transfer = { kind: 'transfer', body: { to: seller.address, amount: some } } as const
  const at = (sequence: bigint) => signTx(stranger, sequence, transfer, { chainId: NET_ID })
  const next = net.sequence(stranger)
  const come = (...txs: Uint8Array[]) => {
    const judged = net.app.judgeTxs({ height: net.app.height + 1n, time: instant(net.time + 1), txs, verifier })
    return judged.ok ? 'taken' : judged.fault.code
  }
  assert.is(come(at(next), at(next + 1n)), 'taken')
  assert.is(come(at(next + 1n), at(next)), 'ledger.sequence')
  assert.is(come(at(next), at(next)), 'ledger.sequence')
})

test.run()
