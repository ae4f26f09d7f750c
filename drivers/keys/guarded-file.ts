/** Files that hold secrets: whether anybody but their owner could have read or changed them. */
import { stat } from 'node:fs/promises'
import { fromUtf8 } from '../../protocol/bytes.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import { type FileFault, readBytes } from '../text-file.ts'

export type ExposedFault = {
  readonly code: 'keys.exposed'
  readonly file: string
  readonly why: string
  readonly hint: string
}

/** Any access by others, any access by the group, and that of others alone. */
const BEYOND_OWNER = 0o077
const OTHERS = 0o007

/**
 * Why a file is no place for a secret; undefined where it is one, or is not there. It must belong to this process's user
 * or to root and be open to nobody else. In a file of root's the group's bits are let pass for another user: systemd lends
 * credentials by an access list, whose mask stands in those bits (systemd.exec(5), LoadCredential).
 */
export async function exposureOf(file: string): Promise<ExposedFault | undefined> {
  const seen = await stat(file).catch(() => undefined)
  const user = process.getuid?.()
  // Where there are no users, modes say nothing.
  if (seen === undefined || user === undefined) return undefined
  if (seen.uid !== user && seen.uid !== 0) {
    const hint = 'take it over: chown it to the user that runs the agent'
    return { code: 'keys.exposed', file, why: `it belongs to user ${seen.uid}, not to ${user}`, hint }
  }
  const lent = seen.uid === 0 && user !== 0
  if ((seen.mode & (lent ? OTHERS : BEYOND_OWNER)) === 0) return undefined
  const mode = (seen.mode & 0o777).toString(8).padStart(3, '0')
  return { code: 'keys.exposed', file, why: `its mode is ${mode}`, hint: 'others can read this key: chmod 600' }
}

/** The first line of a guarded file: a passphrase or a PIN. No fault repeats what the file holds. */
export async function readSecretLine(
  file: string,
): Promise<Result<string, FileFault | ExposedFault | { readonly code: 'keys.empty'; readonly file: string }>> {
  const exposed = await exposureOf(file)
  if (exposed !== undefined) return fail(exposed)
  const read = await readBytes(file)
  if (!read.ok) return read
  const line = fromUtf8(read.value)?.split(/\r?\n/)[0]
  read.value.fill(0)
  if (line === undefined) return fail({ code: 'file.unreadable', file, why: 'not UTF-8 text' })
  return line === '' ? fail({ code: 'keys.empty', file }) : ok(line)
}
