/** What transactions about meters and roles carry. */
import { record } from '../../record.ts'
import { address, meterId, meteringKey, name } from '../fields.ts'

export const registryBodies = {
  /** The operator's word that this meter stands at this line, is this account's, and signs with this key. */
  enrol: record({
    meterId: [1, meterId],
    owner: [2, address],
    line: [3, name],
    publicKey: [4, meteringKey],
  }),
} as const
