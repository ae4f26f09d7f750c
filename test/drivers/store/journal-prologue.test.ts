/** What stands at the beginning of a segment: written whole, or once more in the next one. */
import { drainPromises } from '../../../drivers/drain.ts'
import type { Disk } from '../../../drivers/ports.ts'
import { type Journal, type JournalOptions, openJournal } from '../../../drivers/store/journal.ts'
import type { JournalRecord } from '../../../drivers/store/journal-block.ts'
import { readNote } from '../../../drivers/store/journal-own.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type Strike } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { fromUtf8, utf8 } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { OWNED } from './owned.ts'

const test = suite('journal: beginnings of segments')

const BLOCK = 4096

/** Of a record `name rest` the newest is kept under the name. */
const keeping = ({ kind, bytes }: JournalRecord) =>
  kind === 'set' ? { as: fromUtf8(bytes)!.split(' ')[0]! } : undefined
const open = (disk: Disk, options: Partial<JournalOptions> = {}) => {
  const { clock, timers } = createSimTime(1_795_000_000_000, drainPromises)
  return openJournal({ disk, ...OWNED, clock, timers, segmentBytes: 5 * BLOCK, keeping, ...options })
}
const set = (journal: Journal, text: string) => journal.append('set', utf8(text), { urgent: true })

test('the end of each finished segment is noted once, whatever failed and then was killed while the next one began', async () => {
  const run = async (failing: number, killed: number) => {
    let armed = true
    const strike = (_: string, __: string, count: number): Strike | undefined =>
      !armed ? undefined : count === failing ? 'io' : count === killed ? 'kill' : undefined
    const sim = createSimDisk({ random: seededRandom(1), strike })
    const opened = await open(sim.mount())
    for (let i = 0; i < 9 && opened.ok; i++) await set(opened.value, `a ${i}`)
    armed = false
    return sim
  }
  const operations = (await run(-1, -1)).operations()
  for (let failing = 0; failing < operations; failing++) {
    for (let killed = failing + 1; killed < failing + 9; killed++) {
      const sim = await run(failing, killed)
      const again = must(await open(sim.mount()))
      for (let i = 0; i < 9; i++) must(await set(again, `a ${i}`))
      await again.close()
      const reader = must(await openJournalReader(sim.mount()))
      const noted: number[] = []
      await reader.visit(record => {
        const note = readNote(record)
        if (note?.kind === 'sealed') noted.push(note.segment)
      })
      const sealed = reader.segments.slice(0, -1).map(({ number }) => number)
      assert.equal(noted, sealed, `operation ${failing} failed, killed at ${killed}`)
    }
  }
})

test('a checkpoint of several commits that is cut short changes neither what is in force nor its order', async () => {
  const filler = 'x'.repeat(90_000)
  const order = (journal: Journal) => journal.kept().map(({ bytes }) => fromUtf8(bytes)!.split(' ')[0])
  const names = ['a', 'b', 'c', 'd', 'e', 'f']
  const run = async (killed: number) => {
    let armed = true
    const strike = (_: string, __: string, count: number): Strike | undefined =>
      armed && count === killed ? 'kill' : undefined
    const sim = createSimDisk({ random: seededRandom(1), strike })
    const opened = await open(sim.mount(), { segmentBytes: 600 * BLOCK })
    for (const name of names) if (opened.ok) await set(opened.value, `${name} ${filler}`)
    for (let i = 0; i < 40 && opened.ok; i++) await set(opened.value, `f ${filler}`)
    armed = false
    return { sim, opened }
  }
  const whole = await run(-1)
  const { segments } = must(whole.opened).stats()
  assert.ok(segments > 1)
  for (let killed = 0; killed < whole.sim.operations(); killed++) {
    const { sim } = await run(killed)
    const again = must(await open(sim.mount(), { segmentBytes: 600 * BLOCK }))
    const found = order(again)
    assert.equal(found, names.slice(0, found.length), `killed at ${killed}`)
  }
}, 90_000)

test.run()
