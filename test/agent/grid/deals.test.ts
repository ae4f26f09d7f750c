/** The deals over the grid of one site. */
import { createGridDeals, type GridDealsOptions } from '../../../agent/grid/deals.ts'
import { done, ok } from '../../../protocol/result.ts'
import { instant, mono } from '../../../protocol/time.ts'
import { encodeContract } from '../../../protocol/trade/contract.ts'
import type { Body } from '../../../protocol/trade/message.ts'
import { assert, suite } from '../../harness.ts'
import { EPOCH, KEYS } from '../../protocol/trade/deal-street.ts'
import { GRID_BYTES, GRID_TERMS, HALVES, HASH, stub } from '../../protocol/trade/grid-deal.ts'

const test = suite('grid deals')
const TX = new Uint8Array(32).fill(9)

/** A buyer's deals, and what it sends. */
function openBuyer() {
  const sent: { readonly to: string; readonly body: Body }[] = []
  const cancel = () => () => {}
  const options = {
    ...{ grid: {}, peers: new Map([['ash', KEYS.seller]]), distribution: undefined },
    config: { ledger: {}, distribution: { distributor: 'wires' } },
    clock: { now: () => instant(EPOCH), mono: () => mono(0) },
    timers: { every: cancel, after: cancel, sleep: () => new Promise(() => {}) },
    ...{ verifier: stub, log: () => {}, recordDeal: async () => done, reserved: () => {} },
    signer: { publicKey: KEYS.buyer, sign: async () => ok(HALVES.buyer.subarray(-64)) },
    energy: {
      light: { aheadOfLedger: () => undefined, prove: () => new Promise(() => {}) },
      account: { submit: async () => ok(TX) },
    },
    post: { send: (to: string, body: Body) => void sent.push({ to, body }) },
  } as unknown as GridDealsOptions
  return { deals: createGridDeals(options), sent }
}

test('the buyer tells the distributor of the reservation, too: a seller that does not would have the fee back', async () => {
  const { deals, sent } = openBuyer()
  assert.ok(deals.open('ash', 'buyer', GRID_BYTES, mono(0), { half: HALVES.seller }).ok)
  for (let turn = 0; turn < 50; turn++) await Promise.resolve()
  assert.equal(
    sent.map(({ to, body }) => `${to} ${body.kind}`),
    ['ash countersign', 'ash committed', 'wires reserved'],
  )
  assert.equal(sent[2]!.body, { kind: 'reserved', hash: HASH, tx: TX })
  deals.stop()
})

test('the same contract a second time is refused and leaves the first alone; another one is begun', () => {
  const { deals } = openBuyer()
  assert.ok(deals.open('ash', 'buyer', GRID_BYTES, mono(0), {}).ok)
  const again = deals.open('ash', 'buyer', GRID_BYTES.slice(), mono(0), {})
  assert.equal(again, { ok: false, fault: { code: 'grid.contract-known', peer: 'ash', role: 'buyer' } })
  assert.is(deals.all().length, 1)
  const other = encodeContract({ ...GRID_TERMS, nonce: new Uint8Array(16).fill(8) })
  assert.ok(deals.open('ash', 'buyer', other, mono(0), {}).ok)
  assert.equal([deals.all().length, deals.stats().signed], [2, 2])
  deals.stop()
})

test.run()
