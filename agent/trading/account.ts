/**
 * This site's account on the ledger: hands transactions in, one after the other, under the sequence numbers that the
 * light client proves. A node's answer is taken as a hint only; what counts is proven later by whoever asked.
 */
import type { LedgerRpc, Log, Signer } from '../../drivers/ports.ts'
import { utf8 } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { accountId } from '../../protocol/ledger/state.ts'
import { ACCOUNTS, type Account } from '../../protocol/ledger/tables.ts'
import { buildTx, type TxContent } from '../../protocol/ledger/tx.ts'
import { type Money, micros } from '../../protocol/quantity.ts'
import { decodeAs } from '../../protocol/record.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { LightAgent } from '../light/run.ts'

/** What every transaction offers; the street's genesis asks for no more. */
const FEE: Money = micros(100n)
/** A transaction that stands in no block after this many is worthless: a minute of one-second blocks. */
const EXPIRY_BLOCKS = 60n
/** An account record is four small fields. */
const MAX_ACCOUNT_BYTES = 256

export interface LedgerAccount {
  readonly address: Uint8Array
  /** Proven balance, as of the newest proof; undefined before the first. */
  balance(): Money | undefined
  /** Proves the account anew. */
  refresh(): Promise<Result<Account>>
  /** Signs and hands in; the transaction's hash when a node's mempool took it. */
  submit(content: TxContent): Promise<Result<Uint8Array>>
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
  let account: Account | undefined
  /** The next sequence number by our own count; the ledger's is at least as old. */
  let next: bigint | undefined
  let queue: Promise<unknown> = Promise.resolve()

  async function refresh(): Promise<Result<Account>> {
    const proven = await light.prove(key)
    if (!proven.ok) return proven
    if (proven.value.value === undefined) {
      return fail({ code: 'account.absent', hint: 'this key has no account on the ledger; have the operator open one' })
    }
    const read = decodeAs(ACCOUNTS.codec, proven.value.value, 'account', MAX_ACCOUNT_BYTES)
    if (read.ok) account = read.value
    return read
  }

  async function send(content: TxContent): Promise<Result<Uint8Array>> {
    const head = light.head()
    if (head === undefined) return fail({ code: 'account.no-head', hint: 'no header is verified yet' })
    if (next === undefined) {
      const proven = await refresh()
      if (!proven.ok) return proven
      next = proven.value.sequence
    }
    const tx = buildTx(
      { ...content, chainId, sender: address, sequence: next, fee: FEE, expiry: head.height + EXPIRY_BLOCKS },
      signer.publicKey,
    )
    const signature = await signer.sign(tx.toSign)
    if (!signature.ok) return signature
    const bytes = tx.withSignature(signature.value)
    let refused: Result<Uint8Array> = fail({ code: 'account.no-node', hint: 'no ledger node is configured' })
    for (const node of nodes) {
      const answer = await node.submit(bytes)
      if (answer.ok && answer.value.code === 0) {
        next += 1n
        return ok(answer.value.hash)
      }
      if (answer.ok) {
        // Another node would judge alike. Our count may be what is wrong: it is proven anew before the next attempt.
        next = undefined
        return fail({
          code: 'account.tx-refused',
          kind: content.kind,
          refusal: answer.value.code,
          log: answer.value.log,
        })
      }
      log('warn', 'account', `${node.name} did not take a ${content.kind}`, answer.fault)
      refused = answer
    }
    return refused
  }

  return {
    address,
    balance: () => account?.balance,
    refresh,
    submit: content => {
      const sent = queue.then(() => send(content))
      queue = sent
      return sent
    },
  }
}
