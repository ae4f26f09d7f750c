/** A site's keys, wherever each is kept: opened for signing, or made where they are missing. */
import { makeKeyFile, openFileSigner, openSealingSeed } from '../drivers/keys/file-signer.ts'
import { readSecretLine } from '../drivers/keys/guarded-file.ts'
import { makeTokenKey, openTokenKey } from '../drivers/keys/pkcs11/signer.ts'
import type { StoredKey } from '../drivers/keys/stored-key.ts'
import { makeTpmAuth } from '../drivers/keys/tpm/auth-file.ts'
import { makeTpmKey } from '../drivers/keys/tpm/make-key.ts'
import { openTpmKey } from '../drivers/keys/tpm/open-key.ts'
import { openTpm } from '../drivers/keys/tpm/tpm.ts'
import { createWrappingKeys, type WrappingKeys } from '../drivers/keys/wrapping-keys.ts'
import type { Clock, Entropy, Signer, Timers } from '../drivers/ports.ts'
import { equalBytes, toHex } from '../protocol/bytes.ts'
import type { Alg, Verifier } from '../protocol/crypto/verify.ts'
import { FILE_ATTESTATION } from '../protocol/identity/attestation.ts'
import { done, type Fault, fail, ok, type Result } from '../protocol/result.ts'
import type { KeyPlace, KeySource } from './config/site-config.ts'
import type { SiteKeys } from './keys.ts'

export type KeptKeys = Extract<KeySource, { kind: 'kept' }>

/** What opening a key takes besides its place. */
export interface KeyWorld {
  readonly clock: Clock
  readonly timers: Timers
  readonly entropy: Entropy
  readonly verifier: Verifier
  /** Of the sealed files, where the configuration names no file for it; asked for once at the most. */
  passphrase(): Promise<Result<string>>
  /** A person asks: a PIN is given although the token warns that a wrong one was given before. */
  readonly insist?: boolean
  /** Of the sealed files that are opened or made together; left out, each file's is derived for itself. */
  readonly wrapping?: WrappingKeys
}

/**
 * Sealed files that `work` opens or makes share what is derived of their passphrase, which is wiped when it is done; inside other
 * such work, when that is.
 */
export async function derivingOnce<T>(world: KeyWorld, work: (world: KeyWorld) => Promise<T>): Promise<T> {
  if (world.wrapping !== undefined) return work(world)
  const wrapping = createWrappingKeys()
  try {
    return await work({ ...world, wrapping })
  } finally {
    wrapping.wipe()
  }
}

/** The passphrase, from the configured file or from whoever has it, looked for at the first sealed file. */
export function rememberPassphrase(keys: Pick<KeptKeys, 'passphraseFile'>, world: KeyWorld): KeyWorld {
  const { passphraseFile } = keys
  let asked: Promise<Result<string>> | undefined
  return {
    ...world,
    passphrase: () => {
      asked ??= passphraseFile === undefined ? world.passphrase() : readSecretLine(passphraseFile)
      return asked
    },
  }
}

export async function openKey(place: KeyPlace, world: KeyWorld): Promise<Result<StoredKey>> {
  if (place.kind === 'pkcs11')
    return openTokenKey(place, world.verifier, world.timers, { insist: world.insist ?? false })
  if (place.kind === 'tpm') return openTpmKey(place, world, world.entropy)
  const passphrase = await world.passphrase()
  if (!passphrase.ok) return passphrase
  const signer = await openFileSigner(place.file, passphrase.value, world.wrapping)
  return signer.ok ? ok({ signer: signer.value, attestation: FILE_ATTESTATION, close: async () => {} }) : signer
}

/** Whether a key was not made because there is one already. */
export const isThere = ({ code }: Fault): boolean => code === 'keys.exists' || code === 'tpm.handle-taken'

/** A fault for which `isThere` says so where there is one already. */
export async function makeKey(place: KeyPlace, alg: Alg, world: KeyWorld): Promise<Result<void>> {
  if (place.kind === 'pkcs11') return makeTokenKey(place, alg)
  if (place.kind === 'tpm') return makeInTpm(place, alg, world)
  const passphrase = await world.passphrase()
  if (!passphrase.ok) return passphrase
  const kind = alg === 'ES256' ? 'p256' : 'ed25519'
  return makeKeyFile(place.file, kind, passphrase.value, world.entropy, world.wrapping)
}

async function makeInTpm(
  { device, handle, authFile }: Extract<KeyPlace, { kind: 'tpm' }>,
  alg: Alg,
  world: KeyWorld,
): Promise<Result<void>> {
  if (alg !== 'ES256') return fail({ code: 'keys.other-kind', key: device, expected: 'p256', received: 'ed25519' })
  const auth = await makeTpmAuth(authFile, world.entropy)
  if (!auth.ok) return auth
  const tpm = openTpm(device, world)
  if (!tpm.ok) return tpm
  const made = await makeTpmKey(tpm.value, { handle, auth: auth.value })
  await tpm.value.close()
  return made.ok ? done : made
}

export async function openSealing(keys: KeptKeys, world: KeyWorld): Promise<Result<Uint8Array>> {
  const passphrase = await world.passphrase()
  return passphrase.ok ? openSealingSeed(keys.sealing, passphrase.value, world.wrapping) : passphrase
}

/** All of them, or none. */
export const openSiteKeys = (keys: KeptKeys, world: KeyWorld): Promise<Result<SiteKeys>> =>
  derivingOnce(rememberPassphrase(keys, world), known => openAll(keys, known))

async function openAll(keys: KeptKeys, world: KeyWorld): Promise<Result<SiteKeys>> {
  const opened: StoredKey[] = []
  const giveUp = async <F extends { readonly ok: false }>(failed: F): Promise<F> => {
    for (const key of opened) await key.close()
    return failed
  }
  const places: readonly KeyPlace[] = [
    { kind: 'file', file: keys.account },
    keys.metering,
    ...(keys.ocmf === undefined ? [] : [keys.ocmf]),
  ]
  for (const place of places) {
    const key = await openKey(place, world)
    if (!key.ok) return giveUp(key)
    opened.push(key.value)
  }
  const [account, metering, ocmf] = opened.map(({ signer }) => signer)
  if (ocmf !== undefined && ocmf.alg !== 'ES256') return giveUp(notForOcmf)
  const shared = sharedUse([
    ['account', account!],
    ['metering', metering!],
    ...(ocmf === undefined ? [] : [['ocmf', ocmf] as const]),
  ])
  if (shared !== undefined) return giveUp(fail(shared))
  const sealing = await openSealing(keys, world)
  if (!sealing.ok) return giveUp(sealing)
  return ok({
    account: account!,
    metering: metering!,
    ...(ocmf === undefined ? {} : { ocmf }),
    sealing: sealing.value,
    close: async () => {
      for (const key of opened) await key.close()
    },
  })
}

/** What is wrong where two uses have one key: whoever may have the one signed could have the other signed. */
export function sharedUse(keys: readonly (readonly [use: string, signer: Signer])[]): Fault | undefined {
  for (const [n, [use, { publicKey }]] of keys.entries()) {
    const other = keys.slice(n + 1).find(([, signer]) => equalBytes(signer.publicKey, publicKey))
    if (other !== undefined) return twoUses([use, other[0]], toHex(publicKey))
  }
  return undefined
}

export const twoUses = (uses: readonly string[], key: string): Fault => ({
  code: 'keys.two-uses',
  uses,
  key,
  hint: 'each use has a key of its own: name another',
})

/** OCMF 1.4 signs by ECDSA alone. */
const notForOcmf = fail({ code: 'keys.other-kind', key: 'ocmf', expected: 'p256', received: 'ed25519' })
