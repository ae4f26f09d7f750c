/** Keys, small releases and files of them, for the tests of updates. */
import { createSigner } from '../../../drivers/crypto/signer.ts'
import type { PieceSource } from '../../../drivers/store/tree.ts'
import { type About, updateFile } from '../../../hw/image/update.ts'
import { toHex, utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { nobleVerifier, type Verifier } from '../../../protocol/crypto/verify.ts'
import { ok } from '../../../protocol/result.ts'

export const signer = (seed: number) => createSigner(new Uint8Array(32).fill(seed))
export const [ours, next, stranger] = [signer(1), signer(2), signer(3)]
export const KEYS = `# whose updates are taken\nkey ${toHex(ours.publicKey)} ours\n`

/** Signatures are checked once: the tests ask the same thousands of times. */
const asked = new Map<string, boolean>()
export const verifier: Verifier = {
  verify(alg, key, message, signature) {
    const question = `${alg} ${toHex(key)} ${toHex(sha256(message))} ${toHex(signature)}`
    const known = asked.get(question)
    if (known !== undefined) return known
    const answer = nobleVerifier.verify(alg, key, message, signature)
    asked.set(question, answer)
    return answer
  },
}

export const bodiesOf = (text: string): ReadonlyMap<string, Uint8Array> =>
  new Map([
    ['package.json', utf8('{"type":"module"}\n')],
    ['agent/tieline.js', utf8(text)],
    ['agent/web/page/page.css', new Uint8Array(0)],
    ['native/koffi.node', new Uint8Array(3000).map((_, at) => at % 251)],
  ])

export const about = (release: number, more: Partial<About> = {}): About => ({
  architecture: 'amd64',
  release,
  version: `0.${release}.0`,
  least: 0,
  ...more,
})

export const updateOf = (release: number, more: Partial<About> = {}, signers = [ours], text = `release ${release}`) =>
  updateFile(about(release, more), bodiesOf(text), signers)

/** A file in memory, in pieces as a disk gives them. */
export const sourceOf = (bytes: Uint8Array, pieceBytes = 1024): PieceSource => ({
  size: bytes.length,
  async *pieces(from, most) {
    const end = Math.min(bytes.length, from + most)
    for (let at = from; at < end; at += pieceBytes) yield ok(bytes.slice(at, Math.min(end, at + pieceBytes)))
  },
  hash: async (from, most) => ok(sha256(bytes.subarray(from, from + most))),
  close: async () => {},
})

export const noWait = { sleep: () => new Promise<void>(resolve => setImmediate(resolve)) }
