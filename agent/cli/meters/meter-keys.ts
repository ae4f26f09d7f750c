/** The keys of encrypted telegrams, wherever a command may take them from; none is ever said again. */
import { parseHexKey, readHexKeyFile } from '../../../drivers/keys/hex-key-file.ts'
import type { FileFault } from '../../../drivers/text-file.ts'
import { type Fault, fail, ok, type Result } from '../../../protocol/result.ts'
import type { TelegramKeys } from '../../../protocol/telegram/telegram.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { tellFile } from '../site-file.ts'
import type { Terminal } from '../terminal.ts'
import { misused } from '../usage.ts'

export interface KeyOptions {
  readonly key?: string
  readonly keyFile?: string
  readonly authKey?: string
  readonly authKeyFile?: string
}

/**
 * From the options, else from TIELINE_KEY and TIELINE_AUTH_KEY: an argument can be seen by other users of the machine, the
 * environment by the same user's other programs, a file by whom it is for.
 */
export async function readMeterKeys(options: KeyOptions, env: Terminal['env']): Promise<Result<TelegramKeys>> {
  const encryption = await readKey('--key', options.key, options.keyFile, env['TIELINE_KEY'])
  if (!encryption.ok) return encryption
  const authentication = await readKey('--auth-key', options.authKey, options.authKeyFile, env['TIELINE_AUTH_KEY'])
  if (!authentication.ok) return authentication
  return ok({
    ...(encryption.value === undefined ? {} : { encryption: encryption.value }),
    ...(authentication.value === undefined ? {} : { authentication: authentication.value }),
  })
}

async function readKey(
  option: string,
  text: string | undefined,
  file: string | undefined,
  fromEnv: string | undefined,
): Promise<Result<Uint8Array | undefined>> {
  if (text !== undefined && file !== undefined)
    return fail({ code: 'usage.key', option, hint: 'give the key or its file, not both' })
  if (file !== undefined) return readHexKeyFile(file, { guarded: false })
  const given = text ?? (fromEnv === '' ? undefined : fromEnv)
  if (given === undefined) return ok(undefined)
  const key = parseHexKey(given)
  const where = text === undefined ? `${option === '--key' ? 'TIELINE_KEY' : 'TIELINE_AUTH_KEY'}` : option
  return key === undefined
    ? fail({ code: 'usage.key', option: where, hint: 'a key is 32 hexadecimal digits' })
    : ok(key)
}

/** Why a key cannot be used, in one line; what it says of the key is its source, never its content. */
export function refusedKey(command: string, fault: Fault, terminal: Terminal): ExitCode {
  const { code, hint } = fault
  const at = String(fault['option'] ?? fault['file'])
  if (code === 'usage.key') return misused(command, `${at}: ${hint}`, terminal)
  if (code.startsWith('file.')) return tellFile(fault as FileFault, `tieline ${command}`, terminal)
  terminal.err(`tieline ${command}: ${at}: ${hint}\n`)
  return code === 'keys.malformed' ? EXIT.usage : EXIT.permission
}
