/** A receipt that is asked for: of a deal that two real agents have made, with the other end's words put in its mouth. */
import type { Agent } from '../../../agent/compose.ts'
import type { DirectLineConfig } from '../../../agent/config/site-config.ts'
import { createReceipts } from '../../../agent/trading/receipts.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { decodeDealRecord } from '../../../protocol/ledger/deal-record.ts'
import { must, ok } from '../../../protocol/result.ts'
import { decodeDeal } from '../../../protocol/trade/deal-codec.ts'
import type { Deal } from '../../../protocol/trade/deal-state.ts'
import { signedCopy } from '../../../protocol/trade/deal-step.ts'
import type { Body, Message, Receipt } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'
import { verifier } from '../../protocol/ledger/parties.ts'
import { tradingLine } from './trading-line.ts'

const test = suite('receipts that are asked for')

const at = await tradingLine()
const sellers = await at.settled(at.seller)
const isSame = (one: Deal) => one.hash.join() === sellers.deal().hash.join()
const buyers = () =>
  at
    .agent(at.buyer)
    .trading.deals()
    .map(({ runner }) => runner.deal())
    .find(isSame)!
await at.until(() => buyers().state === 'settled' && sellers.proven()?.value !== undefined)
const [sold, bought] = [sellers.deal(), buyers()]
const record = must(decodeDealRecord(sellers.proven()!.value!))
/** Signed by the buyer's meter for this very contract, later: what a buyer would have liked to hand in. */
const again = must(await awaited(at.ports.time, signAgain(at.agent(at.buyer))))
async function signAgain({ config, metering }: Agent) {
  const [{ id: line, meter }] = config.directLines as [DirectLineConfig]
  return metering.sign(meter, 'end', { contract: sold.hash, line, direction: 'import' })
}
await at.stop()

const receiptOf = ({ begin, end }: Deal): Receipt => ({ begin: signedCopy(begin!), end: signedCopy(end!) })
const GENUINE = receiptOf(bought)

/** The seller's, or whose deal it is, with a post office that carries nothing by itself. */
function desk(carried: readonly Deal[] = [], kept: readonly Deal[] = []) {
  const time = createSimTime(1_800_000_000_000, drainPromises)
  const sent: { to: string; body: Body }[] = []
  const recorded: Deal[] = []
  let hear: (peer: string, message: Message) => void = () => {}
  const receipts = createReceipts({
    post: {
      async send(to, body) {
        sent.push({ to, body })
        return ok(undefined)
      },
      onMessage: handler => {
        hear = handler
      },
    },
    peers: {
      ...{ buyer: { account: sold.buyerKey }, seller: { account: sold.sellerKey } },
      eve: { account: new Uint8Array(32).fill(7) },
    },
    ...{ clock: time.clock, timers: time.timers, verifier },
    running: () => carried.map(deal => ({ runner: { deal: () => deal } as never, peer: '', requested: 0 as never })),
    past: {
      named: async () => ok({ deals: kept.map(deal => ({ ...deal.contract, hash: deal.hash, deal })), more: false }),
    },
    record: async bytes => ok(recorded.push(must(decodeDeal(bytes)))),
  })
  return {
    ...{ time, sent, recorded, receipts },
    say: (peer: string, body: Body) => hear(peer, { body } as Message),
    copy: ({ begin, end }: Receipt, hash = sold.hash): Body => ({ kind: 'receipt-copy', hash, begin, end }),
  }
}

const spoilt = (bytes: Uint8Array, i: number) =>
  bytes.map((byte, n) => (n === (i + bytes.length) % bytes.length ? byte ^ 1 : byte))

test('only what the ledger took is believed, whoever says what before; it is kept with a deal that nobody carries', async () => {
  const { begin, end } = GENUINE
  const { time, sent, recorded, receipts, say, copy } = desk()
  let found: Receipt | undefined
  void receipts.fromPeer(sold, record).then(receipt => {
    found = receipt
  })
  await time.advance(10)
  assert.equal(sent, [{ to: 'buyer', body: { kind: 'receipt-wanted', hash: sold.hash } }])
  const wrong: readonly (readonly [string, Body])[] = [
    ['eve', copy(GENUINE)],
    ['buyer', copy(GENUINE, new Uint8Array(32))],
    ['buyer', copy(receiptOf(sold))],
    ['buyer', copy({ begin: end, end: begin })],
    ['buyer', copy({ begin, end: signedCopy(again) })],
    ['buyer', copy({ begin, end: begin })],
    // The hash that the ledger has is of what was signed: a signature that does not hold has the same.
    ['buyer', copy({ begin, end: { ...end, envelope: spoilt(end.envelope, -1) } })],
    ['buyer', copy({ begin, end: { ...end, context: spoilt(end.context, -1) } })],
    ['buyer', copy({ begin: { ...begin, context: receiptOf(sold).begin.context }, end })],
  ]
  for (const [peer, body] of wrong) {
    say(peer, body)
    await time.advance(1)
    assert.is(found, undefined)
  }
  say('buyer', copy(GENUINE))
  await time.advance(1)
  assert.equal(found, GENUINE)
  assert.equal(
    recorded.map(({ hash, state, peerReceipt }) => ({ hash, state, peerReceipt })),
    [{ hash: sold.hash, state: 'settled', peerReceipt: GENUINE }],
  )
})

test('it is asked for three times, then no more; one that the ledger never took is not asked for, nor one of a stranger', async () => {
  const { time, sent, receipts, say, copy } = desk([sold])
  let answered = 0
  const ask = (deal: Deal, of: typeof record) =>
    void receipts.fromPeer(deal, of).then(receipt => {
      assert.is(receipt, undefined)
      answered++
    })
  ask(sold, record)
  await time.advance(2_990)
  assert.equal([sent.length, answered], [3, 0])
  await time.advance(10_000)
  assert.equal([sent.length, answered], [3, 1])
  // Nobody waits for it any longer.
  say('buyer', copy(GENUINE))
  const { buyerReceipt: _, ...without } = record
  ask(sold, without)
  ask({ ...sold, buyerKey: new Uint8Array(32).fill(9) }, record)
  await time.advance(10)
  assert.equal([sent.length, answered], [3, 3])
})

test('it is handed out to the other party alone, once it was handed in to the ledger, from the journal as well, and at a rate', async () => {
  const wanted = { kind: 'receipt-wanted', hash: sold.hash } as const
  const handedTo = async (peer: string, carried: readonly Deal[], kept: readonly Deal[] = [], times = 1) => {
    const { time, sent, say } = desk(carried, kept)
    for (let n = 0; n < times; n++) say(peer, wanted)
    await time.advance(10)
    const burst = sent.length
    await time.advance(1_000)
    say(peer, wanted)
    await time.advance(10)
    return { burst, later: sent.length - burst, sent }
  }
  const whole = await handedTo('seller', [bought])
  assert.equal(whole.sent[0], { to: 'seller', body: { ...GENUINE, kind: 'receipt-copy', hash: sold.hash } })
  assert.is((await handedTo('seller', [], [bought])).burst, 1)
  for (const state of ['receipted', 'disputed', 'refunded'] as const)
    assert.is((await handedTo('seller', [{ ...bought, state }])).burst, 1, state)
  for (const [peer, carried] of [
    ['eve', [bought]],
    ['buyer', [bought]],
    ['seller', []],
    ['seller', [{ ...bought, state: 'stopped' }]],
    ['seller', [{ ...bought, state: 'started' }]],
    ['seller', [{ ...bought, end: undefined } as never]],
  ] as const)
    assert.is((await handedTo(peer, carried)).burst, 0, peer)
  const flood = await handedTo('seller', [bought], [], 1_000)
  assert.equal([flood.burst, flood.later], [100, 1])
})

test.run()
