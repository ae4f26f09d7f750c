/**
 * An update file, `tieline-VERSION-ARCHITECTURE.update`:
 *
 *     16  "tieline-update1\n"
 *      4  length of the head, big-endian
 *         head: canonical CBOR {1: [1 to 8 COSE_Sign1], 2: list of files}
 *         the bodies of the files, one after the other in the order of the list, and nothing after them
 *
 * Each COSE_Sign1 (EdDSA, external_aad `tieline/update/1`) has the same payload, the manifest, which names the list of files by
 * its SHA-256; the list names each body by its own. So whoever has verified the head knows every byte that may follow.
 */
import { compareBytes, concat, equalBytes, toHex, utf8 } from '../bytes.ts'
import { kidOf, parseSign1, verifySign1 } from '../crypto/cose.ts'
import { sha256 } from '../crypto/hash.ts'
import type { Verifier } from '../crypto/verify.ts'
import { bytes, decodeAs, encodeAs, integer, list, record, text, word } from '../record.ts'
import { type Fault, fail, ok, type Pull, type Result } from '../result.ts'
import { GROUP, KEYS_MAX, type Trust, trustCodec, trustFault } from './trust.ts'

export const UPDATE_PURPOSE = utf8('tieline/update/1')
const MAGIC = utf8('tieline-update1\n')
const LENGTH_BYTES = 4
/** 1,000 files of 150 bytes each in the list, and the signatures. */
const HEAD_MAX = 256 * 1024
/** Eight keys and everything else at its longest. */
const MANIFEST_MAX = 1024
const FILES_MAX = 1000
/** The package has 12 MB; a board keeps three releases beside its journal. */
const SIZE_MAX = 64 << 20
/** As for a file's own size: seconds since 1970 until the year 2242, the counter of a build that names none. */
const RELEASE_MAX = 2 ** 33
/** Segments begin with a letter, digit or underscore: no folder above, no hidden file. */
const PATH = /^(?=.{1,100}$)[A-Za-z0-9_][A-Za-z0-9_.-]*(\/[A-Za-z0-9_][A-Za-z0-9_.-]*){0,7}$/

export const UPDATE_ARCHITECTURES = ['arm64', 'armhf', 'amd64'] as const
/** What the launcher starts. */
export const PROGRAM = 'agent/tieline.js'

const manifestCodec = record(
  {
    product: [1, text(/^tieline$/)],
    /** Debian's names. */
    architecture: [2, word(...UPDATE_ARCHITECTURES)],
    /** Rises with each release, whatever its version is called. */
    release: [3, integer(1, RELEASE_MAX)],
    version: [4, text(/^[0-9A-Za-z][0-9A-Za-z.+~-]{0,63}$/)],
    /** The least release from which it may be installed. */
    least: [5, integer(0, RELEASE_MAX)],
    /** SHA-256 of the list of files, as its bytes stand in the head. */
    files: [6, bytes(32)],
    /** Of all bodies together. */
    size: [7, integer(1, SIZE_MAX)],
  },
  {
    /** For gateways of this group alone. */
    group: [8, text(GROUP)],
    /** From the moment that this release is found good, these keys are trusted and no others. */
    trust: [9, trustCodec],
  },
)
export type Manifest = ReturnType<(typeof manifestCodec)['read']> extends Result<infer M> ? M : never

const fileCodec = record({ path: [1, text(PATH)], size: [2, integer(0, SIZE_MAX)], hash: [3, bytes(32)] })
const filesCodec = list(fileCodec, 1, FILES_MAX)
export type ReleaseFile = ReturnType<(typeof fileCodec)['read']> extends Result<infer F> ? F : never

const HEAD = { envelopes: [1, list(bytes(80, 2048), 1, KEYS_MAX)], files: [2, bytes(1, HEAD_MAX)] } as const
const headCodec = record(HEAD)

/** A head whose signatures are good. */
export interface Release {
  /** Release counter and first bytes of the manifest's hash, as in `1790000000-0a1b2c3d`: the folder that it lies in. */
  readonly name: string
  readonly manifest: Manifest
  readonly files: readonly ReleaseFile[]
  readonly envelopes: readonly Uint8Array[]
}

export const RELEASE_NAME = /^(\d{1,10})-[0-9a-f]{8}$/
export const releaseOf = (name: string): number => Number(name.split('-')[0])
const nameOf = (manifest: Manifest, payload: Uint8Array) =>
  `${manifest.release}-${toHex(sha256(payload).subarray(0, 4))}`

/** The head's bytes at the beginning of a file, of which at least this many have to be there to know how many more. */
export const LEAD_BYTES = MAGIC.length + LENGTH_BYTES

/** `need` counts from what is there; an update file has its head at its beginning, so there is nothing to skip to. */
export function pullHead(input: Uint8Array): Pull<Uint8Array> {
  const seen = Math.min(input.length, MAGIC.length)
  const no = (fault: Fault): Pull<Uint8Array> => ({ kind: 'junk', skip: input.length, fault })
  if (!equalBytes(input.subarray(0, seen), MAGIC.subarray(0, seen))) {
    return no({ code: 'update.not-an-update', hint: 'a file made by `npm run image -- update`' })
  }
  if (input.length < LEAD_BYTES) return { kind: 'need', bytes: LEAD_BYTES - input.length }
  const length = new DataView(input.buffer, input.byteOffset).getUint32(MAGIC.length)
  if (length === 0 || length > HEAD_MAX) return no({ code: 'update.head-size', bytes: length, limit: HEAD_MAX })
  const used = LEAD_BYTES + length
  if (input.length < used) return { kind: 'need', bytes: used - input.length }
  return { kind: 'frame', value: input.slice(LEAD_BYTES, used), used }
}

/**
 * The manifest that enough of one trusted set of keys have signed. `sets` are asked one after the other; an envelope by a
 * stranger's key counts for nothing, one that names a trusted key and is not by it makes the whole refused.
 */
export function verifyManifest(
  envelopes: readonly Uint8Array[],
  sets: readonly Trust[],
  verifier: Verifier,
): Result<{ readonly manifest: Manifest; readonly name: string }> {
  let best: Fault = { code: 'update.no-keys', hint: 'name the keys whose updates are taken' }
  for (const { threshold, keys } of sets) {
    const signed = new Set<string>()
    let payload: Uint8Array | undefined
    for (const bytes of envelopes) {
      const envelope = parseSign1(bytes)
      if (!envelope.ok) return envelope
      const { alg, kid, payload: said } = envelope.value
      payload ??= said
      if (!equalBytes(payload, said)) return fail({ code: 'update.two-manifests' })
      const key = alg === 'EdDSA' ? keys.find(one => equalBytes(kidOf('EdDSA', one), kid)) : undefined
      if (key === undefined) continue
      const verified = verifySign1(envelope.value, key, UPDATE_PURPOSE, verifier)
      if (!verified.ok) return verified
      signed.add(toHex(key))
    }
    if (payload === undefined || signed.size < threshold) {
      best = { code: 'update.not-signed', signatures: signed.size, needed: threshold, hint: 'not by keys trusted here' }
      continue
    }
    const manifest = decodeAs(manifestCodec, payload, 'manifest', MANIFEST_MAX)
    if (!manifest.ok) return manifest
    const fault = manifest.value.trust && trustFault(manifest.value.trust)
    return fault === undefined ? ok({ manifest: manifest.value, name: nameOf(manifest.value, payload) }) : fail(fault)
  }
  return fail(best)
}

/** A head as it stands in a file or beside a release's files. Signatures come first: nothing is made of the list before. */
export function readHead(head: Uint8Array, sets: readonly Trust[], verifier: Verifier): Result<Release> {
  const read = decodeAs(headCodec, head, 'head', HEAD_MAX)
  if (!read.ok) return read
  const { envelopes, files } = read.value
  const verified = verifyManifest(envelopes, sets, verifier)
  if (!verified.ok) return verified
  const { manifest, name } = verified.value
  if (!equalBytes(sha256(files), manifest.files)) return fail({ code: 'update.other-list', release: name })
  const listed = decodeAs(filesCodec, files, 'files', HEAD_MAX)
  if (!listed.ok) return listed
  const fault = listFault(listed.value, manifest.size)
  return fault === undefined ? ok({ name, manifest, files: listed.value, envelopes }) : fail(fault)
}

/** In the order of their bytes, none twice, none below another; together as long as the manifest says; with the program. */
function listFault(files: readonly ReleaseFile[], size: number): Fault | undefined {
  const paths = new Set(files.map(({ path }) => path))
  for (const [at, { path }] of files.entries()) {
    if (at > 0 && compareBytes(utf8(files[at - 1]!.path), utf8(path)) >= 0) return { code: 'update.order', path }
    for (let end = path.indexOf('/'); end > 0; end = path.indexOf('/', end + 1)) {
      if (paths.has(path.slice(0, end))) return { code: 'update.file-and-folder', path }
    }
  }
  const sum = files.reduce((total, file) => total + file.size, 0)
  if (sum !== size) return { code: 'update.size', listed: sum, manifest: size }
  return paths.has(PROGRAM) ? undefined : { code: 'update.no-program', path: PROGRAM }
}

/** What is to be signed, and the list it names, of files in any order. Throws on what `readHead` would refuse: our own bug. */
export function manifestOf(
  about: Omit<Manifest, 'product' | 'files' | 'size'>,
  files: readonly ReleaseFile[],
): { readonly payload: Uint8Array; readonly list: Uint8Array; readonly files: readonly ReleaseFile[] } {
  const sorted = [...files].sort((a, b) => compareBytes(utf8(a.path), utf8(b.path)))
  const size = sorted.reduce((total, file) => total + file.size, 0)
  const listBytes = encodeAs(filesCodec, sorted)
  const payload = encodeAs(manifestCodec, { ...about, product: 'tieline', files: sha256(listBytes), size })
  const read = decodeAs(manifestCodec, payload, 'manifest', MANIFEST_MAX)
  const listed = decodeAs(filesCodec, listBytes, 'files', HEAD_MAX)
  const fault = !read.ok ? read.fault : !listed.ok ? listed.fault : listFault(sorted, size)
  if (fault !== undefined) throw new RangeError(`no update can be made of this: ${JSON.stringify(fault)}`)
  return { payload, list: listBytes, files: sorted }
}

/** What stands before the bodies. */
export function assembleHead(envelopes: readonly Uint8Array[], list: Uint8Array): Uint8Array {
  const head = encodeAs(headCodec, { envelopes, files: list })
  const length = new Uint8Array(LENGTH_BYTES)
  new DataView(length.buffer).setUint32(0, head.length)
  return concat(MAGIC, length, head)
}
