/**
 * HMAC sessions (TPM 2.0 Library Part 1, "Session-based authorizations"), salted: the authorization value never crosses the bus
 * to the TPM, where it could be tapped, and what it makes the TPM say cannot be changed on the way.
 *
 * The salt is encrypted to the storage key as the TPM shows it. Whoever stands on the bus from the first day on, in the TPM's
 * place, is not found out by this, but by the signatures: they are verified.
 */
import { createCipheriv, timingSafeEqual } from 'node:crypto'
import { concat } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { fail, ok, type Result } from '../../../protocol/result.ts'
import { flushContext, getHandles, HIERARCHY, startSession } from '../../../protocol/tpm/commands.ts'
import type { TpmCommand, TpmHmac } from '../../../protocol/tpm/frame.ts'
import { NO_BYTES } from '../../../protocol/tpm/marshal.ts'
import { readPublicArea, TEMPLATE } from '../../../protocol/tpm/public-area.ts'
import { systemEntropy } from '../../crypto/entropy.ts'
import { hmacSha256, kdfA, type SharedSecret, shareSecret } from './kdf.ts'
import { withPrimary } from './primary.ts'
import type { Tpm } from './tpm.ts'

/** TPMA_SESSION: it goes on after the command; the command's first parameter is encrypted. */
const CONTINUE = 0x01
const DECRYPT = 0x20
/** As long as the session's hash. */
const NONCE_BYTES = 32
/** TPM_HT_LOADED_SESSION, the first of them, and more than any TPM has loaded at a time. */
const LOADED_SESSIONS = 0x0200_0000
const SESSIONS_MAX = 64

interface TpmSession {
  /** Opens what this authorization value opens. With `hide` the command's first parameter, a TPM2B, is encrypted. */
  opens(auth: Uint8Array, hide?: 'hide'): TpmHmac
  end(): Promise<void>
}

/**
 * One session for command after command, opened when it is first needed, and anew where the TPM no longer knows it. Whatever goes
 * wrong, the session is given up: after a lost answer nobody can say which nonce comes next, and a wrong one would be taken for
 * a wrong password.
 */
export interface SessionKeeper {
  run<T>(command: (session: TpmSession) => TpmCommand<T>): Promise<Result<T>>
  end(): Promise<void>
}

export function keepSession(tpm: Tpm): SessionKeeper {
  let current: Promise<Result<TpmSession>> | undefined

  async function once<T>(command: (session: TpmSession) => TpmCommand<T>) {
    const aged = current !== undefined
    current ??= openTpmSession(tpm)
    const mine = current
    const session = await mine
    const answer = session.ok ? await tpm.run(command(session.value)) : session
    const refused = !answer.ok && answer.fault['rc'] !== undefined
    if (!answer.ok && current === mine) {
      current = undefined
      if (session.ok && refused) await session.value.end()
    }
    return { answer, again: aged && refused }
  }

  return {
    run: async command => {
      const { answer, again } = await once(command)
      return again ? (await once(command)).answer : answer
    },
    end: async () => {
      const session = await current
      current = undefined
      if (session?.ok === true) await session.value.end()
    },
  }
}

async function openTpmSession(tpm: Tpm): Promise<Result<TpmSession>> {
  const first = await start(tpm)
  if (first.ok || first.fault.code !== 'tpm.full' || tpm.managed) return first
  // A bare TPM keeps the sessions of programs that were killed, and serves one at a time: now this one.
  const loaded = await tpm.run(getHandles(LOADED_SESSIONS, SESSIONS_MAX))
  if (!loaded.ok) return loaded
  for (const handle of loaded.value) await tpm.run(flushContext(handle))
  return start(tpm)
}

const start = (tpm: Tpm): Promise<Result<TpmSession>> =>
  withPrimary(tpm, HIERARCHY.owner, TEMPLATE.storage, async (key, bytes) => {
    const area = readPublicArea(bytes)
    if (area === undefined)
      return fail({ code: 'tpm.malformed', device: tpm.name, reason: 'its storage key is no P-256 key' })
    const salt = shareSecret(area.publicKey, 'SECRET')
    const nonce = systemEntropy.bytes(NONCE_BYTES)
    const started = await tpm.run(startSession(nonce, { key, encrypted: salt.point }))
    return started.ok ? ok(createSession(tpm, started.value, nonce, salt)) : started
  })

function createSession(
  tpm: Tpm,
  { handle, nonce: first }: { readonly handle: number; readonly nonce: Uint8Array },
  opening: Uint8Array,
  salt: SharedSecret,
): TpmSession {
  const sessionKey = kdfA(salt.secret, 'ATH', concat(first, opening), 256)
  let nonceTpm = first

  return {
    opens(auth, hide) {
      const key = concat(sessionKey, withoutEndingZeros(auth))
      const attributes = CONTINUE | (hide === undefined ? 0 : DECRYPT)
      let nonce = NO_BYTES
      const hmacOf = (hash: Uint8Array, newer: Uint8Array, older: Uint8Array, bits: number) =>
        hmacSha256(key, concat(hash, newer, older, Uint8Array.of(bits)))
      return {
        handle,
        // Drawn anew for each try: a command that the TPM was too busy for is another command.
        seal(cover, plain) {
          nonce = systemEntropy.bytes(NONCE_BYTES)
          const parameters =
            hide === undefined ? plain : encryptFirst(plain, kdfA(key, 'CFB', concat(nonce, nonceTpm), 256))
          const hmac = hmacOf(sha256(concat(cover, parameters)), nonce, nonceTpm, attributes)
          return { parameters, nonce, attributes, hmac }
        },
        check(cover, parameters, proof) {
          const expected = hmacOf(sha256(concat(cover, parameters)), proof.nonce, nonce, proof.attributes)
          if (proof.hmac.length !== expected.length || !timingSafeEqual(proof.hmac, expected)) return false
          nonceTpm = proof.nonce.slice()
          return true
        },
      }
    },
    end: async () => void (await tpm.run(flushContext(handle))),
  }
}

/** AES-128-CFB of the content of the TPM2B that the parameters begin with; 16 bytes of key and 16 of initial vector. */
function encryptFirst(parameters: Uint8Array, keyAndVector: Uint8Array): Uint8Array {
  const end = 2 + parameters[0]! * 0x100 + parameters[1]!
  const cipher = createCipheriv('aes-128-cfb', keyAndVector.subarray(0, 16), keyAndVector.subarray(16))
  return concat(
    parameters.subarray(0, 2),
    cipher.update(parameters.subarray(2, end)),
    cipher.final(),
    parameters.subarray(end),
  )
}

/** The TPM takes zeros at the end off an authorization value before it hashes it (Part 1, "Authorization Values"). */
function withoutEndingZeros(auth: Uint8Array): Uint8Array {
  let end = auth.length
  while (end > 0 && auth[end - 1] === 0) end--
  return auth.subarray(0, end)
}
