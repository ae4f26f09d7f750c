/** A block executed with its signatures checked on every core. */
import type { VerdictMemory, VerifyPool } from '../../drivers/ports.ts'
import type { BlockInput, BlockOutput, LedgerApp } from '../../protocol/ledger/app.ts'

/**
 * Executes a block as `app.finalizeBlock` does, with the same output: first on the word of a batch that takes every
 * signature for valid, and, where one is not, again with what the batch found. Nothing may commit meanwhile.
 */
export async function executeBlock(
  app: LedgerApp,
  block: Omit<BlockInput, 'verifier'>,
  pool: VerifyPool,
  memory?: VerdictMemory,
): Promise<BlockOutput> {
  const batch = pool.begin(memory)
  const hoped = app.finalizeBlock({ ...block, verifier: batch.hopeful })
  const { allValid, known } = await batch.settle()
  return allValid ? hoped : app.finalizeBlock({ ...block, verifier: known })
}
