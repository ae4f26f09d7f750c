/** Small promises of the journal, each of which a single line keeps. */
import { drainPromises } from '../../../drivers/drain.ts'
import type { Disk } from '../../../drivers/ports.ts'
import { type Journal, type JournalOptions, openJournal } from '../../../drivers/store/journal.ts'
import { encodeFrame, encodeOpening } from '../../../drivers/store/journal-block.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { OWNED } from './owned.ts'

const test = suite('journal: small promises')

const BLOCK = 4096
const FIRST = 'journal-00000001.seg'

const open = (disk: Disk, options: Partial<JournalOptions> = {}) => {
  const { clock, timers } = createSimTime(1_795_000_000_000, drainPromises)
  return openJournal({ disk, ...OWNED, clock, timers, segmentBytes: 6 * BLOCK, ...options })
}
const write = async (journal: Journal, text: string) =>
  must(await journal.append('n', utf8(text), { urgent: true })).index
const newSim = () => createSimDisk({ random: seededRandom(1) })

test('the bytes on record are those that were handed over, whatever becomes of the buffer', async () => {
  const journal = must(await open(newSim().mount()))
  const buffer = Uint8Array.of(1, 2, 3)
  const answer = journal.append('n', buffer, { urgent: true })
  buffer.fill(9)
  must(await answer)
  const found: Uint8Array[] = []
  must(await journal.visit(({ kind, bytes }) => void (kind === 'n' && found.push(bytes))))
  assert.equal(found, [Uint8Array.of(1, 2, 3)])
})

test('behind the record of a cut an index still is the place at which the record is found', async () => {
  const sim = newSim()
  const before = must(await open(sim.mount()))
  await write(before, 'a')
  await before.close()
  const disk = sim.mount()
  must(await disk.write(FIRST, 3 * BLOCK, new Uint8Array(100).fill(7)))
  must(await disk.sync(FIRST))
  const journal = must(await open(sim.mount()))
  assert.is(journal.cuts.length, 1)
  const index = await write(journal, 'b')
  const found: number[] = []
  must(await journal.visit(({ kind }, at) => void (kind === 'n' && found.push(at.index))))
  assert.equal(found.at(-1), index)
})

test('a segment made ahead in another size is not written on', async () => {
  const sim = newSim()
  const small = must(await open(sim.mount()))
  for (let i = 0; i < 3; i++) await write(small, `${i}`)
  await small.close()
  assert.is(sim.platter('journal-00000002.seg')?.length, 6 * BLOCK, 'made ahead')
  const large = must(await open(sim.mount(), { segmentBytes: 12 * BLOCK }))
  for (let i = 0; i < 12; i++) await write(large, `${i}`)
  assert.is(large.stats().poisoned, 0)
  assert.is(sim.platter('journal-00000002.seg')?.length, 12 * BLOCK)
})

test('an opening that names none before it and is not the first frame of all begins no journal', async () => {
  const sim = newSim()
  const disk = sim.mount()
  must(await disk.create(FIRST, 6 * BLOCK))
  const body = encodeOpening({ after: 0, endsAt: 0, next: 1n, begun: 0 })
  for (const [sequence, previous] of [
    [5n, 0],
    [1n, 5],
  ] as const) {
    const { blocks } = encodeFrame({ sequence, previous: new Uint8Array(32).fill(previous), kind: 'opening', body })
    must(await disk.write(FIRST, 0, blocks))
    const opened = await open(disk)
    assert.equal(opened.ok ? undefined : [opened.fault.code, (opened.fault as { reason?: string }).reason], [
      'journal.corrupt',
      'not a beginning',
    ])
  }
})

test('a frame that continues the one before by its hash, and not by its number, is out of place', async () => {
  const sim = newSim()
  const disk = sim.mount()
  must(await disk.create(FIRST, 6 * BLOCK))
  const body = encodeOpening({ after: 0, endsAt: 0, next: 1n, begun: 0 })
  const opening = encodeFrame({ sequence: 1n, previous: new Uint8Array(32), kind: 'opening', body })
  const skipped = encodeFrame({ sequence: 3n, previous: opening.hash, kind: 'records', body: new Uint8Array() })
  must(await disk.write(FIRST, 0, opening.blocks))
  must(await disk.write(FIRST, BLOCK, skipped.blocks))
  const opened = await open(disk)
  assert.is(opened.ok ? undefined : (opened.fault as { reason?: string }).reason, 'sequence 3 after 1')
})

test.run()
