/** The call auction among whole boards: one book, one clearing, and what becomes of a false one. */
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { assembleSignedOrder, encodeOrder, orderToSign, verifyOrder } from '../../../protocol/market/order.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import type { BodyOf } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'
import { LEAD, openBoards, orderedBoards } from './auction-room.ts'
import { price, WINDOW, wh } from './quote-room.ts'

const verifier = createVerifier()

const test = suite('grid auction')

async function trade(limits: Readonly<Record<string, number>>, wrong?: (room: ReturnType<typeof openBoards>) => void) {
  const room = orderedBoards(limits)
  await room.run(8)
  wrong?.(room)
  await room.run(12)
  return room
}

test('all boards find the same price, and the pair that it makes is awarded once and granted once', async () => {
  const room = await trade({ ash: 0.3, ivy: 0.12, roof: -0.1, plant: -0.2 })
  // Matched: 0.30 and 0.12 want, 0.10 and 0.20 offer; only ash and roof cross. L = 0.12, U = 0.20, the middle of 0.30 and 0.10 is 0.20.
  for (const { auction } of room.boards.values()) {
    assert.equal(auction.cleared(), [{ start: WINDOW.start, orders: 4, price: price(0.2) }])
  }
  assert.is(room.of('roof').granted.length, 1)
  assert.is(room.of('roof').granted[0]!.peer, 'ash')
  assert.equal(room.of('roof').granted[0]!.award, room.of('ash').awarded[0]!)
  assert.equal(
    ['ivy', 'plant'].map(name => room.of(name).awarded.length + room.of(name).granted.length),
    [0, 0],
  )
})

test('a false clearing finds nobody to sign: another price, more energy, or a pair that is none', async () => {
  for (const change of [
    { price: price(0.11) },
    { energy: wh(101) },
    { id: new Uint8Array(16) },
    { node: 'elsewhere' },
  ]) {
    const room = await trade({ ash: 0.3, roof: -0.1 })
    const [award] = room.of('ash').awarded
    const other = await trade({ ash: 0.3, roof: -0.1 }, one => {
      // The award goes wrong on its way out of ash, before the honest one.
      one.boards.get('roof')!.auction.hearAward('ash', { ...award!, ...change })
    })
    assert.ok(other.declined.includes('auction.other-clearing'), Object.keys(change).join())
    assert.ok(
      other
        .of('roof')
        .granted.every(({ award: granted }) => granted.price === award!.price && granted.energy === award!.energy),
    )
  }
})

test('nobody orders in the name of another, and nothing is taken after the close', async () => {
  const room = openBoards({ ash: 0.3, roof: -0.1, fox: 0.29 })
  room.of('fox').auction.order(WINDOW, wh(100), wh(0))
  await Promise.resolve()
  for (let n = 0; n < 10; n++) await Promise.resolve()
  const order = room.box.find(({ to, body }) => to === 'roof' && body.kind === 'order')!.body as BodyOf<'order'>
  room.of('roof').auction.hear('ash', order)
  assert.equal(room.of('roof').log, ['order.not-its-own'])
  await room.run(12)
  room.of('ash').auction.hear('fox', order)
  assert.ok(room.of('ash').log.includes('order.book-closed'))
  room.of('ash').auction.hear('fox', { ...order, order: new Uint8Array(99) })
  assert.is(room.of('ash').log.length, 2)
})

test('who hears of the headers late draws the same lots', async () => {
  const buyers = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`buyer-${i}`, 0.3]))
  // 100 Wh among eight alike: four Wh go by lot, to one of 70 sets of four.
  const room = await trade({ ...buyers, roof: -0.1 }, one => one.deaf.set('roof', WINDOW.start - 5000))
  await room.run(39)
  assert.is(room.of('roof').auction.cleared().length, 1)
  assert.is(room.of('roof').granted.length, 8)
  assert.equal(room.declined, [])
})

test('what is ordered is promised until it is awarded, and free again where it is not matched', async () => {
  const room = openBoards({ ash: 0.3, roof: -0.1, plant: -0.4 })
  const promised = (name: string) =>
    room
      .of(name)
      .auction.pending()
      .map(({ role, start, energy }) => `${role} ${start - WINDOW.start} ${energy}`)
  for (const name of ['roof', 'plant']) room.of(name).auction.order(WINDOW, wh(0), wh(100))
  assert.equal(promised('roof'), ['seller 0 100'])
  room.of('ash').auction.order(WINDOW, wh(70), wh(0))
  await room.run(8)
  assert.equal(['ash', 'roof', 'plant'].map(promised), [['buyer 0 70'], ['seller 0 100'], ['seller 0 100']])
  await room.run(12)
  // Granted: from here on it is the contract's maker who holds it.
  assert.is(room.of('roof').granted.length, 1)
  assert.equal(['ash', 'roof', 'plant'].map(promised), [[], [], []])
})

test('who tells two boards two things is named to all by its own two signatures', async () => {
  const room = openBoards({ ash: 0.3, roof: -0.1, fox: 0.25 })
  room.of('ash').auction.order(WINDOW, wh(100), wh(0))
  room.of('roof').auction.order(WINDOW, wh(0), wh(100))
  room.of('fox').auction.order(WINDOW, wh(10), wh(0))
  const { publicKey } = room.signers.get('fox')!
  // To roof alone fox wants all of it, and pays more.
  const payload = encodeOrder({
    ...{
      side: 'bid',
      pseudonym: publicKey,
      slot: WINDOW.start,
      quantity: wh(100),
      limit: price(0.5),
      node: 'node-fox',
    },
    ...{ validFrom: instant(WINDOW.start - 2 * LEAD), expiry: WINDOW.start, sequence: 0 },
  })
  const signature = must(await room.signers.get('fox')!.sign(orderToSign(payload, publicKey, 'energy-1')))
  const other = assembleSignedOrder(payload, publicKey, signature)
  const { hear } = room.of('roof').auction
  room.of('roof').auction.hear = (peer, body) => hear(peer, peer === 'fox' ? { ...body, order: other } : body)
  await room.settle()
  await room.run(20)
  assert.ok(room.declined.includes('auction.other-clearing'))
  for (const name of ['ash', 'roof']) {
    const { evidence } = room.of(name)
    assert.equal(
      evidence.map(({ fault }) => fault),
      [{ code: 'auction.equivocation', peer: 'fox' }],
    )
    for (const bytes of evidence[0]!.bytes) assert.ok(verifyOrder(bytes, 'energy-1', verifier).ok)
  }
})

test('after a restart nothing is ordered in a slot whose gate was open: a second order would make both void', async () => {
  const room = openBoards({ ash: 0.3, roof: -0.1, fox: 0.2 })
  room.of('ash').auction.order(WINDOW, wh(100), wh(0))
  room.of('roof').auction.order(WINDOW, wh(0), wh(100))
  await room.run(1)
  room.open('ash')
  // The meter has gone on meanwhile, so it would be another order.
  room.of('ash').auction.order(WINDOW, wh(90), wh(0))
  await room.run(20)
  assert.equal(
    room
      .of('roof')
      .auction.cleared()
      .map(({ orders }) => orders),
    [2],
  )
  assert.is(room.of('roof').log.includes('order.double'), false)
})

test.run()
