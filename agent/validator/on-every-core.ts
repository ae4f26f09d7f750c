/** Work that checks signatures, done with every core's help. */
import type { VerifyPool } from '../../drivers/ports.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import type { OnceVerifier } from './verify-once.ts'

/**
 * What `work` comes to with `verifier`. With further cores it is done on the word of a batch that takes every signature for
 * valid, and, where one was not, again with what the batch found: so `work` has to be such that doing it again undoes what it
 * did before, as `finalizeBlock` and the judging of a proposal are. Nothing else may be executed or committed meanwhile.
 */
export async function onEveryCore<T>(
  cores: VerifyPool | undefined,
  verifier: OnceVerifier,
  work: (verifier: Verifier) => T,
): Promise<T> {
  if (cores === undefined) return work(verifier)
  const batch = cores.begin(verifier.memory)
  const hoped = work(batch.hopeful)
  const { allValid, known } = await batch.settle()
  return allValid ? hoped : work(known)
}
