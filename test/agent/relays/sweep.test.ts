/**
 * Random wishes and faults on a street of three: whatever comes in whatever order, the wires see no violation, and no
 * contact outlives its reason by more than the time that it takes to notice.
 */
import { assert, suite } from '../../harness.ts'
import { fc } from '../../property.ts'
import { type EndName, type LineBench, lineBench } from './line-bench.ts'

const test = suite('agent/relays, random')

const ENDS = [
  ['roof', 'L1'],
  ['barn', 'L2'],
  ['home', 'L1'],
  ['home', 'L2'],
] as const satisfies readonly (readonly [EndName, string])[]

/** A stale reading or heartbeat, the loop, the other end's heartbeat and the isolator's hold, one after the other. */
const NOTICE_MS = 3500

type Event =
  | { readonly what: 'wish' | 'stop' | 'openNow'; readonly end: number }
  | { readonly what: 'deal' | 'paid' | 'talks' | 'meter' | 'light'; readonly end: number; readonly good: boolean }
  | { readonly what: 'manual' | 'watchdog'; readonly end: number; readonly good: boolean }

const end = fc.nat(ENDS.length - 1)
/** Faults come often, but what they broke is more often mended, or nothing would ever flow. */
const good = fc.integer({ min: 0, max: 9 }).map(n => n < 7)
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ what: fc.constant('wish' as const), end }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom('stop' as const, 'openNow' as const), end }) },
  {
    weight: 3,
    arbitrary: fc.record({
      what: fc.constantFrom('deal' as const, 'paid' as const, 'talks' as const, 'meter' as const, 'light' as const),
      end,
      good,
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constantFrom('manual' as const, 'watchdog' as const), end, good }) },
)

function apply(bench: LineBench, event: Event): void {
  const [name, line] = ENDS[event.end]!
  const agent = bench.agents[name]
  const told = bench.told(name, line)
  switch (event.what) {
    case 'wish':
      // A deal wishes both ends.
      for (const [party, joined] of ENDS) if (joined === line) bench.agents[party].control.wish(line, 'energise')
      return
    case 'stop':
      return agent.control.wish(line, 'de-energise')
    case 'openNow':
      return agent.control.openNow(line, { code: 'trade.test' })
    case 'deal':
      told.deal = event.good ? bench.dealOf(line) : undefined
      return
    case 'paid':
      told.paid = event.good
      return
    case 'talks':
      told.talks = event.good
      return
    case 'meter':
      told.meterAnswers = event.good
      return
    case 'light':
      told.light = event.good ? 'healthy' : 'halted'
      return
    case 'manual':
      agent.manual = !event.good
      void agent.control.setManual(agent.manual)
      return
    case 'watchdog':
      agent.watchdogFed = event.good
  }
}

/** What an end lacks, of all that it needs to keep its contact. Each lack is noticed in its own time. */
function lacks(bench: LineBench, name: EndName, line: string): readonly string[] {
  const { deal, paid, light, talks, meterAnswers } = bench.told(name, line)
  const { watchdogFed, manual } = bench.agents[name]
  const peerTalks = ENDS.every(([peer, joined]) => joined !== line || bench.told(peer, line).talks)
  const needs = {
    deal: deal !== undefined,
    paid,
    light: light === 'healthy',
    talks,
    peerTalks,
    meterAnswers,
    watchdogFed,
  }
  return [...Object.entries(needs).flatMap(([what, there]) => (there ? [] : [what])), ...(manual ? ['manual'] : [])]
}

const LACKS = ['deal', 'paid', 'light', 'talks', 'peerTalks', 'meterAnswers', 'watchdogFed', 'manual']

/** How long something has been so, by the clock of the bench. */
function createStopwatch() {
  const since = new Map<string, number>()
  return (what: string, holds: boolean, now: number): number => {
    if (!holds) since.delete(what)
    else if (!since.has(what)) since.set(what, now)
    return now - (since.get(what) ?? now)
  }
}

const flows = new Map<string, number>()

test('no sequence of wishes and faults brings about a violation, or leaves a contact closed without its reason', async () => {
  const seed = process.env['TIELINE_SEED']
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(event, fc.integer({ min: 1, max: 30 })), { minLength: 20, maxLength: 60 }),
      async events => {
        const bench = await lineBench()
        const watch = createStopwatch()
        for (const [name, line] of ENDS) Object.assign(bench.told(name, line), { deal: bench.dealOf(line), paid: true })
        await bench.pass(2000)
        for (const [what, tenths] of events) {
          apply(bench, what)
          for (let n = 0; n < tenths; n++) {
            await bench.pass(100)
            const now = bench.time.clock.mono()
            for (const [name, line] of ENDS) {
              const kinds = name === 'home' ? (['buyer'] as const) : (['seller', 'upstream'] as const)
              const closed = kinds.filter(kind => bench.position(kind, line) === 'closed')
              const lacking = lacks(bench, name, line)
              for (const what of LACKS) {
                const forMs = watch(`${name} ${line} ${what}`, lacking.includes(what), now)
                if (forMs > NOTICE_MS) assert.equal(closed, [], `${name} ${line}, ${what} lacking for ${forMs} ms`)
              }
            }
            for (const line of ['L1', 'L2']) {
              if ((['upstream', 'seller', 'buyer'] as const).every(kind => bench.position(kind, line) === 'closed'))
                flows.set(line, (flows.get(line) ?? 0) + 1)
            }
          }
        }
        assert.equal(bench.violations, [])
        assert.is(bench.wires.audit().residue, 0n)
      },
    ),
    { numRuns: 60, ...(seed === undefined ? {} : { seed: Number(seed) }) },
  )
  // A sweep in which nothing ever flowed would prove nothing.
  assert.ok((flows.get('L1') ?? 0) > 20 && (flows.get('L2') ?? 0) > 20, JSON.stringify([...flows]))
}, 240_000)

test.run()
