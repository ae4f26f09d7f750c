/** What somebody tries who wants to stop the ledger, to lock what is not theirs, or to make every node pay for it. */
import { fromUtf8 } from '../../../protocol/bytes.ts'
import { type Appointment, createAgenda } from '../../../protocol/ledger/agenda.ts'
import { resumeApp } from '../../../protocol/ledger/app.ts'
import { auditLedger } from '../../../protocol/ledger/audit.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { micros, microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { type Instant, instant } from '../../../protocol/time.ts'
import { encodeContract } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import {
  BEGIN,
  Bench,
  buyer,
  commitOf,
  genesis,
  nameOf,
  type Party,
  partyOf,
  RICH,
  receiptOf,
  seller,
  sideOf,
  signTx,
  terms,
} from './parties.ts'

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
  const all = (now: Instant) => {
    const due: Appointment[] = []
    for (let next = agenda.takeDue(now); next !== undefined; next = agenda.takeDue(now)) due.push(next)
    return due
  }
  const due = all(soon)
  assert.equal(due, [
    { at: soon, key: 'slot/L1/1' },
    { at: soon, key: 'slot/L2/1' },
  ])
  // A block that was executed and forgotten gives back what it took.
  for (const appointment of due) agenda.add(appointment)
  assert.is(all(late).length, 3)
  agenda.add({ at: late, key: 'slot/L1/1' })
  assert.is(all(late).length, 1)
})

test('however much falls due at once, a block lets ten thousand fall, and a node that began anew the same ones', () => {
  const distributor = partyOf('distributor')
  const DAY_MS = 86_400_000
  const ledger = new Bench({
    ...genesis,
    accounts: [...genesis.accounts, { publicKey: distributor.publicKey, balance: RICH }],
    roles: [{ role: 'distributor', holder: distributor.address }],
    peers: [{ chainId: 'other-1', trustingPeriodMs: DAY_MS, maxClockDriftMs: 0, relayMarginMs: 0 }],
  })
  const all = (sender: Party, contents: readonly TxContent[]) => {
    const from = ledger.sequence(sender)
    const outcomes = ledger.block(contents.map((content, i) => signTx(sender, from + BigInt(i), content)))
    assert.equal(
      outcomes.filter(({ code }) => code !== 0),
      [],
    )
  }
  const streets = Array.from({ length: 14 }, (_, street) => Array.from({ length: 8 }, (_, i) => `L${street}.${i}`))
  all(
    distributor,
    streets.flat().flatMap((line): TxContent[] => {
      const above = Number(line.slice(-1)) - 1
      const feeder = above < 0 ? {} : { feeder: `${line.slice(0, -1)}${above}` }
      return [
        { kind: 'capacity', body: { line, energy: wattHours(100n), ...feeder } },
        { kind: 'tariff', body: { line, from: instant(BEGIN + 5000), price: microsPerKwh(1n) } },
      ]
    }),
  )
  ledger.block([], 10_000)
  const [start, end] = [instant(BEGIN + DAY_MS), instant(BEGIN + 2 * DAY_MS)]
  all(
    seller,
    streets.map(([...path]): TxContent => {
      const contract = encodeContract({ ...terms, chainId: 'other-1', line: path.at(-1)!, start, end })
      return { kind: 'reserve', body: { contract, feeMost: micros(1000n) } }
    }),
  )
  const slots = () => {
    const keys = [...ledger.app.entries(ledger.app.height)!].map(([key]) => fromUtf8(key)!)
    return keys.filter(key => key.startsWith('slot/')).length
  }
  const reserved = slots()
  assert.is(reserved, 14 * 8 * 96)
  ledger.block([], 3 * DAY_MS)
  // The reservations themselves fall due after the slots.
  assert.is(slots(), reserved - 10_000)
  const { app } = ledger
  const hashes = app.headerHashes(app.height)!
  const again = must(resumeApp({ entries: app.entries(app.height)!, headerHashes: hashes }))
  for (const left of [0, 0]) {
    ledger.block([])
    const { input, output } = ledger.executed.at(-1)!
    assert.equal(again.finalizeBlock(input).appHash, output.appHash)
    again.commit()
    assert.is(slots(), left)
  }
  assert.equal(auditLedger(app.entries(app.height)!).problems, [])
  assert.is(auditLedger(app.entries(app.height)!).money.reserved, 0n)
})

test('nobody takes a line, or locks coins, for longer ahead than a week: a deal of the year 9999 would be sold by two for all', () => {
  const DAY_MS = 86_400_000
  const ledger = new Bench()
  const windowTo = (end: number) => commitOf({ ...terms, start: instant(end - DAY_MS), end: instant(end) })
  const week = () => ledger.time + 1000 + 8 * DAY_MS
  assert.is(nameOf(ledger.send(buyer, windowTo(253_402_300_799_999))), 'ledger.window-far')
  assert.is(nameOf(ledger.send(buyer, windowTo(week() + 1))), 'ledger.window-far')
  assert.is(nameOf(ledger.send(buyer, windowTo(week()))), 'taken')
})

test.run()
