/** What transactions about meters and roles carry. */
import { bytes, flag, record, word } from '../../record.ts'
import { address, meterFacts, meterId, name, price, ROLE_NAMES, signingKey, time } from '../fields.ts'

export const registryBodies = {
  /** An enroller's word that this meter stands at this line, is this account's, and signs with this key. */
  enrol: record(
    {
      meterId: [1, meterId],
      owner: [2, address],
      line: [3, name],
      publicKey: [4, signingKey],
    },
    meterFacts,
  ),
  /** From here on no reading of this meter counts, whenever it was taken. */
  revoke: record({ meterId: [1, meterId] }),
  /** The regulator's word that no contract of this meter begins from then on, or until a moment. */
  suspend: record({ meterId: [1, meterId], from: [2, time] }, { until: [3, time] }),
  /** The regulator's bounds of a price per kWh, for contracts committed from a block time on. */
  band: record({ from: [1, time], floor: [2, price], ceiling: [3, price] }),
  /** The operator's word that an account holds a role from now on, or no longer. */
  role: record({
    role: [1, word(...ROLE_NAMES)],
    holder: [2, address],
    held: [3, flag],
  }),
  /** A registrar's public key for certificates of this slot and side: a modulus; the exponent is 65537. */
  issuerKey: record({ slot: [1, time], side: [2, word('bid', 'offer')], modulus: [3, bytes(256, 512)] }),
} as const
