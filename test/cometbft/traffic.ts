/** Signed transactions of several kinds, sent without end to nodes that come and go. */
import { utf8 } from '../../protocol/bytes.ts'
import { fromBase64, toBase64 } from '../../protocol/chain/base64.ts'
import { ACCOUNTS } from '../../protocol/ledger/tables.ts'
import type { TxContent } from '../../protocol/ledger/tx.ts'
import { micros } from '../../protocol/quantity.ts'
import { decodeAs } from '../../protocol/record.ts'
import { must } from '../../protocol/result.ts'
import { instant } from '../../protocol/time.ts'
import { encodeContract } from '../../protocol/trade/contract.ts'
import {
  buyer,
  commitOf,
  operator,
  type Party,
  partyOf,
  receiptOf,
  seller,
  sideOf,
  signTx,
  stranger,
  terms,
} from '../protocol/ledger/parties.ts'
import type { Json, Node } from './network.ts'
import { sleep, until } from './process.ts'

/** Sent before the sender looks whether they are in: a killed node takes what waited in its mempool with it. */
const BATCH = 10
const GIVE_UP_MS = 4_000
const SEND_MS = 60_000
const SHOWS_MS = 5_000

export interface Traffic {
  /** One transaction outside the stream, sent again until what it is for is so: an answer may be lost, and it be in all the same. */
  send(sender: Party, content: TxContent, isSo: () => Promise<boolean>): Promise<void>
  stop(): Promise<void>
}

async function post(node: Node, tx: Uint8Array): Promise<Json | undefined> {
  try {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'broadcast_tx_sync', params: { tx: toBase64(tx) } })
    const answer = await fetch(node.rpc, { method: 'POST', body, signal: AbortSignal.timeout(5_000) })
    return ((await answer.json()) as Json).result
  } catch {
    // The node is being killed.
    return undefined
  }
}

/** What comes next for an account, by one node's word. */
async function sequenceOf(node: Node, party: Party): Promise<bigint | undefined> {
  const data = `0x${Buffer.from(utf8(`account/${party.id}`)).toString('hex')}`
  const answer = await node.get(`abci_query?path="/key"&data=${data}`)
  const value = fromBase64(answer?.response.value ?? '')
  return value === undefined || value.length === 0
    ? undefined
    : must(decodeAs(ACCOUNTS.codec, value, 'account', 1024)).sequence
}

export function startTraffic(nodes: readonly Node[]): Traffic {
  let stopped = false
  let turn = 0
  const nextNode = () => nodes[turn++ % nodes.length]!
  const busy = new Map<string, Promise<unknown>>()

  /** Sends in a row and waits until they are in; true when they are. */
  async function sendAll(sender: Party, contents: readonly TxContent[]): Promise<boolean> {
    const node = nextNode()
    const sequence = await sequenceOf(node, sender)
    if (sequence === undefined) {
      await sleep(200)
      return false
    }
    for (const [i, content] of contents.entries()) {
      const answer = await post(node, signTx(sender, sequence + BigInt(i), content))
      // Refused by a node that is a block behind, or whose mempool holds an earlier one: it is tried again.
      if (answer === undefined || answer.code !== 0) return false
    }
    const end = performance.now() + GIVE_UP_MS
    while (performance.now() < end) {
      const now = await sequenceOf(node, sender)
      if (now === undefined) return false
      if (now >= sequence + BigInt(contents.length)) return true
      await sleep(50)
    }
    return false
  }

  /** One sender sends one batch at a time. */
  function inTurn<T>(sender: Party, work: () => Promise<T>): Promise<T> {
    const result = (busy.get(sender.id) ?? Promise.resolve()).then(work)
    busy.set(
      sender.id,
      result.catch(() => {}),
    )
    return result
  }

  async function stream(sender: Party, next: (n: number) => readonly TxContent[]): Promise<void> {
    for (let n = 0; !stopped; ) if (await inTurn(sender, () => sendAll(sender, next(n)))) n++
  }

  const transfer = (to: Party): TxContent => ({ kind: 'transfer', body: { to: to.address, amount: micros(1n) } })
  const repeat = (content: TxContent) => Array.from({ length: BATCH }, () => content)

  /** Deals one after the other on one line, each with both receipts. */
  async function deals(): Promise<void> {
    const send = (party: Party, content: TxContent) => inTurn(party, () => sendAll(party, [content]))
    let free = 0
    for (let n = 1; !stopped; n++) {
      const start = Math.max(free, Date.now())
      free = start + 1_000
      const nonce = new Uint8Array(16)
      new DataView(nonce.buffer).setUint32(0, n)
      const contract = { ...terms, start: instant(start), end: instant(free), nonce }
      if (!(await send(buyer, commitOf(contract)))) continue
      const bytes = encodeContract(contract)
      const taken = { begin: { at: start + 1 }, end: { at: free - 1 } }
      // The next node may not have the commitment yet.
      for (const [party, side] of [
        [seller, 'seller'],
        [buyer, 'buyer'],
      ] as const) {
        for (let tries = 0; tries < 3; tries++) {
          if (await send(party, receiptOf(sideOf(side, bytes), 2_000_000n, taken))) break
        }
      }
    }
  }

  const work = [
    stream(stranger, () => repeat(transfer(buyer))),
    stream(operator, n => [
      { kind: 'mint', body: { to: stranger.address, amount: micros(1_000_000n) } },
      { kind: 'open', body: { publicKey: partyOf(`newcomer ${n}`).publicKey, amount: micros(5n) } },
      { kind: 'burn', body: { amount: micros(7n) } },
      transfer(seller),
    ]),
    deals(),
  ]
  return {
    async send(sender, content, isSo) {
      let next = 0
      await until(`${content.kind} by ${sender.id.slice(0, 8)}`, SEND_MS, async () => {
        if (await isSo()) return true
        // What is in a block takes two more to show, and sent again at once it would count twice; but an older one from
        // another node's mempool may have taken its place in the sequence, and it be lost.
        if (performance.now() < next) return false
        if (await inTurn(sender, () => sendAll(sender, [content]))) next = performance.now() + SHOWS_MS
        return isSo()
      })
    },
    async stop() {
      stopped = true
      await Promise.all(work)
    },
  }
}
