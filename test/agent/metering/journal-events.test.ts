import { keepForRestart } from '../../../agent/keeping.ts'
import { createEventChain, EVENT_KIND, restoreEvents } from '../../../agent/metering/events.ts'
import { signJournalEvents } from '../../../agent/metering/journal-events.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import type { Signer } from '../../../drivers/ports.ts'
import { type Journal, openJournal } from '../../../drivers/store/journal.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type SimDisk, type SimDiskOptions } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { verifyEventChain } from '../../../protocol/reading/chain.ts'
import type { What } from '../../../protocol/reading/event.ts'
import { verifyEvent } from '../../../protocol/reading/verify.ts'
import { fail, must } from '../../../protocol/result.ts'
import { OWNED } from '../../drivers/store/owned.ts'
import { assert, suite } from '../../harness.ts'
import { signer, verifier } from './site.ts'

const test = suite("the journal's own events, signed")

const BLOCK = 4096
/** Long enough that the events of a segment's end and of a drop do not fill the next. */
const SEGMENT = 10 * BLOCK
const time = createSimTime(1_795_000_000_000, drainPromises)
const newDisk = (options: Partial<SimDiskOptions> = {}) => createSimDisk({ random: seededRandom(1), ...options })

/** As an agent does at its start. */
async function boot(sim: SimDisk, token: Signer = signer) {
  const { clock, timers } = time
  const opened = await openJournal({
    disk: sim.mount(),
    ...OWNED,
    clock,
    timers,
    keeping: keepForRestart,
    retention: { ms: 1e12, bytes: 3 * SEGMENT },
    segmentBytes: SEGMENT,
  })
  if (!opened.ok) return undefined
  const journal = opened.value
  const last = journal.kept().find(({ kind }) => kind === EVENT_KIND)
  const events = createEventChain({
    signer: token,
    journal,
    clock,
    device: OWNED.owner,
    boot: () => 1,
    restored: last && must(restoreEvents(last.bytes)),
  })
  return { journal, stop: signJournalEvents({ journal, events, timers, log: () => {} }) }
}

const note = (journal: Journal, text: string) => journal.append('note', utf8(text), { urgent: true })

/** Every event that is left, verified, and its chain without a break. */
async function eventsIn(sim: SimDisk): Promise<What[]> {
  const reader = must(await openJournalReader(sim.mount()))
  const envelopes: Uint8Array[] = []
  must(
    await reader.visit(({ kind, bytes }, { carried }) => {
      if (kind === EVENT_KIND && !carried) envelopes.push(bytes)
    }),
  )
  const events = envelopes.map(envelope => must(verifyEvent(envelope, signer.publicKey, verifier)))
  assert.equal(verifyEventChain(events), [])
  return events.map(({ event }) => event.what)
}

const ofKind = (events: readonly What[], kind: What['kind']) => events.filter(event => event.kind === kind)
const doubled = (events: readonly What[]) => {
  const names = events.map(each =>
    'segment' in each ? `${each.kind} ${each.segment} ${'offset' in each && each.offset}` : '',
  )
  return names.filter((name, i) => name !== '' && names.indexOf(name) !== i)
}

test('a torn tail is one signed event, with its place, however often the board is restarted', async () => {
  const sim = newDisk()
  const first = (await boot(sim))!
  must(await note(first.journal, 'a'))
  sim.platter('journal-00000001.seg')!.fill(0x55, 3 * BLOCK, 3 * BLOCK + 1024)
  for (let restart = 0; restart < 3; restart++) {
    sim.cut()
    await boot(sim)
    await time.advance(2000)
  }
  assert.equal(ofKind(await eventsIn(sim), 'torn-tail'), [
    { kind: 'torn-tail', segment: 1, offset: 3 * BLOCK, bytes: BLOCK },
  ])
})

test('each segment that is finished, and each drop, is one signed event', async () => {
  const sim = newDisk()
  const { journal } = (await boot(sim))!
  for (let i = 0; i < 60; i++) {
    must(await note(journal, String(i)))
    await time.advance(100)
  }
  await time.advance(2000)
  const events = await eventsIn(sim)
  assert.equal(doubled(events), [])
  const sealed = ofKind(events, 'sealed').map(each => ('segment' in each ? each.segment : 0))
  assert.ok(sealed.length >= 2 && ofKind(events, 'dropped').length >= 1)
  assert.equal(
    sealed,
    sealed.map((_, i) => sealed[0]! + i),
  )
})

test('the power goes at every operation: no event of the journal is lost or comes twice', async () => {
  const run = async (at: number) => {
    const sim = newDisk({ strike: (_, __, count) => (count === at ? 'cut' : undefined) })
    const one = await boot(sim)
    for (let i = 0; i < 16 && one !== undefined; i++) {
      await note(one.journal, String(i))
      await time.advance(50)
    }
    return sim
  }
  const operations = (await run(-1)).operations()
  let torn = 0
  for (let at = 0; at < operations; at += 2) {
    const sim = await run(at)
    const again = (await boot(sim))!
    const { cuts } = again.journal
    for (let i = 0; i < 2; i++) must(await note(again.journal, 'later'))
    await time.advance(2000)
    const open = again.journal.stats().segments
    const events = await eventsIn(sim)
    assert.equal(doubled(events), [], `operation ${at}`)
    for (const cut of cuts) {
      assert.equal(
        ofKind(events, 'torn-tail').filter(each => 'offset' in each && each.offset === cut.offset),
        [{ kind: 'torn-tail', ...cut }],
        `operation ${at}`,
      )
    }
    torn += cuts.length
    assert.is(ofKind(events, 'sealed').length, open - 1, `operation ${at}`)
  }
  assert.ok(torn > 3, `${torn} torn`)
}, 60_000)

test('a token that was pulled out delays an event and does not lose it', async () => {
  const sim = newDisk()
  let gone = true
  const token: Signer = {
    ...signer,
    sign: async bytes => (gone ? fail({ code: 'key.token-gone' }) : signer.sign(bytes)),
  }
  const { journal } = (await boot(sim, token))!
  for (const letter of 'abcdefghi') must(await note(journal, letter))
  await time.advance(30_000)
  assert.is(journal.kept().filter(({ kind }) => kind === 'journal.sealed').length, 1)
  gone = false
  await time.advance(60_000)
  assert.is(journal.kept().filter(({ kind }) => kind === 'journal.sealed').length, 0)
  assert.equal(
    (await eventsIn(sim)).map(({ kind }) => kind),
    ['sealed'],
  )
})

test.run()
