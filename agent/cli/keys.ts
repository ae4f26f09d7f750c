/** A site's three sealed key files: opened by `tieline run`, made by `tieline keys`. */
import { basename, dirname } from 'node:path'
import { createSigner } from '../../drivers/crypto/signer.ts'
import { openSealedKey, sealKey } from '../../drivers/keys/sealed-file.ts'
import { openDisk } from '../../drivers/store/disk.ts'
import { readTextFile } from '../../drivers/text-file.ts'
import { toHex } from '../../protocol/bytes.ts'
import { sealingKey } from '../../protocol/crypto/seal.ts'
import { type Fault, fail, faultLine, ok, type Result } from '../../protocol/result.ts'
import type { KeySource } from '../config/site-config.ts'
import type { KeyUse } from '../keys.ts'
import type { SiteKeys, World } from '../world.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import type { Terminal } from './terminal.ts'

type KeyFiles = Extract<KeySource, { kind: 'files' }>

const USES: readonly KeyUse[] = ['account', 'metering', 'sealing']

/** Without a person at hand: systemd's LoadCredential first, because an environment can be read by other processes. */
async function readPassphrase(env: Terminal['env']): Promise<Result<string>> {
  const folder = env['CREDENTIALS_DIRECTORY']
  if (folder !== undefined) {
    const text = await readTextFile(`${folder}/tieline-passphrase`)
    if (text.ok) return ok(text.value.replace(/\r?\n$/, ''))
  }
  const passphrase = env['TIELINE_PASSPHRASE']
  if (passphrase) return ok(passphrase)
  return fail({ code: 'keys.no-passphrase', hint: 'set TIELINE_PASSPHRASE, or LoadCredential=tieline-passphrase' })
}

/** The disk of a key file's folder and the file's name on it. */
async function placeOf(file: string, open: World['openDisk']) {
  const name = basename(file)
  if (!/^[a-z0-9][a-z0-9._-]{0,99}$/.test(name)) {
    return fail({ code: 'keys.file-name', file, hint: 'lower-case letters, digits, dots and dashes' })
  }
  const disk = await open(dirname(file))
  return disk.ok ? ok({ disk: disk.value, name }) : disk
}

export async function openKeyFiles(files: KeyFiles, env: Terminal['env']): Promise<Result<SiteKeys>> {
  const passphrase = await readPassphrase(env)
  if (!passphrase.ok) return passphrase
  const secrets: Uint8Array[] = []
  for (const use of USES) {
    // A folder that is not there is not made by looking into it.
    const place = await placeOf(files[use], openDisk)
    if (!place.ok) return place
    const { disk, name } = place.value
    const secret = await openSealedKey(disk, name, passphrase.value)
    await disk.close?.()
    if (!secret.ok) return fail({ ...secret.fault, file: files[use] })
    secrets.push(secret.value)
  }
  const [account, metering, sealing] = secrets
  return ok({ account: createSigner(account!), metering: createSigner(metering!), sealing: sealing! })
}

/** Makes whichever of the three is not there yet and shows the public halves, as a neighbour writes them under `peers`. */
export async function makeKeyFiles(site: string, files: KeyFiles, world: World, terminal: Terminal): Promise<ExitCode> {
  const refuse = (fault: Fault): ExitCode => {
    terminal.err(`${faultLine(fault)}\n`)
    return EXIT.configuration
  }
  const passphrase = await readPassphrase(terminal.env)
  if (!passphrase.ok) return refuse(passphrase.fault)
  for (const use of USES) {
    const place = await placeOf(files[use], world.openDisk)
    if (!place.ok) return refuse(place.fault)
    const { disk, name } = place.value
    const made = await sealKey(disk, name, world.entropy.bytes(32), passphrase.value, world.entropy)
    await disk.close?.()
    if (made.ok) terminal.err(`${files[use]}: made\n`)
    else if (made.fault.code === 'keys.exists') terminal.err(`${files[use]}: kept as it is\n`)
    else return refuse({ ...made.fault, file: files[use] })
  }
  const keys = await openKeyFiles(files, terminal.env)
  if (!keys.ok) return refuse(keys.fault)
  const { account, metering, sealing } = keys.value
  terminal.out(`${site}:\n`)
  terminal.out(`  account: ${toHex(account.publicKey)}\n`)
  terminal.out(`  sealing: ${toHex(sealingKey(sealing).publicKey)}\n`)
  terminal.out(`  metering: ${toHex(metering.publicKey)}\n`)
  return EXIT.ok
}
