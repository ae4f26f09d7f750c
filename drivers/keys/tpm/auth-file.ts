/** The authorization value of a key in a TPM: 32 hex digits in a file that nobody else may read. */
import { mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { toHex, utf8 } from '../../../protocol/bytes.ts'
import { fail, ok, type Result } from '../../../protocol/result.ts'
import type { Entropy } from '../../ports.ts'
import { readSecretLine } from '../guarded-file.ts'
import { parseHexKey } from '../hex-key-file.ts'

/** 128 bits: nobody guesses them, though the TPM lets anyone try (see the templates). */
const AUTH_BYTES = 16

export async function readTpmAuth(file: string): Promise<Result<Uint8Array>> {
  const line = await readSecretLine(file)
  if (!line.ok) return line
  const auth = parseHexKey(line.value)
  return auth === undefined
    ? fail({ code: 'keys.malformed', file, hint: 'an authorization value is 32 hexadecimal digits' })
    : ok(auth)
}

/** The value of the file, which is made where there is none: on the disk before a key depends on it. */
export async function makeTpmAuth(file: string, entropy: Entropy): Promise<Result<Uint8Array>> {
  const there = await readTpmAuth(file)
  if (there.ok || there.fault.code !== 'file.missing') return there
  const auth = entropy.bytes(AUTH_BYTES)
  const folder = dirname(file)
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await durably(file, 'wx', utf8(`${toHex(auth)}\n`))
    await durably(folder, 'r')
    return ok(auth)
  } catch (error) {
    return fail({ code: 'file.unwritten', file, why: (error as NodeJS.ErrnoException).code ?? String(error) })
  }
}

async function durably(path: string, flag: string, bytes?: Uint8Array): Promise<void> {
  const handle = await open(path, flag, 0o600)
  try {
    if (bytes !== undefined) await handle.writeFile(bytes)
    await handle.sync()
  } finally {
    await handle.close()
  }
}
