/**
 * Validators and the coins that answer for them. The operator says who may join (role `validator`); how much power that
 * brings is the stake's to say. Where genesis stakes nobody, others decide who validates and nobody may stake.
 */
import { equalBytes, toHex } from '../../bytes.ts'
import { precommitSignBytes, sameBlockId } from '../../chain/commit.ts'
import type { ChainTime } from '../../chain/light-block.ts'
import { addressOf } from '../../crypto/hash.ts'
import { keyFault } from '../../crypto/verify.ts'
import { micros } from '../../quantity.ts'
import { ok, type Result } from '../../result.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Applying, Kinds } from '../kind.ts'
import { accountId, type Draft, debit } from '../state.ts'
import { BARRED, MAX_UNBONDING, UNBONDING } from '../tables.ts'
import type { BodyOf } from '../tx.ts'
import { isValidatorProof } from '../validator-proof.ts'
import { hasRole } from './roles.ts'
import { punish, putValidator, unbond, validatorBy, validatorsOf } from './validators.ts'

type Answer = Result<Uint8Array, LedgerFault>

const NO_DATA = new Uint8Array(0)

export const stakeKinds = {
  stake: { gas: 2n, apply: applyStake },
  unstake: { gas: 1n, apply: applyUnstake },
  evidence: { gas: 3n, apply: applyEvidence },
} satisfies Partial<Kinds>

function applyStake(draft: Draft, sender: Uint8Array, body: BodyOf<'stake'>, applying: Applying): Answer {
  const { publicKey, amount } = body
  const { staking } = applying.rules
  if (staking === undefined) return refuse('ledger.no-staking')
  if (amount === 0n) return refuse('ledger.amount', { amount })
  const address = addressOf(publicKey)
  const validator = validatorBy(draft, address)
  if (validator !== undefined && validator.stake > 0n) {
    if (!equalBytes(validator.owner, sender)) {
      return refuse('ledger.validator-owner', { owner: toHex(validator.owner), sender: toHex(sender) })
    }
  } else {
    const allowed = checkJoin(draft, sender, body, applying)
    if (!allowed.ok) return allowed
  }
  const paid = debit(draft, accountId(sender), amount)
  if (!paid.ok) return paid
  const stake = micros((validator?.stake ?? 0n) + amount)
  putValidator(draft, { publicKey, owner: sender, stake, power: validator?.power ?? 0n })
  return ok(NO_DATA)
}

/** Whether a key that has no stake may have one, with this sender as its owner. */
function checkJoin(draft: Draft, sender: Uint8Array, body: BodyOf<'stake'>, applying: Applying): Answer {
  const { publicKey, amount, proof } = body
  const { chainId, verifier } = applying
  const { unit, most } = applying.rules.staking!
  const id = accountId(addressOf(publicKey))
  if (!hasRole(draft, 'validator', sender)) {
    return refuse('ledger.role-only', { role: 'validator', sender: toHex(sender) })
  }
  if (draft.get(BARRED, id) !== undefined) return refuse('ledger.validator-barred', { validator: id })
  if (amount < unit) return refuse('ledger.stake-small', { stake: amount, unit })
  // Whoever is leaving still counts until its power is gone: the set never grows beyond the rule.
  const all = validatorsOf(draft)
  if (all.length >= most && !all.some(known => equalBytes(known.publicKey, publicKey))) {
    return refuse('ledger.validators-full', { most })
  }
  const fault = keyFault('EdDSA', publicKey)
  if (fault !== undefined) return refuse('ledger.key', { reason: fault.reason })
  if (proof === undefined || !isValidatorProof(proof, chainId, sender, publicKey, verifier)) {
    return refuse('ledger.validator-proof', { validator: id, owner: toHex(sender) })
  }
  return ok(NO_DATA)
}

function applyUnstake(draft: Draft, sender: Uint8Array, body: BodyOf<'unstake'>, applying: Applying): Answer {
  const { staking } = applying.rules
  if (staking === undefined) return refuse('ledger.no-staking')
  const id = accountId(body.validator)
  const validator = validatorBy(draft, body.validator)
  if (validator === undefined || validator.stake === 0n) return refuse('ledger.no-validator', { validator: id })
  if (!equalBytes(validator.owner, sender)) {
    return refuse('ledger.validator-owner', { owner: toHex(validator.owner), sender: toHex(sender) })
  }
  const { amount } = body
  if (amount === 0n) return refuse('ledger.amount', { amount })
  const rest = micros(validator.stake - amount)
  if (rest < 0n) return refuse('ledger.funds', { stake: validator.stake, needed: amount })
  if (rest > 0n && rest < staking.unit) return refuse('ledger.stake-small', { stake: rest, unit: staking.unit })
  const others = validatorsOf(draft).filter(one => one !== validator)
  if (rest === 0n && others.every(({ stake }) => stake === 0n))
    return refuse('ledger.last-validator', { validator: id })
  const waiting = draft.get(UNBONDING, id)?.parts.length ?? 0
  if (waiting >= MAX_UNBONDING) return refuse('ledger.unbonding-full', { waiting, limit: MAX_UNBONDING })
  unbond(draft, validator, amount, applying)
  putValidator(draft, { ...validator, stake: rest })
  return ok(NO_DATA)
}

/** Light clients and other validators hand in what they saw; CometBFT's own evidence comes with the block. */
function applyEvidence(draft: Draft, _sender: Uint8Array, body: BodyOf<'evidence'>, applying: Applying): Answer {
  const { validator, height, round, votes } = body
  if (applying.rules.staking === undefined) return refuse('ledger.no-staking')
  const id = accountId(validator)
  if (draft.get(BARRED, id) !== undefined) return refuse('ledger.validator-barred', { validator: id })
  const publicKey = validatorBy(draft, validator)?.publicKey ?? draft.get(UNBONDING, id)?.publicKey
  if (publicKey === undefined) return refuse('ledger.no-validator', { validator: id })
  const [a, b] = votes.map(blockIdOf)
  if (a === undefined ? b === undefined : b !== undefined && sameBlockId(a, b)) {
    return refuse('ledger.evidence', { reason: 'both votes are for the same' })
  }
  for (const [which, vote] of votes.entries()) {
    const time: ChainTime = { seconds: vote.seconds, nanos: vote.nanos }
    const message = precommitSignBytes(applying.chainId, height, round, blockIdOf(vote), time)
    if (!applying.verifier.verify('EdDSA', publicKey, message, vote.signature)) {
      return refuse('ledger.evidence-signature', { validator: id, vote: which })
    }
  }
  punish(draft, validator, applying)
  return ok(validator)
}

const blockIdOf = ({ block }: BodyOf<'evidence'>['votes'][number]) =>
  block === undefined ? undefined : { hash: block.hash, partSetHeader: { total: block.parts, hash: block.partsHash } }
