import type { Snapshot } from '../../../agent/web/snapshot.ts'
import type { StreetResult } from '../../../hw/bench/result.ts'
import { drawLine, drawResult, drawTable } from '../../../hw/bench/summary.ts'
import { exampleSnapshot } from '../../agent/snapshot-example.ts'
import { assert, suite } from '../../harness.ts'

const PAGE = 'http://127.0.0.1:8480'
const table = (snapshot: Snapshot, width = 200) => drawTable(snapshot, PAGE, width, false)

const test = suite('bench summary')

test('every site has its row, and what is not known is a dash', () => {
  const lines = table(exampleSnapshot)
  for (const { name } of exampleSnapshot.sites)
    assert.ok(
      lines.some(line => line.startsWith(name)),
      name,
    )
  assert.ok(lines[0]!.includes('12:40:05') && lines[0]!.includes(PAGE))
  const [site, ...others] = exampleSnapshot.sites
  const silent = { ...exampleSnapshot, sites: [{ ...site!, powerMw: null, walletMicro: null }, ...others] }
  const row = table(silent).find(line => line.startsWith(site!.name))!
  assert.match(row, /^\S+ +- .* - /)
  const gone = { ...exampleSnapshot, sites: [{ ...site!, up: false }, ...others] }
  assert.match(table(gone).find(line => line.startsWith(site!.name))!, /not answering$/)
})

test('no line is wider than the screen, whatever a fault says: the next table is drawn over this one', () => {
  for (const width of [20, 79, 80]) {
    for (const line of table(exampleSnapshot, width)) assert.ok(line.length <= width, line)
  }
  assert.is(table(exampleSnapshot, 20).length, table(exampleSnapshot, 200).length)
})

test('a violation is told in the table and counted in the log', () => {
  const at = exampleSnapshot.time
  const violated = { ...exampleSnapshot, violations: [{ at, text: 'parallel supplies, circuit heat pump' }] }
  assert.ok(table(violated).some(line => line.includes('1 violations, last: parallel supplies')))
  assert.ok(drawLine(violated).includes('; 1 violations; '))
  assert.not.match(drawLine(violated), /\n/)
})

test('colour only where it is wanted', () => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what is looked for is an escape code.
  const painted = /\u001b/
  assert.not.match(table(exampleSnapshot).join(''), painted)
  assert.match(drawTable(exampleSnapshot, PAGE, 80, true).join(''), painted)
})

const RESULT: StreetResult = {
  ok: false,
  virtual_s: 240,
  wall_s: 50,
  sites: 5,
  readings: { signed: 300, verified: 299, chains_ok: false },
  ledger: { height: 260, headers_verified: 900, proofs_verified: 80, tx: 40 },
  deals: { proposed: 12, settled: 9, refunded: 1, disputed: 1 },
  energy_wh: { contracted: 400, seller_metered: 380, buyer_metered: 379, settled: 379 },
  money: { paid: 91_000, residue: 0 },
  relays: { closes: 60, opens: 62, violations: 1 },
  latency_ms: { request_to_signed_p50: 81.4, signed_to_closed_p50: null, fault_to_open_max: null },
  faults: [{ name: 'relay-welded', outcome: 'seen after 0.9 s', as_expected: false }],
  settled_by_site: { maple: 379 },
  problems: ['a journal has a hole'],
}

test('a result says first whether all held, and then why not', () => {
  const text = drawResult(RESULT)
  assert.match(text, /^NOT all held: 5 sites, 240 virtual seconds/)
  assert.ok(text.includes('chains BROKEN') && text.includes('relay-welded: NOT AS EXPECTED, seen after 0.9 s'))
  assert.ok(text.includes('problem: a journal has a hole') && text.includes('signed to closed none'))
  assert.ok(text.includes('0.0910 paid'))
  assert.match(drawResult({ ...RESULT, ok: true, problems: [] }), /^All held/)
})

test.run()
