/**
 * Blind signatures, RSABSSA-SHA384-PSS-Deterministic (RFC 9474): who signs sees neither what he signed nor, later, which of his
 * signatures he meets. The one file that knows @cloudflare/blindrsa-ts.
 *
 * Deterministic, because what is signed holds a fresh public key already: a random prefix would hide nothing more (RFC 9474 section 5).
 */
import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
  type webcrypto,
} from 'node:crypto'
import { promisify } from 'node:util'
import { RSABSSA } from '@cloudflare/blindrsa-ts'
import { equalBytes } from '../../protocol/bytes.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'

const suite = RSABSSA.SHA384.PSS.Deterministic()
const generate = promisify(generateKeyPair)
const IMPORT = { name: 'RSA-PSS', hash: 'SHA-384' }

/** A private key that signs what it does not see. */
export interface BlindIssuer {
  /** Big endian; the exponent is 65537. */
  readonly modulus: Uint8Array
  /** A blinded message is a number below the modulus, of as many bytes. */
  sign(blinded: Uint8Array): Promise<Result<Uint8Array>>
  /** The private key, for `openBlindIssuer`: PKCS #8, DER. */
  secret(): Uint8Array
}

export async function createBlindIssuer(): Promise<BlindIssuer> {
  const { privateKey } = await generate('rsa', { modulusLength: 2048, publicExponent: 65_537 })
  return issuerOf(privateKey)
}

/** One whose `secret` was kept. */
export function openBlindIssuer(secret: Uint8Array): Result<BlindIssuer> {
  const unsound = fail({ code: 'blind-rsa.secret', bytes: secret.length })
  try {
    const key = createPrivateKey({ key: Buffer.from(secret), format: 'der', type: 'pkcs8' })
    const { modulusLength, publicExponent } = key.asymmetricKeyDetails ?? {}
    const sound = key.asymmetricKeyType === 'rsa' && modulusLength === 2048 && publicExponent === 65_537n
    return sound ? ok(issuerOf(key)) : unsound
  } catch {
    // OpenSSL says by throwing that these bytes are no key.
    return unsound
  }
}

function issuerOf(privateKey: KeyObject): BlindIssuer {
  const publicKey = createPublicKey(privateKey)
  const modulus = new Uint8Array(Buffer.from(publicKey.export({ format: 'jwk' }).n!, 'base64url'))
  const padding = constants.RSA_NO_PADDING
  return {
    modulus,
    secret: () => new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' })),
    // BlindSign of RFC 9474 section 4.3: RSASP1, checked by RSAVP1, so that a fault of the machine gives no factor away.
    async sign(blinded) {
      if (blinded.length !== modulus.length) {
        return fail({ code: 'blind-rsa.length', expected: modulus.length, received: blinded.length })
      }
      try {
        const signed = privateDecrypt({ key: privateKey, padding }, blinded)
        if (!equalBytes(publicEncrypt({ key: publicKey, padding }, signed), blinded)) {
          return fail({ code: 'blind-rsa.message' })
        }
        return ok(new Uint8Array(signed))
      } catch {
        // Not below the modulus.
        return fail({ code: 'blind-rsa.message' })
      }
    },
  }
}

/** A message on its way to its signature. */
export interface Blinded {
  readonly message: Uint8Array
  /** What the issuer is shown. */
  readonly blinded: Uint8Array
  /** With it `unblindMessage` goes on after a restart. Whoever else has it can tell whose signature this becomes. */
  readonly secret: Uint8Array
  /** The signature over the message, from the issuer's answer; a fault where the issuer signed something else. */
  unblind(answer: Uint8Array): Promise<Result<Uint8Array>>
}

async function importKey(modulus: Uint8Array): Promise<Result<webcrypto.CryptoKey>> {
  try {
    const jwk = { kty: 'RSA', n: Buffer.from(modulus).toString('base64url'), e: 'AQAB', ext: true }
    return ok(await crypto.subtle.importKey('jwk', jwk, IMPORT, true, ['verify']))
  } catch {
    return fail({ code: 'blind-rsa.key', bytes: modulus.length })
  }
}

/** What `unblind` answers, from what was kept of a blinded message. */
async function unblindMessage(
  modulus: Uint8Array,
  { message, secret }: Pick<Blinded, 'message' | 'secret'>,
  answer: Uint8Array,
): Promise<Result<Uint8Array>> {
  const key = await importKey(modulus)
  if (!key.ok) return key
  try {
    return ok(await suite.finalize(key.value, message, answer, secret))
  } catch {
    return fail({ code: 'blind-rsa.answer' })
  }
}

export async function blindMessage(modulus: Uint8Array, message: Uint8Array): Promise<Result<Blinded>> {
  const key = await importKey(modulus)
  if (!key.ok) return key
  try {
    const { blindedMsg, inv } = await suite.blind(key.value, message)
    const kept = { message, secret: inv }
    return ok({ ...kept, blinded: blindedMsg, unblind: answer => unblindMessage(modulus, kept, answer) })
  } catch {
    // RFC 9474 section 4.2: a message that shares a factor with the modulus would break the key; the key is not sound.
    return fail({ code: 'blind-rsa.key', bytes: modulus.length })
  }
}

/** All of it, for whoever composes an agent. */
export const blindRsa = {
  createIssuer: createBlindIssuer,
  openIssuer: openBlindIssuer,
  blindMessage,
  unblindMessage,
} as const
