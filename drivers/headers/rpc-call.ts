/**
 * One call of a full node's RPC over HTTP: the answer's `result`, whatever it holds, or a fault. The node is a stranger: its
 * answer is bounded in time and size, a redirect is refused, and nothing of it is believed here.
 */
import { fromUtf8 } from '../../protocol/bytes.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { RpcFault } from './rpc-fault.ts'

interface RpcCallOptions {
  /** Real milliseconds for the whole call. */
  readonly timeoutMs: number
  /** Bytes of the answer, after decompression. */
  readonly limit: number
}

/** `url` is the node's base URL; it is also its name in faults. */
export async function callRpc(
  url: string,
  method: string,
  params: Readonly<Record<string, string | boolean>>,
  { timeoutMs, limit }: RpcCallOptions,
): Promise<Result<unknown, RpcFault>> {
  let text: string | undefined
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    })
    const body = await readBounded(response, limit)
    if (body === undefined) return fail({ code: 'rpc.too-long', node: url, limit })
    text = fromUtf8(body)
  } catch (error) {
    // fetch reports everything that the network does by throwing.
    const { name, message, cause } = error as Error
    if (name === 'TimeoutError') return fail({ code: 'rpc.timeout', node: url, afterMs: timeoutMs })
    return fail({ code: 'rpc.unreachable', node: url, why: cause instanceof Error ? cause.message : message })
  }
  return unwrap(url, method, text)
}

/** The whole body, or undefined when it is longer than `limit`. */
async function readBounded(response: Response, limit: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length
    // Leaving the loop cancels the rest.
    if (bytes > limit) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
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
