/** The authorization value of a key in a TPM: 32 hex digits in a file that nobody else may read. */
import { toHex, utf8 } from '../../../protocol/bytes.ts'
import { fail, ok, type Result } from '../../../protocol/result.ts'
import type { Entropy } from '../../ports.ts'
import { makeGuarded, readSecretLine } from '../guarded-file.ts'
import { parseHexKey } from '../hex-key-file.ts'

/** 128 bits: nobody guesses them, though the TPM lets anyone try (see the templates). */
const AUTH_BYTES = 16

export async function readTpmAuth(file: string): Promise<Result<Uint8Array>> {
  const line = await readSecretLine(file)
  if (!line.ok) {
    const hint = 'it was made with the key; without it no one can use that key, and `tieline key init` makes another'
    return line.fault.code === 'file.missing' ? fail({ ...line.fault, hint }) : line
  }
  const auth = parseHexKey(line.value)
  return auth === undefined
    ? fail({ code: 'keys.malformed', file, hint: 'an authorization value is 32 hexadecimal digits' })
    : ok(auth)
}

/** The value of the file, which is made where there is none: whole, and on the disk before a key depends on it. */
export async function makeTpmAuth(file: string, entropy: Entropy): Promise<Result<Uint8Array>> {
  const there = await readTpmAuth(file)
  if (there.ok || there.fault.code !== 'file.missing') return there
  return makeGuarded(file, async (disk, name) => {
    const meanwhile = await readTpmAuth(file)
    if (meanwhile.ok || meanwhile.fault.code !== 'file.missing') return meanwhile
    const auth = entropy.bytes(AUTH_BYTES)
    const written = await disk.replace(name, utf8(`${toHex(auth)}\n`))
    return written.ok ? ok(auth) : written
  })
}
