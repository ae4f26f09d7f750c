/** What transactions about meters and roles carry. */
import { flag, record, word } from '../../record.ts'
import { address, meterId, name, signingKey } from '../fields.ts'

export const registryBodies = {
  /** The operator's word that this meter stands at this line, is this account's, and signs with this key. */
  enrol: record({
    meterId: [1, meterId],
    owner: [2, address],
    line: [3, name],
    publicKey: [4, signingKey],
  }),
  /** The operator's word that an account holds a role from now on, or no longer. */
  role: record({
    role: [1, word('enroller', 'regulator', 'distributor', 'storage', 'community', 'aggregator')],
    holder: [2, address],
    held: [3, flag],
  }),
} as const
