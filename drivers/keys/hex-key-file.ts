/** The key of a meter's encrypted telegrams, in a text file: 32 hex digits as the grid operator hands them out. */
import { fromHex } from '../../protocol/bytes.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import { type FileFault, readTextFile } from '../text-file.ts'
import { type ExposedFault, exposureOf } from './guarded-file.ts'

export type KeyFileFault =
  | FileFault
  | { readonly code: 'keys.malformed'; readonly file: string; readonly hint: string }
  | ExposedFault

/** AES-128: DLMS security suite 0. */
const KEY_BYTES = 16

/** 16 bytes of 32 hex digits, blanks and the end of the line aside; undefined for anything else. */
export function parseHexKey(text: string): Uint8Array | undefined {
  const key = fromHex(text.replace(/\s+/g, ''))
  return key?.length === KEY_BYTES ? key : undefined
}

/** No fault repeats what the file holds. With `guarded`, a file that others could have read or changed is refused. */
export async function readHexKeyFile(
  file: string,
  { guarded }: { readonly guarded: boolean },
): Promise<Result<Uint8Array, KeyFileFault>> {
  const text = await readTextFile(file)
  if (!text.ok) return text
  const key = parseHexKey(text.value)
  if (key === undefined) return fail({ code: 'keys.malformed', file, hint: 'a key is 32 hexadecimal digits' })
  const exposed = guarded ? await exposureOf(file) : undefined
  return exposed === undefined ? ok(key) : fail(exposed)
}
