/** Evidence that reaches the producer: taken into a block where it holds, refused with its reason where it does not. */
import type { ProducedBlock } from '../../../agent/validator/producer.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { equalBytes, toHex, utf8 } from '../../../protocol/bytes.ts'
import { makeBlockId } from '../../../protocol/chain/block.ts'
import { precommitSignBytes } from '../../../protocol/chain/commit.ts'
import {
  type DuplicateVote,
  type Evidence,
  encodeEvidence,
  hashEvidence,
  hashEvidenceList,
  inVoteOrder,
  type Vote,
} from '../../../protocol/chain/evidence.ts'
import { hashHeader } from '../../../protocol/chain/header.ts'
import type { BlockId } from '../../../protocol/chain/light-block.ts'
import { firstTurn, hashValidators, validatorOf } from '../../../protocol/chain/validators.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { createApp, type LedgerApp } from '../../../protocol/ledger/app.ts'
import type { BlockInput } from '../../../protocol/ledger/block.ts'
import { type Fault, faultLine, must, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { CHAIN_ID, genesis } from '../../protocol/ledger/parties.ts'
import { makeProducer, payment, signers } from './street.ts'

const test = suite('evidence in blocks')

const why = (result: Result<unknown, Fault>): string => (result.ok ? '' : faultLine(result.fault))

/** The application, and whom it was told of with each block. */
function spied(): { app: LedgerApp; told: string[][] } {
  const app = createApp(genesis)
  const told: string[][] = []
  const finalizeBlock = (block: BlockInput) => {
    told.push(block.misbehaved.map(toHex))
    return app.finalizeBlock(block)
  }
  return { app: Object.create(app, { finalizeBlock: { value: finalizeBlock } }), told }
}

async function chain(blocks: number, tx?: Uint8Array) {
  const { app, told } = spied()
  const { producer, time } = makeProducer({ app })
  for (let height = 1; height <= blocks; height++) {
    if (height === 4 && tx !== undefined) producer.submit(tx)
    must(await producer.produce())
    await time.advance(1000)
  }
  return { producer, told }
}

/** Validator `index` of that block's set, signing another block of the same height and round. */
async function doubleVote(block: ProducedBlock, index: number): Promise<DuplicateVote> {
  const { header, commit, validators } = block
  const validator = validators[index]!
  const signer = signers.find(one => equalBytes(one.publicKey, validator.publicKey))!
  const sign = async (blockId: BlockId): Promise<Vote> => {
    const { height, round } = commit
    const timestamp = commit.signatures[index]!.timestamp!
    const message = precommitSignBytes(CHAIN_ID, height, round, blockId, timestamp)
    const signature = signer.signNow(message)
    return { height, round, blockId, timestamp, validatorAddress: validator.address, validatorIndex: index, signature }
  }
  const other = { hash: sha256(utf8('another block')), partSetHeader: { total: 1, hash: sha256(utf8('its parts')) } }
  const [voteA, voteB] = inVoteOrder(await sign(block.blockId), await sign(other))
  return {
    kind: 'duplicate-vote',
    voteA,
    voteB,
    totalPower: 40n,
    validatorPower: 10n,
    time: header.time,
  }
}

test('a double vote stands in the next block, under its EvidenceHash, and the application hears who it was', async () => {
  const { producer, told } = await chain(5)
  const evidence = await doubleVote(producer.block(3n)!, 2)
  assert.is(toHex(must(producer.report(evidence))), toHex(hashEvidence(evidence)))
  must(await producer.produce())
  const block = producer.block(6n)!
  assert.equal(block.evidence, [encodeEvidence(evidence)])
  assert.is(toHex(block.header.evidenceHash), toHex(hashEvidenceList([evidence])))
  assert.is(toHex(makeBlockId(block).hash), toHex(hashHeader(block.header)))
  assert.is(toHex(makeBlockId(block).partSetHeader.hash), toHex(block.blockId.partSetHeader.hash))
  assert.equal(told, [[], [], [], [], [], [toHex(evidence.voteA.validatorAddress)]])

  must(producer.report(evidence))
  must(await producer.produce())
  assert.equal(producer.block(7n)!.evidence, [], 'once is enough')
  assert.equal(told.at(-1), [])
})

test('the books of a ledger with stakes lose what a double vote costs', async () => {
  const staked = {
    ...genesis,
    validators: signers.map(({ publicKey }) => ({ publicKey, owner: genesis.operator, stake: 10_000_000n as never })),
  }
  const { producer, time } = makeProducer({ genesis: staked })
  for (let i = 0; i < 3; i++) {
    must(await producer.produce())
    await time.advance(1000)
  }
  assert.is(producer.block(3n)!.validators[0]!.votingPower, 10n)
  const guilty = producer.block(2n)!.validators[1]!.address
  must(producer.report(await doubleVote(producer.block(2n)!, 1)))
  for (let i = 0; i < 6; i++) {
    must(await producer.produce())
    await time.advance(1000)
  }
  const left = producer.block(9n)!.validators
  assert.not.ok(left.some(one => equalBytes(one.address, guilty)))
  assert.is(left.length, 3)
  assert.equal(producer.audit().problems, [])
})

test('evidence that does not hold is refused with its reason and stands in no block', async () => {
  const { producer } = await chain(5)
  const good = await doubleVote(producer.block(3n)!, 0)
  const other = await doubleVote(producer.block(3n)!, 1)
  const cases: readonly (readonly [Evidence, RegExp])[] = [
    [{ ...good, voteB: { ...good.voteB, signature: good.voteA.signature } }, /not signed/],
    [{ ...good, voteB: good.voteA }, /one block/],
    [{ ...good, voteB: { ...good.voteB, round: 1 } }, /two rounds/],
    [{ ...good, voteB: { ...other.voteB, blockId: good.voteB.blockId } }, /two validators/],
    [{ ...good, voteA: good.voteB, voteB: good.voteA }, /order/],
    [{ ...good, validatorPower: 11n }, /powers/],
    [{ ...good, totalPower: 41n }, /powers/],
    [{ ...good, time: { ...good.time, nanos: good.time.nanos + 1 } }, /time/],
    [{ ...good, voteA: { ...good.voteA, height: 99n }, voteB: { ...good.voteB, height: 99n } }, /height is not there/],
  ]
  for (const [evidence, reason] of cases) {
    const refused = producer.report(evidence)
    assert.ok(!refused.ok && refused.fault.code === 'light.evidence')
    assert.match(why(refused), reason)
  }
  must(await producer.produce())
  assert.equal(producer.block(6n)!.evidence, [])
})

test('an attack on a light client blames everyone who signed the other chain', async () => {
  const { producer, told } = await chain(6)
  const { producer: twin } = await chain(6, payment(0n))
  const conflicting = twin.lightBlock(6n)!
  const common = producer.lightBlock(3n)!
  assert.ok(equalBytes(hashHeader(common.header), hashHeader(twin.lightBlock(3n)!.header)))
  const attack: Evidence = {
    kind: 'light-client-attack',
    conflicting,
    commonHeight: 3n,
    byzantine: [...common.validators].sort((a, b) => (toHex(a.address) < toHex(b.address) ? -1 : 1)),
    totalPower: 40n,
    time: common.header.time,
  }
  const fewer = producer.report({ ...attack, byzantine: attack.byzantine.slice(1) })
  assert.match(why(fewer), /blames others/)
  const ours = producer.report({ ...attack, conflicting: producer.lightBlock(6n)! })
  assert.match(why(ours), /ours/)
  must(producer.report(attack))
  must(await producer.produce())
  assert.equal(
    told.at(-1),
    attack.byzantine.map(one => toHex(one.address)),
  )
})

test('nobody is blamed for votes that others cast in its name', async () => {
  const { producer } = await chain(6)
  const [common, trusted] = [producer.lightBlock(3n)!, producer.lightBlock(6n)!]
  // A set of the forger's: one with nearly all the power, and one for each honest validator to be framed.
  const forgers = Array.from({ length: 5 }, (_, i) => createSigner(sha256(utf8(`forger ${i}`))))
  const keyed = forgers.map(({ publicKey }, i) => validatorOf(publicKey, i === 0 ? 1000n : 1n))
  const validators = must(firstTurn(keyed)).validators
  const header = { ...trusted.header, appHash: sha256(utf8('a lie')), validatorsHash: hashValidators(validators) }
  const blockId = { hash: hashHeader(header), partSetHeader: { total: 1, hash: sha256(utf8('parts')) } }
  const { height, time: timestamp } = header
  const names = common.validators.map(({ address }) => address)
  const signatures = await Promise.all(
    validators.map(async ({ address, publicKey, votingPower }) => {
      const signer = forgers.find(one => equalBytes(one.publicKey, publicKey))!
      const signature = signer.signNow(precommitSignBytes(CHAIN_ID, height, 0, blockId, timestamp))
      return { flag: 2 as const, validatorAddress: votingPower > 1n ? address : names.pop()!, timestamp, signature }
    }),
  )
  const framing: Evidence = {
    kind: 'light-client-attack',
    conflicting: { header, commit: { height, round: 0, blockId, signatures }, validators },
    commonHeight: 3n,
    byzantine: [...common.validators].sort((a, b) => (toHex(a.address) < toHex(b.address) ? -1 : 1)),
    totalPower: 40n,
    time: common.header.time,
  }
  assert.match(why(producer.report(framing)), /another's name/)
  assert.equal(producer.evidence(), [])
})

test('evidence of a height that is no longer kept is too old', async () => {
  const { producer, time } = makeProducer({ keep: 3 })
  must(await producer.produce())
  const evidence = await doubleVote(producer.block(1n)!, 0)
  for (let i = 0; i < 3; i++) {
    await time.advance(1000)
    must(await producer.produce())
  }
  const refused = producer.report(evidence)
  assert.match(why(refused), /not there/)
})

test.run()
