/** Who meets in the tests of services, and a ledger for them. */
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { auditLedger } from '../../../protocol/ledger/audit.ts'
import type { RefusalCode } from '../../../protocol/ledger/fault.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { assert } from '../../harness.ts'
import { Bench, genesis, nameOf, type Party, partyOf, RICH, seller } from './parties.ts'

export const store = partyOf('store')
export const aggregator = partyOf('aggregator')
export const issuer = partyOf('issuer')
export const other = partyOf('other issuer')
export const DAY_MS = 86_400_000

export const serviceGenesis = {
  ...genesis,
  accounts: [
    ...genesis.accounts,
    ...[store, aggregator, issuer, other].map(({ publicKey }) => ({ publicKey, balance: RICH })),
  ],
  meters: genesis.meters.map(meter => ({ ...meter, feeder: 'F1' })),
  roles: [
    { role: 'storage' as const, holder: store.address },
    { role: 'aggregator' as const, holder: aggregator.address },
    { role: 'issuer' as const, holder: issuer.address },
    { role: 'issuer' as const, holder: other.address },
    { role: 'community' as const, holder: seller.address },
  ],
}

/** A ledger of services on which every step is audited. */
export function bench() {
  const ledger = new Bench(serviceGenesis)
  const audited = () => {
    const books = auditLedger(ledger.app.entries(ledger.app.height)!)
    assert.equal(books.problems, [])
    assert.is(books.money.residue, 0n)
    return books
  }
  return {
    ledger,
    audited,
    take(sender: Party, content: TxContent) {
      const outcome = ledger.send(sender, content)
      assert.is(nameOf(outcome), 'taken', `${content.kind}: ${outcome.log}`)
      audited()
      return outcome
    },
    refused(expected: RefusalCode, sender: Party, content: TxContent) {
      const before = ledger.account(sender)
      const outcome = ledger.send(sender, content)
      assert.is(nameOf(outcome), expected, outcome.log)
      assert.equal(ledger.account(sender), before)
      audited()
    },
    until: (time: number) => void ledger.block([], time - ledger.time),
  }
}

export const hex = (hash: Uint8Array): string => Buffer.from(hash).toString('hex')
export const NOWHERE = sha256(Uint8Array.of(99))
