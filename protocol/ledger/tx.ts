/**
 * Transactions: COSE_Sign1 by the sender's account key over canonical CBOR.
 *
 *     {1: kind, 2: chain id, 3: sender address, 4: sequence, 5: fee (micro), 6: expiry height, 7: body}
 *
 * The chain id and the sequence bind a transaction to one place in one ledger's history; after the expiry height it is
 * worthless, so a sender that lost track of one waits for that height and sends another.
 */
import { utf8 } from '../bytes.ts'
import { assemble, type CoseFault, parseSign1, type Sign1, toBeSigned } from '../crypto/cose.ts'
import { signerHeader } from '../identity/signer-header.ts'
import type { Money } from '../quantity.ts'
import { big, type Codec, decodeAs, encodeAs, type RecordFault, record, text } from '../record.ts'
import { ok, type Result } from '../result.ts'
import { accountBodies } from './body/accounts.ts'
import { coinBodies } from './body/coins.ts'
import { dealBodies } from './body/deals.ts'
import { journalBodies } from './body/journals.ts'
import { networkBodies } from './body/network.ts'
import { registryBodies } from './body/registry.ts'
import { serviceBodies } from './body/services.ts'
import { stakeBodies } from './body/stake.ts'
import { address, anyItem, money, name, sequence } from './fields.ts'

/** external_aad of a transaction's signature: no other signed thing of Tieline can pass for one. */
export const TX_CONTEXT: Uint8Array = utf8('tieline/tx/1')

/** A light block of 100 validators has 19 kB; a receipt with two readings of five registers is below 2 kB, a commit below 1 kB. */
export const MAX_TX_BYTES = 24 * 1024
const bodies = {
  ...accountBodies,
  ...registryBodies,
  ...stakeBodies,
  ...dealBodies,
  ...networkBodies,
  ...serviceBodies,
  ...journalBodies,
  ...coinBodies,
} as const

export type TxKind = keyof typeof bodies
export type BodyOf<K extends TxKind> = (typeof bodies)[K] extends Codec<infer T> ? T : never
/** Kind and body of a transaction, as one choice. */
export type TxContent = { readonly [K in TxKind]: { readonly kind: K; readonly body: BodyOf<K> } }[TxKind]

export type Tx = TxContent & {
  readonly chainId: string
  /** Address of the account that signs and pays. */
  readonly sender: Uint8Array
  /** Exactly the number that the sender's account record says comes next. */
  readonly sequence: bigint
  readonly fee: Money
  /** The last height at which it may stand in a block. */
  readonly expiry: bigint
}

const KINDS = Object.keys(bodies) as TxKind[]

const frame = record({
  kind: [1, text(new RegExp(`^(?:${KINDS.join('|')})$`))],
  chainId: [2, name],
  sender: [3, address],
  sequence: [4, sequence],
  fee: [5, money],
  expiry: [6, big(0n, 2n ** 63n - 1n)],
  body: [7, anyItem],
})

/** A transaction that waits for its signature. */
interface UnsignedTx {
  readonly toSign: Uint8Array
  /** The transaction's bytes. */
  withSignature(signature: Uint8Array): Uint8Array
}

/** Everything of a transaction but the signature of the account's key. */
export function buildTx(tx: Tx, publicKey: Uint8Array): UnsignedTx {
  const body = (bodies[tx.kind] as Codec<unknown>).write(tx.body)
  const payload = encodeAs(frame, { ...tx, body })
  const header = signerHeader(publicKey)
  return {
    toSign: toBeSigned(header, payload, TX_CONTEXT),
    withSignature: signature => assemble(header, payload, signature),
  }
}

interface ParsedTx {
  readonly tx: Tx
  readonly envelope: Sign1
}

/** Take a transaction apart; nothing about its signature or its sense is known yet. */
export function parseTx(input: Uint8Array): Result<ParsedTx, CoseFault | RecordFault> {
  const envelope = parseSign1(input, MAX_TX_BYTES)
  if (!envelope.ok) return envelope
  const outer = decodeAs(frame, envelope.value.payload, 'tx', MAX_TX_BYTES)
  if (!outer.ok) return outer
  const { kind, body: item, ...rest } = outer.value
  const body = bodies[kind as TxKind].read(item, `tx.${kind}`)
  if (!body.ok) return body
  return ok({ tx: { ...rest, kind, body: body.value } as Tx, envelope: envelope.value })
}
