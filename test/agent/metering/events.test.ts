import { createEventChain, EVENT_KIND, type EventChain, restoreEvents } from '../../../agent/metering/events.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { type Journal, openJournal } from '../../../drivers/store/journal.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type Strike } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { ueidOf } from '../../../protocol/identity/key.ts'
import { verifyEventChain } from '../../../protocol/reading/chain.ts'
import type { What } from '../../../protocol/reading/event.ts'
import { type VerifiedEvent, verifyEvent } from '../../../protocol/reading/verify.ts'
import { must } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { OWNED } from '../../drivers/store/owned.ts'
import { assert, suite } from '../../harness.ts'
import { signer, verifier } from './site.ts'

const test = suite('events of the record')

const time = createSimTime(1_795_000_000_000, drainPromises)
const step: What = { kind: 'clock-step', from: instant(1000), to: instant(9000) }

/** The journal as it is on the disk, and the chain of events that goes on where it ends. */
async function boot(
  sim: ReturnType<typeof createSimDisk>,
  count = 1,
): Promise<{ journal: Journal; events: EventChain; found: Uint8Array[] }> {
  const { clock, timers } = time
  const journal = must(await openJournal({ disk: sim.mount(), ...OWNED, clock, timers, segmentBytes: 64 * 4096 }))
  const found: Uint8Array[] = []
  must(await journal.visit(({ kind, bytes }) => void (kind === EVENT_KIND && found.push(bytes))))
  const last = found.at(-1)
  const restored = last === undefined ? undefined : must(restoreEvents(last))
  const events = createEventChain({
    signer,
    journal,
    clock,
    device: ueidOf(signer.publicKey),
    boot: () => count,
    restored,
  })
  return { journal, events, found }
}

const verified = (found: readonly Uint8Array[]): VerifiedEvent[] =>
  found.map(envelope => must(verifyEvent(envelope, signer.publicKey, verifier)))

test('events are signed one at a time, chained, and go on after a power cut', async () => {
  const sim = createSimDisk({ random: seededRandom(5) })
  const before = await boot(sim)
  const torn: What = { kind: 'torn-tail', segment: 3, offset: 4096, bytes: 512 }
  const answers = await Promise.all([before.events.sign(torn), before.events.sign(step), before.events.sign(step)])
  assert.equal(
    answers.map(answer => must(answer).event.sequence),
    [1, 2, 3],
  )
  sim.cut()
  const after = await boot(sim, 2)
  assert.is(must(await after.events.sign(step)).event.boot, 2)
  await after.journal.close()
  const chain = verified((await boot(sim)).found)
  assert.equal(verifyEventChain(chain), [])
  assert.equal(
    chain.map(({ event }) => [event.sequence, event.what.kind]),
    [
      [1, 'torn-tail'],
      [2, 'clock-step'],
      [3, 'clock-step'],
      [4, 'clock-step'],
    ],
  )
  assert.equal(chain[0]!.event.what, torn)
})

test('an event that could not be written was never given out: its number is the next one’s', async () => {
  let broken: 'io' | undefined
  const strike = (operation: string): Strike | undefined => (operation === 'write' ? broken : undefined)
  const { events } = await boot(createSimDisk({ random: seededRandom(5), strike }))
  must(await events.sign(step))
  broken = 'io'
  const refused = await events.sign(step)
  assert.is(refused.ok ? 'signed' : refused.fault.code, 'journal.io')
  broken = undefined
  await time.advance(60_000)
  assert.is(must(await events.sign(step)).event.sequence, 2)
})

test('a moment that no record can say is refused, and the chain goes on', async () => {
  const { events } = await boot(createSimDisk({ random: seededRandom(5) }))
  const refused = await events.sign({ ...step, to: instant(-1) })
  assert.is(refused.ok ? 'signed' : refused.fault.code, 'record.shape')
  assert.is(must(await events.sign(step)).event.sequence, 1)
})

test.run()
