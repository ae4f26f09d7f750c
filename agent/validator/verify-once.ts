/** A verifier that remembers what it found true, so that a transaction checked on arrival costs nothing more in its block. */
import type { VerdictMemory } from '../../drivers/ports.ts'
import { questionName } from '../../protocol/crypto/question.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'

/** A full mempool of receipts, five signatures each; an entry is about 100 bytes. */
const REMEMBERED = 25_000

export interface OnceVerifier extends Verifier {
  /** What was found true; a batch on other cores reads it and adds to it. */
  readonly memory: VerdictMemory
}

/** Only what was true is remembered: what was false is a stranger's, and would push out the rest. */
export function verifyOnce(inner: Verifier, remembered: number = REMEMBERED): OnceVerifier {
  const known = new Set<string>()
  const memory: VerdictMemory = {
    has: question => known.has(question),
    add(question) {
      if (known.size >= remembered) known.delete(known.values().next().value!)
      known.add(question)
    },
  }
  return {
    memory,
    verify(alg, publicKey, message, signature) {
      const question = questionName(alg, publicKey, message, signature)
      if (question === undefined) return false
      if (memory.has(question)) return true
      if (!inner.verify(alg, publicKey, message, signature)) return false
      memory.add(question)
      return true
    },
  }
}
