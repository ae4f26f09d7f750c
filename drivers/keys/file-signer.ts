/** Keys in sealed files, by their paths: made once, opened into this process's memory. */
import { basename, dirname } from 'node:path'
import { isP256Scalar } from '../../protocol/crypto/verify.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { createP256Signer, createSigner } from '../crypto/signer.ts'
import type { Entropy, Signer } from '../ports.ts'
import { openDisk } from '../store/disk.ts'
import { readBytes } from '../text-file.ts'
import { exposureOf } from './guarded-file.ts'
import { type SecretKind, sealKey, unsealKey } from './sealed-file.ts'

/** Held while a key is made, so that two makers at once do not both find the place empty. */
const MAKING = 'keys'

/** Makes a new key of that kind, sealed; `keys.exists` where the file is there already. Its folder is made where missing. */
export async function makeKeyFile(
  file: string,
  kind: SecretKind,
  passphrase: string,
  entropy: Entropy,
): Promise<Result<void>> {
  const name = basename(file)
  if (!/^[a-z0-9][a-z0-9._-]{0,99}$/.test(name)) {
    return fail({ code: 'keys.file-name', file, hint: 'lower-case letters, digits, dots and dashes' })
  }
  const disk = await openDisk(dirname(file))
  if (!disk.ok) return fail({ ...disk.fault, file })
  const held = await disk.value.hold(MAKING)
  if (!held.ok) return fail({ ...held.fault, file })
  const bytes = drawSecret(kind, entropy)
  const sealed = await sealKey(disk.value, name, { kind, bytes }, passphrase, entropy)
  bytes.fill(0)
  await held.value()
  await disk.value.close()
  return sealed.ok ? sealed : fail({ ...sealed.fault, file })
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
): Promise<Result<{ readonly kind: K; readonly bytes: Uint8Array }>> {
  const exposed = await exposureOf(file)
  if (exposed !== undefined) return fail(exposed)
  const read = await readBytes(file)
  if (!read.ok) {
    const missing: Fault = { code: 'keys.missing', file, hint: 'make the keys of this site with `tieline key init`' }
    return fail(read.fault.code === 'file.missing' ? missing : read.fault)
  }
  const secret = await unsealKey(file, read.value, passphrase)
  if (!secret.ok) return secret
  const { bytes } = secret.value
  const kind = kinds.find(one => one === secret.value.kind)
  if (kind !== undefined && (kind !== 'p256' || isP256Scalar(bytes))) return ok({ kind, bytes })
  bytes.fill(0)
  return fail({ code: 'keys.other-kind', file, expected: kinds.join(' or '), received: secret.value.kind })
}

/** The signer of a sealed file: EdDSA or ES256, as the file says. */
export async function openFileSigner(file: string, passphrase: string): Promise<Result<Signer>> {
  const opened = await openKeyFile(file, passphrase, ['ed25519', 'p256'])
  if (!opened.ok) return opened
  const { kind, bytes } = opened.value
  const signer = kind === 'p256' ? createP256Signer(bytes) : createSigner(bytes)
  bytes.fill(0)
  return ok({ ...signer, trust: 'sealed-file' })
}

/** The seed of the X25519 key for sealed messages. */
export async function openSealingSeed(file: string, passphrase: string): Promise<Result<Uint8Array>> {
  const opened = await openKeyFile(file, passphrase, ['x25519'])
  return opened.ok ? ok(opened.value.bytes) : opened
}
