/** A street on real ports, one of its sites a process of its own: what the page shows of it, and that site's death and return. */
import { type Bench, openBench } from '../../../hw/bench/bench.ts'
import { type ChildSite, startChildSite } from '../../../hw/bench/child-site.ts'
import { createStreetView } from '../../../hw/bench/street-view.ts'
import { streetOf } from '../../../hw/sim/street.ts'
import { faultLine } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

/** Slow enough for two processes on two cores that run other tests as well. */
const SPEED = 2
/** The child: it buys from maple over L1. */
const CHILD = 'cedar'

const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

async function until(what: string, met: () => boolean, withinMs = 120_000): Promise<void> {
  for (const end = performance.now() + withinMs; !met(); await sleep(100)) {
    if (performance.now() > end) throw new Error(`${what}: not within ${withinMs} ms`)
  }
}

async function withStreet(run: (bench: Bench) => Promise<void>): Promise<void> {
  const bench = await openBench({
    speed: SPEED,
    seed: 1,
    brokers: 1,
    brokerUrls: [],
    profiles: new Map(),
    childSites: [CHILD],
    logOf: () => () => {},
    onBug: error => {
      throw error
    },
  })
  if (!bench.ok) throw new Error(faultLine(bench.fault))
  try {
    await run(bench.value)
  } finally {
    // What a failed test left running would keep this process from ending.
    await Promise.all(children.splice(0).map(site => site.kill()))
    await bench.value.close()
  }
}

const children: ChildSite[] = []

async function child(bench: Bench) {
  const started = await startChildSite(bench, CHILD)
  if (!started.ok) throw new Error(faultLine(started.fault))
  children.push(started.value)
  return started.value
}

const test = suite('bench street')

test('before it is open, a street is shown whole, with nothing known of it', () => {
  const { sites, lines, deals, ledger } = createStreetView(streetOf(5), 10, () => []).snapshot()
  assert.equal(
    sites.map(site => [site.name, site.up, site.powerMw]),
    ['maple', 'birch', 'cedar', 'spark', 'volta'].map(name => [name, false, null]),
  )
  assert.ok(lines.length === 4 && lines.every(line => line.powerMw === null && line.sellerContact === 'unknown'))
  assert.equal(deals, [])
  assert.not('height' in ledger)
})

test(
  'a site in a process of its own trades; killed it comes back from its journal, asked it ends in order; the page shows it all',
  () =>
    withStreet(async bench => {
      const { running } = bench
      const view = createStreetView(streetOf(5), SPEED, () => [])
      const unfollow = view.follow(running)
      const first = await child(bench)
      assert.is(first.boot, 1)
      await until('energy flows to the child', () => running.flows('L1'))
      await until('a deal delivers between two agents of this process', () =>
        view.snapshot().deals.some(deal => deal.state === 'started' && deal.buyer !== CHILD),
      )

      const { sites, lines, deals, ledger, violations } = view.snapshot()
      assert.equal(violations, [])
      assert.ok(BigInt(ledger.height!) > 1n && ledger.validators === 4 && ledger.signed >= 3)
      const names = sites.map(site => site.name)
      assert.equal(names, ['maple', 'birch', 'cedar', 'spark', 'volta'])
      assert.equal(
        sites.filter(site => site.up).map(site => site.name),
        names.filter(name => name !== CHILD),
      )
      const [maple, , , , volta] = sites
      assert.ok(
        maple!.powerMw! < 0 && maple!.solarMw! > -maple!.powerMw!,
        'what the roof gives less what the home takes',
      )
      assert.ok(maple!.curve.at.length > 0 && maple!.curve.powerMw.at(-1)! < 0)
      assert.is(Math.round(volta!.chargePermille! / 100), 6)
      assert.is(volta!.solarMw, null)
      for (const { id, powerMw, energised, sellerContact, buyerContact } of lines) {
        assert.is(powerMw! > 0, running.flows(id), id)
        if (powerMw! > 0) assert.ok(energised && sellerContact === 'closed' && buyerContact === 'closed', id)
      }
      assert.is(new Set(deals.map(deal => deal.id)).size, deals.length, 'a deal of two agents is one deal')
      const delivering = deals.find(deal => deal.state === 'started')!
      assert.equal(
        delivering.history.map(({ state }) => state),
        ['proposed', 'signed', 'escrowed', 'armed', 'started'],
      )
      assert.is(delivering.proof?.of, 'payment locked')
      assert.ok(BigInt(delivering.proof!.height) > 1n && delivering.proof!.signed >= 3)
      assert.match(delivering.proof!.appHash, /^[0-9a-f]{64}$/)
      unfollow()
      assert.ok(view.snapshot().sites.every(site => !site.up))

      await until('energy flows to the child', () => running.flows('L1'))
      assert.equal(await first.kill(), { code: undefined, signal: 'SIGKILL' })
      await until('the wires of a dead site open', () => !running.flows('L1'))
      const second = await child(bench)
      assert.is(second.boot, 2, 'it finds its journal')
      assert.equal(await second.stop(), { code: 0, signal: undefined })
      assert.equal(running.violations, [])
    }),
  400_000,
)

test(
  'a site that cannot start as a process says why',
  () =>
    withStreet(async bench => {
      const unknown = await startChildSite(bench, 'nobody')
      assert.is(!unknown.ok && unknown.fault.code, 'street.no-site')
      // The bench's own process writes its journal.
      const said: string[] = []
      const refused = await startChildSite(bench, 'maple', line => said.push(line))
      assert.ok(!refused.ok)
      assert.is(refused.fault.code, 'street.child-not-up')
      assert.match(String(refused.fault['lastWord']), /^maple does not start: disk\.held/)
      assert.is(said.length > 0, true)
    }),
  180_000,
)

test.run()
