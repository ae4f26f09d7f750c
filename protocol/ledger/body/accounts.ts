/** What transactions about accounts and coins carry. */
import { record } from '../../record.ts'
import { address, money } from '../fields.ts'

export const accountBodies = {
  transfer: record({ to: [1, address], amount: [2, money] }),
} as const
