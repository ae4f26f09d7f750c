/** Meters that the regulator suspends: nothing begins, and nothing that runs is touched. */
import { hex } from '../../../protocol/bytes.ts'
import { METERS } from '../../../protocol/ledger/tables.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { microsPerKwh } from '../../../protocol/quantity.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { ada, ben, Feeder, gridCommit, RECEIPT_BY, regulator, windowOf } from './grid.ts'
import { BEGIN, buyerMeter, operator, terms } from './parties.ts'
import { refused } from './refusals.ts'

const test = suite('suspended meters')

const DAY_MS = 86_400_000
const far = (ms: number) => instant(BEGIN + ms)

const suspend = (from: number, until?: number): TxContent => ({
  kind: 'suspend',
  body: { meterId: ada.meterId, from: instant(from), ...(until === undefined ? {} : { until: instant(until) }) },
})

test('a suspended meter begins no contract from then on, on either side; what runs is settled as ever', () => {
  const street = new Feeder()
  const running = street.place(ada, ben)
  const sold = street.place(ada, ben, windowOf(1))
  street.take(regulator, suspend(windowOf(2).start))
  street.place(ada, ben, { ...windowOf(1), nonce: hex('00'.repeat(16)) })
  refused(street, 'ledger.meter-suspended', ben.owner, gridCommit(ada, ben, windowOf(2)))
  refused(street, 'ledger.meter-suspended', ada.owner, gridCommit(ben, ada, windowOf(5)))
  street.until(windowOf(0).end)
  street.hand('seller', running, 1000n)
  street.hand('buyer', running, 1000n)
  street.until(RECEIPT_BY)
  assert.is(street.dealOf(running).outcome!.delivered, 1000n)
  assert.is(street.dealOf(sold).state, 'locked')
})

test('a suspension is announced, may have an end, is lifted by the regulator, and outlives another enrolment', () => {
  const street = new Feeder()
  refused(street, 'ledger.suspension', regulator, suspend(street.time))
  refused(street, 'ledger.suspension', regulator, suspend(street.time + 60_000, street.time + 50_000))
  refused(street, 'ledger.meter-unknown', regulator, { kind: 'suspend', body: { meterId: 'none', from: far(DAY_MS) } })
  street.take(regulator, suspend(windowOf(1).start, windowOf(3).start))
  street.place(ada, ben, windowOf(0))
  refused(street, 'ledger.meter-suspended', ben.owner, gridCommit(ada, ben, windowOf(1)))
  refused(street, 'ledger.meter-suspended', ben.owner, gridCommit(ada, ben, windowOf(2)))
  street.place(ada, ben, windowOf(3))
  street.take(operator, { kind: 'revoke', body: { meterId: ada.meterId } })
  const body = { meterId: ada.meterId, owner: ada.owner.address, line: ada.node, publicKey: buyerMeter.publicKey }
  street.take(operator, { kind: 'enrol', body })
  refused(street, 'ledger.meter-suspended', ben.owner, gridCommit(ada, ben, windowOf(2)))
  street.take(regulator, suspend(street.time + 30_000, street.time + 30_000))
  assert.not('suspended' in street.record(METERS, ada.meterId)!)
  street.place(ada, ben, windowOf(2))
})

test('a price band binds what is committed from then on, and changes nothing that is', () => {
  const street = new Feeder()
  const before = street.place(ada, ben)
  const band = { from: instant(street.time + 5000), floor: microsPerKwh(0n), ceiling: microsPerKwh(100n) }
  street.take(regulator, { kind: 'band', body: band })
  street.until(BEGIN + 30_000)
  refused(street, 'ledger.price-band', ben.owner, gridCommit(ada, ben, windowOf(1)))
  assert.is(street.dealOf(before).price, terms.price)
})

test.run()
