/** CometBFT's side of an ABCI socket, as far as a test needs it: requests in their order, replies matched to them. */
import { connect, type Socket } from 'node:net'
import { genesisJson } from '../../../agent/validator/genesis-json.ts'
import { parseSocketAddress } from '../../../drivers/socket/server.ts'
import { concat, fromUtf8, utf8 } from '../../../protocol/bytes.ts'
import { frameMessage, pullMessage } from '../../../protocol/chain/abci-frame.ts'
import { chainTime, encodeTime } from '../../../protocol/chain/chain-time.ts'
import {
  bytesField,
  type Fields,
  messageField,
  readMessage,
  type Shape,
  varintField,
} from '../../../protocol/chain/proto.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import type { Genesis } from '../../../protocol/ledger/genesis.ts'
import { must } from '../../../protocol/result.ts'
import { type Instant, instant } from '../../../protocol/time.ts'

export interface Reply {
  /** Its number in the Response's oneof; 1 is an exception. */
  readonly number: number
  readonly body: Uint8Array
}

export interface AbciClient {
  /** Sends requests at once; their replies in order. Rejects when the other side ends first. */
  call(...requests: readonly Uint8Array[]): Promise<readonly Reply[]>
  /** Raw bytes. */
  write(bytes: Uint8Array): void
  next(): Promise<Reply>
  readonly ended: Promise<void>
  close(): void
}

export async function dialAbci(address: string): Promise<AbciClient> {
  const at = parseSocketAddress(address)!
  const socket: Socket = at.kind === 'unix' ? connect(at.path) : connect(at.port, at.host)
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve).once('error', reject)
  })
  let held = new Uint8Array(0)
  const replies: Reply[] = []
  const waiting: { resolve(reply: Reply): void; reject(error: Error): void }[] = []
  const ended = new Promise<void>(resolve => socket.once('close', () => resolve()))
  let over = false
  socket.on('error', () => {})
  socket.once('close', () => {
    over = true
    for (const one of waiting.splice(0)) one.reject(new Error('the application has ended the connection'))
  })
  socket.on('data', chunk => {
    held = concat(held, chunk) as Uint8Array<ArrayBuffer>
    for (;;) {
      const pulled = pullMessage(held)
      if (pulled.kind === 'junk') throw new Error(pulled.fault.code)
      if (pulled.kind === 'need') return
      const [tag, second] = pulled.value
      const number = (tag! < 0x80 ? tag! : (tag! & 0x7f) + second! * 0x80) >> 3
      const reply = {
        number,
        body: must(readMessage(pulled.value, { [number]: 'message' } as Shape))[number] as Uint8Array,
      }
      held = held.slice(pulled.used)
      const first = waiting.shift()
      if (first === undefined) replies.push(reply)
      else first.resolve(reply)
    }
  })
  const next = (): Promise<Reply> => {
    const known = replies.shift()
    if (known !== undefined) return Promise.resolve(known)
    if (over) return Promise.reject(new Error('the application has ended the connection'))
    return new Promise((resolve, reject) => waiting.push({ resolve, reject }))
  }
  return {
    call(...requests) {
      socket.write(concat(...requests.map(frameMessage)))
      return Promise.all(requests.map(next))
    },
    write: bytes => void socket.write(bytes),
    next,
    ended,
    close: () => socket.destroy(),
  }
}

/** A reply's fields; those that the shape does not name are passed over. */
export const fieldsIn = <S extends Shape>({ body }: Reply, shape: S): Fields<S> =>
  must(readMessage(body, shape, { skipUnknown: true }))

export const exceptionOf = ({ number, body }: Reply): string =>
  number === 1 ? fromUtf8(must(readMessage(body, { 1: 'bytes' }))[1])! : `reply ${number}`

const message = (number: number, ...fields: readonly Uint8Array[]): Uint8Array =>
  messageField(number, concat(...fields))
const stamp = (field: number, at: Instant): Uint8Array => messageField(field, encodeTime(chainTime(at)))

export const FLUSH = message(2)
export const INFO = message(3)
export const COMMIT = message(11)
export const LIST_SNAPSHOTS = message(12)
export const echo = (text: string): Uint8Array => message(1, bytesField(1, utf8(text)))
export const checkTx = (tx: Uint8Array, again = false): Uint8Array =>
  message(8, bytesField(1, tx), varintField(2, again ? 1 : 0))
export const query = (path: string, data: Uint8Array, height = 0n, prove = true): Uint8Array =>
  message(6, bytesField(1, data), bytesField(2, utf8(path)), varintField(3, height), varintField(4, prove ? 1 : 0))

interface InitTerms {
  readonly appState?: string
  readonly initialHeight?: bigint
  readonly maxBytes?: bigint
  readonly validators?: readonly { readonly publicKey: Uint8Array; readonly power: bigint }[]
}

export function initChain(genesis: Genesis, terms: InitTerms = {}): Uint8Array {
  const { appState, initialHeight = 1n, maxBytes = 1_048_576n, validators = [] } = terms
  return message(
    5,
    stamp(1, genesis.time),
    bytesField(2, utf8(genesis.chainId)),
    messageField(3, messageField(1, varintField(1, maxBytes))),
    ...validators.map(({ publicKey, power }) =>
      messageField(4, concat(messageField(1, bytesField(1, publicKey)), varintField(2, power))),
    ),
    bytesField(5, utf8(appState ?? JSON.stringify(genesisJson(genesis).app_state))),
    varintField(6, initialHeight),
  )
}

export interface TestBlock {
  readonly height: bigint
  readonly time: Instant
  readonly hash: Uint8Array
  readonly txs: readonly Uint8Array[]
}

export const testBlock = (height: bigint, begin: number, txs: readonly Uint8Array[]): TestBlock => ({
  height,
  time: instant(begin + Number(height) * 1000),
  hash: sha256(utf8(`header ${height}`)),
  txs,
})

const list = (txs: readonly Uint8Array[], field: number) => concat(...txs.map(tx => messageField(field, tx)))

export const prepare = ({ txs, height, time }: TestBlock, maxTxBytes = 1_000_000n): Uint8Array =>
  message(16, varintField(1, maxTxBytes), list(txs, 2), varintField(5, height), stamp(6, time))
export const processProposal = ({ txs, height, time, hash }: TestBlock): Uint8Array =>
  message(17, list(txs, 1), bytesField(4, hash), varintField(5, height), stamp(6, time))
export const finalize = ({ txs, height, time, hash }: TestBlock, misbehaved: readonly Uint8Array[] = []): Uint8Array =>
  message(
    20,
    list(txs, 1),
    ...misbehaved.map(address => messageField(3, concat(varintField(1, 1), messageField(2, bytesField(1, address))))),
    bytesField(4, hash),
    varintField(5, height),
    stamp(6, time),
  )

export const offer = (snapshot: Uint8Array, appHash: Uint8Array): Uint8Array =>
  message(13, messageField(1, snapshot), bytesField(2, appHash))
export const loadChunk = (height: bigint, format: number, chunk: number): Uint8Array =>
  message(14, varintField(1, height), varintField(2, format), varintField(3, chunk))
export const applyChunk = (index: number, chunk: Uint8Array, sender = 'peer'): Uint8Array =>
  message(15, varintField(1, index), bytesField(2, chunk), bytesField(3, utf8(sender)))
