/** A ledger whose operator offers every service, an event of it, and its books. */
import { type Audit, auditLedger } from '../../../protocol/ledger/audit.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { instant } from '../../../protocol/time.ts'
import { assert } from '../../harness.ts'
import { BEGIN, type Bench, genesis, operator } from './parties.ts'

export const operatorServes = {
  ...genesis,
  roles: (['aggregator', 'storage', 'issuer', 'community'] as const).map(role => ({ role, holder: operator.address })),
}

/** The books, without a problem. */
export function audited(bench: Bench): Audit {
  const books = auditLedger(bench.app.entries(bench.app.height)!)
  assert.equal(books.problems, [])
  return books
}

const START = BEGIN + 600_000
export const call = {
  start: instant(START),
  end: instant(START + 600_000),
  reportBy: instant(START + 1_200_000),
  price: microsPerKwh(333_333n),
  most: wattHours(2000n),
}
