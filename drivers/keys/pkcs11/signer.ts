/** A key behind PKCS#11 as a Signer. A token that was pulled out is a fault, and is opened anew at the next call. */
import { equalBytes, toHex, utf8 } from '../../../protocol/bytes.ts'
import type { Alg, Verifier } from '../../../protocol/crypto/verify.ts'
import { attestToken } from '../../../protocol/identity/attestation.ts'
import { admissionFault } from '../../../protocol/identity/key.ts'
import { type Fault, fail, ok, type Result } from '../../../protocol/result.ts'
import type { Timers } from '../../ports.ts'
import { readSecretLine } from '../guarded-file.ts'
import type { StoredKey } from '../stored-key.ts'
import { loadModule } from './module.ts'
import { openToken, type TokenKey, type TokenSession } from './token.ts'

export interface TokenPlace {
  /** The maker's shared library: a path, or a name that the system knows. */
  readonly module: string
  /** The token's label, and the key's. */
  readonly token: string
  readonly key: string
  /** A file whose first line is the user PIN. */
  readonly pinFile: string
}

/** What no envelope of ours begins with: a signature over it is of use to nobody. */
const TRIAL = utf8('tieline: whether this key signs')

async function enter(place: TokenPlace, insist: boolean): Promise<Result<TokenSession>> {
  const pin = await readSecretLine(place.pinFile)
  if (!pin.ok) return pin
  const module = await loadModule(place.module)
  if (!module.ok) return module
  return openToken({ module: module.value, token: place.token, pin: pin.value, insist })
}

/** Makes the key inside the token; `keys.exists` where one of that label is there already. */
export async function makeTokenKey(place: TokenPlace, alg: Alg): Promise<Result<void>> {
  const session = await enter(place, false)
  if (!session.ok) return session
  const made = await session.value.generate(place.key, alg)
  await session.value.close()
  return made
}

/**
 * A token that works has signed within this time, those who wait before it included. The library cannot be called off: it
 * holds one thread of the four that also read and write files, until it comes back.
 */
const LONGEST_MS = 20_000

/**
 * The key, once it has signed and `verifier` has found the signature to be of the public half that stands beside it.
 * `insist` gives the PIN although the token warns; see openToken. A token that hangs is `keys.token-hangs`, and is asked
 * nothing more until it has come back.
 */
export async function openTokenKey(
  place: TokenPlace,
  verifier: Verifier,
  timers: Timers,
  { insist = false }: { readonly insist?: boolean } = {},
): Promise<Result<StoredKey>> {
  let session: TokenSession | undefined
  let key: TokenKey
  /** What makes any further try of ours pointless or harmful. */
  let refused: Fault | undefined
  let opening: Promise<Result<void>> | undefined
  /** Of calls that were given up, those that have not come back. */
  let stuck = 0

  function inTime<T>(work: () => Promise<Result<T>>): Promise<Result<T>> {
    const hangs = fail({
      code: 'keys.token-hangs',
      token: place.token,
      hint: 'unplug it and plug it in again',
    } as const)
    if (stuck > 0) return Promise.resolve(hangs)
    return new Promise((resolve, reject) => {
      let late = false
      const cancel = timers.after(LONGEST_MS, () => {
        late = true
        stuck++
        resolve(hangs)
      })
      work()
        .finally(() => {
          cancel()
          if (late) stuck--
        })
        .then(resolve, reject)
    })
  }

  async function open(expected: Uint8Array | undefined): Promise<Result<void>> {
    const entered = await enter(place, insist && expected === undefined)
    if (!entered.ok) {
      // The PIN is given once: each wrong one is a step towards a token that is locked for good.
      if (/^keys\.pin-/.test(entered.fault.code)) refused = entered.fault
      return entered
    }
    const checked = await check(entered.value, expected)
    if (checked.ok) session = entered.value
    else await entered.value.close()
    return checked
  }

  async function check(entered: TokenSession, expected: Uint8Array | undefined): Promise<Result<void>> {
    const found = await entered.find(place.key)
    if (!found.ok) return found
    const { alg, publicKey } = found.value
    if (expected !== undefined && !equalBytes(expected, publicKey)) {
      return fail({ code: 'keys.other-key', key: place.key, expected: toHex(expected), received: toHex(publicKey) })
    }
    const inadmissible = admissionFault(publicKey)
    if (inadmissible !== undefined) return fail(inadmissible)
    const tried = await entered.sign(found.value, TRIAL)
    if (!tried.ok) return tried
    if (!verifier.verify(alg, publicKey, TRIAL, tried.value)) {
      return fail({ code: 'keys.not-a-pair', token: place.token, key: place.key })
    }
    key = found.value
    return ok(undefined)
  }

  const first = await inTime(() => open(undefined))
  if (!first.ok) return first
  const { alg, publicKey, attributes } = key!
  const attestation = attestToken(session!.name, attributes)

  async function signInTurn(message: Uint8Array): Promise<Result<Uint8Array>> {
    if (refused !== undefined) return fail(refused)
    if (session === undefined) {
      opening ??= open(publicKey).finally(() => {
        opening = undefined
      })
      const opened = await opening
      if (!opened.ok) return opened
    }
    const used = session
    if (used === undefined) return fail({ code: 'keys.token-lost', token: place.token })
    const signed = await used.sign(key, message)
    if (signed.ok) {
      // What is signed once is shown for years: a chip that errs is noticed now.
      return verifier.verify(alg, publicKey, message, signed.value)
        ? signed
        : fail({ code: 'keys.bad-signature', token: place.token, key: place.key, hint: 'the token is broken' })
    }
    if (signed.fault.code === 'keys.token-lost' && session === used) {
      session = undefined
      await used.close()
    }
    return signed
  }

  return ok({
    attestation,
    signer: { alg, publicKey, trust: attestation.trust, sign: message => inTime(() => signInTurn(message)) },
    close: async () => {
      refused = { code: 'keys.closed', token: place.token, key: place.key }
      // What hangs keeps its session; nobody waits for it.
      if (stuck > 0) return
      await opening
      await session?.close()
      session = undefined
    },
  })
}
