import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { drainPromises } from '../../../drivers/drain.ts'
import { openDisk } from '../../../drivers/store/disk.ts'
import { type Journal, openJournal } from '../../../drivers/store/journal.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type SimDisk, type SimDiskOptions } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { concat, equalBytes, fromUtf8, utf8 } from '../../../protocol/bytes.ts'
import { decode } from '../../../protocol/cbor.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { OWNED } from './owned.ts'

const test = suite('journal')

const BLOCK = 4096
/** An opening, the origin or a checkpoint, and three small records. */
const SEGMENT = 5 * BLOCK

const time = createSimTime(1_795_000_000_000, drainPromises)
const open = (sim: SimDisk, segmentBytes = SEGMENT) =>
  openJournal({ disk: sim.mount(), ...OWNED, clock: time.clock, timers: time.timers, segmentBytes })
const newDisk = (options: Partial<SimDiskOptions> = {}) => createSimDisk({ random: seededRandom(1), ...options })

async function textsOf(journal: Journal): Promise<string[]> {
  const texts: string[] = []
  must(
    await journal.visit(({ kind, bytes }) => {
      if (kind === 'note') texts.push(fromUtf8(bytes)!)
    }),
  )
  return texts
}

const note = (journal: Journal, text: string) => journal.append('note', utf8(text), { urgent: true })
const big = (letter: string) => letter.repeat(5000)

test('records come back in order, with their index, after closing and opening again', async () => {
  const sim = newDisk()
  const journal = must(await open(sim))
  assert.is(must(await note(journal, 'one')).index, 1)
  assert.is(must(await note(journal, 'two')).index, 2)
  assert.equal(await textsOf(journal), ['one', 'two'])
  await journal.close()
  const again = must(await open(sim))
  assert.equal(again.cuts, [])
  assert.is(must(await note(again, 'three')).index, 3)
  const indices: number[] = []
  must(await again.visit((_, { index }) => indices.push(index)))
  assert.equal(indices, [0, 1, 2, 3])
  assert.equal(await textsOf(again), ['one', 'two', 'three'])
})

test('unhurried records wait for each other for a second and share one block and one sync', async () => {
  const sim = newDisk()
  const journal = must(await open(sim))
  const answers: number[] = []
  for (let i = 0; i < 10; i++)
    void journal.append('note', utf8(`${i}`)).then(answer => answers.push(must(answer).index))
  await time.advance(990)
  assert.equal(answers, [])
  await time.advance(20)
  assert.equal(answers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  const { records, commits, blocks, syncs } = journal.stats()
  // The opening of the segment and the journal's origin are the other commits.
  assert.equal({ records, commits, blocks, syncs }, { records: 11, commits: 3, blocks: 3, syncs: 3 })
})

test('an urgent record is committed at once and takes the waiting ones along', async () => {
  const sim = newDisk()
  const journal = must(await open(sim))
  let waiting: number | undefined
  void journal.append('note', utf8('a')).then(answer => {
    waiting = must(answer).index
  })
  assert.is(must(await note(journal, 'b')).index, 2)
  assert.is(waiting, 1)
  assert.is(journal.stats().commits, 3)
})

test('no answer comes before the sync, and the block is whole 4 kB written once', async () => {
  const trace: string[] = []
  const sim = newDisk({
    strike: (operation, name) => {
      trace.push(`${operation} ${name}`)
      return undefined
    },
  })
  const journal = must(await open(sim))
  trace.length = 0
  await note(journal, 'a').then(() => trace.push('answer'))
  const name = 'journal-00000001.seg'
  const commit = [`write ${name}`, `sync ${name}`]
  // The opening, the origin, the note.
  assert.equal(trace, [`create ${name}`, ...commit, ...commit, ...commit, 'answer'])
})

test('the bytes of a commit are magic, length, checksum, sequence, previous hash, kind and records', async () => {
  const sim = newDisk()
  const journal = must(await open(sim))
  const opening = journal.head()
  assert.is(opening.sequence, 0n)
  must(await note(journal, 'hi'))
  const block = sim.platter('journal-00000001.seg')!.subarray(2 * BLOCK, 3 * BLOCK)
  const view = new DataView(block.buffer, block.byteOffset)
  assert.is(fromUtf8(block.subarray(0, 4)), 'TLJ1')
  assert.is(view.getUint32(4, true), 11)
  assert.is(view.getBigUint64(12, true), 3n)
  assert.is(view.getUint32(52, true), 1)
  //                          kind length, kind, u32 length, bytes
  assert.equal(block.subarray(56, 67), concat(Uint8Array.of(4), utf8('note'), Uint8Array.of(2, 0, 0, 0), utf8('hi')))
  assert.ok(block.subarray(67).every(byte => byte === 0))
})

test('a full segment is followed by the next, made beforehand, and nothing is lost on the way', async () => {
  const sim = newDisk()
  const journal = must(await open(sim))
  const texts = Array.from({ length: 20 }, (_, i) => big(String.fromCharCode(97 + i)))
  for (const text of texts) must(await note(journal, text))
  assert.ok(journal.stats().segments > 10)
  assert.equal(await textsOf(journal), texts)
  await journal.close()
  assert.equal(await textsOf(must(await open(sim))), texts)
})

test('a record that no segment holds is refused, one that just fits is not', async () => {
  const journal = must(await open(newDisk()))
  const room = 3 * BLOCK - 56
  // Carried into the next segment it has its kind once more: kind length, kind, u32 length, kind length, kind.
  const fits = room - 1 - 'journal.carried'.length - 4 - 1 - 'note'.length
  assert.ok((await journal.append('note', new Uint8Array(fits), { urgent: true })).ok)
  const refused = await journal.append('note', new Uint8Array(fits + 1), { urgent: true })
  assert.is(refused.ok ? 'ok' : refused.fault.code, 'journal.record-too-long')
})

test('after a failed sync nothing is acknowledged on that segment: the record goes into a new one', async () => {
  const failing = new Set<string>()
  const sim = newDisk({ strike: operation => (failing.delete(operation) ? 'io' : undefined) })
  const journal = must(await open(sim))
  must(await note(journal, 'before'))
  failing.add('sync')
  must(await note(journal, 'through the error'))
  must(await note(journal, 'after'))
  assert.is(journal.stats().poisoned, 1)
  assert.is(journal.stats().segments, 2)
  sim.cut()
  assert.equal(await textsOf(must(await open(sim))), ['before', 'through the error', 'after'])
})

test('a disk that stays broken is answered with a fault, health is raised, and cleared when it recovers', async () => {
  let broken = false
  const sim = newDisk({ strike: operation => (broken && operation !== 'read' ? 'io' : undefined) })
  const journal = must(await open(sim))
  must(await note(journal, 'a'))
  assert.is(journal.health(), undefined)
  broken = true
  const answer = await note(journal, 'b')
  assert.is(answer.ok ? 'ok' : answer.fault.code, 'journal.io')
  assert.is(journal.health()?.code, 'journal.io')
  broken = false
  // Not tried again at once: a disk in trouble is not hammered.
  assert.not.ok((await note(journal, 'c')).ok)
  await time.advance(10_000)
  must(await note(journal, 'd'))
  assert.is(journal.health(), undefined)
  sim.cut()
  assert.equal(await textsOf(must(await open(sim))), ['a', 'd'])
})

test('a full disk: first a warning while the last segment has room, then journal.full, then on when space is free', async () => {
  let capacityFull = true
  const sim = newDisk({
    strike: (operation, name) =>
      capacityFull && operation === 'create' && name !== 'journal-00000001.seg' ? 'full' : undefined,
  })
  const journal = must(await open(sim))
  must(await note(journal, 'a'))
  assert.is(journal.health(), undefined)
  must(await note(journal, 'b'))
  must(await note(journal, 'c'))
  await time.advance(0)
  assert.is(journal.health()?.code, 'journal.nearly-full')
  await time.advance(10_000)
  const refused = await note(journal, 'd')
  assert.is(refused.ok ? 'ok' : refused.fault.code, 'journal.full')
  assert.is(journal.health()?.code, 'journal.full')
  capacityFull = false
  await time.advance(10_000)
  must(await note(journal, 'e'))
  assert.is(journal.health(), undefined)
  assert.equal(await textsOf(journal), ['a', 'b', 'c', 'e'])
})

test('a torn tail is cut, told, and recorded for ever', async () => {
  const sim = newDisk()
  const journal = must(await open(sim))
  must(await note(journal, 'a'))
  must(await note(journal, 'b'))
  // Half a commit behind the last good one: its first sectors arrived, the others not.
  sim.platter('journal-00000001.seg')!.fill(0x55, 4 * BLOCK, 4 * BLOCK + 1024)
  sim.cut()
  const again = must(await open(sim))
  assert.equal(again.cuts, [{ segment: 1, offset: 4 * BLOCK, bytes: BLOCK }])
  assert.equal(await textsOf(again), ['a', 'b'])
  must(await note(again, 'c'))
  sim.cut()
  const third = must(await open(sim))
  assert.equal(third.cuts, [])
  const kept: unknown[] = []
  must(
    await third.visit(({ kind, bytes }) => {
      if (kind === 'journal.cut') kept.push(must(decode(bytes)))
    }),
  )
  assert.equal(kept, [
    new Map([
      [1, 1],
      [2, 4 * BLOCK],
      [3, BLOCK],
      [4, time.clock.now()],
    ]),
  ])
  assert.equal(await textsOf(third), ['a', 'b', 'c'])
})

test('damage before the last commit, a missing segment and a foreign one are errors that name the place', async () => {
  const filled = async () => {
    const sim = newDisk()
    const journal = must(await open(sim))
    for (const letter of 'abcdefgh') must(await note(journal, big(letter)))
    await journal.close()
    return sim
  }
  const faultOf = async (sim: SimDisk) => {
    sim.cut()
    const found = await open(sim)
    const read = found.ok ? await found.value.visit(() => {}) : found
    return read.ok ? undefined : read.fault
  }
  const flipped = await filled()
  flipped.platter('journal-00000002.seg')![BLOCK + 100]! ^= 1
  const fault = await faultOf(flipped)
  assert.is(fault?.code, 'journal.corrupt')
  assert.is(fault && 'segment' in fault ? fault.segment : undefined, 'journal-00000002.seg')
  assert.is(fault && 'offset' in fault ? fault.offset : undefined, BLOCK)

  const gone = await filled()
  must(await gone.mount().remove('journal-00000002.seg'))
  assert.is((await faultOf(gone))?.code, 'journal.segment-missing')

  const headless = await filled()
  must(await headless.mount().remove('journal-00000001.seg'))
  assert.is((await faultOf(headless))?.code, 'journal.segment-missing')

  const swapped = await filled()
  const other = newDisk()
  const journal = must(await open(other))
  for (const letter of 'zyxwvuts') must(await note(journal, big(letter)))
  swapped.platter('journal-00000003.seg')!.set(other.platter('journal-00000003.seg')!)
  assert.is((await faultOf(swapped))?.code, 'journal.corrupt')
})

test('a folder of garbage, or with only a later segment, is an error and never an empty journal', async () => {
  const garbage = newDisk()
  must(await garbage.mount().replace('journal-00000001.seg', new Uint8Array(SEGMENT).fill(0x5a)))
  const found = await open(garbage)
  assert.is(found.ok ? 'ok' : found.fault.code, 'journal.corrupt')
  const later = newDisk()
  must(await later.mount().create('journal-00000007.seg', SEGMENT))
  const seventh = await open(later)
  assert.is(seventh.ok ? 'ok' : seventh.fault.code, 'journal.corrupt')
})

test('a disk that cannot be read is an error, and other files in the folder are left alone', async () => {
  let broken = false
  const sim = newDisk({ strike: operation => (broken && operation === 'read' ? 'io' : undefined) })
  must(await sim.mount().replace('keys.sealed', Uint8Array.of(1)))
  must(await note(must(await open(sim)), 'a'))
  broken = true
  const found = await open(sim)
  assert.is(found.ok ? 'ok' : found.fault.code, 'journal.io')
  broken = false
  assert.equal(await textsOf(must(await open(sim))), ['a'])
  assert.equal(must(await sim.mount().read('keys.sealed')), Uint8Array.of(1))
})

test('any bit flipped in a closed journal is an error or a reported cut, never a silent change', async () => {
  const sim = newDisk()
  const journal = must(await open(sim))
  const texts = ['a', 'b', 'c', 'd', 'e'].map((letter, i) => letter.repeat(i * 1000 + 1))
  for (const text of texts) must(await note(journal, text))
  await journal.close()
  const names = must(await sim.mount().list())
  let [errors, cuts] = [0, 0]
  const random = seededRandom(11)
  for (const name of names) {
    for (let at = Math.floor(random() * 60); at < SEGMENT; at += 1 + Math.floor(random() * 120)) {
      const copy = newDisk()
      const disk = copy.mount()
      for (const each of names) must(await disk.replace(each, sim.platter(each)!))
      copy.platter(name)![at]! ^= 1 << Math.floor(random() * 8)
      copy.cut()
      const found = await open(copy)
      if (!found.ok) {
        errors++
        continue
      }
      const read = await found.value.visit(() => {})
      if (!read.ok) {
        errors++
        continue
      }
      assert.ok(found.value.cuts.length > 0, `${name} byte ${at}`)
      const left = await textsOf(found.value)
      assert.ok(left.length >= texts.length - 1, `${name} byte ${at}: ${left.length} left`)
      assert.equal(left, texts.slice(0, left.length))
      cuts++
    }
  }
  assert.ok(errors > 100 && cuts > 10, `${errors} errors, ${cuts} cuts`)
}, 60_000)

test('two journals of the same records have the same head, of other records another', async () => {
  const headOf = async (texts: string[]) => {
    const journal = must(await open(newDisk()))
    for (const text of texts) must(await note(journal, text))
    return journal.head().hash
  }
  assert.ok(equalBytes(await headOf(['a', 'b']), await headOf(['a', 'b'])))
  assert.not.ok(equalBytes(await headOf(['a', 'b']), await headOf(['a', 'c'])))
})

test('closing commits what waits and refuses what comes later', async () => {
  const sim = newDisk()
  const journal = must(await open(sim))
  const waiting = journal.append('note', utf8('last'))
  await journal.close()
  assert.ok((await waiting).ok)
  const late = await note(journal, 'late')
  assert.is(late.ok ? 'ok' : late.fault.code, 'journal.closed')
  assert.equal(await textsOf(must(await open(sim))), ['last'])
})

test('a disk that hangs does not eat the memory: beyond four megabytes of waiting records the answer is busy', async () => {
  const sim = newDisk({ latency: { timers: time.timers, ms: () => 1e9 } })
  const opening = open(sim, 1 << 20)
  await time.advance(3e9)
  const journal = must(await opening)
  const kilobytes = new Uint8Array(100_000)
  const answers: string[] = []
  for (let i = 0; i < 45; i++) {
    void journal.append('note', kilobytes, { urgent: true }).then(answer => {
      answers.push(answer.ok ? 'ok' : answer.fault.code)
    })
  }
  await time.advance(10)
  assert.ok(answers.length >= 3 && answers.every(code => code === 'journal.busy'), answers.join())
})

test('a kind that is no short name is our own bug', async () => {
  const journal = must(await open(newDisk()))
  for (const kind of ['', 'two words', 'x'.repeat(33), 'é']) {
    let thrown: unknown
    await journal.append(kind, new Uint8Array(0)).catch(error => {
      thrown = error
    })
    assert.instance(thrown, RangeError, kind)
  }
})

test('on a real folder: appended, closed, opened again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-journal-'))
  const disk = must(await openDisk(folder))
  const options = { disk, ...OWNED, clock: time.clock, timers: time.timers, segmentBytes: SEGMENT }
  const journal = must(await openJournal(options))
  for (const letter of 'abcdefgh') must(await note(journal, big(letter)))
  await journal.close()
  const again = must(await openJournal(options))
  assert.equal(await textsOf(again), [...'abcdefgh'].map(big))
  assert.equal(again.head(), journal.head())
  await again.close()
  await disk.close()
  rmSync(folder, { recursive: true })
})

test.run()
