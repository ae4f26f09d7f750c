/** What is gathered of a deal that is not over, was taken up after a restart, or whose other side cheats: said as it is. */
import type { DealRunner } from '../../../agent/trading/deal-runner.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import type { DealRecords } from '../../../protocol/trade/deal-records.ts'
import { readDealRecords, writeDealRecords } from '../../../protocol/trade/deal-records-json.ts'
import { assert, suite } from '../../harness.ts'
import { tradingLine } from './trading-line.ts'

const test = suite('records of a deal, gathered')

const said = ({ missing }: DealRecords) => missing.map(({ piece, why }) => `${piece} ${why}`)

test('of a deal that is under way nothing is made up, and a receipt that the ledger did not take is left out', async () => {
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
  const { begin, end } = first.peerReceipt()!
  const cheated = { ...first, peerReceipt: () => ({ begin, end: begin }) }
  const asked = await at.gather(seller, cheated)
  assert.equal([said(asked), asked.buyer.receipt], [[], { begin, end }], 'asked, it hands out what the ledger took')
  await awaited(at.ports.time, at.agent(at.buyer).stop())
  const other = await at.gather(seller, cheated)
  assert.equal([said(other), other.buyer.receipt], [['buyer.receipt not-counted'], undefined])

  await at.stop()
})

/** The seller is killed once the buyer's receipt has come, before or after the journal has it. */
async function killedWith(
  isThere: (runner: DealRunner) => boolean,
  asked = true,
): Promise<{ missing: string[]; kept: boolean }> {
  const at = await tradingLine({ realSigner: false })
  const { seller, ports } = at
  await at.until(() => at.newest(seller)?.deal().state === 'stopped')
  const runner = at.newest(seller)!
  for (let n = 0; n < 100_000 && !isThere(runner); n++) await ports.time.advance(1)
  assert.ok(isThere(runner), 'the receipt comes')
  const id = toHex(runner.deal().hash)
  const again = await at.kill(seller)
  const found = () => again.trading.deals().find(one => toHex(one.runner.deal().hash) === id)?.runner
  await at.until(() => found()?.deal().state === 'settled')
  if (!asked) await awaited(ports.time, at.agent(at.buyer).stop())
  const gathered = await at.gather(seller, found()!)
  await at.stop()
  return { missing: said(gathered), kept: gathered.buyer.receipt !== undefined }
}

test("the other side's receipt is given out once the journal has it, and is there after a kill; one that did not get so far is asked for", async () => {
  const isKept = (runner: DealRunner) => runner.peerReceipt() !== undefined && runner.deal().state !== 'settled'
  assert.equal(await killedWith(isKept), { missing: [], kept: true })
  // It was acknowledged, so it is not sent again by itself.
  const isOnItsWay = (runner: DealRunner) =>
    runner.deal().peerReceipt !== undefined && runner.peerReceipt() === undefined
  assert.equal(await killedWith(isOnItsWay), { missing: [], kept: true })
  assert.equal(await killedWith(isOnItsWay, false), { missing: ['buyer.receipt not-kept'], kept: false })
}, 60_000)

test.run()
