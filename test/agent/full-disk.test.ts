/** What a full disk does to a site that sells: on the simulated street, while energy flows. */
import { EVENT_KIND } from '../../agent/metering/events.ts'
import { keysFromSeed, type World } from '../../agent/world.ts'
import type { Disk } from '../../drivers/ports.ts'
import { openJournalReader } from '../../drivers/store/journal-reader.ts'
import { flowingDeal, VICTIM, waitFor } from '../../hw/bench/fault-tools.ts'
import type { Stage } from '../../hw/bench/stage.ts'
import { runCase } from '../../hw/sim/fault-run.ts'
import { benchSeed } from '../../hw/sim/street.ts'
import type { What } from '../../protocol/reading/event.ts'
import { verifyEvent } from '../../protocol/reading/verify.ts'
import { fail, must } from '../../protocol/result.ts'
import { assert, suite } from '../harness.ts'

const test = suite('agent: full disk')

const { seller, line } = VICTIM

/** A world whose journal has no room while `isFull` says so, not even in what was made beforehand. */
const fullWorld =
  (isFull: () => boolean) =>
  (world: World): World => ({
    ...world,
    openDisk: async folder => {
      const opened = await world.openDisk(folder)
      if (!opened.ok || !folder.endsWith('/journal')) return opened
      const unlessFull =
        <A extends [string, ...unknown[]], T>(work: (...args: A) => Promise<T>) =>
        async (...args: A) =>
          isFull() ? fail({ code: 'disk.full', name: args[0], hint: 'free some space' }) : work(...args)
      const disk: Disk = opened.value
      return {
        ok: true,
        value: { ...disk, create: unlessFull(disk.create), write: unlessFull(disk.write), sync: unlessFull(disk.sync) },
      }
    },
  })

/** Readings are signed every quarter of a minute and wait a second for each other: by then a full disk is noticed. */
const NOTICED_MS = 16_000
/** From the refusal to the open contact: a round of the loop and the contact itself. */
const OPEN_MS = 2_000
/** A journal tries again after ten seconds, at the next reading. */
const HEALED_MS = 10_000 + NOTICED_MS

test('a disk that fills up while energy flows: contacts open, health says so, and it all heals with the space', async () => {
  let full = false
  const { outcome, as_expected } = await runCase(
    (_, street) => ({
      seamsOf: site => (site === seller ? { world: fullWorld(() => full) } : undefined),
      async strike() {
        const bench = street()
        const { running } = bench
        const agent = running.agents.get(seller)!
        const health = () => agent.health.items().find(({ name }) => name === 'journal')?.fault.code
        const signed = () => agent.metering.stats().signed
        assert.ok(await flowingDeal(bench, line), 'no energy flowed')

        const from = running.clock.now()
        full = true
        assert.ok(await waitFor(bench, () => !running.flows(line), NOTICED_MS + OPEN_MS), 'still closed')
        assert.is(health(), 'journal.full')
        const before = signed()
        await running.timers.sleep(60_000)
        assert.is(signed(), before, 'nothing is acknowledged')
        assert.not.ok(running.flows(line), 'nothing is begun')

        const to = running.clock.now()
        full = false
        assert.ok(await waitFor(bench, () => health() === undefined, HEALED_MS), 'still raised')
        assert.ok(await flowingDeal(bench, line), 'no energy flowed again')
        assert.ok(signed() > before)
        await running.end(seller)

        const outages = (await eventsOf(bench)).filter(({ kind }) => kind === 'not-recorded')
        assert.is(outages.length, 1)
        const [outage] = outages
        assert.ok(outage?.kind === 'not-recorded')
        assert.ok(outage.from >= from && outage.from <= from + NOTICED_MS, `from ${outage.from - from} ms`)
        assert.ok(outage.to >= to && outage.to <= to + HEALED_MS, `to ${outage.to - to} ms`)
        return { outcome: 'as expected', asExpected: true }
      },
    }),
    { seed: 5, defenceOff: false },
  )
  // Neither the wires nor the ledger's audit saw anything wrong.
  assert.ok(as_expected, outcome)
}, 120_000)

/** What the seller's gateway said of its own journal, every signature verified. */
async function eventsOf(bench: Stage): Promise<What[]> {
  const reader = must(await openJournalReader(must(await bench.journalOf(seller))))
  const key = keysFromSeed(benchSeed(bench.seed, seller), bench.signer).metering.publicKey
  const events: What[] = []
  must(
    await reader.visit(({ kind, bytes }) => {
      if (kind === EVENT_KIND) events.push(must(verifyEvent(bytes, key, bench.verifier)).event.what)
    }),
  )
  return events
}

test.run()
