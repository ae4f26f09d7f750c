/**
 * The password of the page, as a file that does not hold it: one line,
 *
 *     $scrypt$ln=15,r=8,p=3$SALT$HASH       salt of 16 bytes and hash of 32, base64
 *
 * scrypt (RFC 7914) of the password (NFKC, UTF-8) with N 2^15, r 8, p 3: 32 MiB of memory and about half a second on a board.
 */
import { scrypt, timingSafeEqual } from 'node:crypto'
import { utf8 } from '../../protocol/bytes.ts'
import { fromBase64, toBase64 } from '../../protocol/chain/base64.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { Entropy } from '../ports.ts'
import { makeGuarded, readSecretLine } from './guarded-file.ts'

/** Whether a password is the right one; the answer comes after those to every check that was asked for before. */
export type PasswordCheck = (password: string) => Promise<boolean>

/** OWASP's scrypt setting for 32 MiB. The line names it, so that another one is refused instead of never matching. */
const COST = { N: 2 ** 15, r: 8, p: 3, maxmem: 64 << 20 } as const
const FORM = /^\$scrypt\$ln=15,r=8,p=3\$([A-Za-z0-9+/]{22}==)\$([A-Za-z0-9+/]{43}=)$/
/** NIST SP 800-63B, 5.1.1.2. */
const LEAST = 8
/** Bytes; scrypt takes any number of them, a stranger's too. */
const MOST = 1024

const malformed = (file: string) =>
  fail({ code: 'page.password-file', file, hint: 'make it with tieline password' } as const)

/** Writes the file, whole or not at all; an older password is replaced. */
export async function writePasswordFile(file: string, password: string, entropy: Entropy): Promise<Result<void>> {
  if ([...password.normalize('NFKC')].length < LEAST || utf8(password).length > MOST) {
    return fail({ code: 'page.password-length', least: LEAST, mostBytes: MOST, hint: 'a sentence is easy to remember' })
  }
  const salt = entropy.bytes(16)
  const line = `$scrypt$ln=15,r=8,p=3$${toBase64(salt)}$${toBase64(await hashOf(password, salt))}\n`
  return makeGuarded(file, (disk, name) => disk.replace(name, utf8(line)))
}

/** Reads the file once. Checks run one after the other: each takes 32 MiB and one of the threads that the journal's disk needs. */
export async function openPasswordFile(file: string): Promise<Result<PasswordCheck>> {
  const line = await readSecretLine(file)
  if (!line.ok) return line
  const [, saltText = '', hashText = ''] = FORM.exec(line.value) ?? []
  const [salt, hash] = [fromBase64(saltText), fromBase64(hashText)]
  if (salt?.length !== 16 || hash?.length !== 32) return malformed(file)
  let before: Promise<unknown> = Promise.resolve()
  return ok(password => {
    const answer = before.then(
      async () => utf8(password).length <= MOST && timingSafeEqual(await hashOf(password, salt), hash),
    )
    before = answer.catch(() => {})
    return answer
  })
}

const hashOf = (password: string, salt: Uint8Array): Promise<Buffer> =>
  new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, 32, COST, (error, key) => (error === null ? resolve(key) : reject(error)))
  })
