/** A SoftHSM2 of this process: a token in a temporary folder. The library reads SOFTHSM2_CONF when it is loaded. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TokenPlace } from '../../../../drivers/keys/pkcs11/signer.ts'

/** Where distributions put it. */
export const SOFTHSM_MODULE = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib64/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/usr/lib/pkcs11/libsofthsm2.so',
  '/usr/local/lib/softhsm/libsofthsm2.so',
  '/opt/homebrew/lib/softhsm/libsofthsm2.so',
].find(file => existsSync(file))

export const noSoftHsm =
  SOFTHSM_MODULE === undefined || spawnSync('softhsm2-util', ['--version']).status !== 0 ? 'no-softhsm' : undefined

export const PIN = '48151623'

export interface SoftHsm {
  readonly folder: string
  /** Where a key of that label is, or would be. */
  place(key: string, more?: Partial<TokenPlace>): TokenPlace
  /** The tool's own word on it. */
  util(...args: string[]): string
  end(): void
}

/** With tokens of these labels: the library does not see those that are made once it is loaded. */
export function openSoftHsm(token: string, ...others: string[]): SoftHsm {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-softhsm-'))
  mkdirSync(join(folder, 'tokens'))
  const config = join(folder, 'softhsm2.conf')
  writeFileSync(
    config,
    `directories.tokendir = ${join(folder, 'tokens')}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  )
  process.env['SOFTHSM2_CONF'] = config
  const util = (...args: string[]): string => {
    const run = spawnSync('softhsm2-util', args, { env: { ...process.env, SOFTHSM2_CONF: config }, encoding: 'utf8' })
    if (run.status !== 0) throw new Error(`softhsm2-util ${args[0]}: ${run.stderr}`)
    return run.stdout
  }
  for (const label of [token, ...others]) {
    util('--init-token', '--free', '--label', label, '--so-pin', '12345678', '--pin', PIN)
  }
  const pinFile = join(folder, 'pin')
  writeFileSync(pinFile, `${PIN}\n`, { mode: 0o600 })
  return {
    folder,
    util,
    place: (key, more = {}) => ({ module: SOFTHSM_MODULE!, token, key, pinFile, ...more }),
    end: () => rmSync(folder, { recursive: true, force: true }),
  }
}
