/** Refusals under test: each by its name, without a trace in the state, and in the end none that was not seen. */
import { REFUSAL_CODES, type RefusalCode } from '../../../protocol/ledger/fault.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { assert } from '../../harness.ts'
import { type Bench, nameOf, type Party, signTx, type TxTerms } from './parties.ts'

const seen = new Set<RefusalCode>()

/** The transaction is refused with exactly this name, and nothing but block height and time changes. */
export function refused(
  bench: Bench,
  expected: RefusalCode,
  sender: Party,
  content: TxContent,
  change: TxTerms = {},
): void {
  refusedBytes(bench, expected, signTx(sender, change.sequence ?? bench.sequence(sender), content, change))
}

export function refusedBytes(bench: Bench, expected: RefusalCode, tx: Uint8Array): void {
  const before = recordsOf(bench)
  const outcome = bench.block([tx])[0]!
  assert.is(nameOf(outcome), expected, outcome.log)
  assert.is(outcome.data.length, 0)
  assert.equal(recordsOf(bench), before, `${expected} left a trace`)
  seen.add(expected)
}

/** For a refusal that `refused` cannot show, as its block changes more than height and time. */
export const alsoSeen = (code: RefusalCode): void => void seen.add(code)

/** Records of where the ledger stands: every block changes them. */
const OF_EVERY_BLOCK = /^(?:chain|headers)/

const recordsOf = (bench: Bench): Map<string, string> =>
  new Map(
    [...bench.app.entries(bench.app.height)!]
      .map(([key, value]): [string, string] => [Buffer.from(key).toString(), Buffer.from(value).toString('hex')])
      .filter(([key]) => !OF_EVERY_BLOCK.test(key))
      .sort(),
  )

/** Refusals with a number from `least` to `most` that no test of this file saw. */
export const unseen = (least: number, most: number): readonly RefusalCode[] =>
  (Object.keys(REFUSAL_CODES) as RefusalCode[]).filter(
    name => REFUSAL_CODES[name] >= least && REFUSAL_CODES[name] <= most && !seen.has(name),
  )
