/**
 * The records of a deal over the grid, traded by real agents with real signatures on two ledgers: the reservation and its proof stand
 * in them beside the payment's, each verified from a block of its own chain, after a restart of the agent as before it.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { type Gatherable, gatherRecords } from '../../../agent/trading/deal-records.ts'
import { dealRecordsRoute } from '../../../agent/web/deal-records-route.ts'
import { openApi } from '../../../agent/web/openapi.ts'
import type { HttpRequest } from '../../../drivers/http/server.ts'
import type { District, DistrictSite } from '../../../hw/scenario/district.ts'
import { dealsOf, reservationsOf } from '../../../hw/scenario/ledger-view.ts'
import { openDistrict } from '../../../hw/scenario/run-district.ts'
import { constantProfile } from '../../../hw/sim/profile.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { fromHex, fromUtf8, toHex } from '../../../protocol/bytes.ts'
import { parseSign1 } from '../../../protocol/crypto/cose.ts'
import { milliwatts } from '../../../protocol/quantity.ts'
import { parseReading, registerEnergy } from '../../../protocol/reading/reading.ts'
import { must } from '../../../protocol/result.ts'
import { OBIS } from '../../../protocol/telegram/obis.ts'
import { assert, suite } from '../../harness.ts'
import { violationsOf } from '../web/schema-check.ts'
import { runTieline } from './cli-run.ts'
import { rootOf, votesThatHold } from './deal-judge.ts'
import { atPlace, otherDigit, textsOf } from './tampering.ts'

// biome-ignore lint/suspicious/noExplicitAny: a file of JSON, whose form is what is tested.
type Json = any

const test = suite('records of a deal over the grid')
const folder = mkdtempSync(join(tmpdir(), 'tieline-grid-records-'))
const QUARTER = 900_000
const W = (watts: number) => constantProfile(milliwatts(watts * 1000))
const WINDOWS = { lead: '60s', receipt_window: '60s', dispute_window: '60s' }
const site = (name: string, node: string, load: number, generation: number, grid: object): DistrictSite => ({
  ...{ name, role: 'household', node, source: 'solar' },
  profile: { load: W(load), generation: W(generation) },
  grid: { ...WINDOWS, ...grid },
})
const district: District = {
  slotMs: QUARTER,
  distributor: 'wires',
  feeders: [
    { id: 'town', capacityWh: 20_000, tariff: '0.01' },
    { id: 'elm', feeder: 'town', capacityWh: 4_000, tariff: '0.02' },
    { id: 'oak', feeder: 'town', capacityWh: 4_000, tariff: '0.03' },
  ],
  sites: [
    { name: 'wires', role: 'distributor', node: 'town', profile: { load: W(50), generation: W(0) } },
    site('roof', 'elm', 300, 2_300, { sell: { reserve: '0.10', opening: '0.10' } }),
    site('ash', 'oak', 1_200, 0, { buy: { limit: '0.28', opening: '0.10', least: '5Wh', energy: '250Wh' } }),
  ],
}

const run = await openDistrict(district, {
  ...{ seed: 11, realSigner: true, pace: { gridEveryMs: 10_000, followMs: 5_000 }, blockMs: 5_000 },
})
const { time } = run.ports
const closed = () =>
  run
    .agent('ash')
    .grid!.deals()
    .find(({ runner }) => runner.deal().state === 'settled')
await run.until(() => closed() !== undefined, 3 * QUARTER)
const live = closed()!.runner
const id = toHex(live.deal().hash)
const isClaimed = () => reservationsOf(run).some(([hash, { state }]) => hash === id && state === 'claimed')
await run.until(isClaimed, QUARTER)
// The claim is proven by the header behind its block.
await run.advance(20_000)
/** With open receipts each side hands its own to the ledger alone, which has its hashes in the deal's record. */
const handedUnasked = live.peerReceipt()

async function asked(): Promise<string> {
  const agent = run.agent('ash')
  const request = { query: new URLSearchParams({ id }) } as HttpRequest
  const reply = (await awaited(time, (async () => dealRecordsRoute(agent, time.timers)(request))())) as Json
  assert.is(reply.status, 200)
  return fromUtf8(reply.bytes)!
}
const text = await asked()
const good: Json = JSON.parse(text)
const { ledger, distribution } = run.agent('ash').config
const [ENERGY, GRID] = [ledger!, distribution!].map(({ trust }) => `${trust.height}:${toHex(trust.hash)}`) as [
  string,
  string,
]

async function verdict(of: string, ...trust: string[]) {
  const file = join(folder, 'deal.json')
  writeFileSync(file, of)
  return runTieline(['verify', file, '--json', ...trust.flatMap(each => ['--trust', each])])
}
async function refusals(of: string, ...trust: string[]): Promise<readonly string[]> {
  const said = await verdict(of, ...(trust.length === 0 ? [ENERGY, GRID] : trust))
  const [{ ok, fault, broken }] = said.json()
  assert.equal([ok, said.exit], [false, EXIT.no], of.slice(0, 200))
  return fault === undefined ? broken.map(({ where, code }: Json) => `${where} ${code}`) : [fault.code]
}
const changed = (change: (records: Json) => void): string => {
  const copy = structuredClone(good)
  change(copy)
  return `${JSON.stringify(copy, null, 1)}\n`
}

test('the file holds whole against a block of each chain, in either order, and says what was reserved, paid and given back', async () => {
  const [, kept] = reservationsOf(run).find(([hash]) => hash === id)!
  const { deal } = dealsOf(run).find(({ hash }) => hash === id)!
  for (const trust of [
    [ENERGY, GRID],
    [GRID, ENERGY],
  ] as const) {
    const said = await verdict(text, ...trust)
    const [found] = said.json()
    assert.equal([said.exit, found.broken, found.missing], [EXIT.ok, [], []])
    const { reservation } = found
    assert.equal(
      [reservation.chain, reservation.state, reservation.lines],
      [distribution!.chain, 'claimed', ['elm', 'oak']],
    )
    assert.equal(
      [reservation.feeMicroPerKwh, reservation.paidMicro, reservation.refundedMicro, reservation.deliveredWh],
      [kept.price, kept.outcome!.paid, kept.outcome!.refunded, deal.outcome!.delivered].map(String),
    )
    assert.ok(kept.outcome!.paid > 0n)
    assert.equal([reservation.signed, reservation.validators], [4, 4])
  }
  const words = await runTieline(['verify', join(folder, 'deal.json'), '--trust', ENERGY, '--trust', GRID])
  assert.match(
    words.out,
    /\n {2}reservation on \S+: claimed, lines elm, oak, [\d.]+ a kWh, [\d.]+ paid for [\d.]+ kWh, /,
  )
})

test("the seller's receipt came when it was asked for, is the one that the ledger took, and is kept", async () => {
  const { deal } = dealsOf(run).find(({ hash }) => hash === id)!
  const register = ({ envelope }: Json) => {
    const reading = must(parseReading(must(parseSign1(fromHex(envelope)!)).payload))
    return registerEnergy(reading, OBIS.energyExport)!
  }
  const { begin, end } = good.seller
  assert.is(handedUnasked, undefined)
  assert.is((register(end) - register(begin)) / 1000n, deal.sellerReceipt!.energy)
  await run.advance(1_000)
  assert.ok(live.peerReceipt() !== undefined)
})

test('it is of the form that the API names', () => {
  const document: Json = openApi(['GET /api/deals/records'], [], false)
  const { schema } = document.paths['/api/deals/records'].get.responses['200'].content['application/json']
  assert.equal(violationsOf(good, schema, document), [])
})

test('by other code: the reservation leads to the AppHash of a header whose votes OpenSSL finds signed', () => {
  const { path, record, proof } = good.reservation
  assert.is(rootOf(`reservation/${id}`, record, proof), path.at(-1).signed_header.header.app_hash)
  for (const block of path) assert.is(votesThatHold(block), 4)
})

test('without a block of each chain nothing is said to hold; a wrong one is named by its chain', async () => {
  const needed = async (...trust: string[]) => {
    const [{ fault }] = (await verdict(text, ...trust)).json()
    return [fault.code, fault.chain]
  }
  assert.equal(await needed(), ['verify.trust-needed', ledger!.chain])
  assert.equal(await needed(ENERGY), ['verify.trust-needed', distribution!.chain])
  assert.equal(await needed(GRID), ['verify.trust-needed', ledger!.chain])
  const false_ = (trust: string) => `${trust.split(':')[0]}:${'ab'.repeat(32)}`
  assert.equal(await refusals(text, ENERGY, false_(GRID)), ['reservation.path[0] light.anchor'])
  assert.equal(await refusals(text, false_(ENERGY), GRID), ['ledger.path[0] light.anchor'])
  assert.equal(await refusals(text, ENERGY, `999999:${'ab'.repeat(32)}`), ['reservation.path records.trust-elsewhere'])
})

test('another digit at the begin, middle or end of any part of the reservation is refused by its name', async () => {
  let tried = 0
  for (const [place, value] of textsOf(good.reservation, '/reservation')) {
    const by = place.startsWith('/reservation/path')
      ? /^(reservation\.path(\[\d\])? (light|chain|records)\.|chain\.json$|records\.form$|verify\.trust-needed$)/
      : /^reservation\.(proof|record) /
    for (const i of value === '' ? [] : new Set([0, value.length >> 1, value.length - 1])) {
      const other = otherDigit(value, i)
      if (other === value || /[=:.TZ-]/.test(value[i]!)) continue
      const said = await refusals(changed(records => atPlace(records, place, () => other)))
      assert.ok(
        said.some(line => by.test(line)),
        `${place} ${i}: ${said.join()}`,
      )
      tried++
    }
  }
  assert.ok(tried > 100, `${tried}`)
})

test("a reservation that is left out, changed for the other ledger's piece, or said of a deal that has none is refused", async () => {
  for (const [wrong, code] of [
    [changed(records => delete records.reservation), 'missing records.missing'],
    [changed(records => records.missing.push({ piece: 'reservation', why: 'not-proven' })), 'missing records.missing'],
    [
      changed(records => {
        records.reservation = records.ledger
      }),
      'reservation.proof ics23.',
    ],
    [
      changed(({ reservation }) => {
        reservation.proof = good.ledger.proof
      }),
      'reservation.proof ics23.',
    ],
  ] as const) {
    const trust = wrong.includes('"reservation": {') ? [ENERGY, GRID] : [ENERGY]
    const said = await refusals(wrong, ...trust)
    assert.ok(
      said.some(line => line.startsWith(code)),
      `${said.join()} for ${code}`,
    )
  }
  const honest = changed(records => {
    delete records.reservation
    records.missing.push({ piece: 'reservation', why: 'not-proven' })
  })
  const said = await verdict(honest, ENERGY)
  assert.equal([said.exit, said.json()[0].complete], [EXIT.ok, false])
})

test('what cannot be shown of it is named with the reason', async () => {
  const { light } = run.agent('ash')
  const { timers } = time
  const UNSENT = { piece: 'seller.receipt', why: 'not-handed' }
  const receipts = { fromPeer: async () => undefined }
  const missing = async (runner: Gatherable, over: typeof light | undefined) => {
    const unasked = { ...runner, peerReceipt: () => undefined }
    return (await awaited(time, gatherRecords(unasked, { light, distribution: over, receipts, timers }))).missing
  }
  const over = run.agent('ash').distribution!
  assert.equal(await missing(live, undefined), [UNSENT, { piece: 'reservation', why: 'not-followed' }])
  const silent = { ...over, prove: () => new Promise<never>(() => {}) }
  assert.equal(await missing(live, silent), [UNSENT, { piece: 'reservation', why: 'not-proven' }])
  const hash = new Uint8Array(32).fill(1)
  const other = { ...live, deal: () => ({ ...live.deal(), hash }) }
  assert.equal(await missing(other, over), [UNSENT, { piece: 'reservation', why: 'not-reserved' }])
})

test('asked of by nobody who is there, it is named as not handed over', async () => {
  const { light, receipts, distribution: over } = run.agent('ash')
  await awaited(time, run.agent('roof').stop())
  const asked = gatherRecords(
    { ...live, peerReceipt: () => undefined },
    { light, distribution: over, receipts, ...time },
  )
  assert.equal((await awaited(time, asked)).missing, [{ piece: 'seller.receipt', why: 'not-handed' }])
})

test('an agent that was killed since proves all of it anew, for a deal that is in its journal alone', async () => {
  await run.leave('ash', 10_000)
  assert.ok(
    !run
      .agent('ash')
      .grid!.deals()
      .some(({ runner }) => toHex(runner.deal().hash) === id),
  )
  await run.advance(60_000)
  const again = await asked()
  const said = await verdict(again, ENERGY, GRID)
  assert.equal([said.exit, said.json()[0].missing], [EXIT.ok, []])
  const { ledger: then, reservation, missing: _, ...rest } = JSON.parse(again)
  const { ledger: before, reservation: reserved, missing: __, ...same } = good
  assert.equal([rest, then.record, reservation.record], [same, before.record, reserved.record])
  rmSync(folder, { recursive: true })
})

test.run()
