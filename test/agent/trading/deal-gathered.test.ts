/** What is gathered of a deal that is not over, was taken up after a restart, or whose other side cheats: said as it is. */
import { awaited } from '../../../hw/sim/run-seed.ts'
import { must } from '../../../protocol/result.ts'
import type { DealRecords } from '../../../protocol/trade/deal-records.ts'
import { readDealRecords, writeDealRecords } from '../../../protocol/trade/deal-records-json.ts'
import { assert, suite } from '../../harness.ts'
import { tradingLine } from './trading-line.ts'

const test = suite('records of a deal, gathered')

const said = ({ missing }: DealRecords) => missing.map(({ piece, why }) => `${piece} ${why}`)

test('of a deal that is under way nothing is made up, and after a restart what was handed over is not kept', async () => {
  const at = await tradingLine({ realSigner: false })
  const { seller } = at
  const isStarted = () => at.newest(seller)?.deal().state === 'started'
  await at.until(isStarted)
  const first = at.newest(seller)!
  const open = await at.gather(seller, first)
  assert.equal(said(open), ['seller.receipt not-metered', 'buyer.receipt not-handed'])
  assert.ok(open.seller.half !== undefined && open.buyer.half !== undefined)
  assert.ok(open.ledger!.path.length > 1, 'from where trust begins')
  assert.equal(must(readDealRecords(writeDealRecords(open))).missing, open.missing)

  await at.until(() => first.deal().state === 'settled' && first.peerReceipt() !== undefined)
  assert.equal(said(await at.gather(seller, first)), [])

  // Another receipt than the ledger took would only accuse the one who handed it over.
  const { begin } = first.peerReceipt()!
  const other = await at.gather(seller, { ...first, peerReceipt: () => ({ begin, end: begin }) })
  assert.equal([said(other), other.buyer.receipt], [['buyer.receipt not-counted'], undefined])

  await at.until(() => at.newest(seller) !== first && isStarted())
  await awaited(at.ports.time, at.running.end(seller))
  must(await awaited(at.ports.time, at.running.start(seller)))
  const again = at.newest(seller)!
  assert.is(again.wasRestored(), true)
  // The other side's copy may come after the restart, too: what is there is given out, what is not is said.
  const restored = await at.gather(seller, again)
  const buyers = said(restored).filter(line => line.startsWith('buyer.receipt'))
  assert.equal(buyers, again.peerReceipt() === undefined ? ['buyer.receipt not-kept'] : [])
  assert.is(restored.buyer.receipt === undefined, again.peerReceipt() === undefined)
  await at.stop()
})

test.run()
