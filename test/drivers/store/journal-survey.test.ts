import { drainPromises } from '../../../drivers/drain.ts'
import type { Disk } from '../../../drivers/ports.ts'
import { openJournal } from '../../../drivers/store/journal.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { surveyJournal } from '../../../drivers/store/journal-survey.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { fail, must, ok } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { OWNED } from './owned.ts'

const test = suite('journal survey')

const BLOCK = 4096
const SEGMENT = 5 * BLOCK

/** Ten notes in four segments, each an opening, a checkpoint and three notes; what the disk holds, by name. */
async function filled(): Promise<Map<string, Uint8Array>> {
  const time = createSimTime(1_795_000_000_000, drainPromises)
  const disk = createSimDisk({ random: seededRandom(1) }).mount()
  const journal = must(
    await openJournal({ disk, ...OWNED, clock: time.clock, timers: time.timers, segmentBytes: SEGMENT }),
  )
  for (const letter of 'abcdefghij') must(await journal.append('note', utf8(letter), { urgent: true }))
  await journal.close()
  const files = new Map<string, Uint8Array>()
  for (const name of must(await disk.list())) files.set(name, must(await disk.read(name)))
  return files
}

const folderOf = (files: ReadonlyMap<string, Uint8Array>): Pick<Disk, 'list' | 'read'> => ({
  list: async () => ok([...files.keys()].sort()),
  read: async (name, from = 0, bytes = Number.POSITIVE_INFINITY) => {
    const file = files.get(name)
    return file === undefined ? fail({ code: 'disk.missing', name }) : ok(file.slice(from, from + bytes))
  },
})
const survey = async (files: ReadonlyMap<string, Uint8Array>) => must(await surveyJournal(folderOf(files)))
const name = (number: number) => `journal-0000000${number}.seg`

test('a sound journal has no broken place, and its head is what a reader finds', async () => {
  const files = await filled()
  const { broken, cuts, head, origin, segments } = await survey(files)
  assert.equal([broken, cuts], [[], []])
  assert.equal(head, must(await openJournalReader(folderOf(files))).head)
  assert.equal(origin?.id, new Uint8Array(16).fill(7))
  assert.equal(
    segments.map(({ number, frames, endsAt }) => [number, frames, endsAt]),
    [
      [1, 5, SEGMENT],
      [2, 5, SEGMENT],
      [3, 5, SEGMENT],
      [4, 3, 3 * BLOCK],
    ],
  )
})

test('every broken place is named, however many there are', async () => {
  const files = await filled()
  files.get(name(1))![2 * BLOCK + 60]! ^= 1
  files.get(name(2))!.fill(0, 3 * BLOCK, 4 * BLOCK)
  files.get(name(3))!.fill(0x55, 2 * BLOCK, 4 * BLOCK)
  assert.equal((await survey(files)).broken, [
    { segment: name(1), offset: 2 * BLOCK, bytes: BLOCK, reason: 'checksum' },
    { segment: name(2), offset: 3 * BLOCK, bytes: BLOCK, reason: 'no magic' },
    { segment: name(3), offset: 2 * BLOCK, bytes: 2 * BLOCK, reason: 'no magic' },
  ])
})

test('frames that are sound and stand in the wrong place are broken places too', async () => {
  const swapped = await filled()
  const bytes = swapped.get(name(2))!
  const [a, b] = [bytes.slice(2 * BLOCK, 3 * BLOCK), bytes.slice(3 * BLOCK, 4 * BLOCK)]
  bytes.set(b, 2 * BLOCK)
  bytes.set(a, 3 * BLOCK)
  assert.equal((await survey(swapped)).broken, [
    { segment: name(2), offset: 2 * BLOCK, bytes: 0, reason: 'frame 9 does not follow 7' },
    { segment: name(2), offset: 3 * BLOCK, bytes: 0, reason: 'frame 8 does not follow 9' },
    { segment: name(2), offset: 4 * BLOCK, bytes: 0, reason: 'frame 10 does not follow 8' },
  ])
  const reopened = await filled()
  reopened.get(name(3))!.set(reopened.get(name(2))!.subarray(0, BLOCK), BLOCK)
  const reasons = (await survey(reopened)).broken.map(({ offset, reason }) => `${offset} ${reason}`)
  assert.equal(reasons, [`${BLOCK} an opening out of place`, `${2 * BLOCK} frame 13 does not follow 6`])
})

test('segments that are gone are named: from the middle, from the beginning, all but the last', async () => {
  for (const gone of [[2], [1], [1, 2, 3], [1, 3]]) {
    const files = await filled()
    for (const number of gone) files.delete(name(number))
    const { broken } = await survey(files)
    const missing = broken.filter(({ reason }) => reason === 'it is not there').map(({ segment }) => segment)
    // What the oldest left does not tell of is not known.
    const told = gone.includes(1)
      ? [Math.max(...gone.filter(number => number < 4 && !gone.includes(number + 1)))]
      : gone
    assert.ok(missing.length > 0 && told.every(number => missing.includes(name(number))), `${gone}: ${missing}`)
  }
})

test('a commit that the power cut short is a cut and no broken place', async () => {
  const files = await filled()
  files.get(name(4))!.fill(0x55, 3 * BLOCK, 3 * BLOCK + 700)
  const { broken, cuts } = await survey(files)
  assert.equal(broken, [])
  assert.equal(cuts, [{ segment: 4, offset: 3 * BLOCK, bytes: BLOCK }])
})

test('no byte of a journal can be changed unseen: a broken place, or a cut at its very end', async () => {
  const files = await filled()
  const last = 3 * BLOCK
  let places = 0
  for (const [file, bytes] of files) {
    for (let at = 0; at < bytes.length; at += 37) {
      if (file === name(4) && at >= last) break
      bytes[at]! ^= 0x10
      const { broken, cuts } = await survey(files)
      bytes[at]! ^= 0x10
      // The last commit damaged looks as one cut short, to whoever has no head of it.
      if (file === name(4) && at >= last - BLOCK) assert.ok(broken.length + cuts.length > 0, `${file} ${at}`)
      else
        assert.ok(
          broken.some(place => place.segment === file && place.offset === at - (at % BLOCK)),
          `${file} ${at}`,
        )
      places++
    }
  }
  assert.ok(places > 1500)
  assert.equal((await survey(files)).broken, [])
}, 60_000)

test('of garbage nothing is believed, and nothing is thrown', async () => {
  const random = seededRandom(3)
  for (let run = 0; run < 20; run++) {
    const files = await filled()
    for (const bytes of files.values()) {
      const [from, to] = [Math.floor(random() * bytes.length), Math.floor(random() * bytes.length)]
      for (let at = from; at < to; at++) bytes[at] = Math.floor(random() * 256)
    }
    const surveyed = await surveyJournal(folderOf(files))
    assert.ok(surveyed.ok)
  }
  const garbage = new Map([[name(1), new Uint8Array(SEGMENT).fill(0x5a)]])
  const { segments, head, broken } = await survey(garbage)
  assert.equal([segments, head, broken.length], [[], undefined, 1])
})

test.run()
