/** The call auction under one-time keys: nobody's orders, passed on by all, and the two of each pair find each other. */
import type { CallAuctionOptions } from '../../../agent/grid/auction.ts'
import { createBlindIssuer } from '../../../drivers/crypto/blind-rsa.ts'
import { createPssVerifier } from '../../../drivers/crypto/pss-verifier.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { certified } from '../../../hw/scenario/certified-key.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { sealingKey } from '../../../protocol/crypto/seal.ts'
import { verifyOrder } from '../../../protocol/market/order.ts'
import { type CertifiedSide, checkCertificate } from '../../../protocol/privacy/certificate.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { openBoards, orderedBoards } from './auction-room.ts'
import { WINDOW, wh } from './quote-room.ts'

const verifier = createVerifier()
const issuer = await createBlindIssuer()
const verifyPss = createPssVerifier()
const random = seededRandom(1)
const entropy = { bytes: (n: number) => Uint8Array.from({ length: n }, () => Math.floor(256 * random())) }
async function keyFor(name: string, side: CertifiedSide) {
  const signer = createSigner(sha256(utf8(`${name} once`)))
  const { certificate } = await certified(issuer, { slot: WINDOW.start, side, pseudonym: signer.publicKey })
  return { signer, certificate, meeting: sealingKey(sha256(utf8(`${name} meets`))) }
}
const keys = new Map(
  await Promise.all(
    (['ash', 'ivy', 'roof', 'plant'] as const).map(
      async name => [name, await keyFor(name, name === 'ash' || name === 'ivy' ? 'bid' : 'offer')] as const,
    ),
  ),
)

/** Each by the key that it has for this window. */
const anonymousOf = (name: string): Pick<CallAuctionOptions, 'anonymous'> => ({
  anonymous: {
    feeder: 'street',
    entropy,
    keyOf: () => keys.get(name as 'ash'),
    judge: (order, certificate) => checkCertificate(order, certificate, () => issuer.modulus, verifyPss),
  },
})

const test = suite('grid auction under one-time keys')

async function trade(limits: Readonly<Record<string, number>>) {
  const room = orderedBoards(limits, anonymousOf)
  await room.run(24)
  return room
}

test('all boards clear one book, and the two of the pair find each other: one award, granted once', async () => {
  const room = await trade({ ash: 0.3, ivy: 0.1, roof: -0.1, plant: -0.35 })
  for (const { auction } of room.boards.values()) assert.is(auction.cleared()[0]!.orders, 4)
  assert.is(room.of('ash').awarded.length + room.of('ivy').awarded.length, 1)
  const [granted] = room.of('roof').granted
  assert.equal(granted!.award, [...room.of('ash').awarded, ...room.of('ivy').awarded][0])
  assert.is(room.of('plant').granted.length, 0)
  assert.is(granted!.award.energy, 50n)
})

test('no order says whose it is, what was wished exactly, or at which node', async () => {
  const room = await trade({ ash: 0.287, roof: -0.1 })
  const orders = room.sent.flatMap(({ body }) => (body.kind === 'passed' && body.what === 'order' ? [body.bytes] : []))
  assert.ok(orders.length > 0)
  for (const bytes of orders) {
    const { pseudonym, quantity, limit, node } = must(verifyOrder(bytes, 'energy-1', verifier))
    assert.not([...room.signers.values()].some(({ publicKey }) => publicKey.join() === pseudonym.join()))
    assert.equal([quantity, node, limit % 100_000n], [50n, 'street', 0n])
  }
})

test('an order without a certificate, or with one of another key, is refused by name; a maker has one key a side', async () => {
  const room = openBoards({ fox: 0.3, roof: -0.1 }, anonymousOf)
  room.of('fox').auction.order(WINDOW, wh(100), wh(0))
  await room.run(24)
  // Nobody certified the fox.
  assert.ok(room.of('fox').log.includes('auction.no-one-time-key'))
  assert.is(room.of('roof').auction.cleared()[0]?.orders ?? 0, 0)
  const thief = keys.get('ash')!
  keys.set('fox' as 'ash', { ...thief, signer: createSigner(sha256(utf8('fox once'))) })
  const second = await trade({ fox: 0.3, roof: -0.1 })
  assert.ok(second.of('roof').log.includes('certificate.signature'))
  keys.set('fox' as 'ash', { ...thief, certificate: undefined as never })
  const bare = await trade({ fox: 0.3, roof: -0.1 })
  assert.ok(bare.of('roof').log.includes('certificate.none'))
  keys.delete('fox' as 'ash')
})

test.run()
