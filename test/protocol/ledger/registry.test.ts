/** Meters, roles and the price band: each refusal by its name against what is otherwise taken. */
import { hex } from '../../../protocol/bytes.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { assert, suite } from '../../harness.ts'
import { Bench, nameOf, operator, type Party, partyOf, seller } from './parties.ts'
import { refused, unseen } from './refusals.ts'

const test = suite('ledger registry')

test('only the operator enrols a meter, once, for an account, with an admissible key', () => {
  const bench = new Bench()
  const enrol = (meterId: string, owner: Party, publicKey = partyOf(meterId).publicKey): TxContent => ({
    kind: 'enrol',
    body: { meterId, owner: owner.address, line: 'L2', publicKey },
  })
  refused(bench, 'ledger.operator-only', seller, enrol('N-1', seller))
  refused(bench, 'ledger.meter-taken', operator, enrol('S-1', seller))
  refused(bench, 'ledger.no-account', operator, enrol('N-1', partyOf('unknown')))
  // The neutral element: every signature of the right shape would verify.
  refused(bench, 'ledger.key', operator, enrol('N-1', seller, hex(`01${'00'.repeat(31)}`)))
  refused(bench, 'ledger.key', operator, enrol('N-1', seller, new Uint8Array(33)))
  assert.is(nameOf(bench.send(operator, enrol('N-1', seller))), 'taken')
  refused(bench, 'ledger.meter-taken', operator, enrol('N-1', seller))
})

test('only the operator gives and takes a role, to an account, and only what changes something', () => {
  const bench = new Bench()
  const role = (holder: Party, held: boolean): TxContent => ({
    kind: 'role',
    body: { role: 'regulator', holder: holder.address, held },
  })
  refused(bench, 'ledger.operator-only', seller, role(seller, true))
  refused(bench, 'ledger.no-account', operator, role(partyOf('unknown'), true))
  refused(bench, 'ledger.role-unchanged', operator, role(seller, false))
  assert.is(nameOf(bench.send(operator, role(seller, true))), 'taken')
  refused(bench, 'ledger.role-unchanged', operator, role(seller, true))
  assert.is(nameOf(bench.send(operator, role(seller, false))), 'taken')
  refused(bench, 'ledger.role-unchanged', operator, role(seller, false))
})

test('every refusal of the registry was seen here', () => {
  assert.equal([...unseen(11, 11), ...unseen(15, 19), ...unseen(60, 63)], [])
})

test.run()
