/**
 * A backup put back. What was signed after it was made is not in it, and must not be signed again as something else:
 *
 *     boots      go on from the seconds since 1970, above every boot that was counted since: readings, events and messages
 *                name the boot, so none of theirs comes twice, and neighbours take the messages of the higher one
 *     journal    a new one that begins with all that a restart needs: a head names its journal, so no frame of it was signed
 *                before; the one of the backup stands beside it, whole, as journal.restored-BOOT
 *     OCMF       pages go on above every page there was
 *     ledger     sequence numbers are proven by the ledger anyway, and each deal settles there once, whoever asks again
 *     contacts   are taken over by hand, and stay open, until a person has looked what the backup does not know
 */
import { isKnownSealedKey } from '../../drivers/keys/sealed-file.ts'
import type { Disk, Release } from '../../drivers/ports.ts'
import { readArchive } from '../../drivers/store/archive.ts'
import { openDisk, openFolder } from '../../drivers/store/disk.ts'
import {
  isFolder,
  isThere,
  makeFolder,
  makeTemporaryFolder,
  moveTo,
  namesIn,
  removeAll,
} from '../../drivers/store/folder.ts'
import { openJournal } from '../../drivers/store/journal.ts'
import { readNote } from '../../drivers/store/journal-own.ts'
import { surveyJournal } from '../../drivers/store/journal-survey.ts'
import { readBytes } from '../../drivers/text-file.ts'
import { equalBytes, fromUtf8, toHex, utf8 } from '../../protocol/bytes.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { BOOT, keepForRestart } from '../keeping.ts'
import { keepManual } from '../relays/kept.ts'
import { RESTORED } from '../restored.ts'
import type { World } from '../world.ts'
import { cutJournal, type JournalCut } from './kept-journal.ts'
import {
  CONFIG,
  checkFiles,
  describeFile,
  FOLDERS,
  isEntryName,
  MANIFEST,
  type Manifest,
  readManifest,
} from './manifest.ts'
import { KEPT, type Places, putInPlace } from './put-in-place.ts'

/** 16 MiB is a segment; a backup of two years of journal, a gibibyte, leaves room. */
const LIMITS = { entryBytes: 64 << 20, totalBytes: 8 * 2 ** 30, entries: 20_000 }
/** What a restart needs are some hundred records; the agent's own segments follow. */
const SEGMENT_BYTES = 1 << 20
/** Of the record formats: a boot is below 2^32. */
const MOST_BOOTS = 2 ** 32 - 1_000_000

export interface RestoreOptions {
  readonly archive: string
  /** Where it all goes, once it is known what the configuration in the archive says. */
  readonly placesOf: (configText: string) => Result<Places & { readonly site: string }>
  /** What stands there is moved aside, never removed. */
  readonly replace: boolean
  readonly dryRun: boolean
  readonly world: Pick<World, 'clock' | 'timers' | 'entropy'>
}

export interface RestoreDone {
  readonly manifest: Manifest
  readonly places: Places
  /** Boots are counted from here. */
  readonly boot: number
  /** What was moved aside. */
  readonly aside: readonly string[]
}

interface Examined {
  readonly manifest: Manifest
  readonly places: Places
  readonly config: string
  readonly keys: ReadonlyMap<string, Uint8Array>
}

/** In the data folder, while it is not all there. */
const STAGING = 'restoring'
/** Of a data folder, what goes with its journal: what is there stays together when it is moved aside. */
const MOVED = ['journal', ...FOLDERS, 'index'] as const

export async function restore(options: RestoreOptions): Promise<Result<RestoreDone>> {
  const checked = await examine(options.archive, options.placesOf)
  if (!checked.ok) return checked
  if (options.dryRun) {
    const temporary = makeTemporaryFolder('tieline-restore-')
    return temporary.ok
      ? clearedAfter(temporary.value, () => restoreBy(options, checked.value, temporary.value))
      : temporary
  }
  const { data } = checked.value.places
  const made = await makeFolder(data)
  if (!made.ok) return made
  // Of two at once the second would clear away what the first is about to put in place.
  const alone = await hold(data, 'restore')
  if (!alone.ok) return alone
  try {
    const staging = `${data}/${STAGING}`
    // Of an attempt that did not end.
    const cleared = await removeAll(staging)
    if (!cleared.ok) return cleared
    return await clearedAfter(staging, () => restoreBy(options, checked.value, staging))
  } finally {
    await alone.value()
  }
}

/** What is left in the folder then nobody needs: that it cannot be removed changes nothing about the answer. */
async function clearedAfter<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const worked = await work()
  await removeAll(folder)
  return worked
}

async function restoreBy(options: RestoreOptions, staged: Examined, staging: string): Promise<Result<RestoreDone>> {
  const { manifest, places } = staged
  const unpacked = await unpack(options.archive, manifest, staging)
  if (!unpacked.ok) return unpacked
  const boot = bootAfter(manifest, options.world.clock.now())
  if (!boot.ok) return boot
  const begun = await beginAgain(staging, options.world, manifest, boot.value)
  if (!begun.ok) return begun
  const holding = await holdJournal(`${places.data}/journal`)
  if (!holding.ok) return holding
  try {
    const aside = await judgePlaces(staged, options.replace, boot.value)
    if (!aside.ok) return aside
    const placed = options.dryRun ? done : await putInPlace({ ...staged, staging, boot: boot.value }, aside.value)
    return placed.ok ? ok({ manifest, places, boot: boot.value, aside: aside.value }) : placed
  } finally {
    await holding.value()
  }
}

/** From here to the end no agent starts with the journal that stands there; `disk.held` while one runs. */
const holdJournal = async (folder: string): Promise<Result<Release>> =>
  (await isFolder(folder)) ? hold(folder, 'journal') : ok(async () => {})

async function hold(folder: string, name: string): Promise<Result<Release>> {
  const disk = await openDisk(folder)
  return disk.ok ? disk.value.hold(name) : disk
}

/** Everything in the archive is looked at before anything of it is written. */
async function examine(archive: string, placesOf: RestoreOptions['placesOf']): Promise<Result<Examined>> {
  const found = new Map<string, Manifest['files'][number]>()
  const keys = new Map<string, Uint8Array>()
  let text: Uint8Array | undefined
  let described: Uint8Array | undefined
  const read = await readArchive(archive, isEntryName, LIMITS, async (name, bytes) => {
    if (name === MANIFEST) described = bytes
    else found.set(name, describeFile(name, bytes))
    if (name === CONFIG) text = bytes
    if (name.startsWith('keys/')) keys.set(name.slice('keys/'.length), bytes)
    return done
  })
  if (!read.ok) return read as { readonly ok: false; readonly fault: Fault }
  if (described === undefined)
    return fail({ code: 'backup.no-manifest', archive, hint: 'it is no backup of a site, or not all of one' })
  const manifest = readManifest(described)
  if (!manifest.ok) return manifest
  const same = checkFiles(manifest.value, found)
  if (!same.ok) return same
  const config = text === undefined ? undefined : fromUtf8(text)
  if (config === undefined) return fail({ code: 'backup.file-missing', file: CONFIG })
  // Where a key goes the configuration says, and who changed that may have put there what another program reads.
  for (const [key, bytes] of keys)
    if (!isKnownSealedKey(bytes)) return fail({ code: 'backup.key', key, hint: 'it is no sealed key of this version' })
  const places = placesOf(config)
  if (!places.ok) return places
  if (places.value.site !== manifest.value.site)
    return fail({ code: 'backup.other-site', expected: manifest.value.site, received: places.value.site })
  return ok({ manifest: manifest.value, places: places.value, config, keys })
}

/** What goes into the data folder, as the manifest still describes it. */
async function unpack(archive: string, { files }: Manifest, staging: string): Promise<Result<void>> {
  const disks = new Map<string, Awaited<ReturnType<typeof openDisk>>>()
  const read = await readArchive(archive, isEntryName, LIMITS, async (name, bytes) => {
    const [top, folder = '', file = ''] = name.split('/')
    if (top !== 'data') return done
    const { sha256: received } = describeFile(name, bytes)
    const expected = files.find(one => one.name === name)?.sha256 ?? ''
    if (received !== expected) return fail({ code: 'backup.file-changed', file: name, expected, received })
    const disk = disks.get(folder) ?? (await openDisk(`${staging}/${folder}`))
    disks.set(folder, disk)
    return disk.ok ? disk.value.replace(file, bytes) : disk
  })
  for (const disk of disks.values()) if (disk.ok) await disk.value.close()
  return read as Result<void>
}

/** Above every boot since the backup: no machine starts its agent more than once in a second, so seconds outrun them. */
function bootAfter({ at, boot }: Manifest, now: number): Result<number> {
  const seconds = Math.floor(now / 1000)
  const hint = 'set the clock of this machine: boots are counted from it, above all that were'
  if (now < at) return fail({ code: 'backup.clock', backup: at, now, hint })
  if (seconds <= boot || seconds > MOST_BOOTS) return fail({ code: 'backup.clock', boot, now, hint })
  return ok(seconds)
}

/** The journal is judged, set aside within the new data folder, and another one begun with what of it is in force. */
async function beginAgain(
  staging: string,
  world: RestoreOptions['world'],
  manifest: Manifest,
  boot: number,
): Promise<Result<void>> {
  const folder = await openFolder(`${staging}/journal`)
  if (!folder.ok) return fail({ code: 'backup.no-journal', archive: manifest.site })
  const survey = await surveyJournal(folder.value)
  if (!survey.ok) return survey
  const [broken] = survey.value.broken
  if (broken !== undefined) return fail({ code: 'backup.journal-broken', ...broken })
  const cut = await cutJournal(folder.value)
  if (!cut.ok) return cut
  const { reader, kept } = cut.value
  if (toHex(reader.id) !== manifest.journal.id || toHex(reader.head.hash) !== manifest.journal.hash)
    return fail({ code: 'backup.other-journal', expected: manifest.journal.hash, received: toHex(reader.head.hash) })
  const moved = await moveTo(`${staging}/journal`, `${staging}/${KEPT}${boot}`)
  if (!moved.ok) return moved
  const disk = await openDisk(`${staging}/journal`)
  if (!disk.ok) return disk
  const written = await writeKept(disk.value, world, reader.owner, kept, boot)
  await disk.value.close()
  if (!written.ok) return written
  const state = await openDisk(`${staging}/state`)
  if (!state.ok) return state
  const held = await keepManual(state.value, true)
  await state.value.close()
  return held
}

async function writeKept(
  disk: Disk,
  world: RestoreOptions['world'],
  owner: Uint8Array,
  kept: JournalCut['kept'],
  boot: number,
): Promise<Result<void>> {
  const journal = await openJournal({ disk, ...world, owner, keeping: keepForRestart, segmentBytes: SEGMENT_BYTES })
  if (!journal.ok) return journal
  const records = [
    // What the old one says of its own segments is not true of this one.
    ...kept.filter(record => readNote(record) === undefined),
    { kind: RESTORED, bytes: utf8(String(boot)) },
    { kind: BOOT, bytes: utf8(String(boot)) },
  ]
  // The last one has all of them written, in one commit where they fit.
  const appended = await Promise.all(
    records.map(({ kind, bytes }, i) => journal.value.append(kind, bytes, { urgent: i === records.length - 1 })),
  )
  await journal.value.close()
  return (appended.find(one => !one.ok) as Result<void> | undefined) ?? done
}

/** What has to be moved aside, or why nothing is touched. */
async function judgePlaces(
  { places, config, keys }: Examined,
  replace: boolean,
  boot: number,
): Promise<Result<readonly string[]>> {
  const aside: string[] = []
  const hint = 'it is kept as it is; with --replace it is moved aside'
  const before = await readBytes(places.config)
  if (!before.ok && before.fault.code !== 'file.missing') return before
  if (before.ok) {
    if (!replace && !equalBytes(before.value, utf8(config)))
      return fail({ code: 'restore.exists', path: places.config, hint })
    // The same one too: while it is away no agent starts.
    aside.push(places.config)
  }
  for (const name of MOVED) {
    const path = `${places.data}/${name}`
    if (!(await isThere(path))) continue
    if (!replace) return fail({ code: 'restore.exists', path, hint })
    if (name === 'journal') {
      const above = await isBelow(path, boot)
      if (!above.ok) return above
    }
    aside.push(path)
  }
  for (const [use, bytes] of keys) {
    const file = places.keys[use]
    if (file === undefined)
      return fail({ code: 'restore.no-place', key: use, hint: 'the configuration names no file for it' })
    const there = await readBytes(file)
    if (!there.ok && there.fault.code !== 'file.missing') return there
    if (there.ok && !equalBytes(there.value, bytes))
      return fail({
        code: 'restore.other-key',
        file,
        hint: 'another key stands there; a key is never replaced: move it away',
      })
  }
  const above = await isAboveNamed(places.data, boot)
  return above.ok ? ok(aside) : above
}

/** Of restores since, ended or not: their boots stand in the names of what they left. */
async function isAboveNamed(data: string, boot: number): Promise<Result<void>> {
  const names = await namesIn(data)
  if (!names.ok) return names
  for (const name of names.value) {
    const counted = Number(/^journal\.(?:before|restored)-(\d{1,10})$/.exec(name)?.[1] ?? 0)
    if (counted < boot) continue
    const hint = counted === boot ? 'wait a second' : 'set the clock of this machine'
    return fail({ code: 'backup.clock', boot, counted, hint })
  }
  return done
}

/** A clock that was set back since counts from a boot that was; a journal that cannot be read says nothing of it. */
async function isBelow(folder: string, boot: number): Promise<Result<void>> {
  const disk = await openFolder(folder)
  const cut = disk.ok ? await cutJournal(disk.value) : disk
  if (!cut.ok || cut.value.boot < boot) return done
  const counted = cut.value.boot
  const hint = counted === boot ? 'wait a second' : 'set the clock of this machine'
  return fail({ code: 'backup.clock', boot, counted, hint })
}
