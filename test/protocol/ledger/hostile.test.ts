/** What somebody tries who wants to stop the ledger, to lock what is not theirs, or to make every node pay for it. */
import { createAgenda } from '../../../protocol/ledger/agenda.ts'
import { auditLedger } from '../../../protocol/ledger/audit.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { Bench, buyer, commitOf, nameOf, receiptOf, seller, sideOf, terms } from './parties.ts'

const test = suite('protocol/ledger/hostile')

const registersOf = (value: bigint, scaler: number) => [{ obis: '1-0:2.8.0', value, scaler, unit: 'Wh' as const }]

test('a register that counted more than a record holds is refused: encoding it would have stopped every node', () => {
  for (const [value, scaler, expected] of [
    [2n ** 63n - 1n, 9, 'ledger.reading-register'],
    [2n ** 63n - 1n, -3, 'ledger.reading-register'],
    [2n ** 53n + 1n, 0, 'ledger.reading-register'],
    [2n ** 53n, 0, 'taken'],
  ] as const) {
    const ledger = new Bench()
    const commit = commitOf(terms)
    ledger.send(buyer, commit)
    ledger.block([], 120_000)
    const side = sideOf('seller', commit.body.contract)
    const receipt = receiptOf(side, 0n, {
      begin: { registers: registersOf(0n, scaler) },
      end: { registers: registersOf(value, scaler) },
    })
    assert.is(nameOf(ledger.send(seller, receipt)), expected, `${value}e${scaler}`)
    assert.is(ledger.deal(commit.body.contract)!.sellerReceipt?.energy, expected === 'taken' ? value : undefined)
    assert.equal(auditLedger(ledger.app.entries(ledger.app.height)!).problems, [])
  }
})

test('a record that is changed over and over stands on the agenda once for each time', () => {
  const agenda = createAgenda()
  const [soon, late] = [instant(1), instant(2)]
  for (let i = 0; i < 1000; i++) for (const key of ['slot/L1/1', 'slot/L2/1']) agenda.add({ at: soon, key })
  agenda.add({ at: late, key: 'slot/L1/1' })
  const due = agenda.takeDue(soon)
  assert.equal(due, [
    { at: soon, key: 'slot/L1/1' },
    { at: soon, key: 'slot/L2/1' },
  ])
  // A block that was executed and forgotten gives back what it took.
  for (const appointment of due) agenda.add(appointment)
  assert.is(agenda.takeDue(late).length, 3)
  agenda.add({ at: late, key: 'slot/L1/1' })
  assert.is(agenda.takeDue(late).length, 1)
})

test.run()
