/** What stands in a backup, and which names its entries may have: places on a machine are the configuration's to say, not theirs. */
import { fromUtf8, toHex, utf8 } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'

const FORMAT = 'tieline backup 1'
export const MANIFEST = 'manifest.json'
export const CONFIG = 'config.yaml'
/** Folders of the data folder that are kept as they are. The journal is cut at a commit; what is left out can be made anew. */
export const FOLDERS = ['state', 'distribution', 'cache'] as const
export const KEY_USES = ['account', 'sealing', 'metering', 'ocmf'] as const
export type KeyUse = (typeof KEY_USES)[number]

export interface Manifest {
  readonly format: typeof FORMAT
  readonly site: string
  /** Unix milliseconds by the clock of the machine that made it. */
  readonly at: number
  /** Of the program that made it. */
  readonly version: string
  /** Boots so far, by the journal. */
  readonly boot: number
  readonly journal: { readonly id: string; readonly sequence: string; readonly hash: string; readonly records: number }
  /** Keys that stand in no sealed file, by their use: they have to be brought by hand. */
  readonly keysLeftOut: readonly KeyUse[]
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[]
}

/** A name of the archive: of ours, and never a path out of the folder that it is put into. */
export const isEntryName = (name: string): boolean =>
  name === MANIFEST ||
  name === CONFIG ||
  KEY_USES.some(use => name === `keys/${use}`) ||
  (/^data\/(journal|state|distribution|cache)\/[a-z0-9][a-z0-9._-]{0,99}$/.test(name) && !name.endsWith('.unfinished'))

export const newManifest = (about: Omit<Manifest, 'format'>): Uint8Array =>
  utf8(`${JSON.stringify({ format: FORMAT, ...about }, undefined, 1)}\n`)

export const describeFile = (name: string, bytes: Uint8Array): Manifest['files'][number] => ({
  name,
  bytes: bytes.length,
  sha256: toHex(sha256(bytes)),
})

const isText = (value: unknown): value is string => typeof value === 'string'
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const isKeyUse = (value: unknown): value is KeyUse => KEY_USES.some(use => use === value)
const isHex = (value: unknown): value is string => isText(value) && /^[0-9a-f]*$/.test(value)
const isThing = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

const isFile = (value: unknown): value is Manifest['files'][number] =>
  isThing(value) && isText(value['name']) && isCount(value['bytes']) && isHex(value['sha256'])

export function readManifest(bytes: Uint8Array): Result<Manifest> {
  const wrong = (what: string) => fail({ code: 'backup.manifest', what })
  let value: unknown
  try {
    value = JSON.parse(fromUtf8(bytes) ?? '')
  } catch {
    return wrong('not JSON')
  }
  if (!isThing(value) || value['format'] !== FORMAT) return wrong(`not of the format ${FORMAT}`)
  const { site, at, version, boot, journal, keysLeftOut, files } = value
  if (!isText(site) || !isText(version) || !isCount(at) || !isCount(boot)) return wrong('site, version, at or boot')
  if (!isThing(journal)) return wrong('journal')
  const { id, sequence, hash, records } = journal
  if (!isHex(id) || !isText(sequence) || !/^\d{1,16}$/.test(sequence) || !isHex(hash) || !isCount(records))
    return wrong('journal')
  if (!Array.isArray(keysLeftOut) || !keysLeftOut.every(isKeyUse)) return wrong('keysLeftOut')
  if (!Array.isArray(files) || !files.every(isFile)) return wrong('files')
  const about = { site, at, version, boot, keysLeftOut, files }
  return ok({ format: FORMAT, ...about, journal: { id, sequence, hash, records } })
}

/** Every file that is named is there as it is described, once, and no other. */
export function checkFiles({ files }: Manifest, found: ReadonlyMap<string, Manifest['files'][number]>): Result<void> {
  const named = new Set(files.map(({ name }) => name))
  if (named.size !== files.length) return fail({ code: 'backup.manifest', what: 'a file is named twice' })
  for (const { name, bytes, sha256: hash } of files) {
    const there = found.get(name)
    if (there === undefined) return fail({ code: 'backup.file-missing', file: name })
    if (there.bytes !== bytes || there.sha256 !== hash)
      return fail({ code: 'backup.file-changed', file: name, expected: hash, received: there.sha256 })
  }
  for (const name of found.keys()) if (!named.has(name)) return fail({ code: 'backup.file-unnamed', file: name })
  return ok(undefined)
}
