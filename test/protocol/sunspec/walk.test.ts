import { hex } from '../../../protocol/bytes.ts'
import type { Result } from '../../../protocol/result.ts'
import { must } from '../../../protocol/result.ts'
import { beginWalk, commonOf, type ModelChain, stepWalk, type WalkStep } from '../../../protocol/sunspec/walk.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('SunSpec walk')

/** Walks over what `registers` says; a missing register refuses the whole span, as a slave does. */
function walk(registers: (address: number) => number | undefined): { chain: Result<ModelChain>; asked: number[] } {
  const asked: number[] = []
  let step: WalkStep = beginWalk()
  while (step.kind === 'read') {
    const { address, count } = step.span
    asked.push(address)
    const words = Array.from({ length: count }, (_, i) => registers(address + i))
    const bytes = new Uint8Array(2 * count)
    for (const [i, word] of words.entries()) new DataView(bytes.buffer).setUint16(2 * i, word ?? 0)
    step = stepWalk(step.state, words.includes(undefined) ? 'refused' : bytes)
  }
  return { chain: step.chain, asked }
}

/** 'SunS', model 1 of 2 registers, an unknown model of 3, model 203 of 4, the end: short ones, the walk does not judge them. */
const WORDS = [0x5375, 0x6e53, 1, 2, 0, 0, 64_900, 3, 0, 0, 0, 203, 4, 0, 0, 0, 0, 0xffff, 0]
const at =
  (base: number, words: readonly number[] = WORDS) =>
  (address: number) =>
    words[address - base]

const ids = (chain: Result<ModelChain>) => must(chain).models.map(({ id, address, length }) => [id, address, length])

test('models are found one behind the other, unknown ones are skipped by their length', () => {
  const { chain, asked } = walk(at(40_000))
  assert.equal(ids(chain), [
    [1, 40_002, 2],
    [64_900, 40_006, 3],
    [203, 40_011, 4],
  ])
  assert.is(must(chain).end, 'marker')
  assert.equal(asked, [40_000, 40_002, 40_006, 40_011, 40_017])
})

test('the marker is found at each of the standard places and at their neighbours', () => {
  for (const base of [40_000, 50_000, 0, 39_999, 40_001, 1]) assert.is(must(walk(at(base)).chain).base, base)
  const { chain, asked } = walk(at(30_000))
  assert.is(chain.ok || chain.fault.code, 'sunspec.no-marker')
  assert.is(asked.length, 6)
})

test('registers that hold something else are no marker: half of it, or its words exchanged', () => {
  for (const words of [
    [0x5375, 0],
    [0x6e53, 0x5375],
    [0x7553, 0x536e],
  ])
    assert.is(walk(at(40_000, [...words, ...WORDS.slice(2)])).chain.ok, false)
})

test('a chain that ends where the device has no registers is a chain; one that begins there is none', () => {
  const { chain } = walk(at(40_000, WORDS.slice(0, -2)))
  assert.equal([ids(chain).length, must(chain).end], [3, 'refused'])
  const code = (words: readonly number[]) => {
    const result = walk(at(40_000, words)).chain
    return result.ok ? 'ok' : result.fault.code
  }
  assert.is(code(WORDS.slice(0, 2)), 'sunspec.no-model')
  assert.is(code(WORDS.slice(0, 6)), 'sunspec.no-model')
  assert.is(code([0x5375, 0x6e53, 103, 50]), 'sunspec.no-common-model')
  assert.is(code([0x5375, 0x6e53, 0xffff, 0]), 'sunspec.no-common-model')
})

test('a model of no length, or one that runs over the end of the address space, ends the walk', () => {
  const code = (words: readonly number[], base = 40_000) => {
    const result = walk(at(base, words)).chain
    return result.ok ? 'ok' : result.fault.code
  }
  assert.is(code([0x5375, 0x6e53, 1, 0]), 'sunspec.model-length')
  assert.is(code([0x5375, 0x6e53, 1, 2, 0, 0, 203, 0xfff0]), 'sunspec.model-length')
  // The model ends at register 65,535: no id can follow.
  assert.is(code([0x5375, 0x6e53, 1, 2, 0, 0, 203, 15_528], 50_000), 'sunspec.model-length')
  // One register is left behind it: an end without a length.
  assert.is(code([0x5375, 0x6e53, 1, 2, 0, 0, 203, 15_527], 50_000), 'ok')
})

test('a device that says model 1 everywhere is given up after a hundred of them', () => {
  const { chain, asked } = walk(address => (address < 40_002 ? [0x5375, 0x6e53][address - 40_000] : 1))
  assert.is(chain.ok || chain.fault.code, 'sunspec.too-many-models')
  assert.is(asked.length, 102)
})

test('a meter behind an inverter has a common model of its own', () => {
  const { chain } = walk(at(40_000, [0x5375, 0x6e53, 1, 1, 0, 103, 1, 0, 1, 1, 0, 203, 1, 0, 0xffff, 0]))
  const found = must(chain)
  assert.equal(
    found.models.map(model => commonOf(found, model).address),
    [40_002, 40_002, 40_008, 40_008],
  )
})

test('whatever a device answers, the walk ends within bounds and asks only for registers that exist', () => {
  assertProperty(
    fc.property(
      fc.uint8Array({ minLength: 4, maxLength: 400 }),
      fc.integer({ min: 1, max: 9 }),
      (noise, refuseEach) => {
        let step = beginWalk()
        let last = -1
        let marked = false
        for (let i = 0; step.kind === 'read'; i++) {
          assert.ok(i < 120, 'no end')
          const { address, count } = step.span
          assert.ok(address >= 0 && address + count <= 0x1_0000)
          if (step.state.at !== undefined) {
            // Each header lies behind the one before.
            if (marked) assert.ok(address > last)
            marked = true
            last = address
          }
          const from = (4 * i) % (noise.length - 3)
          const heard =
            i === 0
              ? hex('53756e53')
              : i === 1
                ? hex('0001 0042')
                : i % (refuseEach * 7) === 0
                  ? 'refused'
                  : noise.subarray(from, from + 4)
          step = stepWalk(step.state, heard)
        }
      },
    ),
    2_000,
  )
})

test.run()
