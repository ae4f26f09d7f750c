/**
 * A token for the commands of this machine, so that `tieline relay` needs no password where the page asks for one: made at each
 * start, and kept where only the agent's own user and root can read it.
 */
import { readSecretLine } from '../../drivers/keys/guarded-file.ts'
import { utf8 } from '../../protocol/bytes.ts'
import type { Result } from '../../protocol/result.ts'
import type { World } from '../world.ts'

const FOLDER = 'page'
const FILE = 'token'

/** `data` is the data folder of the site. */
export async function keepOwnToken(data: string, token: string, world: Pick<World, 'openDisk'>): Promise<Result<void>> {
  const disk = await world.openDisk(`${data}/${FOLDER}`)
  if (!disk.ok) return disk
  const kept = await disk.value.replace(FILE, utf8(`${token}\n`))
  await disk.value.close?.()
  return kept
}

/** Undefined where no agent has kept one that this user may read. */
export async function readOwnToken(data: string): Promise<string | undefined> {
  const line = await readSecretLine(`${data}/${FOLDER}/${FILE}`)
  return line.ok ? line.value : undefined
}
