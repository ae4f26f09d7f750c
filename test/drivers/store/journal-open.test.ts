import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { exitOf } from '../../../agent/cli/exit-codes.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import type { Disk } from '../../../drivers/ports.ts'
import { openDisk, openFolder } from '../../../drivers/store/disk.ts'
import { type Journal, type JournalOptions, openJournal } from '../../../drivers/store/journal.ts'
import { encodeFrame, encodeOpening, encodeRecords, NO_HASH } from '../../../drivers/store/journal-block.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimDisk, type SimDisk } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { equalBytes, fromUtf8, toHex, utf8 } from '../../../protocol/bytes.ts'
import { ueidOf } from '../../../protocol/identity/key.ts'
import { type Fault, must, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { OWNED } from './owned.ts'

const test = suite('journal: whose, and opened by whom')

const BLOCK = 4096
const SEGMENT = 5 * BLOCK
const time = createSimTime(1_795_000_000_000, drainPromises)
const newDisk = () => createSimDisk({ random: seededRandom(1) })
const open = (disk: Disk, options: Partial<JournalOptions> = {}) =>
  openJournal({ disk, ...OWNED, clock: time.clock, timers: time.timers, segmentBytes: SEGMENT, ...options })
const note = (journal: Journal, text: string) => journal.append('note', utf8(text), { urgent: true })
const faultOf = (result: Result<unknown>): Fault | undefined => (result.ok ? undefined : result.fault)

/** A closed journal of ten notes in four segments. */
async function filled(): Promise<SimDisk> {
  const sim = newDisk()
  const journal = must(await open(sim.mount()))
  for (const letter of 'abcdefghij') must(await note(journal, letter))
  await journal.close()
  return sim
}

/** Everything on a disk, to see that nothing changed. */
async function bytesOf(disk: Pick<Disk, 'list' | 'read'>): Promise<Map<string, string>> {
  const names = must(await disk.list())
  return new Map(await Promise.all(names.map(async name => [name, toHex(must(await disk.read(name)))] as const)))
}

test('a journal has an id, drawn once and kept through every restart and rotation', async () => {
  const sim = newDisk()
  const drawn = { bytes: (count: number) => new Uint8Array(count).fill(0x42) }
  const journal = must(await open(sim.mount(), { entropy: drawn }))
  assert.equal(journal.id, new Uint8Array(16).fill(0x42))
  for (const letter of 'abcdefghij') must(await note(journal, letter))
  assert.ok(journal.stats().segments > 3)
  await journal.close()
  assert.equal(must(await open(sim.mount())).id, new Uint8Array(16).fill(0x42))
  assert.equal(must(await openJournalReader(sim.mount())).id, new Uint8Array(16).fill(0x42))
})

test("the first record of all is the origin: id, the owner's ueid, when it was begun", async () => {
  const sim = newDisk()
  must(await note(must(await open(sim.mount())), 'hi'))
  const bytes = sim.platter('journal-00000001.seg')!
  //   kind length, kind, length: map of 3, 1: 16 bytes, 2: 17 bytes, 3: u64
  assert.is(bytes[BLOCK + 56], 'journal.origin'.length)
  assert.is(fromUtf8(bytes.subarray(BLOCK + 57, BLOCK + 71)), 'journal.origin')
  const map = bytes.subarray(BLOCK + 75)
  assert.is(toHex(map.subarray(0, 3)), 'a30150')
  assert.equal(map.subarray(3, 19), new Uint8Array(16).fill(7))
  assert.is(toHex(map.subarray(19, 21)), '0251')
  assert.equal(map.subarray(21, 38), OWNED.owner)
  assert.is(toHex(map.subarray(38, 48)), `031b${1_795_000_000_000n.toString(16).padStart(16, '0')}`)
})

test("another device's journal is refused by name and not a byte of it is touched", async () => {
  const sim = await filled()
  const before = await bytesOf(sim.mount())
  const stranger = ueidOf(new Uint8Array(32).fill(9))
  const fault = faultOf(await open(sim.mount(), { owner: stranger }))
  assert.is(fault?.code, 'journal.foreign')
  assert.is(fault?.['owner'], toHex(OWNED.owner))
  assert.is(fault?.['expected'], toHex(stranger))
  assert.is(exitOf(fault!), 78, 'a mistake in the configuration: it names the wrong folder')
  assert.equal(await bytesOf(sim.mount()), before)
  assert.ok((await open(sim.mount())).ok)
})

test('a foreign journal with a torn tail keeps it', async () => {
  const sim = newDisk()
  must(await note(must(await open(sim.mount())), 'a'))
  sim.platter('journal-00000001.seg')!.fill(0x55, 3 * BLOCK, 3 * BLOCK + 1024)
  sim.cut()
  const before = await bytesOf(sim.mount())
  assert.is(faultOf(await open(sim.mount(), { owner: ueidOf(new Uint8Array(32)) }))?.code, 'journal.foreign')
  assert.equal(await bytesOf(sim.mount()), before)
})

test('records without an origin are not adopted', async () => {
  const sim = newDisk()
  const disk = sim.mount()
  const opening = encodeFrame({
    sequence: 1n,
    previous: NO_HASH,
    kind: 'opening',
    body: encodeOpening({ after: 0, endsAt: 0, next: 1n, begun: 0 }),
  })
  const body = encodeRecords([{ kind: 'reading', bytes: utf8('one') }])
  const record = encodeFrame({ sequence: 2n, previous: opening.hash, kind: 'records', body })
  must(await disk.create('journal-00000001.seg', SEGMENT))
  must(await disk.write('journal-00000001.seg', 0, opening.blocks))
  must(await disk.write('journal-00000001.seg', BLOCK, record.blocks))
  must(await disk.sync('journal-00000001.seg'))
  const before = await bytesOf(disk)
  assert.is(faultOf(await open(disk))?.code, 'journal.no-origin')
  assert.is(faultOf(await openJournalReader(disk))?.code, 'journal.no-origin')
  assert.equal(await bytesOf(disk), before)
})

test('a second writer is told that the folder is held, and touches nothing; after closing it is free', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-held-'))
  const [one, two] = [must(await openDisk(folder)), must(await openDisk(folder))]
  const journal = must(await open(one))
  must(await note(journal, 'a'))
  const before = await bytesOf(one)
  const fault = faultOf(await open(two))
  assert.is(fault?.code, 'disk.held')
  assert.is(fault?.['name'], 'journal')
  assert.equal(await bytesOf(one), before)
  must(await note(journal, 'b'))
  await journal.close()
  await must(await open(two)).close()
  await one.close()
  await two.close()
  rmSync(folder, { recursive: true })
})

test('an opening that fails lets go of the folder', async () => {
  const sim = await filled()
  const disk = sim.mount()
  assert.is(faultOf(await open(disk, { owner: ueidOf(new Uint8Array(32)) }))?.code, 'journal.foreign')
  assert.ok((await open(disk)).ok)
})

test('a reader needs no lock, changes nothing, and reads a copy on a medium that cannot be written', async () => {
  const sim = await filled()
  const folder = mkdtempSync(join(tmpdir(), 'tieline-copy-'))
  const disk = sim.mount()
  for (const name of must(await disk.list())) writeFileSync(join(folder, name), must(await disk.read(name)))
  for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o400)
  chmodSync(folder, 0o500)
  const files = readdirSync(folder)
  const reader = must(await openJournalReader(must(await openFolder(folder))))
  const texts: string[] = []
  must(await reader.visit(({ kind, bytes }) => void (kind === 'note' && texts.push(fromUtf8(bytes)!))))
  assert.equal(texts, [...'abcdefghij'])
  assert.equal(reader.owner, OWNED.owner)
  assert.equal(reader.first, { sequence: 0n, hash: NO_HASH })
  assert.equal(reader.cuts, [])
  assert.equal(readdirSync(folder), files)
  assert.ok(files.every(name => equalBytes(readFileSync(join(folder, name)), sim.platter(name)!)))
  chmodSync(folder, 0o700)
  rmSync(folder, { recursive: true })
})

test("a reader's head is the writer's, and every frame is found by its sequence", async () => {
  const sim = newDisk()
  const journal = must(await open(sim.mount()))
  const heads = [journal.head()]
  for (const letter of 'abcdefghij') {
    must(await note(journal, letter))
    heads.push(journal.head())
  }
  await journal.close()
  const reader = must(await openJournalReader(sim.mount()))
  assert.equal(reader.head, heads.at(-1))
  assert.is(
    reader.head.records,
    10 + 1 + 3 * 3,
    'notes, the origin, and three times the origin, the checkpoint, a seal',
  )
  for (const { sequence, hash } of heads) assert.equal(must(await reader.frameHash(sequence)), hash)
  assert.is(must(await reader.frameHash(heads.at(-1)!.sequence + 1n)), undefined)
  // From a frame on: what an index that stopped there still lacks.
  const late: string[] = []
  const from = heads.at(-3)!.sequence + 1n
  must(await reader.visit(({ kind, bytes }) => void (kind === 'note' && late.push(fromUtf8(bytes)!)), from))
  assert.equal(late, ['i', 'j'])
})

test('no folder, an empty one and one of other files are told apart, and none is made a journal of', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-none-'))
  const nowhere = await openFolder(join(folder, 'nowhere'))
  assert.is(faultOf(nowhere)?.code, 'disk.missing')
  const empty = faultOf(await openJournalReader(must(await openFolder(folder))))
  assert.is(empty?.code, 'journal.missing')
  assert.equal(readdirSync(folder), [])
  writeFileSync(join(folder, 'holiday.jpg'), 'x')
  const other = faultOf(await openJournalReader(must(await openFolder(folder))))
  assert.is(other?.code, 'journal.not-a-journal')
  assert.is(other?.['found'], 'holiday.jpg')
  writeFileSync(join(folder, 'journal-00000001.seg'), new Uint8Array(SEGMENT).fill(0x5a))
  assert.is(faultOf(await openJournalReader(must(await openFolder(folder))))?.code, 'journal.corrupt')
  // Made by a writer that died before its first record.
  writeFileSync(join(folder, 'journal-00000001.seg'), new Uint8Array(SEGMENT))
  assert.is(faultOf(await openJournalReader(must(await openFolder(folder))))?.code, 'journal.missing')
  rmSync(folder, { recursive: true })
})

test('half a file is a named fault: of the last segment a cut, of another one where it ends', async () => {
  for (const [name, expected] of [
    ['journal-00000002.seg', 'journal.corrupt'],
    ['journal-00000004.seg', undefined],
  ] as const) {
    const sim = await filled()
    const disk = sim.mount()
    const half = must(await disk.read(name)).subarray(0, 2 * BLOCK + 1000)
    must(await disk.replace(name, half))
    const reader = await openJournalReader(disk)
    const read = reader.ok ? await reader.value.visit(() => {}) : reader
    assert.is(faultOf(read)?.code, expected, name)
    if (reader.ok && read.ok) assert.equal(reader.value.cuts, [{ segment: 4, offset: 2 * BLOCK, bytes: 1000 }])
  }
})

test.run()
