import { assert, suite } from '../../harness.ts'
import { buyer } from '../ledger/parties.ts'
import { crashEverywhere } from './grid-crash.ts'
import { judgeEnd } from './grid-ends.ts'
import { GridStreet } from './grid-ledgers.ts'
import { ALL_OVER, PRICE } from './grid-plan.ts'

const test = suite('trade deal over two ledgers')

test('without a crash the deal settles, the fee is claimed, and the meters decide', () => {
  const street = new GridStreet()
  assert.is(judgeEnd(street, 'no crash'), 'settled')
  const { deal, reservation } = street.ledgers()
  assert.equal([street.state('seller'), street.state('buyer')], ['settled', 'settled'])
  // The buyer's meter counted 400 Wh, the seller's 404 Wh.
  assert.is(deal!.outcome!.delivered, 400n)
  assert.is(deal!.outcome!.paid, PRICE)
  assert.is(deal!.outcome!.disputed, false)
  assert.is(deal!.outcome!.at, deal!.receiptBy)
  assert.is(reservation!.state, 'claimed')
  assert.is(reservation!.outcome!.delivered, 400n)
  assert.equal(street.refusals, [])
})

test('what is dispatched is dispatched within the window, on both sides, and not a moment longer', () => {
  const street = new GridStreet()
  const { start, end } = street.contract
  const seen = { seller: [] as number[], buyer: [] as number[] }
  while (street.time < ALL_OVER) {
    street.run(street.time + 1)
    for (const role of ['seller', 'buyer'] as const) if (street.dispatched(role)) seen[role].push(street.time)
  }
  for (const times of Object.values(seen)) {
    assert.ok(times.length > 2)
    assert.ok(times[0]! >= start && times[0]! <= start + 500, String(times[0]! - start))
    assert.ok(times.at(-1)! < end)
  }
})

// Some of the outputs here; --slow takes them all.
for (const actor of ['seller', 'buyer'] as const) {
  test(`a ${actor} that dies before an output and comes back: both ledgers or neither, and every coin returned or paid`, () => {
    const { crashes, ends } = crashEverywhere(actor, 5000, 5, 1)
    assert.ok(crashes >= 6, String(crashes))
    assert.ok(ends.settled > 0 && ends.none > 0)
  })

  test(`a ${actor} that dies and stays dead: both ledgers or neither, and every coin returned or paid`, () => {
    const { crashes, ends } = crashEverywhere(actor, undefined, 5, 3)
    assert.ok(crashes >= 6, String(crashes))
    assert.ok(ends.settled > 0 && ends.none > 0)
  })
}

test('a distributor that dies loses its fee at most, which then returns', () => {
  assert.equal(crashEverywhere('distributor', undefined), { crashes: 2, ends: { settled: 2, refunded: 0, none: 0 } })
  const street = new GridStreet({ crash: { actor: 'distributor', output: 0 } })
  judgeEnd(street, 'dead distributor')
  assert.is(street.ledgers().reservation!.state, 'released')
  const back = new GridStreet({ crash: { actor: 'distributor', output: 1, backAfterMs: 5000 } })
  judgeEnd(back, 'distributor back')
  assert.is(back.ledgers().reservation!.state, 'claimed')
})

test('each message lost in turn: the deal settles by what the ledgers say, or ends with nothing locked', () => {
  const ends: string[] = []
  for (let lost = 0; ; lost++) {
    let sent = 0
    const street = new GridStreet({ cheats: { message: body => (sent++ === lost ? undefined : body) } })
    const end = judgeEnd(street, `message ${lost} lost`)
    if (sent <= lost) break
    ends.push(`${street.said[lost]!.body.kind}: ${end}`)
  }
  assert.equal(ends, ['accept: none', 'countersign: none', 'reserved: none', 'committed: settled'])
})

test('a commitment that the energy ledger refuses gives the seller its fee back by proof, before the reservation expires', () => {
  const street = new GridStreet()
  street.runUntil(() => street.state('seller') === 'reserved')
  // The buyer spends what it has before it commits.
  street.impoverish(buyer)
  assert.is(judgeEnd(street, 'a poor buyer'), 'none')
  assert.is(street.ends.buyer!.deal.cause?.code, 'ledger.funds')
  assert.is(street.ends.seller!.deal.cause?.code, 'deal.peer-stop-fault')
  const { reservation } = street.ledgers()
  assert.is(reservation!.state, 'released')
  assert.ok(reservation!.outcome!.at < reservation!.expires)
  assert.ok(street.handedIn.includes('net release'))
})

test('a distributor whose lines are full, or too dear, ends the deal before anything is locked', () => {
  for (const [plan, code] of [
    [{ contract: { energy: 1001n as never } }, 'ledger.capacity'],
    [{ feeMost: 1n }, 'ledger.fee-limit'],
  ] as const) {
    const street = new GridStreet(plan)
    assert.is(judgeEnd(street, code), 'none')
    assert.is(street.ends.seller!.deal.cause?.code, code)
    assert.equal(street.ends.buyer!.deal.cause, { code: 'deal.peer-stop-fault', because: code })
    assert.equal(
      street.handedIn.filter(tx => tx.startsWith('energy')),
      [],
    )
  }
})

test.run()
