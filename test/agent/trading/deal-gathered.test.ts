/** What is gathered of a deal that is not over, was taken up after a restart, or whose other side cheats: said as it is. */
import { gatherRecords } from '../../../agent/trading/deal-records.ts'
import type { DealRunner } from '../../../agent/trading/deal-runner.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { createSimPorts } from '../../../hw/sim/sim-ports.ts'
import { BRISK } from '../../../hw/sim/site-config.ts'
import { type Street, streetOf } from '../../../hw/sim/street.ts'
import { createStreetLedger, openStreet } from '../../../hw/sim/street-run.ts'
import { must } from '../../../protocol/result.ts'
import type { DealRecords } from '../../../protocol/trade/deal-records.ts'
import { readDealRecords, writeDealRecords } from '../../../protocol/trade/deal-records-json.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('records of a deal, gathered')

/** The seller and the buyer of one line, and nobody else. */
function lineStreet(): Street {
  const { sites, lines } = streetOf(5)
  const [line] = lines as [Street['lines'][number]]
  return { sites: sites.filter(({ name }) => name === line.seller || name === line.buyer), lines: [line] }
}

async function trading() {
  const street = lineStreet()
  const ports = createSimPorts({
    ...{ seed: 5, sites: street.sites, brokers: 1, realSigner: false, pace: BRISK, logOf: () => () => {} },
  })
  const producer = createStreetLedger(street, 5, ports)
  ports.serveLedger(producer)
  await producer.produce()
  producer.start()
  const running = must(await openStreet(street, 5, new Map(), producer, ports))
  for (const { name } of street.sites) must(await awaited(ports.time, running.start(name)))
  const [line] = street.lines as [Street['lines'][number]]
  const newest = (site: string) => running.agents.get(site)!.trading.deals()[0]?.runner
  return {
    ...{ ports, running, seller: line.seller, buyer: line.buyer, newest },
    /** Virtual seconds until it holds, half a second at a time. */
    async until(holds: () => boolean) {
      for (let n = 0; n < 1200 && !holds(); n++) await ports.time.advance(500)
      assert.ok(holds(), 'it has not come about in ten minutes')
    },
    gather: (site: string, runner: DealRunner) =>
      awaited(ports.time, gatherRecords(runner, running.agents.get(site)!.light)),
    stop: () => awaited(ports.time, running.stop()),
  }
}

const said = ({ missing }: DealRecords) => missing.map(({ piece, why }) => `${piece} ${why}`)

test('of a deal that is under way nothing is made up, and after a restart what was handed over is not kept', async () => {
  const at = await trading()
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
