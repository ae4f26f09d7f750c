/**
 * One call of a full node's RPC over HTTP: the answer's `result`, whatever it holds, or a fault. The node is a stranger: its
 * answer is bounded in time and size, a redirect is refused, and nothing of it is believed here.
 */
import { Agent as HttpAgent, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { concat, fromUtf8 } from '../../protocol/bytes.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { RpcFault } from './rpc-fault.ts'

interface RpcCallOptions {
  /** Real milliseconds for the whole call. */
  readonly timeoutMs: number
  /** Bytes of the answer. */
  readonly limit: number
}

/**
 * Connections are kept: a light client asks the same few nodes a few times a second. node:http and not fetch, which
 * costs five times as much for a call of this size.
 */
const KEPT = { keepAlive: true, maxSockets: 8 }
const agents = { http: new HttpAgent(KEPT), https: new HttpsAgent(KEPT) }

/**
 * Values of one answer: a commit of ten thousand validators has five of each. What JSON.parse takes goes by these more than by bytes: two
 * million lists in 4 MB hold up everything for a second, and fill 200 MB.
 */
const VALUES_MOST = 65_536

/** Comma, bracket and brace, after which a value may begin. Wherever they stand: nothing is made of bytes before they are counted. */
const BEFORE_VALUES = [0x2c, 0x5b, 0x7b]

/** By the system's own search, as a turn may bring two megabytes. */
function countValues(chunk: Uint8Array): number {
  let values = 0
  for (const byte of BEFORE_VALUES) {
    for (let at = chunk.indexOf(byte); at >= 0; at = chunk.indexOf(byte, at + 1)) values++
  }
  return values
}

export type RpcParams = Readonly<Record<string, string | boolean | object>>

/** `url` is the node's base URL; it is also its name in faults. */
export async function callRpc(
  url: string,
  method: string,
  params: RpcParams,
  options: RpcCallOptions,
): Promise<Result<unknown, RpcFault>> {
  const body = await post(url, JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }), options)
  return body.ok ? unwrap(url, method, fromUtf8(body.value)) : body
}

/** The whole answer's bytes. A status other than 200 still has a body that says why; a redirect has none of use. */
function post(node: string, body: string, { timeoutMs, limit }: RpcCallOptions): Promise<Result<Uint8Array, RpcFault>> {
  return new Promise(resolve => {
    const secure = node.startsWith('https:')
    const chunks: Uint8Array[] = []
    let bytes = 0
    let values = 0
    const settle = (result: Result<Uint8Array, RpcFault>) => {
      clearTimeout(deadline)
      resolve(result)
      if (!result.ok) call.destroy()
    }
    const call = (secure ? httpsRequest : httpRequest)(
      node,
      {
        method: 'POST',
        agent: secure ? agents.https : agents.http,
        headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      response => {
        const status = response.statusCode ?? 0
        if (status >= 300 && status < 400) {
          return settle(fail({ code: 'rpc.unreachable', node, why: `a redirect (status ${status})` }))
        }
        response.on('data', (chunk: Uint8Array) => {
          bytes += chunk.length
          if (bytes > limit) return settle(fail({ code: 'rpc.too-long', node, limit }))
          values += countValues(chunk)
          if (values > VALUES_MOST) return settle(fail({ code: 'rpc.too-many', node, limit: VALUES_MOST }))
          chunks.push(chunk)
        })
        response.on('end', () => settle(ok(concat(...chunks))))
        response.on('error', error => settle(fail({ code: 'rpc.unreachable', node, why: error.message })))
      },
    )
    const deadline = setTimeout(() => settle(fail({ code: 'rpc.timeout', node, afterMs: timeoutMs })), timeoutMs)
    call.on('error', error => settle(fail({ code: 'rpc.unreachable', node, why: error.message })))
    call.end(body)
  })
}

/** CometBFT's only sign of these two cases is their wording. */
const TOO_HIGH = /^height (\d{1,19}) must be less than or equal to the current blockchain height (\d{1,19})$/
const GONE = /^height (\d{1,19}) is not available, lowest height is (\d{1,19})$/

function unwrap(node: string, method: string, text: string | undefined): Result<unknown, RpcFault> {
  const bad = (reason: string) => fail<RpcFault>({ code: 'rpc.answer', node, method, reason })
  if (text === undefined) return bad('not UTF-8')
  let reply: unknown
  try {
    reply = JSON.parse(text)
  } catch {
    // A proxy's error page, most often.
    return bad('not JSON')
  }
  if (typeof reply !== 'object' || reply === null) return bad('not an object')
  const { result, error } = reply as { result?: unknown; error?: { message?: unknown; data?: unknown } | null }
  if (error === undefined || error === null) return result === undefined ? bad('neither result nor error') : ok(result)
  const message = String(error.data || error.message).slice(0, 500)
  const high = TOO_HIGH.exec(message)
  if (high !== null) {
    return fail({ code: 'rpc.height-too-high', node, asked: BigInt(high[1]!), newest: BigInt(high[2]!) })
  }
  const gone = GONE.exec(message)
  if (gone !== null) return fail({ code: 'rpc.height-gone', node, asked: BigInt(gone[1]!), oldest: BigInt(gone[2]!) })
  return fail({ code: 'rpc.refused', node, method, message })
}
