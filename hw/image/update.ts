/** An update file from the files of a release: the same files, release and keys give the same bytes, as Ed25519 signs alike each time. */
import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { signEnvelope } from '../../drivers/crypto/sign-envelope.ts'
import { createSigner } from '../../drivers/crypto/signer.ts'
import type { Signer } from '../../drivers/ports.ts'
import { concat } from '../../protocol/bytes.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { must } from '../../protocol/result.ts'
import { assembleHead, manifestOf, UPDATE_PURPOSE } from '../../protocol/update/manifest.ts'

export type About = Parameters<typeof manifestOf>[0]

export async function updateFile(
  about: About,
  bodies: ReadonlyMap<string, Uint8Array>,
  signers: readonly Signer[],
): Promise<Uint8Array> {
  const files = [...bodies].map(([path, body]) => ({ path, size: body.length, hash: sha256(body) }))
  const { payload, list, files: sorted } = manifestOf(about, files)
  const signed = await Promise.all(signers.map(signer => signEnvelope(signer, payload, UPDATE_PURPOSE)))
  const head = assembleHead(
    signed.map(each => must(each).envelope),
    list,
  )
  return concat(head, ...sorted.map(({ path }) => bodies.get(path)!))
}

/** The signer of a PEM file, as `openssl genpkey -algorithm ed25519` writes it. Throws on any other. */
export function readUpdateKey(file: string): Signer {
  const key = createPrivateKey(readFileSync(file))
  if (key.asymmetricKeyType !== 'ed25519') throw new Error(`${file} is no Ed25519 key`)
  const { d } = key.export({ format: 'jwk' })
  return createSigner(new Uint8Array(Buffer.from(d!, 'base64url')))
}
