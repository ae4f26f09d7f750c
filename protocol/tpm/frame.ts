/**
 * Commands and responses (TPM 2.0 Library Part 1, "Command/Response structure"), opened by a password
 * (TPM_RS_PW), a policy or an HMAC.
 *
 *     80 02 | size 4 | command code 4 | handles 4 each | authorizations: size 4, .. | parameters
 *     80 02 | size 4 | response code 4 | handle 4 where one is made | size of parameters 4 | parameters | authorizations
 *
 * Without authorizations the tag is 80 01, and neither of the inner sizes is there. A refusal is always 80 01 and ten bytes.
 */
import { concat } from '../bytes.ts'
import { fail, ok, type Result } from '../result.ts'
import { NO_BYTES, TpmReader, tpm2b, u16, u32 } from './marshal.ts'
import { refusalOf, type TpmRefusal } from './response-code.ts'

const NO_SESSIONS = 0x8001
const SESSIONS = 0x8002
/** TPM_ST_RSP_COMMAND: how a TPM refuses a tag that it does not know, as in TPM 1.2. */
const RSP_COMMAND = 0x00c4
/** TPM_RS_PW: the session that is only a password. */
const PASSWORD_SESSION = 0x4000_0009
/** continueSession, which the TPM sets for a password whatever was sent. */
const CONTINUE_SESSION = 0x01

/** Tag, size and code. */
export const TPM_HEADER_BYTES = 10
/** What every TPM takes and gives at most (TPM_PT_MAX_RESPONSE_SIZE); the kernel's buffer is no larger. */
export const TPM_RESPONSE_MAX = 4096

/** A password; the handle of a policy session whose policy is met, which ends with the command; or an HMAC session. */
export type TpmAuth = Uint8Array | number | TpmHmac

/** A session that proves a password without sending it, and that the answer comes from whoever knows it too. */
export interface TpmHmac {
  readonly handle: number
  /** `cover` is what the HMAC is about but for the parameters: command code and Names. Parameters may come back encrypted. */
  seal(cover: Uint8Array, parameters: Uint8Array): TpmProof & { readonly parameters: Uint8Array }
  /** Whether an answer is the TPM's; `cover` is its code and the command's. Only of a success. */
  check(cover: Uint8Array, parameters: Uint8Array, proof: TpmProof): boolean
}

export interface TpmProof {
  readonly nonce: Uint8Array
  readonly attributes: number
  readonly hmac: Uint8Array
}

export interface TpmCommand<T> {
  /** As Part 3 calls it, without TPM2_. */
  readonly name: string
  readonly code: number
  readonly handles?: readonly number[]
  /** Names of what stands at the handles, for an HMAC; a hierarchy's handle is its Name. */
  readonly names?: readonly Uint8Array[]
  /** What opens each of the first handles, in their order; an HMAC session stands first. */
  readonly auths?: readonly TpmAuth[]
  readonly parameters?: Uint8Array
  /** A handle stands before the parameters of the response. */
  readonly makesHandle?: boolean
  /** Milliseconds after which a TPM that works has answered, self-tests and other commands before it included. */
  readonly withinMs: number
  /** What the parameters say, read to their end; undefined where they cannot be meant so. */
  readonly read: (parameters: TpmReader, handle: number) => T | undefined
}

export type TpmFrameFault =
  | TpmRefusal
  | { readonly code: 'tpm.malformed'; readonly command: string; readonly reason: string }

export function writeCommand(command: TpmCommand<unknown>): Uint8Array {
  const { handles = [], names = handles.map(u32), auths = [], parameters: plain = NO_BYTES } = command
  let parameters = plain
  const areas = auths.map(auth => {
    if (auth instanceof Uint8Array) return area(PASSWORD_SESSION, NO_BYTES, CONTINUE_SESSION, auth)
    if (typeof auth === 'number') return area(auth, NO_BYTES, 0, NO_BYTES)
    const sealed = auth.seal(concat(u32(command.code), ...names), plain)
    parameters = sealed.parameters
    return area(auth.handle, sealed.nonce, sealed.attributes, sealed.hmac)
  })
  const authorizations = concat(...areas)
  const body = concat(
    u32(command.code),
    ...handles.map(u32),
    ...(auths.length === 0 ? [] : [u32(authorizations.length), authorizations]),
    parameters,
  )
  return concat(u16(auths.length === 0 ? NO_SESSIONS : SESSIONS), u32(body.length + 6), body)
}

/** An authorization: session, nonce TPM2B, attributes, HMAC or password TPM2B. */
const area = (session: number, nonce: Uint8Array, attributes: number, proof: Uint8Array): Uint8Array =>
  concat(u32(session), tpm2b(nonce), Uint8Array.of(attributes), tpm2b(proof))

/** How many bytes the response says it has, once its header is there; undefined where that cannot be. */
export function responseSize(header: Uint8Array): number | undefined {
  const reader = new TpmReader(header)
  reader.u16()
  const size = reader.u32()
  return size < TPM_HEADER_BYTES || size > TPM_RESPONSE_MAX ? undefined : size
}

export function readResponse<T>(command: TpmCommand<T>, bytes: Uint8Array): Result<T, TpmFrameFault> {
  const bad = (reason: string) => fail({ code: 'tpm.malformed', command: command.name, reason } as const)
  const reader = new TpmReader(bytes)
  const tag = reader.u16()
  const size = reader.u32()
  const code = reader.u32()
  if (bytes.length < TPM_HEADER_BYTES) return bad(`${bytes.length} bytes are no response`)
  if (size !== bytes.length) return bad(`${bytes.length} bytes that say they are ${size}`)
  if (code !== 0) {
    if ((tag !== NO_SESSIONS && tag !== RSP_COMMAND) || !reader.ended) return bad('a refusal with more than its code')
    return fail(refusalOf(command.name, code))
  }
  const auths = command.auths ?? []
  if (tag !== (auths.length === 0 ? NO_SESSIONS : SESSIONS)) return bad(`tag 0x${tag.toString(16)}`)
  const handle = command.makesHandle === true ? reader.u32() : 0
  const parameters = auths.length === 0 ? bytes.length - TPM_HEADER_BYTES - (command.makesHandle ? 4 : 0) : reader.u32()
  const given = reader.take(parameters)
  const body = new TpmReader(given)
  const proofs = auths.map(() => ({ nonce: reader.tpm2b(), attributes: reader.u8(), hmac: reader.tpm2b() }))
  if (!reader.ended) return bad('its parts do not fill it')
  for (const [n, auth] of auths.entries()) {
    const proof = proofs[n]!
    if (auth instanceof Uint8Array || typeof auth === 'number') {
      // Neither is answered with an HMAC; a password has no nonce either.
      if (proof.hmac.length !== 0 || (auth instanceof Uint8Array && proof.nonce.length !== 0))
        return bad('an authorization that was not asked for')
    } else if (!auth.check(concat(u32(code), u32(command.code)), given, proof)) {
      return bad("an HMAC that is not the TPM's")
    }
  }
  const value = command.read(body, handle)
  return value === undefined || !body.ended ? bad('its parameters are none of this command') : ok(value)
}
