/** How the validators of one process come to a block: rounds, who proposes, who votes what and when, and their signatures. */
import type { Clock, Signer } from '../../drivers/ports.ts'
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { chainTime, instantOf } from '../../protocol/chain/chain-time.ts'
import { FLAG_ABSENT, FLAG_COMMIT, FLAG_NIL, precommitSignBytes } from '../../protocol/chain/commit.ts'
import type { BlockId, ChainTime, Commit, CommitSig, Header, Validator } from '../../protocol/chain/light-block.ts'
import { nextTurn, type Turn, totalPower } from '../../protocol/chain/validators.ts'
import { later } from '../../protocol/time.ts'

/** What a validator does in one round, where it is not what an honest one that is there does. */
export interface Conduct {
  /** Whether it proposes when its turn has come; a round without a proposal passes. */
  readonly proposes: boolean
  readonly vote: 'commit' | 'nil' | 'absent'
  /** How far its clock is ahead. */
  readonly clockErrorMs: number
}

export type ConductOf = (address: Uint8Array, height: bigint, round: number) => Partial<Conduct>

const HONEST: Conduct = { proposes: true, vote: 'commit', clockErrorMs: 0 }
const AWAY: Conduct = { proposes: false, vote: 'absent', clockErrorMs: 0 }

/** The round in which a height is decided, and what each validator of the set does in it. */
export interface Decision {
  readonly round: number
  readonly proposer: Validator
  readonly conducts: readonly Conduct[]
}

/** A vote that is not signed yet: its flag, and its time where it is cast at all. */
export interface Vote {
  readonly flag: CommitSig['flag']
  readonly timestamp: ChainTime | undefined
}

/**
 * Every validator proposes once in as many rounds as there are validators of equal power; a set that has not decided in this
 * many will not.
 */
const MAX_ROUNDS = 100

/**
 * The first round whose proposer proposes and in which more than two thirds of the power vote for the block. All votes being
 * known here, nobody signs in the rounds before: no validator is ever locked on a block that was not decided.
 */
export function decideRound(
  turn: Turn,
  height: bigint,
  isHere: (address: Uint8Array) => boolean,
  conductOf: ConductOf | undefined,
): Decision | undefined {
  const { validators } = turn
  const needed = (totalPower(validators) * 2n) / 3n
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const proposer = round === 0 ? turn.proposer : nextTurn(validators, round).proposer
    const conducts = validators.map(({ address }) =>
      isHere(address) ? { ...HONEST, ...conductOf?.(address, height, round) } : AWAY,
    )
    const proposes = validators.some((one, i) => equalBytes(one.address, proposer.address) && conducts[i]!.proposes)
    const power = validators.reduce((sum, one, i) => (conducts[i]!.vote === 'commit' ? sum + one.votingPower : sum), 0n)
    if (proposes && power > needed) return { round, proposer, conducts }
  }
  return undefined
}

/** Each validator's vote for a block of this time: its own time, yet after the block's, so that BFT time always rises. */
export function castVotes({ conducts }: Decision, blockTime: ChainTime, clock: Clock): readonly Vote[] {
  const least = later(instantOf(blockTime), 1)
  return conducts.map(({ vote, clockErrorMs }) => {
    if (vote === 'absent') return { flag: FLAG_ABSENT, timestamp: undefined }
    const now = later(clock.now(), clockErrorMs)
    return { flag: vote === 'nil' ? FLAG_NIL : FLAG_COMMIT, timestamp: chainTime(now > least ? now : least) }
  })
}

/** The commit that these votes make. Each validator that votes has its signer here. */
export async function signVotes(
  header: Header,
  blockId: BlockId,
  round: number,
  validators: readonly Validator[],
  votes: readonly Vote[],
  signerOf: (address: Uint8Array) => Signer | undefined,
): Promise<Commit> {
  const { chainId, height } = header
  const signatures = await Promise.all(
    validators.map(async ({ address }, i): Promise<CommitSig> => {
      const { flag, timestamp } = votes[i]!
      if (flag === FLAG_ABSENT) return { flag, validatorAddress: NOTHING, timestamp: undefined, signature: NOTHING }
      const signer = signerOf(address)
      if (signer === undefined) throw new Error(`no signer for validator ${toHex(address)}, whose vote was decided`)
      const voted = flag === FLAG_COMMIT ? blockId : undefined
      const message = precommitSignBytes(chainId, height, round, voted, timestamp)
      const signature = await signer.sign(message)
      // Validators of one machine keep their keys in memory, where signing cannot fail.
      if (!signature.ok) throw new Error(`validator ${toHex(address)} could not sign: ${signature.fault.code}`)
      return { flag, validatorAddress: address, timestamp, signature: signature.value }
    }),
  )
  return { height, round, blockId, signatures }
}

const NOTHING = new Uint8Array(0)
