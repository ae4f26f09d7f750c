/** A real CometBFT of one version: found in the cache, or built there with the Go toolchain. */
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** The machine's Go toolchain; no package of ours brings one. */
const GO = 'go'
/** The module's own go directive. */
const LEAST_GO = 25
/** A cold build takes a minute on two cores, a cold download as long again. */
const BUILD_MS = 600_000

const cacheFolder = (): string =>
  join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'tieline', 'cometbft')

export type Found = { readonly ok: true; readonly path: string } | { readonly ok: false; readonly why: string }

export function findCometbft(version: string): Found {
  const folder = join(cacheFolder(), version)
  const path = join(folder, 'cometbft')
  if (existsSync(path)) return { ok: true, path }
  const go = spawnSync(GO, ['version'], { encoding: 'utf8' })
  const minor = /go1\.(\d+)/.exec(go.stdout ?? '')?.[1]
  if (minor === undefined) return { ok: false, why: 'no Go toolchain to build it with' }
  if (Number(minor) < LEAST_GO)
    return { ok: false, why: `Go 1.${minor} is too old to build it: 1.${LEAST_GO} is needed` }
  mkdirSync(folder, { recursive: true })
  try {
    execFileSync(GO, ['install', `github.com/cometbft/cometbft/cmd/cometbft@${version}`], {
      env: { ...process.env, GOBIN: folder, GOFLAGS: '-trimpath' },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: BUILD_MS,
    })
  } catch (error) {
    const said = String((error as { stderr?: Buffer }).stderr ?? error)
    return { ok: false, why: `it could not be built: ${said.trim().split('\n').at(-1)}` }
  }
  return existsSync(path) ? { ok: true, path } : { ok: false, why: `go install left nothing at ${path}` }
}
