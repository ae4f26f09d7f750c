/** The books of contracts over the grid: what an audit finds, and that they hold whatever is committed and counted. */
import { toHex } from '../../../protocol/bytes.ts'
import { auditLedger } from '../../../protocol/ledger/audit.ts'
import { dealRecord } from '../../../protocol/ledger/deal-record.ts'
import { GRID_METERS, METER_WINDOWS, windowId } from '../../../protocol/ledger/grid-tables.ts'
import { DEALS, RULES } from '../../../protocol/ledger/tables.ts'
import { wattHours } from '../../../protocol/quantity.ts'
import { encodeAs } from '../../../protocol/record.ts'
import { instant, later } from '../../../protocol/time.ts'
import { contractHash } from '../../../protocol/trade/contract.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, fc } from '../../property.ts'
import {
  ada,
  ben,
  cem,
  dora,
  Feeder,
  gridCommit,
  gridGenesis,
  gridReceipt,
  type Placed,
  RECEIPT_BY,
  SETTLE_BY,
  windowOf,
} from './grid.ts'
import { BEGIN } from './parties.ts'

const test = suite('books of contracts over the grid')

const wh = (n: number) => wattHours(BigInt(n))
const { start } = windowOf(0)

test('an audit finds a share, a window or a register that is not what the receipts make it', () => {
  const street = new Feeder()
  const one = street.place(ada, ben)
  const two = street.place(ada, cem)
  const open = street.place(ada, ben, windowOf(3))
  street.until(windowOf(0).end)
  street.hand('seller', one, 1000n)
  street.hand('buyer', one, 1000n)
  street.hand('buyer', two, 1000n)
  street.until(RECEIPT_BY)
  const key = (placed: Placed) => DEALS.prefix + toHex(contractHash(placed.contract))
  const forged = (name: string, value: Uint8Array | undefined) => {
    const entries = new Map([...street.app.entries(street.app.height)!].map(([k, v]) => [Buffer.from(k).toString(), v]))
    if (value === undefined) entries.delete(name)
    else entries.set(name, value)
    const { problems } = auditLedger([...entries].map(([k, v]) => [Buffer.from(k), v] as const))
    return problems.map(({ code, what }) => `${code} ${what ?? ''}`.trim())
  }
  const deal = street.dealOf(one)
  const outcome = (change: object) =>
    forged(key(one), encodeAs(dealRecord, { ...deal, outcome: { ...deal.outcome!, ...change } }))
  assert.equal(outcome({}), [])
  assert.equal(outcome({ sellerShare: wh(501) }), ["audit.deal seller's share"])
  assert.ok(outcome({ delivered: wh(501) }).includes('audit.deal delivered'))
  assert.ok(outcome({ delivered: wh(600) }).some(line => line.includes('1100 Wh delivered of 1000')))
  assert.ok(outcome({ at: instant(RECEIPT_BY - 1) }).includes('audit.deal waited for both meters'))
  assert.ok(outcome({ disputed: true }).includes('audit.deal disputed'))
  const shifted = { ...street.dealOf(two), start: later(start, 1) }
  assert.ok(forged(key(two), encodeAs(dealRecord, shifted)).some(line => line.startsWith('audit.sold-twice')))
  const window = windowId(ada.meterId, open.start)
  const kept = street.record(METER_WINDOWS, window)!
  const rewritten = (change: object) =>
    forged(METER_WINDOWS.prefix + window, encodeAs(METER_WINDOWS.codec, { ...kept, ...change }))
  assert.equal(rewritten({}), [])
  assert.equal(rewritten({ open: 2 }), ['audit.window kept wrongly'])
  assert.equal(rewritten({ counted: { energy: wh(1), since: instant(BEGIN) } }), [
    'audit.window counted 1, not undefined',
  ])
  assert.equal(forged(METER_WINDOWS.prefix + window, undefined), ['audit.window 1 open deals, and a record: false'])
  const meter = street.record(GRID_METERS, ada.meterId)!
  const listed = meter.windows.map(one => ({ ...one, from: 5n, to: 4n }))
  const bytes = encodeAs(GRID_METERS.codec, { ...meter, windows: listed } as unknown as typeof meter)
  assert.ok(forged(GRID_METERS.prefix + ada.meterId, bytes).some(line => line.startsWith('audit.registers')))
})

test('an audit finds a silent seller that was paid where sellers prove', () => {
  const street = new Feeder()
  const placed = street.place(ada, ben)
  street.until(windowOf(0).end)
  street.hand('buyer', placed, 1000n)
  street.until(SETTLE_BY)
  const audit = (change: object) => {
    const rules = encodeAs(RULES.codec, { ...street.record(RULES, '')!, ...change })
    const entries = [...street.app.entries(street.app.height)!]
    const { problems } = auditLedger(
      entries.map(([k, v]) => [k, Buffer.from(k).toString() === RULES.prefix ? rules : v] as const),
    )
    return problems.map(({ what }) => what)
  }
  assert.equal(audit({}), [])
  assert.equal(audit({ sellerProves: true }), ['state', 'disputed', 'delivered', 'paid'])
})

test('any contracts and receipts over the grid, in any order: nothing is paid twice, and in the end nothing is held', () => {
  const all = [ada, ben, cem, dora]
  const step = fc.record({
    kind: fc.constantFrom('seller', 'buyer', 'seller', 'buyer', 'wait'),
    from: fc.nat(3),
    to: fc.nat(3),
    window: fc.nat(1),
    deal: fc.nat(9),
    wh: fc.nat(2500),
    slip: fc.nat(40),
  })
  const ended = { settled: 0, refunded: 0, disputed: 0 }
  const commits = fc.array(step, { minLength: 2, maxLength: 8 })
  const steps = fc.array(step, { maxLength: 20 })
  assertCovering(
    fc.property(commits, steps, fc.boolean(), (commits, steps, proves) => {
      const street = new Feeder(proves ? { ...gridGenesis, sellerProves: true } : gridGenesis)
      const placed: Placed[] = []
      for (const { from, to, window, wh: energy } of commits) {
        const [a, b] = [all[from]!, all[(from + 1 + (to % 3)) % 4]!]
        const commit = gridCommit(a, b, { ...windowOf(window), energy: wh(1 + energy) })
        const taken = street.send(b.owner, commit).code === 0
        if (taken) placed.push({ contract: commit.body.contract, ...windowOf(window), from: a, to: b })
        street.books()
      }
      for (const { kind, deal, wh: energy, slip } of steps) {
        if (kind === 'wait') street.until(street.time + 30_000)
        else if (placed.length > 0) {
          const one = placed[deal % placed.length]!
          if (street.time < one.end) street.until(one.end)
          const home = kind === 'seller' ? one.from : one.to
          const base = one.start === start ? 7_000_000n : 9_500_000n - BigInt(slip * 1000)
          const receipt = gridReceipt(kind, home, one, { from: base, to: base + BigInt(energy) * 1000n })
          street.send(home.owner, receipt)
        }
        street.books()
      }
      street.until(SETTLE_BY + 10_000_000)
      const { deals, money } = street.books()
      assert.equal([deals.locked, money.escrowed], [0, 0n])
      for (const name of ['settled', 'refunded', 'disputed'] as const) ended[name] += deals[name]
    }),
    60,
  )
  assert.ok(
    Object.values(ended).every(count => count > 10),
    JSON.stringify(ended),
  )
}, 120_000)

test.run()
