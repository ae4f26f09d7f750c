/** What the light client's findings mean, and what it remembers. */
import { judge, thinned } from '../../../agent/light/decide.ts'
import type { VerifiedBlock } from '../../../protocol/light/verify.ts'
import { assert, suite } from '../../harness.ts'

const test = suite("the light client's decisions")

test('the worst finding is the health', () => {
  const fault = { code: 'x' }
  const good = {
    diverged: undefined,
    refusal: undefined,
    blocked: undefined,
    ourClock: undefined,
    witnesses: 1,
    witnessed: true,
    idleMs: 0,
    lagMs: 0,
    staleAfterMs: 10,
  }
  const worse = [
    [{}, 'ok'],
    [{ witnessed: false }, 'no-witness'],
    [{ lagMs: 11 }, 'stale'],
    [{ idleMs: 11, lagMs: undefined }, 'stale'],
    [{ blocked: fault }, 'stale'],
    [{ refusal: fault }, 'refused'],
    [{ ourClock: fault }, 'stale'],
    [{ diverged: fault }, 'diverged'],
  ] as const
  let findings = good as Parameters<typeof judge>[0]
  for (const [change, state] of worse) {
    findings = { ...findings, ...change }
    assert.is(judge(findings).state, state)
  }
  assert.is(judge({ ...good, idleMs: 10, lagMs: 10 }).state, 'ok')
})

test('a trace keeps its ends and its limit', () => {
  const at = (height: number) => ({ header: { height: BigInt(height) } }) as unknown as VerifiedBlock
  for (const step of [1, 2]) {
    let trace: readonly VerifiedBlock[] = [at(0)]
    // One block at a time overflows at an odd length; two, as when a pivot comes along, at an even one.
    for (let height = step; height <= 4000; height += step) {
      trace = thinned([...trace, ...(step === 2 && trace.length % 2 === 0 ? [at(height - 1)] : []), at(height)])
      assert.ok(trace.length <= 256)
      assert.is(trace[0]!.header.height, 0n)
      assert.is(trace.at(-1)!.header.height, BigInt(height))
    }
  }
})

test.run()
