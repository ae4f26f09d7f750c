/** What every `tieline key` command begins with: the site, where its keys are, and what opening them takes. */
import { openSystemQuality } from '../../../drivers/time-quality.ts'
import { sealingKey } from '../../../protocol/crypto/seal.ts'
import { type Fault, fail } from '../../../protocol/result.ts'
import type { KeyPlace, SiteConfig } from '../../config/site-config.ts'
import {
  derivingOnce,
  type KeptKeys,
  type KeyWorld,
  openKey,
  openSealing,
  rememberPassphrase,
} from '../../open-keys.ts'
import { systemWorld, type World } from '../../world.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { readSite } from '../site-file.ts'
import type { Terminal } from '../terminal.ts'
import { type KeyEntry, placeText } from './key-report.ts'
import { readPassphrase } from './passphrase.ts'

export interface KeySite {
  readonly config: SiteConfig
  readonly keys: KeptKeys
  readonly world: World
  readonly keyWorld: KeyWorld
  /** Account, metering, OCMF where there is one. */
  readonly signing: readonly { readonly use: 'account' | 'metering' | 'ocmf'; readonly place: KeyPlace }[]
}

export interface KeySiteOptions {
  /** A new passphrase is asked for twice. */
  readonly twice?: boolean
  readonly insist?: boolean
}

/** The site of a configuration whose keys are kept somewhere; or the exit code, everything having been said. */
export async function readKeySite(
  file: string,
  terminal: Terminal,
  { twice = false, insist = false }: KeySiteOptions = {},
): Promise<KeySite | ExitCode> {
  const config = await readSite(file, terminal)
  if (typeof config === 'number') return config
  const { keys } = config
  if (keys.kind === 'seed') {
    terminal.err(`${file}: the keys of this bench site come from its seed\n`)
    return EXIT.configuration
  }
  const { quality } = await openSystemQuality()
  const world = systemWorld(config, () => {}, quality)
  const { clock, timers, entropy, verifier } = world
  const passphrase = () => readPassphrase(terminal, twice)
  const signing = [
    { use: 'account', place: { kind: 'file', file: keys.account } },
    { use: 'metering', place: keys.metering },
    ...(keys.ocmf === undefined ? [] : [{ use: 'ocmf', place: keys.ocmf } as const]),
  ] as const
  return {
    config,
    keys,
    world,
    keyWorld: rememberPassphrase(keys, { clock, timers, entropy, verifier, passphrase, insist }),
    signing,
  }
}

/** Every key as it stands, one that cannot be opened with what keeps it. Nothing stays open. */
export const lookAtKeys = (site: KeySite): Promise<readonly KeyEntry[]> =>
  derivingOnce(site.keyWorld, keyWorld => lookAtEach({ ...site, keyWorld }))

async function lookAtEach({ keys, keyWorld, signing }: KeySite): Promise<readonly KeyEntry[]> {
  const entries: KeyEntry[] = []
  /** By token: a wrong PIN is given once, however many keys are behind it. */
  const refused = new Map<string, Fault>()
  for (const { use, place: where } of signing) {
    const place = placeText(where)
    const token = where.kind === 'pkcs11' ? `${where.module} ${where.token}` : ''
    const before = refused.get(token)
    const opened = before === undefined ? await openKey(where, keyWorld) : fail(before)
    if (!opened.ok) {
      if (token !== '' && opened.fault.code.startsWith('keys.pin-')) refused.set(token, opened.fault)
      entries.push({ use, place, kind: 'unopened', fault: opened.fault })
      continue
    }
    const { signer, attestation, close } = opened.value
    await close()
    entries.push({ use, place, kind: 'signing', key: { signer, attestation } })
  }
  const place = keys.sealing
  const seed = await openSealing(keys, keyWorld)
  if (!seed.ok) return [...entries, { use: 'sealing', place, kind: 'unopened', fault: seed.fault }]
  const { publicKey } = sealingKey(seed.value)
  seed.value.fill(0)
  return [...entries, { use: 'sealing', place, kind: 'sealing', publicKey }]
}
