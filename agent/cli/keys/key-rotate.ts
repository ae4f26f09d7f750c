/**
 * `tieline key rotate`: another key signs from the next start on. The new key is made first, then the journal is told of it.
 * Stopped between the two, the same command goes on with the key that it has made. The old key is never touched.
 */
import type { StoredKey } from '../../../drivers/keys/stored-key.ts'
import type { Clock, Signer } from '../../../drivers/ports.ts'
import { type Journal, openJournal } from '../../../drivers/store/journal.ts'
import { toHex } from '../../../protocol/bytes.ts'
import type { Alg } from '../../../protocol/crypto/verify.ts'
import { ueidOf } from '../../../protocol/identity/key.ts'
import type { KeyStatement } from '../../../protocol/identity/rotation.ts'
import { done, type Fault, fail, faultLine, ok, type Result } from '../../../protocol/result.ts'
import { type Instant, isoTime } from '../../../protocol/time.ts'
import type { KeyPlace } from '../../config/site-config.ts'
import { keepForRestart } from '../../keeping.ts'
import { keyInForce } from '../../key-history.ts'
import { derivingOnce, isThere, makeKey, openKey, sharedUse, twoUses } from '../../open-keys.ts'
import { nextNumber, type StatedRotation, stateRotation } from '../../rotate-key.ts'
import { EXIT, type ExitCode, exitOf } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import type { Terminal } from '../terminal.ts'
import { usualAlg } from './key-init.ts'
import { placeText } from './key-report.ts'
import { type KeySite, readKeySite } from './key-site.ts'

export interface RotateOptions {
  readonly config: string
  /** Where the new key is or is to be, in the form of the configuration. */
  readonly to?: KeyPlace
  readonly alg?: Alg
  readonly reason: KeyStatement['reason']
  /** Of a stolen key: nothing that it signed since then is believed; without it, from now on. */
  readonly since?: Instant
  readonly json: boolean
}

interface Rotated extends StatedRotation {
  readonly place: KeyPlace
}

export async function rotateKey(
  use: 'metering' | 'ocmf',
  options: RotateOptions,
  terminal: Terminal,
): Promise<ExitCode> {
  const site = await readKeySite(options.config, terminal)
  if (typeof site === 'number') return site
  const rotated = await derivingOnce(site.keyWorld, keyWorld => rotateIn({ ...site, keyWorld }, use, options))
  if (!rotated.ok) {
    if (options.json) terminal.out(jsonLine({ ok: false, use, fault: rotated.fault }))
    terminal.err(`tieline key rotate: ${faultLine(rotated.fault)}\n`)
    return exitOf(rotated.fault)
  }
  const { statement, hash, place } = rotated.value
  const { number, before, key, trust, boot, reason } = statement
  if (options.json) {
    const said = { number, before: toHex(before), key: toHex(key), trust, boot, reason, statement: toHex(hash) }
    terminal.out(jsonLine({ ok: true, use, place: placeText(place), ...said }))
  } else {
    terminal.out(`${use}: key ${number} signs from boot ${boot} on: ${toHex(key)}\n`)
  }
  terminal.err(`Now write in ${options.config}:\n  keys:\n    ${use}: ${placeSetting(place)}\n`)
  if (use === 'metering') {
    terminal.err(
      `Give the neighbours the new key for their peers, and have the ledger's enroller enrol the meters with it.\n`,
    )
  }
  return EXIT.ok
}

async function rotateIn(site: KeySite, use: 'metering' | 'ocmf', options: RotateOptions): Promise<Result<Rotated>> {
  const { keyWorld, signing, world, config } = site
  const where = signing.find(one => one.use === use)?.place
  if (where === undefined) return fail({ code: 'keys.not-configured', use, hint: `name keys.${use} first` })
  const timely = options.reason === 'stolen' ? checkSince(options.since, world.clock) : done
  if (!timely.ok) return timely
  const opened: { close(): Promise<unknown> | undefined }[] = []
  const keep = <T extends { close(): Promise<void> }>(result: Result<T>): Result<T> => {
    if (result.ok) opened.push(result.value)
    return result
  }
  try {
    const account = keep(await openKey(signing[0]!.place, keyWorld))
    if (!account.ok) return account
    // A key that is lost cannot be opened, and one that was stolen may be gone: what it signed says which one it was.
    const old = options.reason === 'lost' ? undefined : keep(await openKey(where, keyWorld))
    if (old?.ok === false && options.reason !== 'stolen') return old
    const metering = use === 'metering' ? undefined : keep(await openKey(site.keys.metering, keyWorld))
    if (metering?.ok === false) return metering
    const disk = await world.openDisk(`${config.data}/journal`)
    if (!disk.ok) return disk
    opened.push({ close: async () => disk.value.close?.() })
    const { clock, timers, entropy } = world
    const device = ueidOf(account.value.signer.publicKey)
    const journal = keep(
      await openJournal({ disk: disk.value, clock, timers, entropy, owner: device, keeping: keepForRestart }),
    )
    if (!journal.ok) return journal
    return await handOver(site, use, options, {
      device,
      account: account.value.signer,
      old: old?.ok ? old.value.signer : undefined,
      metering: metering?.value.signer,
      journal: journal.value,
      where,
      keep: key => void opened.push(key),
    })
  } finally {
    for (const each of opened.reverse()) await each.close()
  }
}

/** A revocation counts by the time, and nobody takes it back. */
function checkSince(since: Instant | undefined, clock: Clock): Result<void> {
  const now = clock.now()
  if (clock.quality() === 'unknown') {
    return fail({ code: 'keys.no-time', time: isoTime(now), hint: 'set the clock of this machine first' })
  }
  if (since === undefined || since <= now) return done
  const hint = 'a thief would be believed until then'
  return fail({ code: 'keys.since-later', since: isoTime(since), now: isoTime(now), hint })
}

interface Opened {
  readonly device: Uint8Array
  readonly account: Signer
  /** Absent where it is lost, or gone with a thief. */
  readonly old: Signer | undefined
  /** Absent where it is the one that is rotated. */
  readonly metering: Signer | undefined
  readonly journal: Journal
  readonly where: KeyPlace
  keep(key: StoredKey): void
}

async function handOver(
  { keyWorld, world, signing, keys }: KeySite,
  use: 'metering' | 'ocmf',
  { to, alg, reason, since }: RotateOptions,
  { device, account, old, metering, journal, where, keep }: Opened,
): Promise<Result<Rotated>> {
  const known = { use, device, account: account.publicKey }
  const key = old?.publicKey ?? keyInForce(journal.kept(), known, world.verifier)
  if (key === undefined)
    return fail({ code: 'keys.none-signed', use, hint: 'nothing was signed yet: key init is enough' })
  const own = { ...known, key }
  const number = nextNumber(journal.kept(), own, world.verifier)
  if (!number.ok) return number
  const taken = new Set([...signing.map(one => placeText(one.place)), keys.sealing])
  const place = to ?? nextPlace(where, number.value, taken)
  if (place === undefined) return fail(noPlace(where))
  const elsewhere = signing.find(one => one.use !== use && placeText(one.place) === placeText(place))
  if (elsewhere !== undefined) return fail(twoUses([use, elsewhere.use], placeText(place)))
  const made = await makeKey(place, use === 'ocmf' ? 'ES256' : (alg ?? usualAlg(place)), keyWorld)
  // One that is there was made by a rotation that did not come to its end.
  if (!made.ok && !isThere(made.fault)) return made
  const next = await openKey(place, keyWorld)
  if (!next.ok) return next
  keep(next.value)
  if (use === 'ocmf' && next.value.signer.alg !== 'ES256') {
    return fail({ code: 'keys.other-kind', key: placeText(place), expected: 'p256', received: 'ed25519' })
  }
  const also = sharedUse([
    [use, next.value.signer],
    ['account', account],
    ...(metering === undefined ? [] : [['metering', metering] as const]),
  ])
  if (also !== undefined) return fail(also)
  const { clock, verifier } = world
  const stated = await stateRotation({
    journal,
    own,
    number: number.value,
    endorser: reason === 'stolen' || old === undefined ? account : old,
    next: next.value.signer,
    events: metering ?? next.value.signer,
    reason,
    ...(reason === 'stolen' ? { revoke: { since: since ?? clock.now(), account } } : {}),
    clock,
    verifier,
  })
  return stated.ok ? ok({ ...stated.value, place }) : stated
}

/**
 * Beside the old one, by the number of the key, or by the next where the configuration names that place already; a TPM's
 * handles are given out by a person.
 */
function nextPlace(place: KeyPlace, number: number, taken: ReadonlySet<string>): KeyPlace | undefined {
  const numbered = (name: string) => `${name.replace(/-\d+$/, '')}-${number}`
  if (place.kind === 'tpm') return undefined
  const next = (): KeyPlace => {
    if (place.kind === 'pkcs11') return { ...place, key: numbered(place.key) }
    const [, name, ending] = /^(.*?)(\.[a-z0-9]+)?$/.exec(place.file)!
    return { ...place, file: `${numbered(name!)}${ending ?? ''}` }
  }
  return taken.has(placeText(next())) ? nextPlace(place, number + 1, taken) : next()
}

function noPlace(old: KeyPlace): Fault {
  const example = old.kind === 'tpm' ? placeSetting({ ...old, handle: old.handle + 1 }) : placeSetting(old)
  return { code: 'keys.no-place', hint: `say --to where the new key is to be, as in --to '${example}'` }
}

/** As the configuration writes it. */
function placeSetting(place: KeyPlace): string {
  // What is more than letters, digits and slashes may mean something else in YAML.
  const text = (value: string) => (/^[a-zA-Z/][\w./-]*$/.test(value) ? value : JSON.stringify(value))
  if (place.kind === 'file') return text(place.file)
  if (place.kind === 'tpm') {
    const { device, handle, authFile } = place
    return `{tpm: {device: ${text(device)}, handle: 0x${handle.toString(16)}, auth_file: ${text(authFile)}}}`
  }
  const [module, token, key, pinFile] = [place.module, place.token, place.key, place.pinFile].map(text)
  return `{pkcs11: {module: ${module}, token: ${token}, key: ${key}, pin_file: ${pinFile}}}`
}
