/**
 * A backup of one site: its configuration, its sealed keys, its journal up to a commit and its state, in one file. The agent may
 * run meanwhile. A key that stands in no sealed file, and whatever opens a sealed one, is never in it.
 */

import { isSealedKey } from '../../drivers/keys/sealed-file.ts'
import { writeArchive } from '../../drivers/store/archive.ts'
import { openFolder } from '../../drivers/store/disk.ts'
import { readBytes } from '../../drivers/text-file.ts'
import { toHex } from '../../protocol/bytes.ts'
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { SiteConfig } from '../config/site-config.ts'
import { cutJournal, type JournalCut } from './kept-journal.ts'
import {
  CONFIG,
  describeFile,
  FOLDERS,
  isEntryName,
  type KeyUse,
  MANIFEST,
  type Manifest,
  newManifest,
} from './manifest.ts'

export interface BackupOptions {
  readonly config: SiteConfig
  /** Of the configuration; paths in it are as they stand there. */
  readonly configFile: string
  readonly out: string
  readonly now: number
  readonly version: string
}

export type BackupDone = Omit<Manifest, 'files'> & { readonly files: number; readonly bytes: number }

/** Where the sealed files of a site are, by use. Keys of a token or a TPM are in no file. */
export function keyFiles({
  keys,
}: Pick<SiteConfig, 'keys'>): readonly (readonly [use: KeyUse, file: string | undefined])[] {
  if (keys.kind === 'seed') return []
  const placed = (place: typeof keys.metering) => (place.kind === 'file' ? place.file : undefined)
  return [
    ['account', keys.account],
    ['sealing', keys.sealing],
    ['metering', placed(keys.metering)],
    ...(keys.ocmf === undefined ? [] : [['ocmf', placed(keys.ocmf)] as const]),
  ]
}

/** Dropped while it was read: from the beginning once more. */
const TRIES = 3

export async function backUp(options: BackupOptions): Promise<Result<BackupDone>> {
  for (let tries = 1; ; tries++) {
    const made = await backUpOnce(options)
    if (made.ok || tries === TRIES || !/^(disk\.missing|journal\.dropped-meanwhile)$/.test(made.fault.code)) return made
  }
}

async function backUpOnce({ config, configFile, out, now, version }: BackupOptions): Promise<Result<BackupDone>> {
  const journalFolder = await openFolder(`${config.data}/journal`)
  if (!journalFolder.ok)
    return fail({
      code: 'backup.no-journal',
      folder: `${config.data}/journal`,
      hint: 'no agent has run with this data folder',
    })
  const files: Manifest['files'][number][] = []
  const keysLeftOut: KeyUse[] = []
  let cut: JournalCut | undefined
  let about: Omit<Manifest, 'files' | 'format'> | undefined
  const written = await writeArchive(out, async add => {
    const put = async (name: string, bytes: Uint8Array) => {
      files.push(describeFile(name, bytes))
      await add(name, bytes)
    }
    const text = await readBytes(configFile)
    if (!text.ok) return text
    await put(CONFIG, text.value)
    for (const [use, file] of keyFiles(config)) {
      const key = file === undefined ? undefined : await readBytes(file)
      if (key?.ok === false) return key
      if (key !== undefined && isSealedKey(key.value)) await put(`keys/${use}`, key.value)
      else keysLeftOut.push(use)
    }
    // Before the journal: what is older than its cut says nothing that the journal does not know.
    for (const folder of FOLDERS) {
      const copied = await copyFolder(config.data, folder, put)
      if (!copied.ok) return copied
    }
    const found = await cutJournal(journalFolder.value)
    if (!found.ok) return found
    cut = found.value
    for (const { name, bytes } of cut.segments) {
      const read = await journalFolder.value.read(name, 0, bytes)
      if (!read.ok) return read
      await put(`data/journal/${name}`, read.value)
    }
    const { id, head } = cut.reader
    const journal = { id: toHex(id), sequence: String(head.sequence), hash: toHex(head.hash), records: head.records }
    about = { site: config.site, at: now, version, boot: cut.boot, journal, keysLeftOut }
    await add(MANIFEST, newManifest({ ...about, files }))
    return done
  })
  if (!written.ok) return written as { readonly ok: false; readonly fault: Fault }
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  return ok({ format: 'tieline backup 1', ...about!, files: files.length, bytes })
}

async function copyFolder(
  data: string,
  folder: (typeof FOLDERS)[number],
  put: (name: string, bytes: Uint8Array) => Promise<void>,
): Promise<Result<void>> {
  const disk = await openFolder(`${data}/${folder}`)
  // A site without a second ledger has no folder for it.
  if (!disk.ok) return disk.fault.code === 'disk.missing' ? done : disk
  const names = await disk.value.list()
  if (!names.ok) return names
  // In their order: of files that are written one behind the other, all but the last are finished then.
  for (const name of names.value) {
    const entry = `data/${folder}/${name}`
    if (!isEntryName(entry)) continue
    const bytes = await disk.value.read(name)
    if (!bytes.ok) return bytes
    await put(entry, bytes.value)
  }
  return done
}
