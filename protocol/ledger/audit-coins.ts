/**
 * The audit of blind coins, in its own words.
 *
 *     worth of the coins of a size and epoch = size x (withdrawals answered - coins put in)
 *     no more coins were put in than withdrawals answered; what waits for an answer has its money held
 *     nothing of an epoch is kept beyond two weeks from its start
 */
import { concat, fromHex, toHex } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import type { Fault } from '../result.ts'
import type { MintKey, Withdrawal } from './coin-tables.ts'

const WEEK_MS = 604_800_000

export interface CoinBooks {
  /** Under epoch and size. */
  readonly keys: Map<string, MintKey>
  /** Under epoch, size and hash. */
  readonly withdrawals: Map<string, Withdrawal>
  /** Until when each is remembered, under epoch, size and coin. */
  readonly spent: Map<string, number>
}

export const createCoinBooks = (): CoinBooks => ({ keys: new Map(), withdrawals: new Map(), spent: new Map() })

/** Nothing under a name that is none: whoever gave the entries may have made them up. */
const sizeOf = (id: string): bigint => BigInt(/^\d+\/(\d+)(?:\/|$)/.exec(id)?.[1] ?? 0)
const keyOf = (id: string): string => id.slice(0, id.lastIndexOf('/'))

/** What is in no account: held for coins, or in coins. */
export function coinedIn({ keys, withdrawals, spent }: CoinBooks): bigint {
  let sum = 0n
  // A withdrawal and a coin count as long as their key: what is left of it is burnt with it.
  for (const [id, { answer }] of withdrawals) if (answer === undefined || keys.has(keyOf(id))) sum += sizeOf(id)
  for (const id of spent.keys()) if (keys.has(keyOf(id))) sum -= sizeOf(id)
  return sum
}

/** What is wrong with them at a block time. */
export function coinProblems(
  { keys, withdrawals, spent }: CoinBooks,
  accounts: ReadonlySet<string>,
  now: number,
): Fault[] {
  const found: Fault[] = []
  const counts = new Map([...keys.keys()].map(id => [id, { issued: 0n, spent: 0n }]))
  const lifeOf = (id: string) => Number(id.split('/')[0]) + 2 * WEEK_MS
  for (const [id, { account, answerBy, kept, blinded, answer }] of withdrawals) {
    const wrong = (what: string) => found.push({ code: 'audit.withdrawal', withdrawal: id, what })
    const count = counts.get(keyOf(id))
    if (count === undefined) wrong('of no key')
    else if (answer !== undefined) count.issued += 1n
    if ((blinded === undefined) === (answer === undefined)) wrong('not either asked for or answered')
    if (blinded !== undefined && toHex(sha256(concat(account, blinded))) !== id.split('/')[2])
      wrong('under another name')
    if (kept !== lifeOf(id) || (blinded === undefined ? kept : answerBy) <= now) wrong('beyond its time')
    if (!accounts.has(toHex(account))) wrong('of no account')
  }
  for (const [id, kept] of spent) {
    const wrong = (what: string) => found.push({ code: 'audit.spent-coin', coin: id, what })
    const count = counts.get(keyOf(id))
    if (count === undefined) wrong('of no key')
    else count.spent += 1n
    if (kept !== lifeOf(id) || kept <= now) wrong('beyond its time')
    if (fromHex(id.split('/')[2] ?? '')?.length !== 32) wrong('not a key')
  }
  for (const [id, key] of keys) {
    const wrong = (what: string, expected: bigint | number, received: bigint | number) =>
      found.push({ code: 'audit.mint-key', key: id, what, expected, received })
    const { issued, spent } = counts.get(id)!
    if (issued !== key.issued) wrong('issued', issued, key.issued)
    if (spent !== key.spent) wrong('spent', spent, key.spent)
    if (spent > issued) wrong('spent at most', issued, spent)
    if (key.kept !== lifeOf(id) || key.kept <= now) wrong('kept', lifeOf(id), key.kept)
    if (Number(id.split('/')[0]) % WEEK_MS !== 0) wrong('week', 0, Number(id.split('/')[0]) % WEEK_MS)
    if (!/^\d+\/10{4,8}$/.test(id)) wrong('size', 10_000n, sizeOf(id))
  }
  return found
}
