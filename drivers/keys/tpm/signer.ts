/** A key at a persistent handle of a TPM as a Signer. */
import { equalBytes, toHex, utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { type Fault, fail, ok, type Result } from '../../../protocol/result.ts'
import { isOwnerHandle, readPublic, sign } from '../../../protocol/tpm/commands.ts'
import {
  type AttributeFault,
  attributeFault,
  readPublicArea,
  type TpmPublic,
} from '../../../protocol/tpm/public-area.ts'
import { createVerifier } from '../../crypto/verifier.ts'
import type { Signer } from '../../ports.ts'
import { keepSession } from './session.ts'
import type { Tpm } from './tpm.ts'

export interface TpmKeyPlace {
  /** 0x81000000 to 0x817fffff, where a TPM's owner keeps what stays. */
  readonly handle: number
  /** The authorization value, as `readTpmAuth` gives it. */
  readonly auth: Uint8Array
}

export interface TpmSigner extends Signer {
  /** Gives back what it holds in the TPM; a later signature takes it anew. */
  end(): Promise<void>
}

/** Signed once at the start and verified: no reading, message or transaction begins so. */
const PROBE = utf8('tieline: is this the key that signs here?')

/**
 * Refuses a key that the TPM does not vouch for, and any but `publicKey` where that is given: a TPM that was changed for another
 * is `tpm.other-key`, now or at any later signature. Each signature is verified before it is handed out.
 */
export async function openTpmSigner(tpm: Tpm, place: TpmKeyPlace, publicKey?: Uint8Array): Promise<Result<TpmSigner>> {
  const found = await findKey(tpm, place.handle)
  if (!found.ok) return found
  const { area } = found.value
  if (publicKey !== undefined && !equalBytes(publicKey, area.publicKey)) {
    return fail(otherKey(place.handle, publicKey, area.publicKey))
  }
  const attributes: AttributeFault | undefined = attributeFault(area, 'metering')
  if (attributes !== undefined) return fail(attributes)
  const signer = createTpmSigner(tpm, place, area)
  const probed = await signer.sign(PROBE)
  if (probed.ok) return ok(signer)
  await signer.end()
  return probed
}

function createTpmSigner(
  tpm: Tpm,
  { handle, auth }: TpmKeyPlace,
  { publicKey, name, attributes }: TpmPublic,
): TpmSigner {
  const verifier = createVerifier()
  const session = keepSession(tpm)
  /** A key that counts wrong authorizations would lock the whole TPM when asked often enough. */
  let refused: Fault | undefined

  /** What is wrong, when it may be that another TPM stands there now. */
  async function suspect(fault: Fault): Promise<Fault> {
    const found = await findKey(tpm, handle)
    if (!found.ok) return found.fault
    if (!equalBytes(found.value.area.publicKey, publicKey))
      return otherKey(handle, publicKey, found.value.area.publicKey)
    if (fault.code === 'tpm.auth' && !attributes.has('noDA')) refused = fault
    return fault
  }

  return {
    alg: 'ES256',
    publicKey,
    trust: 'tpm',
    sign: async message => {
      if (refused !== undefined) return fail(refused)
      const digest = sha256(message)
      const signed = await session.run(({ opens }) => sign({ handle, name, auth: opens(auth) }, digest))
      if (!signed.ok) return SUSPICIOUS.has(signed.fault.code) ? fail(await suspect(signed.fault)) : signed
      if (verifier.verify('ES256', publicKey, message, signed.value)) return signed
      return fail(
        await suspect({ code: 'tpm.bad-signature', device: tpm.name, hint: 'the TPM or the bus to it is broken' }),
      )
    },
    end: () => session.end(),
  }
}

const SUSPICIOUS: ReadonlySet<string> = new Set(['tpm.auth', 'tpm.no-handle', 'tpm.refused', 'tpm.unsupported'])

export interface FoundKey {
  /** TPMT_PUBLIC as the TPM gave it. */
  readonly bytes: Uint8Array
  readonly area: TpmPublic
}

/** What stands at a handle: `tpm.no-handle` for nothing, `tpm.other-kind` for what is no P-256 key. */
export async function findKey(tpm: Tpm, handle: number): Promise<Result<FoundKey>> {
  if (!isOwnerHandle(handle)) {
    return fail({ code: 'tpm.handle', handle: hexHandle(handle), hint: 'name one from 0x81000000 to 0x817fffff' })
  }
  const bytes = await tpm.run(readPublic(handle))
  if (!bytes.ok) return bytes
  const area = readPublicArea(bytes.value)
  if (area !== undefined) return ok({ bytes: bytes.value, area })
  return fail({ code: 'tpm.other-kind', handle: hexHandle(handle), hint: 'no P-256 key stands at this handle' })
}

export const hexHandle = (handle: number): string => `0x${handle.toString(16)}`

const otherKey = (handle: number, expected: Uint8Array, found: Uint8Array): Fault => ({
  code: 'tpm.other-key',
  handle: hexHandle(handle),
  expected: toHex(expected),
  found: toHex(found),
  hint: 'another TPM or another key: put the right one back, or rotate to this key',
})
