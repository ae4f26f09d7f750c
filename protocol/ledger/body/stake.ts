/** What transactions about validators and their stake carry. */
import { big, bytes, integer, list, record } from '../../record.ts'
import { address, envelope, money } from '../fields.ts'

/** The last second of the year 9999: no time of CometBFT's is later. */
const MAX_SECONDS = 253_402_300_799n

const vote = record(
  {
    /** The vote's own time, part of what was signed. */
    seconds: [1, big(0n, MAX_SECONDS)],
    nanos: [2, integer(0, 999_999_999)],
    signature: [3, bytes(64)],
  },
  {
    /** Absent in a vote for no block. */
    block: [4, record({ hash: [1, bytes(32)], parts: [2, integer(1, 2 ** 32 - 1)], partsHash: [3, bytes(32)] })],
  },
)

export const stakeBodies = {
  /** Coins of the sender's behind a validator. `proof` is its key's word for the owner (see validator-proof.ts): to join with. */
  stake: record({ publicKey: [1, bytes(32)], amount: [2, money] }, { proof: [3, envelope] }),
  /** Coins back from a validator; they are free after the unbonding time. */
  unstake: record({ validator: [1, address], amount: [2, money] }),
  /** Two precommits of one validator for one height and round, and not for the same block. */
  evidence: record({
    validator: [1, address],
    height: [2, big(1n, 2n ** 63n - 1n)],
    round: [3, integer(0, 2 ** 31 - 1)],
    votes: [4, list(vote, 2, 2)],
  }),
} as const
