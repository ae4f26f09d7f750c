/** Keys in sealed files, by their paths: made once, opened into this process's memory. */
import { isP256Scalar } from '../../protocol/crypto/verify.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { createP256Signer, createSigner } from '../crypto/signer.ts'
import type { Entropy, Signer } from '../ports.ts'
import { makeGuarded, readGuarded } from './guarded-file.ts'
import { type SecretKind, sealKey, unsealKey } from './sealed-file.ts'
import type { WrappingKeys } from './wrapping-keys.ts'

/**
 * Makes a new key of that kind, sealed; `keys.exists` where the file is there already. Its folder is made where missing. `shared`,
 * here and below, are the wrapping keys of files that are made or opened together.
 */
export async function makeKeyFile(
  file: string,
  kind: SecretKind,
  passphrase: string,
  entropy: Entropy,
  shared?: WrappingKeys,
): Promise<Result<void>> {
  return makeGuarded(file, async (disk, name) => {
    const bytes = drawSecret(kind, entropy)
    const sealed = await sealKey(disk, name, { kind, bytes }, passphrase, entropy, shared)
    bytes.fill(0)
    return sealed
  })
}

/** Any 32 bytes are a seed; of the numbers below 2^256 all but one in 2^32 are scalars of P-256. */
function drawSecret(kind: SecretKind, entropy: Entropy): Uint8Array {
  for (;;) {
    const bytes = entropy.bytes(32)
    if (kind !== 'p256' || isP256Scalar(bytes)) return bytes
  }
}

/** The secret of a sealed file that nobody else could have read; of one of these kinds. */
async function openKeyFile<K extends SecretKind>(
  file: string,
  passphrase: string,
  kinds: readonly K[],
  shared: WrappingKeys | undefined,
): Promise<Result<{ readonly kind: K; readonly bytes: Uint8Array }>> {
  const read = await readGuarded(file)
  if (!read.ok) {
    const missing: Fault = { code: 'keys.missing', file, hint: 'make the keys of this site with `tieline key init`' }
    return fail(read.fault.code === 'file.missing' ? missing : read.fault)
  }
  const secret = await unsealKey(file, read.value, passphrase, shared)
  if (!secret.ok) return secret
  const { bytes } = secret.value
  const kind = kinds.find(one => one === secret.value.kind)
  if (kind !== undefined && (kind !== 'p256' || isP256Scalar(bytes))) return ok({ kind, bytes })
  bytes.fill(0)
  return fail({ code: 'keys.other-kind', file, expected: kinds.join(' or '), received: secret.value.kind })
}

/** The signer of a sealed file: EdDSA or ES256, as the file says. */
export async function openFileSigner(file: string, passphrase: string, shared?: WrappingKeys): Promise<Result<Signer>> {
  const opened = await openKeyFile(file, passphrase, ['ed25519', 'p256'], shared)
  if (!opened.ok) return opened
  const { kind, bytes } = opened.value
  const signer = kind === 'p256' ? createP256Signer(bytes) : createSigner(bytes)
  bytes.fill(0)
  return ok({ ...signer, trust: 'sealed-file' })
}

/** The seed of the X25519 key for sealed messages. */
export async function openSealingSeed(
  file: string,
  passphrase: string,
  shared?: WrappingKeys,
): Promise<Result<Uint8Array>> {
  const opened = await openKeyFile(file, passphrase, ['x25519'], shared)
  return opened.ok ? ok(opened.value.bytes) : opened
}
