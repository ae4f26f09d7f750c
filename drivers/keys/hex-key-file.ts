/** The key of a meter's encrypted telegrams, in a text file: 32 hex digits as the grid operator hands them out. */
import { stat } from 'node:fs/promises'
import { fromHex } from '../../protocol/bytes.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import { type FileFault, readTextFile } from '../text-file.ts'

export type KeyFileFault =
  | FileFault
  | { readonly code: 'keys.malformed'; readonly file: string; readonly hint: string }
  | { readonly code: 'keys.exposed'; readonly file: string; readonly hint: string }

/** AES-128: DLMS security suite 0. */
const KEY_BYTES = 16
const OTHERS_READ = 0o044

/** 16 bytes of 32 hex digits, blanks and the end of the line aside; undefined for anything else. */
export function parseHexKey(text: string): Uint8Array | undefined {
  const key = fromHex(text.replace(/\s+/g, ''))
  return key?.length === KEY_BYTES ? key : undefined
}

/** No fault repeats what the file holds. With `guarded`, a file that others may read is refused. */
export async function readHexKeyFile(
  file: string,
  { guarded }: { readonly guarded: boolean },
): Promise<Result<Uint8Array, KeyFileFault>> {
  const text = await readTextFile(file)
  if (!text.ok) return text
  const key = parseHexKey(text.value)
  if (key === undefined) return fail({ code: 'keys.malformed', file, hint: 'a key is 32 hexadecimal digits' })
  if (guarded && (((await stat(file).catch(() => undefined))?.mode ?? 0) & OTHERS_READ) !== 0)
    return fail({ code: 'keys.exposed', file, hint: 'others can read this key: chmod 600' })
  return ok(key)
}
