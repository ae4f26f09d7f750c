/**
 * A small journal held against its anchored head: every byte changed, every record dropped, swapped or repeated, every
 * truncation, every segment removed or put elsewhere is found, by the reader or by the head. Without the head, what a forger
 * of the journal's whole end can hide is shown to be hidden.
 */
import { crc32 } from 'node:zlib'
import { openJournal } from '../../../drivers/store/journal.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import type { ReadableDisk } from '../../../drivers/store/journal-recovery.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { concat, toHex, utf8 } from '../../../protocol/bytes.ts'
import { compareHeads, type JournalHead } from '../../../protocol/reading/head.ts'
import { fail, must, ok } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { BLOCK, newTime } from './journal-trials.ts'
import { OWNED } from './owned.ts'

const test = suite('journal against its head')

const SEGMENT = 4 * BLOCK
/** What stands in the journal: two records to a frame; opening, origin or checkpoint, two frames to a segment. */
const TEXTS = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'] as const

type Files = Map<string, Uint8Array>

/** Writes texts, two to a commit, as the same device would, or one who has its folder and its program and not its key. */
async function write(texts: readonly string[]): Promise<{ files: Files; head: JournalHead }> {
  const sim = createSimDisk({ random: () => 0 })
  const disk = sim.mount()
  const time = newTime()
  const journal = must(
    await openJournal({ disk, ...OWNED, clock: time.clock, timers: time.timers, segmentBytes: SEGMENT }),
  )
  for (let i = 0; i < texts.length; i += 2) {
    const pair = texts.slice(i, i + 2).map(text => journal.append('note', utf8(text), { urgent: true }))
    for (const each of pair) must(await each)
  }
  const { sequence, hash, records } = journal.head()
  await journal.close()
  const files: Files = new Map()
  for (const name of must(await disk.list())) {
    const bytes = sim.platter(name)!
    // A segment made ahead holds nothing.
    if (bytes.some(byte => byte !== 0)) files.set(name, bytes)
  }
  const head = {
    device: OWNED.owner,
    journal: journal.id,
    sequence: Number(sequence),
    hash,
    records,
    time: time.clock.now(),
  }
  return { files, head }
}

const diskOf = (files: Files): ReadableDisk => ({
  list: async () => ok([...files.keys()].sort()),
  read: async (name, from = 0, bytes = Number.POSITIVE_INFINITY) => {
    const file = files.get(name)
    return file === undefined ? fail({ code: 'disk.missing', name }) : ok(file.subarray(from, from + bytes))
  },
})

/**
 * - refused: the reader names what is wrong
 * - told: it opens, and says that something was left half written at its end
 * - unseen: it opens and all is well
 * and, where it opens, its head and what it holds
 */
interface Seen {
  readonly reader: 'refused' | 'told' | 'unseen'
  readonly head?: JournalHead
  readonly texts: string
}

async function look(files: Files): Promise<Seen> {
  const refused = { reader: 'refused', texts: '' } as const
  const opened = await openJournalReader(diskOf(files))
  if (!opened.ok) return refused
  const reader = opened.value
  const texts: string[] = []
  const visited = await reader.visit(({ kind, bytes }) => {
    if (kind === 'note') texts.push(Buffer.from(bytes).toString())
  })
  if (!visited.ok) return refused
  const { sequence, hash, records } = reader.head
  return {
    reader: reader.cuts.length > 0 ? 'told' : 'unseen',
    head: {
      device: reader.owner,
      journal: reader.id,
      sequence: Number(sequence),
      hash,
      records,
      time: newTime().clock.now(),
    },
    texts: texts.join(),
  }
}

/** Whether the reader or the head shows that this is not the journal that was anchored. */
const isFound = (anchor: JournalHead, { reader, head }: Seen): boolean =>
  reader !== 'unseen' || compareHeads(anchor, head!) !== 'same'

const intact = await write(TEXTS)
const names = [...intact.files.keys()].sort()
const whole = TEXTS.join()
/** Another journal's files with some changed. */
const changed = (...changes: readonly (readonly [name: string, bytes: Uint8Array | undefined])[]): Files => {
  const files = new Map(intact.files)
  for (const [name, bytes] of changes) {
    if (bytes === undefined) files.delete(name)
    else files.set(name, bytes)
  }
  return files
}

/** Where a segment's frames begin; they end where the first block without magic is. */
function framesOf(file: Uint8Array): { at: number; end: number }[] {
  const frames: { at: number; end: number }[] = []
  const view = new DataView(file.buffer, file.byteOffset, file.length)
  for (let at = 0; at < file.length && Buffer.from(file).toString('latin1', at, at + 4) === 'TLJ1'; ) {
    const end = at + Math.ceil((56 + view.getUint32(at + 4, true)) / BLOCK) * BLOCK
    frames.push({ at, end })
    at = end
  }
  return frames
}

test('untouched it is what was anchored: three segments, the last not full', async () => {
  const seen = await look(intact.files)
  assert.is(seen.reader, 'unseen')
  assert.is(compareHeads(intact.head, seen.head!), 'same')
  assert.is(seen.texts, whole)
  assert.equal(
    names.map(name => framesOf(intact.files.get(name)!).length),
    [4, 4, 3],
  )
})

test('every single byte changed is found, and what is still read is what was written', async () => {
  let [refused, told, tried] = [0, 0, 0]
  for (const name of names) {
    const bytes = intact.files.get(name)!.slice()
    const files = changed([name, bytes])
    for (let at = 0; at < bytes.length; at++) {
      bytes[at]! ^= 1 << (at % 8)
      const seen = await look(files)
      bytes[at]! ^= 1 << (at % 8)
      tried++
      if (!isFound(intact.head, seen)) assert.unreachable(`${name}, byte ${at}`)
      if (!whole.startsWith(seen.texts)) assert.unreachable(`${name}, byte ${at}: ${seen.texts}`)
      if (seen.reader === 'refused') refused++
      else if (seen.reader === 'told') told++
    }
  }
  // At the end damage looks like a cut: of the last frame, and of the zeros behind it.
  assert.equal([tried, told, refused], [3 * SEGMENT, 2 * BLOCK, 3 * SEGMENT - 2 * BLOCK])
}, 300_000)

test('every truncation of every segment is found; only zeros behind the last frame are missed by nobody', async () => {
  const [last] = names.slice(-1)
  const written = framesOf(intact.files.get(last!)!).at(-1)!.end
  for (const name of names) {
    const bytes = intact.files.get(name)!
    for (let length = 0; length < bytes.length; length++) {
      const seen = await look(changed([name, bytes.subarray(0, length)]))
      if (isFound(intact.head, seen)) continue
      if (name !== last || length < written || seen.texts !== whole) assert.unreachable(`${name} cut at ${length}`)
    }
  }
}, 300_000)

test('every end of the last segment turned to zeros is found by the head; at the frames alone the reader sees nothing', async () => {
  const name = names.at(-1)!
  const bytes = intact.files.get(name)!
  const frames = framesOf(bytes)
  const unseen: number[] = []
  for (let from = 0; from < bytes.length; from++) {
    // The same as from the next byte on.
    if (bytes[from] === 0) continue
    const cut = bytes.slice()
    cut.fill(0, from)
    const seen = await look(changed([name, cut]))
    assert.ok(isFound(intact.head, seen), `zeros from ${from}`)
    if (seen.reader === 'unseen') unseen.push(from)
  }
  // The control: without the head, an end that is cut off at a frame is missed by nobody.
  assert.equal(
    unseen,
    frames.map(({ at }) => at),
  )
}, 180_000)

test('every segment removed, put in the place of another, or repeated is found, sometimes by the head alone', async () => {
  const unseen: string[] = []
  for (const name of names) {
    const removed = await look(changed([name, undefined]))
    assert.ok(isFound(intact.head, removed), `${name} removed`)
    if (removed.reader === 'unseen') unseen.push(name)
    for (const other of names.filter(each => each > name)) {
      const [one, two] = [intact.files.get(name)!, intact.files.get(other)!]
      const swapped = await look(changed([name, two], [other, one]))
      assert.ok(isFound(intact.head, swapped), `${name} and ${other} swapped`)
      if (swapped.reader === 'unseen') unseen.push(`${name} and ${other}`)
    }
    const repeated = await look(changed(['journal-00000004.seg', intact.files.get(name)!]))
    // The last one under another number holds what it held, and the first file is one that no opening names.
    const same = name === names.at(-1) && repeated.texts === whole
    assert.ok(isFound(intact.head, repeated) || same, `${name} repeated`)
  }
  // The control: each leaves a beginning that is sound, and nothing that goes on from it.
  const [first, second, third] = names
  assert.equal(unseen, [`${first} and ${third}`, `${second} and ${third}`, third])
  assert.ok(isFound(intact.head, await look(changed([names[1]!, undefined], [names[2]!, undefined]))))
})

/** Every text dropped, changed for the one behind it, or repeated. */
function forgeries(): { readonly what: string; readonly texts: string[] }[] {
  return TEXTS.flatMap((text, i) => [
    { what: `${text} dropped`, texts: TEXTS.toSpliced(i, 1) },
    { what: `${text} repeated`, texts: TEXTS.toSpliced(i, 0, text) },
    ...(i === 0 ? [] : [{ what: `${text} swapped`, texts: TEXTS.toSpliced(i - 1, 2, text, TEXTS[i - 1]!) }]),
    { what: `cut off before ${text}`, texts: TEXTS.slice(0, i) },
  ])
}

test('a forger who writes the journal anew without a record, or with one twice or elsewhere: the head finds every one', async () => {
  let forged = 0
  for (const { what, texts } of forgeries()) {
    const { files } = await write(texts)
    if (files.size === 0) continue
    const seen = await look(files)
    assert.ok(isFound(intact.head, seen), what)
    // The control: the chain alone proves nothing about one who may write all of it.
    assert.equal([seen.reader, seen.texts], ['unseen', texts.join()], what)
    forged++
  }
  assert.is(forged, 4 * TEXTS.length - 2)
})

test('a record dropped, repeated or swapped inside its frame, with a new checksum: found in every frame, in the last by the head', async () => {
  let [refused, byHead] = [0, 0]
  for (const name of names) {
    const file = intact.files.get(name)!
    for (const { at } of framesOf(file)) {
      const view = new DataView(file.buffer, file.byteOffset)
      const body = file.slice(at + 56, at + 56 + view.getUint32(at + 4, true))
      const records = recordsOf(body)
      if (records.length < 2) continue
      for (const [i, record] of records.entries()) {
        const next = (i + 1) % records.length
        for (const others of [
          records.toSpliced(i, 1),
          records.toSpliced(i, 0, record),
          records.with(i, records[next]!).with(next, record),
        ]) {
          const bytes = file.slice()
          bytes.fill(0, at + 56, at + BLOCK)
          bytes.set(concat(...others), at + 56)
          const frame = new DataView(bytes.buffer)
          const length = concat(...others).length
          frame.setUint32(at + 4, length, true)
          frame.setUint32(at + 8, crc32(bytes.subarray(at + 12, at + 56 + length)), true)
          const seen = await look(changed([name, bytes]))
          assert.ok(isFound(intact.head, seen), `${name}, frame at ${at}, record ${i}`)
          if (seen.reader === 'refused') refused++
          else byHead++
        }
      }
    }
  }
  assert.ok(refused > 20 && byHead > 3, `${refused} refused, ${byHead} by the head`)
})

/** A body's records as they stand: kind length u8, kind, length u32, bytes. */
function recordsOf(body: Uint8Array): Uint8Array[] {
  const records: Uint8Array[] = []
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  for (let at = 0; at < body.length; ) {
    const end = at + 1 + body[at]! + 4 + view.getUint32(at + 1 + body[at]!, true)
    records.push(body.subarray(at, end))
    at = end
  }
  return records
}

test('the head of another device or another journal matches none of it', async () => {
  const { head } = await look(intact.files)
  assert.is(compareHeads({ ...intact.head, device: OWNED.owner.map(byte => byte ^ 1) }, head!), 'other')
  assert.is(compareHeads({ ...intact.head, journal: intact.head.journal.map(byte => byte ^ 1) }, head!), 'other')
  assert.is(toHex(head!.hash), toHex(intact.head.hash))
})

test.run()
