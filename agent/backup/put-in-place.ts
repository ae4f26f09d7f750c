/**
 * What a restore has ready is put where it belongs: all of it, or everything is as it was. The configuration is put in place
 * last, and taken away first where another is replaced: without one no agent starts, so whenever the power goes, none begins
 * with half of it or counts anew. Each step is on the disk before the next one begins.
 */
import { makeGuarded } from '../../drivers/keys/guarded-file.ts'
import { isFolder, isThere, makeFolder, moveTo, namesIn, ownLike, removeAll } from '../../drivers/store/folder.ts'
import { readBytes } from '../../drivers/text-file.ts'
import { writeWholeFile } from '../../drivers/whole-file.ts'
import { done, fail, type Result } from '../../protocol/result.ts'
import { FOLDERS } from './manifest.ts'

export interface Places {
  readonly config: string
  readonly data: string
  /** By use. */
  readonly keys: Readonly<Record<string, string>>
}

/** What is to be put there; what goes into the data folder stands in a folder of it. */
interface Ready {
  readonly places: Places
  readonly config: string
  readonly keys: ReadonlyMap<string, Uint8Array>
  readonly staging: string
  /** Boots are counted from here; what is moved aside is named after it. */
  readonly boot: number
}

/** Before the boot: the journal of the backup, for whoever wants to verify or export it. */
export const KEPT = 'journal.restored-'
/** Before the boot, behind the name of what was moved aside. */
const ASIDE = '.before-'

/** Where a configuration was moved to, of which there is no other since: a restore was broken off. */
export async function findAside(config: string): Promise<string | undefined> {
  const names = await namesIn(folderOf(config))
  const before = `${config.slice(folderOf(config).length + 1)}${ASIDE}`
  const boots = names.ok
    ? names.value.filter(name => name.startsWith(before)).map(name => name.slice(before.length))
    : []
  const newest = Math.max(...boots.filter(boot => /^\d{1,10}$/.test(boot)).map(Number))
  return Number.isFinite(newest) ? `${config}${ASIDE}${newest}` : undefined
}

/** All of it, or as it was before; `restore.unfinished` where not even that could be done. */
export async function putInPlace(ready: Ready, aside: readonly string[]): Promise<Result<void>> {
  const undo: Undo[] = []
  const placed = await placeAll(ready, aside, undo)
  if (placed.ok) return placed
  for (const step of undo.reverse()) {
    const undone = await step()
    if (!undone.ok) {
      const hint = `what stood there is beside it as NAME${ASIDE}${ready.boot}: run it again with --replace`
      return fail({ code: 'restore.unfinished', because: placed.fault.code, undoing: undone.fault.code, hint })
    }
  }
  return placed
}

type Undo = () => Promise<Result<void>>

async function placeAll(
  { places, config, keys, staging, boot }: Ready,
  aside: readonly string[],
  undo: Undo[],
): Promise<Result<void>> {
  const { data } = places
  const move = async (from: string, to: string) => {
    // Also one that failed may have moved it: that it is not there is found then.
    undo.push(async () => ((await isThere(to)) && !(await isThere(from)) ? moveTo(to, from) : done))
    return moveTo(from, to)
  }
  // The configuration stands in front.
  for (const path of aside) {
    const moved = await move(path, `${path}${ASIDE}${boot}`)
    if (!moved.ok) return moved
  }
  const given = await ownLike(staging, data)
  if (!given.ok) return given
  for (const name of [KEPT + boot, ...FOLDERS, 'journal']) {
    if (!(await isFolder(`${staging}/${name}`))) continue
    const moved = await move(`${staging}/${name}`, `${data}/${name}`)
    if (!moved.ok) return moved
  }
  for (const [use, bytes] of keys) {
    const placed = await placeKey(places.keys[use]!, bytes, data)
    if (!placed.ok) return placed
  }
  undo.push(() => removeAll(places.config))
  const written = await writeWholeFile(places.config, config)
  return written.ok
    ? ownLike(
        places.config,
        aside.includes(places.config) ? `${places.config}${ASIDE}${boot}` : folderOf(places.config),
      )
    : written
}

/** A key that stands there is left as it is: that it is the same one was seen before. */
async function placeKey(file: string, bytes: Uint8Array, ownedLike: string): Promise<Result<void>> {
  const there = await readBytes(file)
  if (there.ok) return done
  if (there.fault.code !== 'file.missing') return there
  const folder = folderOf(file)
  const isNew = !(await isFolder(folder))
  const made = await makeFolder(folder)
  if (!made.ok) return made
  const opened = isNew ? await ownLike(folder, ownedLike) : done
  if (!opened.ok) return opened
  // Under its own name once it is whole and belongs to whoever is to read it.
  const ready = `${file}.restored`
  const written = await makeGuarded(ready, (disk, name) => disk.replace(name, bytes))
  const given = written.ok ? await ownLike(ready, ownedLike) : written
  return given.ok ? moveTo(ready, file) : given
}

const folderOf = (file: string): string => file.slice(0, file.lastIndexOf('/'))
