/** The call auction under one-time keys: nobody's orders, passed on by all, and the two of each pair find each other. */
import type { GridConfig } from '../../../agent/config/site-config.ts'
import { type CallAuction, createCallAuction } from '../../../agent/grid/auction.ts'
import { createFeeDesk } from '../../../agent/grid/fees.ts'
import type { LightAgent } from '../../../agent/light/run.ts'
import { createBlindIssuer } from '../../../drivers/crypto/blind-rsa.ts'
import { createPssVerifier } from '../../../drivers/crypto/pss-verifier.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import type { Clock } from '../../../drivers/ports.ts'
import { certified } from '../../../hw/scenario/certified-key.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { sealingKey } from '../../../protocol/crypto/seal.ts'
import { verifyOrder } from '../../../protocol/market/order.ts'
import { type CertifiedSide, checkCertificate } from '../../../protocol/privacy/certificate.ts'
import { type Fault, must } from '../../../protocol/result.ts'
import { instant, type Mono } from '../../../protocol/time.ts'
import type { Body, BodyOf } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'
import { price, WINDOW, wh } from './quote-room.ts'

const LEAD = 60_000
const verifier = createVerifier()

interface Board {
  readonly auction: CallAuction
  readonly awarded: BodyOf<'award'>[]
  readonly granted: { readonly peer: string; readonly award: BodyOf<'award'> }[]
  readonly log: string[]
  readonly evidence: { readonly fault: Fault; readonly bytes: readonly Uint8Array[] }[]
}

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

/** Boards with limits in coins: bids above zero, offers below. */
function openBoards(limits: Readonly<Record<string, number>>) {
  let ms = WINDOW.start - LEAD
  const clock: Clock = {
    now: () => instant(ms),
    mono: () => (ms - 1_700_000_000_000) as Mono,
    fine: () => (ms - 1_700_000_000_000) as Mono,
    quality: () => 'synchronised',
  }
  const signers = new Map(Object.keys(limits).map(name => [name, createSigner(sha256(utf8(name)))]))
  const boards = new Map<string, Board>()
  const box: { readonly from: string; readonly to: string; readonly body: Body }[] = []
  // One header a second; its hash says which.
  const headOf = (time: number) => ({
    height: BigInt(Math.floor(time / 1000)),
    time: instant(time),
    hash: sha256(utf8(String(time))),
  })
  const light = {
    head: () => headOf(Math.floor(ms / 1000) * 1000),
    headerAt: async (height: bigint) => {
      const { hash, time } = headOf(Number(height) * 1000)
      return { ok: true, value: { hash, header: { time: { seconds: BigInt(time / 1000), nanos: 0 } } } }
    },
  } as unknown as LightAgent
  const declined: string[] = []
  const sent: { readonly from: string; readonly to: string; readonly body: Body }[] = []
  /** Boards that hear of no header before a time. */
  const deaf = new Map<string, number>()

  function open(name: string): void {
    const coins = limits[name]!
    const grid: GridConfig = {
      ...{ meter: 'grid', node: `node-${name}`, source: 'solar', slotMs: 900_000, leadMs: LEAD, way: 'auction' },
      ...{ premium: {}, strict: false, refuse: [], receiptWindowMs: 60_000, disputeWindowMs: 120_000 },
      ...(coins > 0
        ? { buy: { limit: price(coins), opening: price(0), least: wh(1) } }
        : { sell: { reserve: price(-coins), opening: price(-coins) } }),
    }
    const peers = new Map(
      [...signers].flatMap(([peer, { publicKey }]) => (peer === name ? [] : [[peer, publicKey] as const])),
    )
    const board: Board = {
      evidence: [],
      awarded: [],
      granted: [],
      log: [],
      auction: createCallAuction({
        ...{ grid, chainId: 'energy-1', signer: signers.get(name)!, peers, clock, verifier },
        light: { ...light, head: () => (ms < (deaf.get(name) ?? 0) ? undefined : light.head()) },
        saveEvidence: (fault, bytes) => void board.evidence.push({ fault, bytes }),
        fees: createFeeDesk({ distributor: undefined, verifier, log: () => {}, clock, send: () => {} }),
        log: (_level: string, _room: string, _text: string, fault?: Fault) => void board.log.push(fault?.code ?? ''),
        send(to, body) {
          if (body.kind === 'decline') declined.push(body.reason)
          box.push({ from: name, to, body })
        },
        ownMeter: () => `meter-${name}`,
        asked: () => price(-coins),
        anonymous: {
          feeder: 'street',
          entropy,
          keyOf: () => keys.get(name as 'ash'),
          judge: (order, certificate) => checkCertificate(order, certificate, () => issuer.modulus, verifyPss),
        },
        awarded: (_, award) => void board.awarded.push(award),
        granted: (peer, award) => void board.granted.push({ peer, award }),
      }),
    }
    boards.set(name, board)
  }
  for (const name of Object.keys(limits)) open(name)

  const settle = async () => {
    for (let n = 0; n < 40; n++) await Promise.resolve()
    for (let letter = box.shift(); letter !== undefined; letter = box.shift()) {
      const { from, to, body } = letter
      sent.push(letter)
      if (body.kind === 'passed') boards.get(to)!.auction.hearPassed(from, body)
      if (body.kind === 'order') boards.get(to)!.auction.hear(from, body)
      if (body.kind === 'award') boards.get(to)!.auction.hearAward(from, body)
      await Promise.resolve()
    }
  }
  return {
    boards,
    declined,
    box,
    sent,
    deaf,
    /** A board as after a restart: it knows nothing. */
    open,
    signers,
    of: (name: string) => boards.get(name)!,
    async run(seconds: number) {
      for (let n = 0; n < seconds; n++) {
        ms += 1000
        for (const { auction } of boards.values()) auction.sweep()
        for (let round = 0; round < 4; round++) await settle()
      }
    },
    settle,
  }
}

const test = suite('grid auction under one-time keys')

async function trade(limits: Readonly<Record<string, number>>) {
  const room = openBoards(limits)
  for (const [name, coins] of Object.entries(limits))
    room.of(name).auction.order(WINDOW, coins > 0 ? wh(100) : wh(0), coins > 0 ? wh(0) : wh(100))
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
  const room = openBoards({ fox: 0.3, roof: -0.1 })
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
