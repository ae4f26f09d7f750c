/** What is said of a site's keys: nothing but public halves, and how well the private ones are kept. */
import type { StoredKey } from '../../../drivers/keys/stored-key.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { kidOf } from '../../../protocol/crypto/cose.ts'
import { type Fault, faultLine } from '../../../protocol/result.ts'
import type { KeyPlace } from '../../config/site-config.ts'
import type { KeyUse } from '../../keys.ts'

/** One key as it was found. */
export type KeyEntry = { readonly use: KeyUse | 'ocmf'; readonly place: string } & (
  | { readonly kind: 'signing'; readonly key: Pick<StoredKey, 'signer' | 'attestation'> }
  /** X25519: it signs nothing, and has no number in envelopes. */
  | { readonly kind: 'sealing'; readonly publicKey: Uint8Array }
  | { readonly kind: 'unopened'; readonly fault: Fault }
)

/** Where a key is, for a person. */
export function placeText(place: KeyPlace): string {
  if (place.kind === 'file') return place.file
  if (place.kind === 'tpm') return `TPM ${place.device}, handle 0x${place.handle.toString(16)}`
  return `token "${place.token}", key "${place.key}"`
}

const DEEP = '            '

export function entryText(entry: KeyEntry): string {
  const head = entry.use.padEnd(10)
  if (entry.kind === 'unopened') return `  ${head}${faultLine(entry.fault)}\n`
  if (entry.kind === 'sealing') return `  ${head}X25519 ${toHex(entry.publicKey)}\n${DEEP}${entry.place}\n`
  const { signer, attestation } = entry.key
  const { alg, publicKey, trust } = signer
  return [
    `  ${head}${alg} ${toHex(publicKey)}`,
    `${DEEP}kid ${toHex(kidOf(alg, publicKey))}, ${entry.place}`,
    `${DEEP}trust ${trust}: ${attestation.rule}`,
    '',
  ].join('\n')
}

export function entryJson(entry: KeyEntry): object {
  const { use, place } = entry
  if (entry.kind === 'unopened') return { ok: false, use, place, fault: entry.fault }
  if (entry.kind === 'sealing') return { ok: true, use, place, alg: 'X25519', public: toHex(entry.publicKey) }
  const { signer, attestation } = entry.key
  const { kind, verified, rule, evidence } = attestation
  return {
    ok: true,
    use,
    place,
    alg: signer.alg,
    public: toHex(signer.publicKey),
    kid: toHex(kidOf(signer.alg, signer.publicKey)),
    trust: signer.trust,
    attestation: { kind, verified, rule, evidence: toHex(evidence) },
  }
}
