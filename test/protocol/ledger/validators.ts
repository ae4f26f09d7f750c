/** A ledger with validators under test, and CometBFT's view of their set: built from the updates alone. */
import { concat, toHex, utf8 } from '../../../protocol/bytes.ts'
import { precommitSignBytes } from '../../../protocol/chain/commit.ts'
import type { Validator } from '../../../protocol/chain/light-block.ts'
import { changeValidators, totalPower, validatorOf } from '../../../protocol/chain/validators.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { auditLedger } from '../../../protocol/ledger/audit.ts'
import type { Genesis } from '../../../protocol/ledger/genesis.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { buildValidatorProof } from '../../../protocol/ledger/validator-proof.ts'
import { micros } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { assert } from '../../harness.ts'
import { Bench, buyer, CHAIN_ID, genesis, operator, type Party, partyOf, seller, stranger } from './parties.ts'

export const UNIT = 1_000_000n
export const UNBONDING_MS = 1_000_000
export const MOST = 6
export const keys = Array.from({ length: 8 }, (_, i) => partyOf(`validator ${i}`))
export const owners = [seller, buyer, stranger, operator]

/** Four validators of ten units, one for each account; everyone but the stranger may bring another. */
export const stakedGenesis: Genesis = {
  ...genesis,
  validators: owners.map((owner, i) => ({
    publicKey: keys[i]!.publicKey,
    owner: owner.address,
    stake: micros(10n * UNIT),
  })),
  staking: { unit: micros(UNIT), unbondingMs: UNBONDING_MS, slashPermille: 50, most: MOST },
  roles: [operator, seller, buyer].map(({ address }) => ({ role: 'validator', holder: address })),
}

export const stake = (key: Party, amount: bigint, owner?: Party): TxContent => {
  const body = { publicKey: key.publicKey, amount: micros(amount) }
  if (owner === undefined) return { kind: 'stake', body }
  const { toSign, withSignature } = buildValidatorProof(CHAIN_ID, owner.address, key.publicKey)
  return { kind: 'stake', body: { ...body, proof: withSignature(key.sign(toSign)) } }
}

export const unstake = (key: Party, amount: bigint): TxContent => ({
  kind: 'unstake',
  body: { validator: key.address, amount: micros(amount) },
})

interface VoteTerms {
  readonly by?: Party
  readonly chainId?: string
  /** The blocks voted for, by name; undefined is a vote for no block. */
  readonly blocks?: readonly (string | undefined)[]
}

/** Two precommits of a validator for height 7, round 1, for two blocks unless told otherwise. */
export function evidence(against: Party, { by = against, chainId = CHAIN_ID, blocks = ['a', 'b'] }: VoteTerms = {}) {
  const [height, round] = [7n, 1]
  const votes = blocks.map((name, i) => {
    const timestamp = { seconds: 1_800_000_000n, nanos: i }
    const block =
      name === undefined
        ? undefined
        : { hash: sha256(utf8(name)), parts: 1, partsHash: sha256(utf8(`parts of ${name}`)) }
    const blockId =
      block === undefined
        ? undefined
        : { hash: block.hash, partSetHeader: { total: block.parts, hash: block.partsHash } }
    const signature = by.sign(precommitSignBytes(chainId, height, round, blockId, timestamp))
    return { ...timestamp, signature, ...(block === undefined ? {} : { block }) }
  })
  return { kind: 'evidence', body: { validator: against.address, height, round, votes } } as const satisfies TxContent
}

/** The set as whoever applies every update to the genesis set has it; its rules are CometBFT's, not the ledger's. */
class Followed {
  set: readonly Validator[] = must(
    changeValidators(
      [],
      stakedGenesis.validators!.map(({ publicKey, stake }) => validatorOf(publicKey, stake / UNIT)),
    ),
  )

  /** Follows the last block of a bench, and holds it to what every block owes. */
  follow(bench: Bench): void {
    const before = this.set
    const changed = bench.updates.map(({ publicKey, power }) => validatorOf(publicKey, power))
    if (changed.length > 0) this.set = must(changeValidators(before, changed))
    const powers = new Map(before.map(({ address, votingPower }) => [toHex(address), votingPower]))
    let moved = 0n
    for (const { address, votingPower } of changed) {
      const by = votingPower - (powers.get(toHex(address)) ?? 0n)
      assert.is.not(by, 0n, 'an update that changes nothing')
      moved += by < 0n ? -by : by
    }
    const total = totalPower(before)
    assert.ok(total > 3n ? 3n * moved < total : moved <= 1n, `${moved} of ${total} moved in one block`)
    assert.ok(this.set.length > 0)
    assert.ok(this.set.length <= MOST)
  }

  powerOf(key: Party): bigint {
    return this.set.find(({ publicKey }) => toHex(publicKey) === toHex(key.publicKey))?.votingPower ?? 0n
  }
}

/** A bench whose every block is followed and audited. */
export class StakedBench extends Bench {
  readonly followed = new Followed()
  constructor(from: Genesis = stakedGenesis) {
    super(from)
  }

  override block(...block: Parameters<Bench['block']>): ReturnType<Bench['block']> {
    const results = super.block(...block)
    this.followed.follow(this)
    assert.equal(auditLedger(this.app.entries(this.app.height)!).problems, [])
    return results
  }

  /** Blocks until no power moves any more. */
  rest(): number {
    for (let blocks = 0; blocks < 100; blocks++) {
      this.block([])
      if (this.updates.length === 0) return blocks
    }
    throw new Error('power still moves after 100 blocks')
  }
}

/** The neutral element's spelling: a key for which every signature of the right shape would verify. */
export const smallOrderKey: Party = { ...stranger, publicKey: concat(Uint8Array.of(1), new Uint8Array(31)) }
