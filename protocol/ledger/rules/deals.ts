/** The transactions of a deal's life. */
import type { Kinds } from '../kind.ts'
import { applyCommit } from './commit.ts'
import { applyReceipt } from './receipt.ts'
import { applyQuantity, applySealed } from './sealed.ts'

export const dealKinds = {
  commit: { gas: 3n, apply: applyCommit },
  receipt: { gas: 5n, apply: applyReceipt },
  sealed: { gas: 3n, apply: applySealed },
  quantity: { gas: 1n, apply: applyQuantity },
} satisfies Partial<Kinds>
