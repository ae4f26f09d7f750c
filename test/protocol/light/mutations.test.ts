/**
 * Every field of a header, commit and validator set, changed alone, is refused with its own fault; and the bounds: exactly
 * two thirds, exactly a third, the drift to the millisecond, powers at the edge of int64.
 */
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { FLAG_ABSENT, FLAG_NIL } from '../../../protocol/chain/commit.ts'
import type { CommitSig, Header, LightBlock, Validator } from '../../../protocol/chain/light-block.ts'
import { hashValidators } from '../../../protocol/chain/validators.ts'
import { type Verdict, verify } from '../../../protocol/light/verify.ts'
import { instant, later } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { anchored, makeChain, members, OPTIONS, seal, setOf, timeAt } from './chain-maker.ts'

const test = suite('mutations of a light block')

const verifier = createVerifier()
const group = members(4)
const chain = makeChain({ heights: 6, group: () => group })
const [first, second, third] = chain as [LightBlock, LightBlock, LightBlock]
const now = timeAt(7)
const ground = anchored(first, now, verifier)

const codeOf = (verdict: Verdict) => (verdict.kind === 'invalid' ? verdict.fault.code : verdict.kind)
const judged = (block: LightBlock) => codeOf(verify(ground, block, OPTIONS, now, verifier))

/** One other value of the same shape; bytes keep their length. */
type Mutation<T> = { readonly [K in keyof T]: (value: T[K]) => T[K] }
const flip = (bytes: Uint8Array): Uint8Array =>
  Uint8Array.from(bytes, (byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte))
const rise = (value: bigint) => value + 1n

const HEADER: Mutation<Header> = {
  version: version => ({ ...version, app: version.app + 1n }),
  chainId: id => `${id}x`,
  height: rise,
  time: time => ({ ...time, nanos: time.nanos + 1 }),
  lastBlockId: id => ({ ...id, hash: flip(id.hash) }),
  lastCommitHash: flip,
  dataHash: flip,
  validatorsHash: flip,
  nextValidatorsHash: flip,
  consensusHash: flip,
  appHash: flip,
  lastResultsHash: flip,
  evidenceHash: flip,
  proposerAddress: flip,
}

/** Changes that are refused for what they are, before the hash is looked at. */
const EARLIER: Partial<Record<keyof Header, string>> = { chainId: 'light.chain-id', height: 'light.commit-height' }
/** What refuses the change when the validators have really signed it; a header may else say what it likes. */
const SIGNED: Partial<Record<keyof Header, string>> = {
  chainId: 'light.chain-id',
  validatorsHash: 'light.validators-hash',
}

test('every field of a header, changed alone, breaks the hash that was signed, or its own rule', () => {
  assert.equal(Object.keys(HEADER).sort(), Object.keys(second.header).sort())
  const changed = new Set<string>()
  for (const field of Object.keys(HEADER) as (keyof Header)[]) {
    const value = (HEADER[field] as (value: unknown) => unknown)(second.header[field])
    const header = { ...second.header, [field]: value }
    assert.is(judged({ ...second, header }), EARLIER[field] ?? 'light.header-hash', field)
    if (field === 'height') continue
    assert.is(judged(seal(header, group)), SIGNED[field] ?? 'trusted', `${field}, signed`)
    changed.add(field)
  }
  assert.is(changed.size, 13)
})

test('the parts of a header that have parts are guarded as well', () => {
  const { header } = second
  const { lastBlockId, version, time } = header
  const parts = lastBlockId.partSetHeader
  const cases: readonly [Partial<Header>, string][] = [
    [{ version: { ...version, block: 10n } }, 'light.block-version'],
    [{ time: { ...time, seconds: time.seconds + 1n } }, 'light.header-hash'],
    [{ lastBlockId: { ...lastBlockId, partSetHeader: { ...parts, total: 2 } } }, 'light.header-hash'],
    [{ lastBlockId: { ...lastBlockId, partSetHeader: { ...parts, hash: flip(parts.hash) } } }, 'light.header-hash'],
    [{ lastBlockId: { ...lastBlockId, hash: new Uint8Array(31) } }, 'light.hash-size'],
    [{ lastBlockId: { ...lastBlockId, partSetHeader: { ...parts, hash: new Uint8Array(33) } } }, 'light.hash-size'],
  ]
  for (const [change, code] of cases) assert.is(judged({ ...second, header: { ...header, ...change } }), code)
  const sized = [
    'lastCommitHash',
    'dataHash',
    'validatorsHash',
    'nextValidatorsHash',
    'consensusHash',
    'lastResultsHash',
    'evidenceHash',
    'proposerAddress',
  ] as const
  for (const field of sized)
    for (const bytes of [1, 19, 21, 31, 33, 64])
      assert.is(judged({ ...second, header: { ...header, [field]: new Uint8Array(bytes) } }), 'light.hash-size', field)
  for (const field of ['validatorsHash', 'nextValidatorsHash', 'consensusHash', 'proposerAddress'] as const)
    assert.is(judged({ ...second, header: { ...header, [field]: new Uint8Array(0) } }), 'light.hash-size', field)
  // The application chooses its hash's length; none at all is a hash, too.
  assert.is(judged(seal({ ...header, appHash: new Uint8Array(0) }, group)), 'trusted')
  assert.is(judged(seal({ ...header, appHash: new Uint8Array(77) }, group)), 'trusted')
})

test('every field of a commit, changed alone, is refused with its own fault', () => {
  const { commit } = second
  const at = (change: Partial<typeof commit>) => judged({ ...second, commit: { ...commit, ...change } })
  const parts = commit.blockId.partSetHeader
  assert.is(at({ height: 3n }), 'light.commit-height')
  assert.is(at({ height: 0n }), 'chain.commit-shape')
  assert.is(at({ round: 1 }), 'light.signature')
  assert.is(at({ round: -1 }), 'chain.commit-shape')
  assert.is(at({ round: 2 ** 31 }), 'chain.commit-shape')
  assert.is(at({ blockId: { ...commit.blockId, hash: flip(commit.blockId.hash) } }), 'light.header-hash')
  assert.is(at({ blockId: { ...commit.blockId, hash: new Uint8Array(0) } }), 'chain.commit-shape')
  assert.is(at({ blockId: { ...commit.blockId, partSetHeader: { ...parts, total: 2 } } }), 'light.signature')
  assert.is(at({ blockId: { ...commit.blockId, partSetHeader: { ...parts, total: 0 } } }), 'chain.commit-shape')
  assert.is(
    at({ blockId: { ...commit.blockId, partSetHeader: { ...parts, hash: flip(parts.hash) } } }),
    'light.signature',
  )
  assert.is(at({ signatures: [] }), 'chain.commit-shape')
  assert.is(at({ signatures: [...commit.signatures].reverse() }), 'light.signer')
  assert.is(at({ signatures: [...commit.signatures, commit.signatures[0]!] }), 'light.signature-count')
})

test('every field of a vote, changed alone, is refused with its own fault and place', () => {
  const vote = second.commit.signatures[1]!
  const cases: readonly [Partial<CommitSig>, string][] = [
    [{ flag: FLAG_NIL }, 'trusted'],
    [{ flag: FLAG_ABSENT }, 'chain.commit-shape'],
    [{ flag: 0 as 1 }, 'chain.commit-shape'],
    [{ flag: 4 as 1 }, 'chain.commit-shape'],
    [{ validatorAddress: flip(vote.validatorAddress) }, 'light.signer'],
    [{ validatorAddress: second.validators[2]!.address }, 'light.signer'],
    [{ validatorAddress: new Uint8Array(0) }, 'chain.commit-shape'],
    [{ validatorAddress: new Uint8Array(21) }, 'chain.commit-shape'],
    [{ timestamp: { ...vote.timestamp!, nanos: vote.timestamp!.nanos + 1 } }, 'light.signature'],
    [{ timestamp: undefined }, 'light.signature'],
    [{ signature: flip(vote.signature) }, 'light.signature'],
    [{ signature: second.commit.signatures[0]!.signature }, 'light.signature'],
    [{ signature: new Uint8Array(0) }, 'chain.commit-shape'],
    [{ signature: vote.signature.subarray(1) }, 'light.signature'],
    [{ signature: new Uint8Array(65) }, 'chain.commit-shape'],
  ]
  assert.equal(Object.keys(vote).sort(), ['flag', 'signature', 'timestamp', 'validatorAddress'])
  for (const [change, code] of cases) {
    const signatures = second.commit.signatures.map((one, i) => (i === 1 ? { ...one, ...change } : one))
    const verdict = verify(ground, { ...second, commit: { ...second.commit, signatures } }, OPTIONS, now, verifier)
    assert.is(codeOf(verdict), code, JSON.stringify(Object.keys(change)))
    if (verdict.kind === 'invalid') assert.is('index' in verdict.fault && verdict.fault.index, 1)
  }
})

test('every field of a validator, changed alone, is refused with its own fault; its priority is no part of the claim', () => {
  const MAX_INT64 = 2n ** 63n - 1n
  const one = second.validators[2]!
  const cases: readonly [Partial<Validator>, string][] = [
    [{ address: flip(one.address) }, 'chain.validator-address'],
    [{ publicKey: flip(one.publicKey) }, 'chain.validator-address'],
    [{ votingPower: one.votingPower + 1n }, 'light.validators-hash'],
    [{ votingPower: 0n }, 'chain.validator-power'],
    [{ votingPower: -1n }, 'chain.validator-power'],
    [{ votingPower: MAX_INT64 / 8n }, 'chain.total-power'],
    [{ votingPower: MAX_INT64 / 8n + 1n }, 'chain.validator-power'],
    [{ votingPower: MAX_INT64 }, 'chain.validator-power'],
    [{ votingPower: 2n ** 64n }, 'chain.validator-power'],
    [{ ...second.validators[0]! }, 'chain.validator-twice'],
    [{ proposerPriority: one.proposerPriority + 1n }, 'trusted'],
  ]
  assert.equal(Object.keys(one).sort(), ['address', 'proposerPriority', 'publicKey', 'votingPower'])
  for (const [change, code] of cases) {
    const validators = second.validators.map((each, i) => (i === 2 ? { ...each, ...change } : each))
    assert.is(judged({ ...second, validators }), code, String(Object.keys(change)))
  }
  const set = second.validators
  for (const [validators, code] of [
    [[], 'chain.no-validators'],
    [set.slice(0, 3), 'light.validators-hash'],
    [[...set].reverse(), 'light.validators-hash'],
    [Array.from({ length: 10_001 }, () => set[0]!), 'chain.too-many-validators'],
  ] as const)
    assert.is(judged({ ...second, validators }), code)
})

test('a set whose power is at the cap of int64 is counted exactly, and refused one unit above', () => {
  const cap = (2n ** 63n - 1n) / 8n
  const powers = (last: bigint) => [cap / 3n, cap / 3n, last].map((power, i) => members(1, 30 + i, power)[0]!)
  const atCap = powers(cap - 2n * (cap / 3n))
  const made = makeChain({ heights: 2, group: () => atCap })
  const from = anchored(made[0]!, now, verifier)
  assert.is(codeOf(verify(from, made[1]!, OPTIONS, now, verifier)), 'trusted')
  const flags = [undefined, FLAG_ABSENT, FLAG_ABSENT] as const
  assert.is(codeOf(verify(from, seal(made[1]!.header, atCap, { flags }), OPTIONS, now, verifier)), 'light.power')
  const validators = made[1]!.validators.map((one, i) =>
    i === 0 ? { ...one, votingPower: one.votingPower + 1n } : one,
  )
  assert.is(codeOf(verify(from, { ...made[1]!, validators }, OPTIONS, now, verifier)), 'chain.total-power')
})

test('signed by exactly two thirds is refused, by one unit more accepted, whatever the powers', () => {
  const property = fc.property(
    fc.integer({ min: 1, max: 1_000_000_000 }),
    fc.integer({ min: 1, max: 6 }),
    (third, signersMore) => {
      // One who stays away has a third; the others have two thirds, spread over some.
      const share = (2 * third) / signersMore
      if (!Number.isInteger(share)) return
      const weights = (more: bigint) => [
        ...Array.from({ length: signersMore }, (_, i) => members(1, 40 + i, BigInt(share) + (i === 0 ? more : 0n))[0]!),
        members(1, 60, BigInt(third))[0]!,
      ]
      for (const [more, expected] of [
        [0n, 'light.power'],
        [1n, 'trusted'],
      ] as const) {
        const weighted = weights(more)
        const made = makeChain({ heights: 2, group: () => weighted })
        const away = toHex(members(1, 60)[0]!.validator.address)
        const flags = made[1]!.validators.map(one => (toHex(one.address) === away ? FLAG_ABSENT : undefined))
        const block = seal(made[1]!.header, weighted, { flags })
        const verdict = verify(anchored(made[0]!, now, verifier), block, OPTIONS, now, verifier)
        assert.is(codeOf(verdict), expected)
      }
    },
  )
  assertProperty(property, 25)
})

test('over a gap exactly the trust level is not enough, one unit more is', () => {
  const made = (power: bigint) => {
    // Two thirds of the old power leave, one who has `power` of 3 times 10 stays.
    const old = [members(1, 0, power)[0]!, ...members(2, 1, 10n)]
    const fresh = [members(1, 0, power)[0]!, ...members(2, 20, 10n)]
    const blocks = makeChain({ heights: 4, group: height => (height < 3 ? old : fresh) })
    return codeOf(verify(anchored(blocks[0]!, now, verifier), blocks[3]!, OPTIONS, now, verifier))
  }
  assert.is(made(10n), 'not-enough')
  assert.is(made(11n), 'trusted')
})

test('the bounds of time are strict to the millisecond', () => {
  const { maxClockDriftMs, trustingPeriodMs } = OPTIONS
  const at = (ms: number) => codeOf(verify(ground, second, OPTIONS, instant(ms), verifier))
  // A header is of the future from exactly the drift on.
  assert.is(at(timeAt(2) - maxClockDriftMs), 'light.from-future')
  assert.is(at(timeAt(2) - maxClockDriftMs + 1), 'trusted')
  // The ground is expired from exactly the trusting period on.
  assert.is(at(timeAt(1) + trustingPeriodMs - 1), 'trusted')
  assert.is(at(timeAt(1) + trustingPeriodMs), 'light.expired')
  // A header of the ground's own time, or height, is not after it.
  const same = seal({ ...second.header, time: first.header.time }, group)
  assert.is(judged(same), 'light.time-order')
  const nano = seal({ ...second.header, time: { ...first.header.time, nanos: first.header.time.nanos + 1 } }, group)
  assert.is(judged(nano), 'trusted')
  assert.is(judged(first), 'light.height')
  assert.is(codeOf(verify(ground, third, OPTIONS, later(timeAt(3), -maxClockDriftMs), verifier)), 'light.from-future')
})

test('a block of another chain, with the right validators and signatures for that, is refused', () => {
  const other = { ...OPTIONS, chainId: 'other' }
  assert.is(codeOf(verify(ground, second, other, now, verifier)), 'light.chain-id')
  assert.is(judged({ ...second, header: { ...second.header, chainId: 'x'.repeat(51) } }), 'light.chain-id')
})

test('strangers who sign for the announced set, in its name or in theirs, are refused', () => {
  const strangers = members(4, 50)
  assert.is(judged(seal(second.header, strangers)), 'light.validators-hash')
  const theirs = { ...second.header, validatorsHash: hashValidators(setOf(strangers)) }
  assert.is(judged(seal(theirs, strangers)), 'light.next-validators')
  const sealed = seal(second.header, strangers)
  const borrowed = second.validators.map((one, i) => ({
    ...sealed.commit.signatures[i]!,
    validatorAddress: one.address,
  }))
  assert.is(judged({ ...second, commit: { ...second.commit, signatures: borrowed } }), 'light.signature')
})

test.run()
