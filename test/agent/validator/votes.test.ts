/** Validators that come, go, are away or disagree: what stands in the blocks, as the light client judges it. */
import type { ProducedBlock, Producer, ProducerOptions } from '../../../agent/validator/producer.ts'
import type { ConductOf } from '../../../agent/validator/votes.ts'
import { equalBytes, toHex } from '../../../protocol/bytes.ts'
import { instantOf, nanosOf } from '../../../protocol/chain/chain-time.ts'
import { commitFault, FLAG_ABSENT, FLAG_COMMIT, FLAG_NIL, voteSignBytes } from '../../../protocol/chain/commit.ts'
import { hashHeader } from '../../../protocol/chain/header.ts'
import { hashValidators, validatorOf } from '../../../protocol/chain/validators.ts'
import { createApp } from '../../../protocol/ledger/app.ts'
import type { ValidatorUpdate } from '../../../protocol/ledger/block.ts'
import type { LightOptions } from '../../../protocol/light/predicates.ts'
import { type VerifiedBlock, verify, verifyAnchor } from '../../../protocol/light/verify.ts'
import { faultLine, must } from '../../../protocol/result.ts'
import { later } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { BEGIN, CHAIN_ID, genesis, verifier } from '../../protocol/ledger/parties.ts'
import { makeProducer, signersOf, withUpdates } from './street.ts'

const test = suite('votes of the producer')

const LIGHT: LightOptions = {
  chainId: CHAIN_ID,
  trustingPeriodMs: 86_400_000,
  maxClockDriftMs: 10_000,
  trustLevel: { numerator: 1, denominator: 3 },
}
const signers = signersOf(6)
const address = (i: number) => validatorOf(signers[i]!.publicKey, 1n).address
const indexOf = (found: Uint8Array) => signers.findIndex((_, i) => equalBytes(address(i), found))
const powers = (...list: bigint[]): ValidatorUpdate[] =>
  list.map((power, i) => ({ publicKey: signers[i]!.publicKey, power }))

async function chain(blocks: number, change: Partial<ProducerOptions>): Promise<Producer> {
  const { producer, time } = makeProducer({ signers, validators: powers(10n, 10n, 10n, 10n), ...change })
  for (let i = 0; i < blocks; i++) {
    must(await producer.produce())
    await time.advance(1000)
  }
  return producer
}

const blocksOf = (producer: Producer): ProducedBlock[] =>
  Array.from({ length: Number(producer.status().height) }, (_, i) => producer.block(BigInt(i + 1))!)

/** Every header verified from the one before it, and the last from the first. */
function follow(producer: Producer): void {
  const { height } = producer.status()
  const first = producer.lightBlock(1n)!
  const now = later(instantOf(producer.lightBlock(height)!.header.time), 1_000)
  let trusted: VerifiedBlock = must(
    verifyAnchor({ height: 1n, hash: hashHeader(first.header) }, first, LIGHT, now, verifier),
  )
  for (let h = 2n; h <= height; h++) {
    const verdict = verify(trusted, producer.lightBlock(h)!, LIGHT, now, verifier)
    if (verdict.kind !== 'trusted')
      throw new Error(verdict.kind === 'invalid' ? faultLine(verdict.fault) : verdict.kind)
    trusted = verdict.block
  }
}

test('an update of block H stands in the next validators of H+1 and signs from H+2', async () => {
  const updates = (height: bigint): readonly ValidatorUpdate[] =>
    height === 3n ? [{ publicKey: signers[4]!.publicKey, power: 25n }, ...powers(0n)] : []
  const producer = await chain(8, { app: withUpdates(createApp(genesis), updates) })
  const blocks = blocksOf(producer)
  const members = blocks.map(({ validators }) => validators.map(one => indexOf(one.address)).sort((a, b) => a - b))
  assert.equal(members, [...Array(4).fill([0, 1, 2, 3]), ...Array(4).fill([1, 2, 3, 4])])
  for (const [i, { header }] of blocks.entries()) {
    const next = blocks[i + 1]
    if (next !== undefined)
      assert.ok(equalBytes(header.nextValidatorsHash, next.header.validatorsHash), `block ${i + 1}`)
  }
  const old = hashValidators(blocks[0]!.validators)
  const changed = blocks.map(({ header }) => [
    !equalBytes(header.validatorsHash, old),
    !equalBytes(header.nextValidatorsHash, old),
  ])
  assert.equal(changed.slice(2, 5), [
    [false, false],
    [false, true],
    [true, true],
  ])
  assert.equal(
    blocks[4]!.validators.map(one => one.votingPower),
    [25n, 10n, 10n, 10n],
  )
  follow(producer)
})

test('over many changes every validator proposes as often as its power says', async () => {
  const updates = (height: bigint): readonly ValidatorUpdate[] => (height === 1n ? powers(40n, 20n, 10n, 10n) : [])
  const producer = await chain(162, { app: withUpdates(createApp(genesis), updates) })
  const turns = [0, 0, 0, 0]
  for (const { header } of blocksOf(producer).slice(2)) turns[indexOf(header.proposerAddress)]!++
  assert.equal(turns, [80, 40, 20, 20])
})

test('a proposer that is away costs its block a round', async () => {
  const away: ConductOf = (found, height) =>
    height === 2n && indexOf(found) !== 3 ? { proposes: false } : { proposes: true }
  const producer = await chain(5, { conductOf: away })
  const block = producer.block(2n)!
  assert.is(indexOf(block.header.proposerAddress), 3)
  assert.ok(block.commit.round > 0)
  assert.is(producer.block(3n)!.lastCommit.round, block.commit.round)
  assert.is(producer.block(3n)!.commit.round, 0)
  follow(producer)
})

test('who is absent or votes nil stands so in the commit, with a signature over nothing', async () => {
  const conductOf: ConductOf = (found, height) =>
    indexOf(found) !== 2 ? {} : height === 2n ? { vote: 'absent' } : height === 3n ? { vote: 'nil' } : {}
  const producer = await chain(5, { conductOf })
  const [, second, third] = blocksOf(producer)
  const sigOf = ({ commit, validators }: ProducedBlock) =>
    commit.signatures[validators.findIndex(one => indexOf(one.address) === 2)]!
  assert.equal(sigOf(second!), {
    flag: FLAG_ABSENT,
    validatorAddress: new Uint8Array(0),
    timestamp: undefined,
    signature: new Uint8Array(0),
  })
  assert.is(sigOf(third!).flag, FLAG_NIL)
  for (const { commit, header, validators } of [second!, third!]) {
    assert.is(commitFault(commit), undefined)
    for (const [i, sig] of commit.signatures.entries()) {
      if (sig.flag === FLAG_ABSENT) continue
      const message = voteSignBytes(header.chainId, commit, sig)
      assert.ok(verifier.verify('EdDSA', validators[i]!.publicKey, message, sig.signature))
    }
    assert.is(commit.signatures.filter(sig => sig.flag === FLAG_COMMIT).length, 3)
  }
  follow(producer)
})

test('without two thirds of the power there is no block and nothing is signed, and it goes on when they are back', async () => {
  let missing = true
  let signed = 0
  const counting = signers.map(signer => ({
    ...signer,
    sign: (message: Uint8Array) => {
      signed++
      return signer.sign(message)
    },
  }))
  const conductOf: ConductOf = found => (missing && indexOf(found) < 2 ? { vote: 'nil' } : {})
  const { producer } = makeProducer({ signers: counting, validators: powers(10n, 10n, 10n, 10n), conductOf })
  const none = await producer.produce()
  assert.ok(!none.ok && none.fault.code === 'producer.no-quorum')
  assert.equal([producer.status().height, signed], [0n, 0])
  missing = false
  must(await producer.produce())
  assert.equal([producer.status().height, signed], [1n, 4])
})

test('a validator whose key is not here is absent, and halts the chain only with a third of the power', async () => {
  const stranger = signersOf(7)[6]!
  const joins = (power: bigint) => (height: bigint) => (height === 1n ? [{ publicKey: stranger.publicKey, power }] : [])
  const goesOn = await chain(5, { app: withUpdates(createApp(genesis), joins(19n)) })
  assert.is(goesOn.block(5n)!.commit.signatures.filter(sig => sig.flag === FLAG_ABSENT).length, 1)
  follow(goesOn)
  const { producer } = makeProducer({
    signers,
    validators: powers(10n, 10n, 10n, 10n),
    app: withUpdates(createApp(genesis), joins(20n)),
  })
  must(await producer.produce())
  must(await producer.produce())
  const halted = await producer.produce()
  assert.equal(halted.ok ? {} : { power: halted.fault['power'], of: halted.fault['of'] }, { power: 40n, of: 60n })
})

test('block time is the median by power of clocks that differ', async () => {
  const errors = [-400, 50, 100, 9_000]
  const conductOf: ConductOf = found => ({ clockErrorMs: errors[indexOf(found)]! })
  const even = await chain(3, { conductOf })
  // Votes at +1 (never before the block), +50, +100 and +9000 ms: half of the power is reached with the second.
  assert.is(instantOf(even.block(2n)!.header.time) - BEGIN, 50)
  const heavy = await chain(3, { conductOf, validators: powers(1n, 1n, 1n, 30n) })
  assert.is(instantOf(heavy.block(2n)!.header.time) - BEGIN, 9_000)
  for (const producer of [even, heavy]) {
    const blocks = blocksOf(producer)
    for (const [i, { header }] of blocks.slice(1).entries()) {
      assert.ok(nanosOf(header.time) > nanosOf(blocks[i]!.header.time))
    }
  }
})

test('validators of the genesis keep their powers', async () => {
  const producer = await chain(1, { validators: powers(1n, 2n, 3n, 4n) })
  assert.equal(
    producer.block(1n)!.validators.map(one => [indexOf(one.address), one.votingPower]),
    [
      [3, 4n],
      [2, 3n],
      [1, 2n],
      [0, 1n],
    ],
  )
  assert.is(toHex(producer.block(1n)!.header.validatorsHash), toHex(hashValidators(producer.validators)))
})

test.run()
