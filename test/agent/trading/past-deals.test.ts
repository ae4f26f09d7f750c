/**
 * Deals of an earlier life, found by the index of a real journal: on a disk of blocks that is cut from power, kept and dropped by
 * the journal's own rules, and by agents that are killed in the middle of a deal.
 */
import { judgeDealFile } from '../../../agent/cli/evidence/verify-deal.ts'
import type { Agent } from '../../../agent/compose.ts'
import { DEAL, keepForRestart } from '../../../agent/keeping.ts'
import { type History, openHistory } from '../../../agent/metering/history.ts'
import { dealRecorder, entriesOfDeals } from '../../../agent/site-history.ts'
import { createPastDeals } from '../../../agent/trading/past-deals.ts'
import type { DealsSaid } from '../../../agent/web/answers.ts'
import { dealRecordsRoute } from '../../../agent/web/deal-records-route.ts'
import { dealsRoute } from '../../../agent/web/deals-route.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import type { Handler, HttpReply, HttpRequest } from '../../../drivers/http/server.ts'
import type { Index } from '../../../drivers/ports.ts'
import { type JournalOptions, openJournal } from '../../../drivers/store/journal.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { createMemoryIndex } from '../../../hw/sim/memory-index.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { awaited } from '../../../hw/sim/run-seed.ts'
import { equalBytes, fromUtf8, toHex, utf8 } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { contractHash, encodeContract } from '../../../protocol/trade/contract.ts'
import { encodeDeal } from '../../../protocol/trade/deal-codec.ts'
import { readDealRecords } from '../../../protocol/trade/deal-records-json.ts'
import type { Deal } from '../../../protocol/trade/deal-state.ts'
import { OWNED } from '../../drivers/store/owned.ts'
import { assert, suite } from '../../harness.ts'
import { begun, GRID_TERMS } from '../../protocol/trade/grid-deal.ts'
import { tradingLine } from './trading-line.ts'

const test = suite('deals of an earlier life')
const QUARTER_MS = 900_000
const SEGMENT = 20 * 4096

/** The n-th of one site, each a quarter of an hour behind the one before. */
function dealOf(n: number): Deal {
  const start = instant(GRID_TERMS.start + n * QUARTER_MS)
  const window = { start, end: instant(start + QUARTER_MS) }
  const bytes = encodeContract({ ...GRID_TERMS, ...window, nonce: new Uint8Array(16).fill(n) })
  return {
    ...begun('seller', false),
    contract: { ...GRID_TERMS, ...window },
    bytes,
    hash: contractHash(bytes),
    state: 'settled',
  }
}

function site() {
  const time = createSimTime(GRID_TERMS.start, drainPromises)
  const sim = createSimDisk({ random: seededRandom(1) })
  const index = createMemoryIndex()
  return {
    time,
    sim,
    index,
    async open(over: Index | undefined = index, more: Partial<JournalOptions> = {}) {
      const { clock, timers } = time
      const journal = must(
        await openJournal({
          ...{ disk: sim.mount(), ...OWNED, clock, timers, segmentBytes: SEGMENT, keeping: keepForRestart },
          ...more,
        }),
      )
      const around = { journal, timers, log: () => {}, health: () => {}, offsetAt: () => 0 }
      const history = must(await openHistory({ ...around, index: over, entriesOf: entriesOfDeals }))
      const recordDeal = dealRecorder(journal, history)
      return {
        ...{ journal, history, past: createPastDeals(history, journal) },
        record: async (deal: Deal) => void must(await recordDeal(encodeDeal(deal))),
        async fill(until: () => boolean) {
          for (let i = 0; i < 200 && !until(); i++)
            must(await journal.append('filler', utf8('x'.repeat(4000)), { urgent: true }))
          assert.ok(until(), 'so much was written')
        },
      }
    },
  }
}

const NONE = () => false
const ONE = { limit: 1, except: NONE }
const numbersOf = (deals: readonly { readonly start: number }[]) =>
  deals.map(({ start }) => (start - GRID_TERMS.start) / QUARTER_MS)

test('the newest come first, by their windows; in pages, from a moment on, and by the beginning of an id', async () => {
  const { open } = site()
  const { record, past } = await open()
  for (const n of [3, 1, 0, 2, 4]) await record(dealOf(n))
  const newest = async (more: object, limit = 9) => must(await past.newest({ limit, except: NONE, ...more }))
  assert.equal(numbersOf((await newest({})).deals), [4, 3, 2, 1, 0])
  const page = await newest({}, 2)
  assert.equal([numbersOf(page.deals), page.more], [[4, 3], true])
  const next = await newest({ before: page.deals.at(-1)!.start }, 3)
  assert.equal([numbersOf(next.deals), next.more], [[2, 1, 0], false])
  const { start } = dealOf(2).contract
  assert.equal(numbersOf((await newest({ since: start })).deals), [4, 3, 2])
  const { hash } = dealOf(3)
  const others = await newest({ except: (one: Uint8Array) => equalBytes(one, hash) }, 2)
  assert.equal([numbersOf(others.deals), others.more], [[4, 2], true])
  const named = async (id: string, more: object = {}) =>
    numbersOf(must(await past.named(id, { limit: 9, except: NONE, ...more })).deals)
  assert.equal(await named(toHex(hash).slice(0, 12)), [3])
  assert.equal(await named(toHex(hash), { except: () => true }), [])
  assert.equal(await named('', { since: dealOf(1).contract.start, before: dealOf(3).contract.start }), [2, 1])
  assert.equal(await named('f'.repeat(64)), [])
})

test('of a hundred deals whose entries come in several answers none is missed, and those that are left out do not end it', async () => {
  const { open } = site()
  const { record, past } = await open()
  // Many of them share a commit.
  await Promise.all(Array.from({ length: 100 }, (_, n) => record(dealOf(n))))
  const odd = new Set(Array.from({ length: 100 }, (_, n) => toHex(dealOf(n).hash)).filter((_, n) => n % 2 === 1))
  const even = must(await past.newest({ limit: 49, except: hash => odd.has(toHex(hash)) }))
  assert.equal(
    numbersOf(even.deals),
    Array.from({ length: 49 }, (_, n) => 98 - 2 * n),
  )
  assert.is(even.more, true)
  for (const { hash, deal } of even.deals) assert.equal(deal?.hash, hash)
})

test('the newest record of a deal counts, whether the index was written, lost, or cut from power behind the journal', async () => {
  const { open, index, time } = site()
  const first = await open()
  const open1 = { ...dealOf(1), state: 'stopped' as const }
  await first.record(open1)
  await first.record(dealOf(0))
  await time.advance(QUARTER_MS + 1000)
  await first.record(dealOf(1))
  const states = async ({ past }: Awaited<ReturnType<typeof open>>) =>
    must(await past.newest({ limit: 9, except: NONE })).deals.map(({ deal }) => deal?.state)
  assert.equal(await states(first), ['settled', 'settled'])
  // The disk is taken away from the first: what came behind the index's last writing is read again.
  assert.equal(await states(await open(index)), ['settled', 'settled'])
  assert.equal(await states(await open(createMemoryIndex())), ['settled', 'settled'])
})

test('what the journal has dropped is said to be, by an index that outlives it; a journal alone knows nothing of it', async () => {
  const { open } = site()
  const keeping = { retention: { ms: 1e15, bytes: 2 * SEGMENT } }
  const life = await open(undefined, keeping)
  await life.record(dealOf(0))
  await life.fill(() => life.journal.stats().segments > 1)
  await life.record(dealOf(1))
  const dealsOf = async () => must(await life.past.newest({ limit: 9, except: NONE })).deals
  assert.equal(
    (await dealsOf()).map(({ deal }) => deal?.state),
    ['settled', 'settled'],
  )
  for (let more = true; more; more = (await dealsOf())[1]!.deal !== undefined)
    must(await life.journal.append('filler', utf8('x'.repeat(4000)), { urgent: true }))
  const [kept, dropped] = await dealsOf()
  assert.equal([kept!.deal?.state, dropped!.deal], ['settled', undefined])
  assert.equal(numbersOf([kept!, dropped!]), [1, 0])
  const [named] = must(await life.past.named(toHex(dealOf(0).hash), ONE)).deals
  assert.equal([named!.deal, named!.end], [undefined, dealOf(0).contract.end])
  await life.journal.close()
  const anew = await open(createMemoryIndex(), keeping)
  assert.equal(numbersOf(must(await anew.past.newest({ limit: 9, except: NONE })).deals), [1])
})

test('a deal that is not where the index says is no deal, a place that is damaged is named, and no index is no answer', async () => {
  const { open } = site()
  const { journal, history, record, past } = await open()
  await record(dealOf(0))
  const [entry] = must(await history.entries('at.', 'at/'))
  const elsewhere = (at: number): Pick<History, 'entries'> => ({
    entries: async () => {
      const moved = entriesOfDeals(DEAL, encodeDeal(dealOf(0)), { segment: 1, at }).find(([key]) =>
        key.startsWith('at.'),
      )!
      return { ok: true, value: [moved[1]] }
    },
  })
  assert.ok(entry !== undefined)
  assert.is(must(await past.named(toHex(dealOf(0).hash), ONE)).deals.length, 1)
  const misplaced = await createPastDeals(elsewhere(4096), journal).named('', ONE)
  assert.is(misplaced.ok ? undefined : misplaced.fault.code, 'history.misplaced')
  const damaged = await createPastDeals(elsewhere(4096 * 15), journal).named('', ONE)
  assert.is(damaged.ok ? undefined : damaged.fault.code, 'journal.corrupt')
  const none = await createPastDeals(undefined, journal).newest({ limit: 1, except: NONE })
  assert.is(none.ok ? undefined : none.fault.code, 'history.none')
})

// --- By an agent that was killed

const ask = async (handler: Handler, query: Record<string, string> = {}): Promise<HttpReply> =>
  handler({ query: new URLSearchParams(query) } as HttpRequest)
// biome-ignore lint/suspicious/noExplicitAny: an answer, whose form openapi.test.ts holds against its document.
const bodyOf = (reply: HttpReply): any => (reply as { value: unknown }).value

test("an agent that was killed while power flows lists the deals that were over, and gives their records out whole, the other side's receipt with them", async () => {
  const at = await tradingLine()
  const { seller, ports } = at
  const first = await at.settled(seller)
  await at.until(() => at.newest(seller) !== first && at.newest(seller)?.deal().state === 'started')
  const before = at.agent(seller).trading.deals().length
  const again: Agent = await at.kill(seller)
  const inMemory = again.trading.deals().map(({ runner }) => toHex(runner.deal().hash))
  const id = toHex(first.deal().hash)
  assert.ok(!inMemory.includes(id), 'it is in the journal alone')

  // Its disk and its node answer in virtual time.
  const list = async (query = {}) => bodyOf(await awaited(ports.time, ask(dealsRoute(again), query)))
  const listed: DealsSaid = await list()
  assert.is(listed.deals.length, before)
  assert.equal([listed.dropped, listed.more, listed.unread], [[], false, undefined])
  const found = listed.deals.find(deal => deal.id === id)!
  const { settlement, contract, begin } = first.deal()
  assert.equal(
    [found.state, found.role, found.peer, found.start, found.deliveredWh, found.paidMicro, found.history],
    ['settled', 'seller', at.buyer, contract.start, `${settlement!.delivered}`, `${settlement!.paid}`, []],
  )
  assert.is(found.receipts.begin!.registerMwh, `${begin!.register}`)
  const one: DealsSaid = await list({ limit: '1' })
  assert.equal([one.deals.length, one.more], [1, true])
  const short: DealsSaid = await list({ id: id.slice(0, 10) })
  assert.equal(
    short.deals.map(deal => deal.id),
    [id],
  )
  for (const wrong of [{ limit: '0' }, { limit: '201' }, { since: 'x' }, { before: '-1' }, { id: 'XY' }])
    assert.is((await list(wrong)).code, 'deals.query')

  await at.until(() => again.light.health().state === 'ok')
  const reply = await awaited(ports.time, ask(dealRecordsRoute(again, ports.time.timers), { id }))
  const text = fromUtf8((reply as { bytes: Uint8Array }).bytes)!
  const records = must(readDealRecords(text))
  assert.equal(records.seller.receipt!.end.envelope, first.deal().end!.envelope)
  assert.equal(records.missing, [])
  assert.equal(records.buyer.receipt, first.peerReceipt())
  const { trust } = again.config.ledger!
  const verdict = must(judgeDealFile(text, [], [trust], ports.time.clock.now()))
  assert.equal(verdict.broken.listed, [])
  assert.is((verdict.json['ledger'] as { state: string }).state, 'settled')
  const unknown = await awaited(ports.time, ask(dealRecordsRoute(again, ports.time.timers), { id: 'f'.repeat(64) }))
  assert.equal([(unknown as { status: number }).status, bodyOf(unknown).code], [404, 'deal.unknown'])
  await at.stop()
}, 60_000)

test.run()
