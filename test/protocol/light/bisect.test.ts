import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { toHex, utf8 } from '../../../protocol/bytes.ts'
import { FLAG_ABSENT } from '../../../protocol/chain/commit.ts'
import type { LightBlock } from '../../../protocol/chain/light-block.ts'
import { type BisectStep, startBisection, takeBlock } from '../../../protocol/light/bisect.ts'
import { type ExamineStep, examine, startExamination } from '../../../protocol/light/detect.ts'
import { evidenceOf } from '../../../protocol/light/evidence.ts'
import { type VerifiedBlock, verify } from '../../../protocol/light/verify.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { anchored, makeChain, members, OPTIONS, seal, timeAt } from './chain-maker.ts'

const test = suite('bisection and detection')

const verifier = createVerifier()
const heights = 64
const now = timeAt(heights + 1)
/** One of four members is replaced at every eighth block: after 24 blocks one of the old set is left, a quarter. */
const shifting = (height: number) => members(4, Math.floor(height / 8))
const chain = makeChain({ heights, group: shifting })
const steady = makeChain({ heights, group: () => members(4) })

/** Runs a bisection over a chain; the heights it fetched, and how it ended. */
function bisect(ground: VerifiedBlock, target: number, source: readonly LightBlock[]) {
  const fetched: number[] = []
  let step: BisectStep = startBisection(ground, BigInt(target))
  while (step.kind === 'fetch') {
    fetched.push(Number(step.height))
    step = takeBlock(step.state, source[Number(step.height) - 1]!, OPTIONS, now, verifier)
  }
  return { fetched, end: step }
}

test('an unchanged set is skipped over in one step', () => {
  const { fetched, end } = bisect(anchored(steady[0]!, now, verifier), heights, steady)
  assert.equal(fetched, [heights])
  assert.is(end.kind === 'done' && end.trace.length, 2)
})

test('a shifting set is crossed by pivots, each verified from the one before', () => {
  const { fetched, end } = bisect(anchored(chain[0]!, now, verifier), heights, chain)
  assert.is(end.kind, 'done')
  if (end.kind !== 'done') return
  assert.ok(fetched.length > 2 && fetched.length < 20, `${fetched}`)
  for (const [i, block] of end.trace.slice(1).entries())
    assert.is(verify(end.trace[i]!, block.block, OPTIONS, now, verifier).kind, 'trusted')
  assert.is(end.trace.at(-1)!.header.height, BigInt(heights))
})

test('from a set that is about to change the next header comes first', () => {
  assert.is(bisect(anchored(chain[6]!, now, verifier), 60, chain).fetched[1], 8)
  assert.is(bisect(anchored(chain[5]!, now, verifier), 60, chain).fetched[1], 33)
})

test('from any ground to any target the target is reached and no height is fetched twice', () => {
  const property = fc.property(
    fc.integer({ min: 1, max: heights }),
    fc.integer({ min: 1, max: heights }),
    (from, to) => {
      const { fetched, end } = bisect(anchored(chain[from - 1]!, now, verifier), to, chain)
      assert.is(end.kind, 'done')
      assert.is(new Set(fetched).size, fetched.length)
    },
  )
  assertProperty(property, 25)
})

test('a target signed by strangers alone is refused next to the ground at the latest', () => {
  // Strangers sign a chain of their own from block 2 on: well formed, with their own set announced from the start.
  const forged = makeChain({ heights, group: height => members(4, height < 2 ? 0 : 90), fork: { of: chain, from: 2 } })
  const { fetched, end } = bisect(anchored(chain[0]!, now, verifier), heights, forged)
  assert.is(end.kind === 'refused' && end.fault.code, 'light.next-validators')
  assert.ok(fetched.length <= 7, `${fetched}`)
})

test('an answer of another height is refused', () => {
  const step = startBisection(anchored(chain[0]!, now, verifier), 9n)
  assert.is(step.kind, 'fetch')
  if (step.kind !== 'fetch') return
  const end = takeBlock(step.state, chain[7]!, OPTIONS, now, verifier)
  assert.equal(end.kind === 'refused' && end.fault, { code: 'light.wrong-height', expected: 9n, received: 8n })
})

/** The trace by which we came to the end of `source`. */
function traceOver(source: readonly LightBlock[]): readonly VerifiedBlock[] {
  const { end } = bisect(anchored(source[0]!, now, verifier), heights, source)
  if (end.kind !== 'done') throw new Error('the chain of the test does not verify')
  return end.trace
}

function examineOver(trace: readonly VerifiedBlock[], witness: readonly LightBlock[]): ExamineStep {
  let step = startExamination(trace)
  while (step.kind === 'fetch') {
    step = examine(step.state, witness[Number(step.height) - 1]!, OPTIONS, now, verifier)
  }
  return step
}

test('a witness with the same chain agrees', () => {
  assert.is(examineOver(traceOver(chain), chain).kind, 'agrees')
})

test('a witness whose chain nobody signed is refused, not believed', () => {
  const forged = makeChain({ heights, group: height => members(4, height < 2 ? 0 : 90), fork: { of: chain, from: 2 } })
  const step = examineOver(traceOver(chain), forged)
  assert.is(step.kind === 'witness-refused' && step.fault.code, 'light.next-validators')
})

test('a witness of another chain from the start is refused', () => {
  const other = makeChain({ heights, group: () => members(4, 30) })
  const step = examineOver(traceOver(chain), other)
  assert.is(step.kind === 'witness-refused' && step.fault.code, 'light.other-root')
})

/** Our chain, forked at block 40 by the same validators. */
const forkOf = (change: { round?: number; appHash?: boolean }) => {
  const plan = {
    heights,
    group: () => members(4),
    ...(change.appHash ? { appHash: (height: number) => utf8(`other ${height}`) } : {}),
  }
  if (change.appHash) return makeChain({ ...plan, fork: { of: steady, from: 40 } })
  // The same state, another block: only the data differs.
  const blocks = steady.slice(0, 39)
  for (let height = 40; height <= heights; height++) {
    const { header } = steady[height - 1]!
    const twisted = {
      ...header,
      dataHash: members(1)[0]!.validator.publicKey,
      lastBlockId: blocks.at(-1)!.commit.blockId,
    }
    blocks.push(
      seal(twisted, members(4), { round: change.round ?? 0, flags: [undefined, undefined, undefined, FLAG_ABSENT] }),
    )
  }
  return blocks
}

test('two signed chains are an attack, named by its kind, with the validators who did it', () => {
  for (const [fork, kind, guilty] of [
    [forkOf({ appHash: true }), 'lunatic', 4],
    [forkOf({}), 'equivocation', 3],
    [forkOf({ round: 1 }), 'amnesia', 0],
  ] as const) {
    const step = examineOver(traceOver(steady), fork)
    assert.is(step.kind, 'attack')
    if (step.kind !== 'attack') return
    assert.is(step.attack.kind, kind)
    const evidence = evidenceOf(step.attack, OPTIONS.chainId, verifier)
    assert.is(evidence.byzantine.length, guilty)
    assert.is(evidence.totalPower, 40n)
    assert.is(evidence.commonHeight, kind === 'lunatic' ? 1n : BigInt(heights))
    assert.is(toHex(step.attack.common.hash), toHex(steady[0]!.commit.blockId.hash))
    assert.is(toHex(step.attack.ours.hash), toHex(steady[heights - 1]!.commit.blockId.hash))
    assert.is(toHex(step.attack.theirs.hash), toHex(fork[heights - 1]!.commit.blockId.hash))
  }
})

test('an attack is seen from either side', () => {
  const fork = forkOf({ appHash: true })
  const first = examineOver(traceOver(steady), fork)
  assert.is(first.kind, 'attack')
  if (first.kind !== 'attack') return
  const second = examineOver(first.witnessTrace, steady)
  assert.is(second.kind === 'attack' && toHex(second.attack.ours.hash), toHex(fork[heights - 1]!.commit.blockId.hash))
})

test.run()
