/** Whatever is relayed between two ledgers, withheld or forged: every coin is somewhere, and nothing is held for ever. */
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { instant } from '../../../protocol/time.ts'
import { contractHash } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import {
  BEGIN,
  buyer,
  commitOf,
  nameOf,
  operator,
  RICH,
  receiptOf,
  seller,
  sideOf,
  stranger,
  terms,
} from './parties.ts'
import {
  anchorOf,
  type Chain,
  distributor,
  energyKey,
  followOf,
  MARGIN_MS,
  netKey,
  reserveOf,
  Street,
} from './two-ledgers.ts'

const test = suite('books of two ledgers')

/** Contract number `n`: a time of its own, so that the line is free for each. */
const contractOf = (n: number) => {
  const start = instant(BEGIN + 300_000 * (n + 1))
  return commitOf({ ...terms, start, end: instant(start + 60_000), nonce: new Uint8Array(16).fill(n) })
}

interface Step {
  readonly kind: (typeof WORDS)[number]
  readonly deal: number
  readonly wh: bigint
}

const WORDS = [
  'deal',
  'deal',
  'reserve',
  'commit',
  'both',
  'one',
  'claim',
  'release',
  'wait',
  'freeze',
  'anchor',
] as const

test('on two ledgers, whatever is relayed, withheld or forged: every coin is somewhere, and in the end nobody holds any', () => {
  const reached = new Set<string>()
  const play = (steps: readonly Step[]): void => {
    const street = new Street()
    const { energy, net } = street
    const send = (on: Chain, who: typeof seller, content: TxContent) => {
      const name = nameOf(on.send(who, content))
      reached.add(name === 'taken' ? content.kind : name)
      on.books()
    }
    /** Brings a proof over, whether or not the other side believes it. */
    const over = (from: Chain, to: Chain, key: string) => {
      const proven = from.prove(key)
      if (to.time < from.time) to.block([], from.time - to.time)
      send(to, stranger, followOf(from.blocks[Number(proven.height) - 1]!))
      return proven
    }
    for (const { kind, deal: n, wh } of steps) {
      const commit = contractOf(n)
      const { contract } = commit.body
      const deal = contractHash(contract)
      if (kind === 'reserve' || kind === 'deal') send(net, buyer, reserveOf(contract))
      if (kind === 'commit' || kind === 'deal') {
        const reservation = over(net, energy, netKey(contract))
        send(energy, buyer, { kind: 'commit', body: { ...commit.body, reservation } })
      } else if (kind === 'both' || kind === 'one') {
        const at = BEGIN + 300_000 * (n + 1)
        street.until(Math.max(energy.time, net.time, at) + 1)
        const readings = { begin: { at }, end: { at: at + 1 } }
        send(energy, seller, receiptOf(sideOf('seller', contract), wh * 1000n, readings))
        if (kind === 'both') send(energy, buyer, receiptOf(sideOf('buyer', contract), wh * 1000n, readings))
      } else if (kind === 'claim' || kind === 'release') {
        send(net, stranger, { kind, body: { deal, ...over(energy, net, energyKey(contract)) } })
      } else if (kind === 'wait') street.pass(60_000 * (1 + n))
      else if (kind === 'freeze') {
        const { heights } = net.peer()
        if (heights.length > 1) send(net, stranger, followOf(energy.fork(heights.at(-1)!)))
      } else if (kind === 'anchor') {
        energy.block([])
        net.block([], Math.max(1, energy.time - net.time))
        send(net, operator, anchorOf(energy.blocks.at(-1)!))
        send(net, stranger, followOf(energy.blocks.at(-1)!))
      }
    }
    const past = terms.receiptWindowMs + terms.disputeWindowMs + MARGIN_MS + 1_200_000
    street.pass(past)
    for (const chain of [energy, net]) {
      const { money, deals } = chain.books()
      assert.equal([money.escrowed, money.reserved, deals.locked], [0n, 0n, 0])
    }
    const all = [operator, seller, buyer, stranger]
    const sum = (chain: Chain, parties: typeof all) =>
      parties.reduce((total, party) => total + chain.account(party).balance, 0n)
    assert.is(sum(energy, all), 4n * RICH)
    assert.is(sum(net, [...all, distributor]), 5n * RICH)
  }
  const all = (...kinds: Step['kind'][]) => kinds.map(kind => ({ kind, deal: 0, wh: 1500n }))
  play(all('deal', 'both', 'claim'))
  play(all('reserve', 'release', 'one', 'wait', 'wait', 'release'))
  play(all('deal', 'claim', 'freeze', 'claim', 'anchor', 'both', 'claim'))
  for (const name of ['reserve', 'commit', 'receipt', 'claim', 'release', 'follow', 'anchor', 'ledger.peer-frozen']) {
    assert.ok(reached.has(name), `${name}: ${[...reached]}`)
  }
  const step = fc.record({ kind: fc.constantFrom(...WORDS), deal: fc.nat(2), wh: fc.bigInt({ min: 0n, max: 2500n }) })
  assertProperty(fc.property(fc.array(step, { minLength: 4, maxLength: 14 }), play), 20)
}, 240_000)

test.run()
