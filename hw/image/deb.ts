/**
 * A .deb without dpkg (deb(5): an ar archive of three members, two of them tar): the same entries and the same moment give the same
 * bytes, wherever and by whomever they are packed.
 */
import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'

/** One path of a package; names are relative to the root, without a slash in front. */
export type Entry =
  | { readonly kind: 'file'; readonly path: string; readonly body: Uint8Array; readonly program?: boolean }
  | { readonly kind: 'link'; readonly path: string; readonly to: string }

export interface DebPackage {
  /** Fields of `control` in their order; Installed-Size is added. */
  readonly control: Readonly<Record<string, string>>
  /** Maintainer scripts by name: preinst, postinst, prerm, postrm. */
  readonly scripts: Readonly<Record<string, string>>
  /** Paths that dpkg keeps as a person changed them. */
  readonly conffiles: readonly string[]
  readonly entries: readonly Entry[]
  /** Seconds since 1970 that everything in it bears. */
  readonly at: number
}

const BLOCK = 512
/** tar pads its end to this (POSIX.1-2017, pax, "ustar Interchange Format"). */
const RECORD = 20 * BLOCK
/** A header's name field. */
const NAME_BYTES = 100

const ascii = (text: string): Buffer => Buffer.from(text, 'latin1')
const padded = (bytes: Uint8Array, to: number): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((to - (bytes.length % to)) % to)])

export function debFile({ control, scripts, conffiles, entries, at }: DebPackage): Buffer {
  const files = entries.filter(entry => entry.kind === 'file')
  const paths = new Set(entries.map(({ path }) => path))
  if (paths.size !== entries.length) throw new Error('a path stands twice in the package')
  const missing = conffiles.find(path => !paths.has(path))
  if (missing !== undefined) throw new Error(`the conffile ${missing} is not in the package`)
  const kib = files.reduce((sum, { body }) => sum + Math.ceil(body.length / 1024), entries.length)
  const fields = { ...control, 'Installed-Size': String(kib) }
  const text = (path: string, body: string, program = false): Entry => ({
    kind: 'file',
    path,
    body: utf8(body),
    program,
  })
  const about: Entry[] = [
    text(
      'control',
      Object.entries(fields)
        .map(([name, value]) => `${name}: ${value}\n`)
        .join(''),
    ),
    text('conffiles', conffiles.map(path => `/${path}\n`).join('')),
    text(
      'md5sums',
      sorted(files)
        .map(({ path, body }) => `${md5(body)}  ${path}\n`)
        .join(''),
    ),
    ...Object.entries(scripts).map(([name, script]) => text(name, script, true)),
  ]
  return ar(
    [
      ['debian-binary', ascii('2.0\n')],
      ['control.tar.gz', gzip(tar(about, at))],
      ['data.tar.gz', gzip(tar(entries, at))],
    ],
    at,
  )
}

const utf8 = (text: string): Uint8Array => Buffer.from(text, 'utf8')
const md5 = (body: Uint8Array): string => createHash('md5').update(body).digest('hex')
// By bytes, not by a locale.
const sorted = <T extends { readonly path: string }>(entries: readonly T[]): T[] =>
  [...entries].sort((a, b) => (a.path < b.path ? -1 : 1))

/** zlib writes no time into the header, but the system that it was built for. */
function gzip(bytes: Uint8Array): Buffer {
  const packed = gzipSync(bytes, { level: 9 })
  // RFC 1952: 255 is unknown.
  packed[9] = 255
  return packed
}

/** Everything belongs to root, and each folder comes before what is in it. */
function tar(entries: readonly Entry[], at: number): Buffer {
  const folders = new Set<string>()
  for (const { path } of entries) {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) folders.add(path.slice(0, end))
  }
  const blocks: Buffer[] = [header('./', '5', 0o755, 0, at)]
  for (const entry of sorted([...[...folders].map(path => ({ kind: 'folder', path }) as const), ...entries])) {
    if (entry.kind === 'folder') blocks.push(header(`./${entry.path}/`, '5', 0o755, 0, at))
    else if (entry.kind === 'link') blocks.push(header(`./${entry.path}`, '2', 0o777, 0, at, entry.to))
    else {
      const mode = entry.program ? 0o755 : 0o644
      blocks.push(header(`./${entry.path}`, '0', mode, entry.body.length, at), padded(entry.body, BLOCK))
    }
  }
  return padded(Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]), RECORD)
}

/** POSIX.1-2017, pax, "ustar Interchange Format". */
function header(name: string, kind: '0' | '2' | '5', mode: number, size: number, at: number, to = ''): Buffer {
  const block = Buffer.alloc(BLOCK)
  const put = (text: string, offset: number, width: number) => {
    if (Buffer.byteLength(text) > width) throw new Error(`${text} is too long for a tar of this form`)
    block.write(text, offset)
  }
  const octal = (value: number, offset: number, width: number) =>
    put(value.toString(8).padStart(width - 1, '0'), offset, width - 1)
  put(name, 0, NAME_BYTES)
  octal(mode, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(size, 124, 12)
  octal(at, 136, 12)
  put(kind, 156, 1)
  put(to, 157, NAME_BYTES)
  put('ustar', 257, 6)
  put('00', 263, 2)
  put('root', 265, 32)
  put('root', 297, 32)
  // The sum is made with blanks in its own place.
  block.fill(' ', 148, 156)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

/** The common form of ar(5): a header of 60 bytes, members on even offsets. */
function ar(members: readonly (readonly [name: string, body: Uint8Array])[], at: number): Buffer {
  const parts: Uint8Array[] = [ascii('!<arch>\n')]
  for (const [name, body] of members) {
    const field = (text: string, width: number) => text.padEnd(width)
    const head = [field(name, 16), field(String(at), 12), field('0', 6), field('0', 6), field('100644', 8)]
    parts.push(ascii(`${head.join('')}${field(String(body.length), 10)}\`\n`), body)
    if (body.length % 2 === 1) parts.push(ascii('\n'))
  }
  return Buffer.concat(parts)
}
