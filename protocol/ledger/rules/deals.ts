/** The transactions of a deal's life. */
import type { Kinds } from '../kind.ts'
import { applyCommit } from './commit.ts'
import { applyReceipt } from './receipt.ts'

export const dealKinds = {
  commit: { gas: 3n, apply: applyCommit },
  receipt: { gas: 5n, apply: applyReceipt },
} satisfies Partial<Kinds>
