/** What transactions about accounts and coins carry. */
import { record } from '../../record.ts'
import { address, money, signingKey } from '../fields.ts'

export const accountBodies = {
  transfer: record({ to: [1, address], amount: [2, money] }),
  /** An account for this key, whose address it gets, with its first balance from the sender. */
  open: record({ publicKey: [1, signingKey], amount: [2, money] }),
  /** From here on this key signs for the account; its address stays. */
  rekey: record({ publicKey: [1, signingKey] }),
  /** New coins for an account, by the operator. */
  mint: record({ to: [1, address], amount: [2, money] }),
  /** Coins of the operator's own that are no more. */
  burn: record({ amount: [1, money] }),
} as const
