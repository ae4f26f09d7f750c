/** Old headers by the accumulator in the state: a ledger and a chain that carries its AppHash, against the light client. */
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { concat, equalBytes, utf8 } from '../../../protocol/bytes.ts'
import { HEADERS_KEY } from '../../../protocol/chain/accumulator.ts'
import { hashHeader } from '../../../protocol/chain/header.ts'
import type { Header, LightBlock } from '../../../protocol/chain/light-block.ts'
import { createApp, type LedgerApp } from '../../../protocol/ledger/app.ts'
import { type Accumulated, verifyOldHeader } from '../../../protocol/light/accumulated.ts'
import { verify, verifyBackwards } from '../../../protocol/light/verify.ts'
import type { Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { genesis } from '../ledger/parties.ts'
import { anchored, members, nextBlock, OPTIONS, ORIGIN, timeAt } from './chain-maker.ts'

const test = suite('old headers by the accumulator')

const verifier = createVerifier()
const HEIGHTS = 70
const now = timeAt(HEIGHTS + 1)

/** A chain of which each header carries the AppHash of the block before, as CometBFT's do. */
function run(): { readonly app: LedgerApp; readonly chain: readonly LightBlock[] } {
  const app = createApp({ ...genesis, time: ORIGIN })
  const chain: LightBlock[] = []
  for (let height = 1; height <= HEIGHTS; height++) {
    const appHash = app.appHash
    const block = nextBlock(chain.at(-1), { heights: HEIGHTS, group: () => members(4), appHash: () => appHash }, height)
    chain.push(block)
    const [hash, time] = [hashHeader(block.header), timeAt(height)]
    // Half of the blocks are executed twice, first under another header, as when a round fails after execution.
    const other = { height: BigInt(height), time, txs: [], verifier, hash: hash.toReversed(), misbehaved: [] }
    if (height % 2 === 0) app.finalizeBlock(other)
    app.finalizeBlock({ ...other, hash })
    app.commit()
  }
  return { app, chain }
}

const { app, chain } = run()
const header = (height: number): Header => chain[height - 1]!.header

/** The headers of a first block, believed by configuration, and of a last one, believed by its signatures. */
const ground = anchored(chain[0]!, now, verifier)
const judged = verify(ground, chain[HEIGHTS - 1]!, OPTIONS, now, verifier)
if (judged.kind !== 'trusted') throw new Error(judged.kind)
const newest = judged.block

function answerOf(height: number, at: number): Accumulated {
  const { proof, state } = app.headerProof(BigInt(height), BigInt(at))!
  return { proof, record: state.value!, recordProof: state.proof }
}
const codeOf = (result: Result<unknown>) => (result.ok ? 'believed' : result.fault.code)

test('every header below a believed one is believed with one proof', () => {
  for (let height = 1; height < HEIGHTS; height++) {
    const answer = answerOf(height, HEIGHTS - 1)
    const result = verifyOldHeader(newest, header(height), answer, OPTIONS)
    assert.ok(result.ok && equalBytes(result.value.hash, hashHeader(header(height))))
    // And it is ground for the header before it, as any other.
    if (result.ok && height > 1) assert.ok(verifyBackwards(result.value, header(height - 1), OPTIONS).ok)
  }
})

test('a changed header, another place and another state are refused, each by its own name', () => {
  const good = answerOf(20, HEIGHTS - 1)
  const code = (old: Header, answer = good, later = newest) => codeOf(verifyOldHeader(later, old, answer, OPTIONS))
  assert.is(code(header(20)), 'believed')
  assert.is(code(header(21)), 'light.not-accumulated')
  assert.is(code({ ...header(20), appHash: new Uint8Array(32) }), 'light.not-accumulated')
  assert.is(code({ ...header(20), height: 21n }), 'light.not-accumulated')
  assert.is(code({ ...header(20), chainId: 'another' }), 'light.chain-id')
  assert.is(code({ ...header(20), height: 0n }), 'light.height')
  assert.is(code({ ...header(20), height: 1n << 62n }), 'light.not-covered')
  assert.is(code(header(HEIGHTS)), 'light.not-covered')
  assert.is(code(header(20), answerOf(20, HEIGHTS - 2)), 'ics23.root')
  assert.is(code(header(20), good, ground), 'ics23.root')
  assert.is(code(header(20), { ...good, record: answerOf(20, 30).record }), 'ics23.value')
  const chainRecord = app.query(utf8('chain'), BigInt(HEIGHTS - 1))!
  const swapped = { ...good, record: chainRecord.value!, recordProof: chainRecord.proof }
  assert.is(code(header(20), swapped), 'ics23.key')
  // A chain whose time went back.
  const early = { ...newest, header: { ...newest.header, time: header(20).time } }
  assert.is(code(header(20), good, early), 'light.time-order')
  for (const aunts of [[], good.proof.aunts.slice(1), [...good.proof.aunts, hashHeader(header(1))], [utf8('short')]])
    assert.is(code(header(20), { ...good, proof: { aunts } }), 'light.not-accumulated')
})

test('any flipped bit of what comes with a header is refused', () => {
  const good = answerOf(9, HEIGHTS - 1)
  const flips = (bytes: Uint8Array) =>
    Array.from({ length: bytes.length * 8 }, (_, bit) => {
      const copy = bytes.slice()
      copy[bit >> 3]! ^= 1 << (bit & 7)
      return copy
    })
  const mutants: Accumulated[] = [
    ...flips(good.record).map(record => ({ ...good, record })),
    ...flips(good.recordProof).map(recordProof => ({ ...good, recordProof })),
    ...flips(concat(...good.proof.aunts)).map(all => ({
      ...good,
      proof: { aunts: good.proof.aunts.map((_, i) => all.subarray(32 * i, 32 * i + 32)) },
    })),
  ]
  for (const mutant of mutants) assert.not.ok(verifyOldHeader(newest, header(9), mutant, OPTIONS).ok)
})

test('a header that was executed and not committed leaves no trace, and none that is not there is proven', () => {
  const before = app.appHash
  const staged = { height: BigInt(HEIGHTS + 1), time: now, txs: [], verifier, hash: new Uint8Array(32), misbehaved: [] }
  app.finalizeBlock(staged)
  assert.is(app.headerProof(BigInt(HEIGHTS + 1), BigInt(HEIGHTS + 1)), undefined)
  assert.ok(verifyOldHeader(newest, header(3), answerOf(3, HEIGHTS - 1), OPTIONS).ok)
  assert.ok(equalBytes(app.appHash, before))
  assert.is(app.headerProof(0n, 60n), undefined)
  assert.is(app.headerProof(61n, 60n), undefined)
  assert.is(app.headerProof(1n, 1n), undefined, 'the state after block 1 is no longer kept')
  const value = app.query(utf8(HEADERS_KEY), BigInt(HEIGHTS))!.value!
  assert.equal(answerOf(1, HEIGHTS).record, value)
  assert.equal([...app.headerHashes(BigInt(HEIGHTS))!].length, HEIGHTS)
  assert.is(app.headerHashes(BigInt(HEIGHTS + 1)), undefined)
})

test.run()
