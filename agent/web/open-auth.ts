/** What the page's settings ask of those who come: files read, and the token of this machine's own commands made. */
import { openPasswordFile } from '../../drivers/keys/password-file.ts'
import { hashToken, newToken, readTokenFile } from '../../drivers/keys/token-file.ts'
import { ok, type Result } from '../../protocol/result.ts'
import type { SiteConfig } from '../config/site-config.ts'
import type { World } from '../world.ts'
import { type Auth, createAuth } from './auth.ts'
import { keepOwnToken } from './own-token.ts'

/** Undefined where nothing is asked: then only this machine is listened to. */
export async function openAuth(
  { site, data, page }: Pick<SiteConfig, 'site' | 'data' | 'page'>,
  world: Pick<World, 'clock' | 'entropy' | 'log' | 'openDisk'>,
): Promise<Result<Auth | undefined>> {
  const { passwordFile, tokenFile } = page
  if (passwordFile === undefined && tokenFile === undefined) return ok(undefined)
  const password = passwordFile === undefined ? undefined : await openPasswordFile(passwordFile)
  if (password?.ok === false) return password
  const tokens = tokenFile === undefined ? ok([]) : await readTokenFile(tokenFile)
  if (!tokens.ok) return tokens
  const own = newToken(world.entropy)
  const kept = await keepOwnToken(data, own, world)
  if (!kept.ok) return kept
  const { clock, entropy, log } = world
  return ok(
    createAuth({
      ...{ site, clock, entropy, log, tokens: [...tokens.value, hashToken(own)] },
      ...(password === undefined ? {} : { password: password.value }),
    }),
  )
}
