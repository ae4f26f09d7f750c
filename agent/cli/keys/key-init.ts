/** `tieline key init`: makes whichever of a site's keys is not there yet, and shows the public halves. */
import { makeKeyFile } from '../../../drivers/keys/file-signer.ts'
import type { Alg } from '../../../protocol/crypto/verify.ts'
import { type Fault, faultLine, type Result } from '../../../protocol/result.ts'
import type { KeyPlace } from '../../config/site-config.ts'
import { derivingOnce, isThere, makeKey, openKey } from '../../open-keys.ts'
import type { ExitCode } from '../exit-codes.ts'
import { exitOf } from '../exit-codes.ts'
import type { Terminal } from '../terminal.ts'
import { placeText } from './key-report.ts'
import { tellKeys } from './key-show.ts'
import { type KeySite, readKeySite } from './key-site.ts'

/** `metering` is the algorithm of a new metering key; without it a file's is EdDSA, and ES256 is what chips can. */
export async function initKeys(
  file: string,
  json: boolean,
  metering: Alg | undefined,
  terminal: Terminal,
): Promise<ExitCode> {
  const site = await readKeySite(file, terminal, { twice: true })
  if (typeof site === 'number') return site
  return derivingOnce(site.keyWorld, keyWorld => initSite({ ...site, keyWorld }, json, metering, terminal))
}

async function initSite(
  site: KeySite,
  json: boolean,
  metering: Alg | undefined,
  terminal: Terminal,
): Promise<ExitCode> {
  const other = await otherPassphrase(site)
  if (other !== undefined) return refuse(other, terminal)
  for (const { place, made } of await makeMissing(site, metering)) {
    if (made.ok) terminal.err(`${place}: made\n`)
    else if (isThere(made.fault)) terminal.err(`${place}: kept as it is\n`)
    else return refuse(made.fault, terminal)
  }
  return tellKeys(site, json, terminal)
}

/** Why a key that is made now would open with another passphrase than the files that are there. */
async function otherPassphrase({ keys, keyWorld, signing }: KeySite): Promise<Fault | undefined> {
  const files = [...signing.flatMap(({ place }) => (place.kind === 'file' ? [place.file] : [])), keys.sealing]
  for (const file of files) {
    const opened = await openKey({ kind: 'file', file }, keyWorld)
    if (!opened.ok && opened.fault.code === 'keys.wrong-passphrase') return opened.fault
  }
  return undefined
}

/** In order, up to the first that could not be made. */
async function makeMissing({ keys, keyWorld, signing }: KeySite, metering: Alg | undefined) {
  const done: { readonly place: string; readonly made: Result<void> }[] = []
  const note = (place: string, made: Result<void>): boolean => {
    done.push({ place, made })
    return made.ok || isThere(made.fault)
  }
  for (const { use, place } of signing) {
    const alg = use === 'ocmf' ? 'ES256' : use === 'metering' ? (metering ?? usualAlg(place)) : 'EdDSA'
    if (!note(placeText(place), await makeKey(place, alg, keyWorld))) return done
  }
  const passphrase = await keyWorld.passphrase()
  const made = passphrase.ok
    ? await makeKeyFile(keys.sealing, 'x25519', passphrase.value, keyWorld.entropy, keyWorld.wrapping)
    : passphrase
  note(keys.sealing, made)
  return done
}

/** Ed25519 where we sign ourselves; secure elements and TPMs have P-256. */
export const usualAlg = (place: KeyPlace): Alg => (place.kind === 'file' ? 'EdDSA' : 'ES256')

function refuse(fault: Fault, terminal: Terminal): ExitCode {
  terminal.err(`tieline key init: ${faultLine(fault)}\n`)
  return exitOf(fault)
}
