/**
 * Each rule has a block that it alone refuses: with the rule it is refused by its fault, without it the same block goes through.
 * A rule whose case goes through with it is missing; one whose case fails without it is not the one that holds.
 */
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { toHex, utf8 } from '../../../protocol/bytes.ts'
import { FLAG_ABSENT, FLAG_NIL } from '../../../protocol/chain/commit.ts'
import type { Header, LightBlock } from '../../../protocol/chain/light-block.ts'
import { hashValidators } from '../../../protocol/chain/validators.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import * as rules from '../../../protocol/light/predicates.ts'
import { trustLevelFault, verify, verifyAnchor, verifyBackwards } from '../../../protocol/light/verify.ts'
import { type Instant, later } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { anchored, makeChain, members, OPTIONS, type Sealing, seal, setOf, timeAt } from './chain-maker.ts'

const test = suite('the rules of the light client')

const verifier = createVerifier()
const group = members(4)
const plan = { heights: 6, group: () => group }
const chain = makeChain(plan)
const [first, second, , fourth] = chain as [LightBlock, LightBlock, LightBlock, LightBlock]
const now = timeAt(7)
const trusted = anchored(first, now, verifier)

const signedAgain = (header: Header, change: Partial<Header>, sealing: Sealing = {}) =>
  seal({ ...header, ...change }, group, sealing)
const recommitted = (block: LightBlock, change: object): LightBlock => ({
  ...block,
  commit: { ...block.commit, ...change },
})
const strangers = members(4, 50)

interface Case {
  readonly rule: rules.Predicate
  readonly fault: string
  readonly block: LightBlock
  readonly now?: Instant
  readonly options?: rules.LightOptions
  /** Rules that refuse it for the same reason, and stand aside too. */
  readonly without?: readonly rules.Predicate[]
}

const one = Uint8Array.of(1)
const stranger = seal({ ...fourth.header, validatorsHash: hashValidators(setOf(strangers)) }, strangers)

const cases: readonly Case[] = [
  { rule: rules.trustedIsFresh, fault: 'light.expired', block: second, now: later(timeAt(1), 3_600_000) },
  {
    rule: rules.blockVersionIsKnown,
    fault: 'light.block-version',
    block: signedAgain(second.header, { version: { block: 10n, app: 1n } }),
  },
  {
    rule: rules.chainIsOurs,
    fault: 'light.chain-id',
    block: second,
    options: { ...OPTIONS, chainId: 'streets' },
    // Votes are signed for the chain that the client names.
    without: [rules.ownPowerHasSigned],
  },
  {
    rule: rules.heightIsPositive,
    fault: 'light.height',
    block: signedAgain(second.header, { height: 0n }),
    without: [rules.heightRises, rules.commitIsWellFormed],
  },
  {
    rule: rules.hashesHaveTheirSize,
    fault: 'light.hash-size',
    block: signedAgain(second.header, { dataHash: one }),
  },
  {
    rule: rules.commitIsWellFormed,
    fault: 'chain.commit-shape',
    block: recommitted(signedAgain(second.header, {}, { flags: [undefined, undefined, undefined, FLAG_ABSENT] }), {
      signatures: signedAgain(
        second.header,
        {},
        { flags: [undefined, undefined, undefined, FLAG_ABSENT] },
      ).commit.signatures.map(vote => (vote.flag === FLAG_ABSENT ? { ...vote, signature: one } : vote)),
    }),
  },
  {
    rule: rules.commitIsOfItsHeight,
    fault: 'light.commit-height',
    block: { ...second, commit: seal({ ...second.header, height: 9n }, group).commit },
    without: [rules.commitIsOfItsHeader],
  },
  {
    rule: rules.commitIsOfItsHeader,
    fault: 'light.header-hash',
    block: { ...second, header: { ...second.header, appHash: utf8('forged') } },
  },
  { rule: rules.heightRises, fault: 'light.height', block: signedAgain(second.header, { height: 1n }) },
  {
    rule: rules.timeRises,
    fault: 'light.time-order',
    block: signedAgain(second.header, { time: first.header.time }),
  },
  { rule: rules.isNotFromTheFuture, fault: 'light.from-future', block: second, now: later(timeAt(2), -1000) },
  {
    rule: rules.validatorsAreASet,
    fault: 'chain.validator-address',
    // The address is not hashed, so a set with a false one has the right hash; its vote stands under the false address too.
    block: {
      ...second,
      validators: second.validators.map((validator, i) =>
        i === 3 ? { ...validator, address: sha256(one).subarray(0, 20) } : validator,
      ),
      commit: {
        ...second.commit,
        signatures: second.commit.signatures.map((vote, i) =>
          i === 3 ? { ...vote, validatorAddress: sha256(one).subarray(0, 20) } : vote,
        ),
      },
    },
  },
  {
    rule: rules.validatorsAreTheHeaders,
    fault: 'light.validators-hash',
    // A header of the announced set, signed by strangers who come with their own set.
    block: seal(second.header, strangers),
  },
  {
    rule: rules.everyValidatorHasItsPlace,
    fault: 'light.signature-count',
    block: recommitted(second, { signatures: second.commit.signatures.slice(0, 3) }),
  },
  {
    rule: rules.everyVoteStandsInItsPlace,
    fault: 'light.signer',
    block: recommitted(second, {
      signatures: second.commit.signatures.map((vote, i) =>
        i === 3 ? { ...vote, validatorAddress: second.commit.signatures[2]!.validatorAddress } : vote,
      ),
    }),
  },
  {
    rule: rules.validatorsWereAnnounced,
    fault: 'light.next-validators',
    block: seal({ ...second.header, validatorsHash: hashValidators(setOf(strangers)) }, strangers),
  },
  { rule: rules.trustedPowerHasSigned, fault: 'light.trusted-power', block: stranger },
  {
    rule: rules.ownPowerHasSigned,
    fault: 'light.power',
    // Two of four are exactly half; a third that votes for nil does not help.
    block: signedAgain(second.header, {}, { flags: [undefined, undefined, FLAG_NIL, FLAG_ABSENT] }),
  },
]

const faultOf = (list: readonly rules.Predicate[], one: Case) => {
  const options = one.options ?? OPTIONS
  return rules.firstFault(list, {
    trusted: first,
    known: first,
    untrusted: one.block,
    options,
    now: one.now ?? now,
    votes: rules.votesOf(options.chainId, one.block.commit, verifier),
  })
}

test('every rule has its case', () => {
  assert.equal(new Set(cases.map(one => one.rule)), new Set(rules.RULES))
})

for (const one of cases)
  test(`${one.rule.name} refuses its case, which goes through without it`, () => {
    const others = one.without ?? []
    assert.is(faultOf(rules.RULES, one)?.code, one.fault)
    assert.is(
      faultOf(
        rules.RULES.filter(rule => !others.includes(rule)),
        one,
      )?.code,
      one.fault,
    )
    const rest = rules.RULES.filter(rule => rule !== one.rule && !others.includes(rule))
    assert.is(faultOf(rest, one), undefined)
  })

test('a good block is trusted from the block before and over a gap, with the votes that were checked', () => {
  for (const block of [second, fourth]) {
    const verdict = verify(trusted, block, OPTIONS, now, verifier)
    assert.is(verdict.kind, 'trusted')
    // Three of four are enough; the fourth signature is not looked at.
    if (verdict.kind === 'trusted') assert.is(verdict.block.signedBy.length, 3)
  }
})

test('exactly two thirds are not enough, one unit of power more is', () => {
  const verdictOf = (powers: readonly bigint[]) => {
    const weighted = powers.map((power, i) => members(1, i, power)[0]!)
    const made = makeChain({ heights: 2, group: () => weighted })
    const block = seal(made[1]!.header, weighted, { flags: [undefined, undefined, FLAG_ABSENT] })
    return verify(anchored(made[0]!, now, verifier), block, OPTIONS, now, verifier)
  }
  const exact = verdictOf([10n, 10n, 10n])
  assert.equal(exact.kind === 'invalid' && exact.fault, { code: 'light.power', tally: 20n, needed: 20n })
  assert.is(verdictOf([11n, 10n, 10n]).kind, 'trusted')
})

test('exactly the trust level is not enough over a gap', () => {
  // Three trusted; one of them has signed the new set of seven, which is one third.
  const old = members(3)
  const fresh = [...members(1), ...members(6, 20)]
  const made = makeChain({ heights: 4, group: height => (height < 3 ? old : fresh) })
  const ground = anchored(made[0]!, now, verifier)
  const options = (numerator: number, denominator: number) => ({ ...OPTIONS, trustLevel: { numerator, denominator } })
  const verdict = verify(ground, made[3]!, options(1, 3), now, verifier)
  assert.equal(verdict, { kind: 'not-enough', tally: 10n, needed: 10n })
})

test('a set that is about to change is no ground for a gap, only for the next block', () => {
  const made = makeChain({ heights: 4, group: height => (height < 3 ? group : members(5)) })
  const ground = anchored(made[1]!, now, verifier)
  assert.is(verify(ground, made[3]!, OPTIONS, now, verifier).kind, 'not-enough')
  assert.is(verify(ground, made[2]!, OPTIONS, now, verifier).kind, 'trusted')
})

test('a vote that was changed after signing is refused with its place', () => {
  const at = (index: number, change: object) =>
    recommitted(second, {
      signatures: second.commit.signatures.map((vote, i) => (i === index ? { ...vote, ...change } : vote)),
    })
  const verdict = verify(trusted, at(1, { timestamp: { seconds: 1n, nanos: 0 } }), OPTIONS, now, verifier)
  const address = toHex(second.validators[1]!.address)
  assert.equal(verdict, { kind: 'invalid', fault: { code: 'light.signature', index: 1, address } })
})

test('each bit of a header is guarded by the signatures', () => {
  for (const field of ['appHash', 'lastResultsHash', 'dataHash', 'proposerAddress', 'nextValidatorsHash'] as const)
    for (let byte = 0; byte < second.header[field].length; byte += 5) {
      const bytes = Uint8Array.from(second.header[field])
      bytes[byte] = bytes[byte]! ^ 1
      const verdict = verify(
        trusted,
        { ...second, header: { ...second.header, [field]: bytes } },
        OPTIONS,
        now,
        verifier,
      )
      assert.is(verdict.kind === 'invalid' && verdict.fault.code, 'light.header-hash')
    }
})

test('a rule that asks twice for one signature checks it once', () => {
  let asked = 0
  const counting = {
    verify: (...args: Parameters<typeof verifier.verify>) => {
      asked++
      return verifier.verify(...args)
    },
  }
  assert.is(verify(trusted, fourth, OPTIONS, now, counting).kind, 'trusted')
  assert.is(asked, 3)
})

test('a trusted validator that votes twice is an error, not twice its power', () => {
  const [vote, , ...others] = fourth.commit.signatures
  const block = recommitted(fourth, { signatures: [vote!, vote!, ...others] })
  const votes = rules.votesOf(OPTIONS.chainId, block.commit, verifier)
  const options = { ...OPTIONS, trustLevel: { numerator: 2, denominator: 3 } }
  const fault = rules.trustedPowerHasSigned({ trusted: first, known: first, untrusted: block, options, now, votes })
  assert.is(fault?.code, 'light.double-vote')
})

test('a signature that was found valid under one key is not valid under another', () => {
  const votes = rules.votesOf(OPTIONS.chainId, second.commit, verifier)
  const key = (i: number) => second.validators[i]!.publicKey
  assert.equal([votes.valid(0, key(0)), votes.valid(0, key(1)), votes.valid(0, key(0))], [true, false, true])
  assert.equal(votes.signers(), [second.validators[0]!.address])
})

test('an anchor must have its hash, height, validators and signatures, and not be too old', () => {
  const anchor = { height: 1n, hash: trusted.hash }
  const codeOf = (block: LightBlock, at = anchor, when = now) => {
    const result = verifyAnchor(at, block, OPTIONS, when, verifier)
    return result.ok ? 'ok' : result.fault.code
  }
  assert.is(codeOf(first), 'ok')
  assert.is(codeOf(second), 'light.anchor')
  assert.is(codeOf(first, { ...anchor, height: 2n }), 'light.anchor')
  assert.is(codeOf(first, anchor, later(timeAt(1), 3_600_000)), 'light.expired')
  assert.is(codeOf({ ...first, validators: setOf(strangers) }), 'light.validators-hash')
  assert.is(codeOf(recommitted(first, { signatures: second.commit.signatures })), 'light.signature')
  const [zeroth, ...others] = first.validators
  assert.is(
    codeOf({ ...first, validators: [{ ...zeroth!, address: others[0]!.address }, ...others] }),
    'chain.validator-address',
  )
})

test('backwards, a header is believed by its hash alone, on the same chain and strictly earlier', () => {
  const ground = anchored(second, now, verifier)
  const codeOf = (header: Header, options = OPTIONS) => {
    const result = verifyBackwards(ground, header, options)
    return result.ok ? 'ok' : result.fault.code
  }
  assert.is(codeOf(first.header), 'ok')
  assert.is(codeOf(fourth.header), 'light.time-order')
  assert.is(codeOf({ ...first.header, time: second.header.time }), 'light.time-order')
  assert.is(codeOf({ ...first.header, appHash: one }), 'light.link')
  assert.is(codeOf(first.header, { ...OPTIONS, chainId: 'streets' }), 'light.chain-id')
  assert.is(codeOf({ ...first.header, version: { block: 10n, app: 1n } }), 'light.block-version')
})

test('a trust level lies from a third to the whole', () => {
  for (const [numerator, denominator, good] of [
    [1, 3, true],
    [2, 3, true],
    [1, 1, true],
    [33, 100, false],
    [4, 3, false],
    [1, 0, false],
    [0, 0, false],
    [0.5, 1, false],
  ] as const)
    assert.is(trustLevelFault({ numerator, denominator }) === undefined, good, `${numerator}/${denominator}`)
})

test.run()
