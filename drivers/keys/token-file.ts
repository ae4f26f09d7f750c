/**
 * Tokens for machines that ask the page's server, as a file that holds none of them: one line each, the SHA-256 of the token in
 * hex and a name that says whose it is.
 *
 *     9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 prometheus
 *
 * A token is 256 random bits, so that its hash needs no salt and no cost. Taking the line out takes the token back.
 */
import { timingSafeEqual } from 'node:crypto'
import { fromHex, fromUtf8, toHex, utf8 } from '../../protocol/bytes.ts'
import { toBase64 } from '../../protocol/chain/base64.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { Entropy } from '../ports.ts'
import { makeGuarded, readGuarded } from './guarded-file.ts'

const LINE = /^([0-9a-f]{64}) ([a-z0-9-]{1,32})$/
/** Far below 4 kB, the most that is read of a guarded file. */
const MOST = 32
/** Of our own tokens and session ids; a longer text is none. */
const TOKEN_LENGTH = 43

const malformed = (file: string, why: string) =>
  fail({ code: 'page.token-file', file, why, hint: 'make it with tieline token' } as const)

/** 256 random bits as text that fits a header and a cookie (base64url). */
export const newToken = (entropy: Entropy): string =>
  toBase64(entropy.bytes(32)).replaceAll('+', '-').replaceAll('/', '_').replace(/=$/, '')

export const isToken = (text: string): boolean => text.length === TOKEN_LENGTH && /^[\w-]+$/.test(text)

export const hashToken = (token: string): Uint8Array => sha256(utf8(token))

/** Whether it is one of those that have these hashes; all are compared, each in the same time. */
export function isKnownToken(token: string, hashes: readonly Uint8Array[]): boolean {
  if (!isToken(token)) return false
  const hash = hashToken(token)
  return hashes.reduce((known, each) => timingSafeEqual(hash, each) || known, false)
}

/** Makes a token, adds its hash to the file and hands the token back, which nothing keeps. */
export async function addToken(file: string, name: string, entropy: Entropy): Promise<Result<string>> {
  const token = newToken(entropy)
  const made = await makeGuarded(file, async (disk, where) => {
    const there = await disk.read(where)
    if (!there.ok && there.fault.code !== 'disk.missing') return there
    const lines = there.ok ? linesOf(there.value, file) : ok([])
    if (!lines.ok) return lines
    if (lines.value.some(line => line.name === name))
      return fail({
        code: 'page.token-name',
        file,
        name,
        hint: 'take its line out of the file first, or choose another',
      })
    if (lines.value.length >= MOST) return fail({ code: 'page.tokens', file, most: MOST })
    const all = [...lines.value, { hash: hashToken(token), name }]
    return disk.replace(where, utf8(all.map(line => `${toHex(line.hash)} ${line.name}\n`).join('')))
  })
  return made.ok ? ok(token) : made
}

/** The hashes in a token file, at least one. */
export async function readTokenFile(file: string): Promise<Result<readonly Uint8Array[]>> {
  const read = await readGuarded(file)
  if (!read.ok) return read
  const lines = linesOf(read.value, file)
  if (!lines.ok) return lines
  return lines.value.length === 0 ? malformed(file, 'it is empty') : ok(lines.value.map(({ hash }) => hash))
}

function linesOf(
  bytes: Uint8Array,
  file: string,
): Result<readonly { readonly hash: Uint8Array; readonly name: string }[]> {
  const lines = (fromUtf8(bytes) ?? '\0').split('\n').filter(line => line !== '')
  const read = lines.map(line => LINE.exec(line))
  const wrong = read.indexOf(null)
  // What stands there may be a token that somebody pasted: it is not repeated.
  if (wrong >= 0) return malformed(file, `line ${wrong + 1} is not a hash and a name`)
  if (lines.length > MOST) return malformed(file, `more than ${MOST} tokens`)
  return ok(read.map(line => ({ hash: fromHex(line![1]!)!, name: line![2]! })))
}
