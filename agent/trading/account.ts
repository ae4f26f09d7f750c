/**
 * This site's account on the ledger: hands transactions in, one after the other, under the sequence numbers that the
 * light client proves. A node's answer is taken as a hint only; what counts is proven later by whoever asked.
 */
import type { LedgerRpc, Log, Signer } from '../../drivers/ports.ts'
import { equalBytes, utf8 } from '../../protocol/bytes.ts'
import { addressOf, sha256 } from '../../protocol/crypto/hash.ts'
import { REFUSAL_CODES } from '../../protocol/ledger/fault.ts'
import { accountId } from '../../protocol/ledger/state.ts'
import { ACCOUNTS, type Account } from '../../protocol/ledger/tables.ts'
import { buildTx, type TxContent } from '../../protocol/ledger/tx.ts'
import { type Money, micros } from '../../protocol/quantity.ts'
import { decodeAs } from '../../protocol/record.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { LightAgent, Proven } from '../light/run.ts'

/** What every transaction offers; the street's genesis asks for no more. */
export const FEE: Money = micros(100n)
/** A transaction that stands in no block after this many is worthless: a minute of one-second blocks. */
const EXPIRY_BLOCKS = 60n
/** An account record is four small fields. */
const MAX_ACCOUNT_BYTES = 256
/** Sequence numbers back of which it is remembered what was signed under them: many minutes of a busy store. */
const REMEMBERED = 256n

/** A transaction that may stand in a block, now or later. */
export interface SignedTx {
  readonly bytes: Uint8Array
  readonly sequence: bigint
  /** The last block that can take it. */
  readonly expiry: bigint
}

export interface ProvenAccount extends Account {
  readonly proof: Pick<Proven, 'stateHeight' | 'headerHeight' | 'headerTime' | 'signedBy' | 'validators'>
}

export interface LedgerAccount {
  readonly address: Uint8Array
  /** Proven balance, as of the newest proof; undefined before the first. */
  balance(): Money | undefined
  /** As it was last proven, and under which header; undefined before the first proof. */
  newest(): ProvenAccount | undefined
  /** Proves the account anew. */
  refresh(): Promise<Result<Account>>
  /**
   * Signs and hands in; the transaction's hash when a node's mempool took it, which a block may still leave out. With `keep`
   * the transaction is handed in only once that has kept it: what is to be handed in until it stands in a block, and never twice.
   */
  submit(content: TxContent, keep?: (tx: SignedTx) => Promise<Result<unknown>>): Promise<Result<Uint8Array>>
  /** The same transaction once more: harmless where it waits or stands already. */
  again(tx: SignedTx): Promise<Result<Uint8Array>>
  /**
   * `in` a block, proven; or `out`, proven too: no block can take it any more, because its time is over and its sequence number
   * is not used, or another of our transactions has used it. Otherwise nobody knows yet.
   */
  fateOf(tx: SignedTx): Promise<'in' | 'out' | 'unknown'>
}

export function createLedgerAccount(options: {
  readonly chainId: string
  readonly signer: Signer
  readonly light: LightAgent
  /** Tried in turn until one mempool takes the transaction. */
  readonly nodes: readonly LedgerRpc[]
  readonly log: Log
}): LedgerAccount {
  const { chainId, signer, light, nodes, log } = options
  const address = addressOf(signer.publicKey)
  const key = utf8(`${ACCOUNTS.prefix}${accountId(address)}`)
  let account: ProvenAccount | undefined
  /** The next sequence number by our own count; the ledger's is at least as old. */
  let next: bigint | undefined
  let queue: Promise<unknown> = Promise.resolve()
  /** Hashes of what was signed in this life, by sequence number. */
  const signed = new Map<bigint, Uint8Array[]>()

  async function refresh(): Promise<Result<Account>> {
    const proven = await proveAccount()
    return proven.ok ? ok(proven.value.account) : proven
  }

  /** As it stands after the block of that height. */
  async function proveAccount(): Promise<Result<{ readonly account: Account; readonly height: bigint }>> {
    const proven = await light.prove(key)
    if (!proven.ok) return proven
    if (proven.value.value === undefined) {
      return fail({ code: 'account.absent', hint: 'this key has no account on the ledger; have the operator open one' })
    }
    const read = decodeAs(ACCOUNTS.codec, proven.value.value, 'account', MAX_ACCOUNT_BYTES)
    if (!read.ok) return read
    const { stateHeight, headerHeight, headerTime, signedBy, validators } = proven.value
    account = { ...read.value, proof: { stateHeight, headerHeight, headerTime, signedBy, validators } }
    return ok({ account: read.value, height: proven.value.stateHeight })
  }

  async function send(
    content: TxContent,
    keep?: (tx: SignedTx) => Promise<Result<unknown>>,
  ): Promise<Result<Uint8Array>> {
    const head = light.head()
    if (head === undefined) return fail({ code: 'account.no-head', hint: 'no header is verified yet' })
    if (next === undefined) {
      const proven = await refresh()
      // Coins open the account that they come into: its first transaction is theirs.
      const opens = content.kind === 'deposit' && !proven.ok && proven.fault.code === 'account.absent'
      if (!proven.ok && !opens) return proven
      next = proven.ok ? proven.value.sequence : 0n
    }
    const sequence = next
    const expiry = head.height + EXPIRY_BLOCKS
    const tx = buildTx({ ...content, chainId, sender: address, sequence, fee: FEE, expiry }, signer.publicKey)
    const signature = await signer.sign(tx.toSign)
    if (!signature.ok) return signature
    const bytes = tx.withSignature(signature.value)
    const kept = await keep?.({ bytes, sequence, expiry })
    if (kept?.ok === false) return kept
    signed.set(sequence, [...(signed.get(sequence) ?? []), sha256(bytes)])
    for (const old of signed.keys()) if (old + REMEMBERED < sequence) signed.delete(old)
    const handed = await handIn(bytes, content.kind)
    if (handed.ok) next = sequence + 1n
    // A count that is wrong is proven anew before the next attempt; one that is not stands, for what is proven lags behind what
    // we have handed in.
    else if (handed.fault['refusal'] === REFUSAL_CODES['ledger.sequence']) next = undefined
    return handed
  }

  async function handIn(bytes: Uint8Array, kind: string): Promise<Result<Uint8Array>> {
    let refused: Result<Uint8Array> = fail({ code: 'account.no-node', hint: 'no ledger node is configured' })
    for (const node of nodes) {
      const answer = await node.submit(bytes)
      if (answer.ok && answer.value.code === 0) return ok(answer.value.hash)
      // Another node would judge alike.
      if (answer.ok) {
        const { code: refusal, log } = answer.value
        return fail({ code: 'account.tx-refused', kind, refusal, log })
      }
      log('warn', 'account', `${node.name} did not take a ${kind}`, answer.fault)
      refused = answer
    }
    return refused
  }

  /** In a block, and not refused there: what is refused uses no sequence number. */
  async function took(hash: Uint8Array): Promise<boolean> {
    const proven = await light.proveTx(hash)
    return proven.ok && proven.value.result.code === 0
  }

  async function fateOf({ bytes, sequence, expiry }: SignedTx): Promise<'in' | 'out' | 'unknown'> {
    const proven = await proveAccount()
    if (!proven.ok) return 'unknown'
    const { account, height } = proven.value
    if (account.sequence <= sequence) return height >= expiry ? 'out' : 'unknown'
    const own = sha256(bytes)
    if (await took(own)) return 'in'
    for (const hash of signed.get(sequence) ?? []) {
      if (!equalBytes(hash, own) && (await took(hash))) return 'out'
    }
    return 'unknown'
  }

  return {
    address,
    balance: () => account?.balance,
    newest: () => account,
    refresh,
    submit: (content, keep) => {
      const sent = queue.then(() => send(content, keep))
      queue = sent
      return sent
    },
    again: ({ bytes }) => handIn(bytes, 'transaction that was handed in before'),
    fateOf,
  }
}
