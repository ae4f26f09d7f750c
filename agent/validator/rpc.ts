/** CometBFT's RPC over HTTP: each method as GET with a query, and all of them as JSON-RPC 2.0 by POST to `/`. */
import type { Handler, HttpReply } from '../../drivers/http/server.ts'
import type { Timers } from '../../drivers/ports.ts'
import { fromUtf8 } from '../../protocol/bytes.ts'
import type { Producer } from './producer.ts'
import { type RpcMethod, rpcMethods } from './rpc-methods.ts'
import { jsonParams, RpcError, type RpcParams, uriParams } from './rpc-params.ts'

/** Calls in one batch, as many as a light client asks of one page of headers. */
const MAX_BATCH = 20

/** CometBFT answers GET requests under this id. */
const URI_ID = -1

const json = (status: number, value: unknown): HttpReply => ({ kind: 'json', status, value })

async function carryOut(id: unknown, method: RpcMethod | undefined, params: () => RpcParams): Promise<object> {
  const reply = { jsonrpc: '2.0', id }
  try {
    if (method === undefined) throw new RpcError(-32601, 'Method not found', '')
    return { ...reply, result: await method(params()) }
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    return { ...reply, error: { code: error.code, message: error.message, data: error.data } }
  }
}

/** The routes of one ledger node. */
export function rpcRoutes(producer: Producer, timers: Timers): Readonly<Record<string, Handler>> {
  const methods = rpcMethods(producer, timers)
  const own = (name: unknown) => (typeof name === 'string' && Object.hasOwn(methods, name) ? methods[name] : undefined)

  const call = (request: unknown): Promise<object> => {
    const {
      id = null,
      method,
      params,
    } = (typeof request === 'object' && request !== null ? request : {}) as {
      id?: unknown
      method?: unknown
      params?: unknown
    }
    return carryOut(id, own(method), () => jsonParams(params))
  }

  const get = (method: RpcMethod): Handler => {
    return async ({ query }) => {
      const reply = await carryOut(URI_ID, method, () => uriParams(query))
      return json('error' in reply ? 500 : 200, reply)
    }
  }

  return {
    ...Object.fromEntries(Object.entries(methods).map(([name, method]) => [`GET /${name}`, get(method)])),
    'POST /': async ({ body }) => {
      const request = parseJson(body)
      if (request === undefined) {
        return json(400, { jsonrpc: '2.0', id: null, error: { code: -32700, message: 'Parse error', data: '' } })
      }
      if (!Array.isArray(request)) return json(200, await call(request))
      if (request.length === 0 || request.length > MAX_BATCH) {
        const data = `a batch of 1 to ${MAX_BATCH}, not ${request.length}`
        return json(400, { jsonrpc: '2.0', id: null, error: { code: -32600, message: 'Invalid Request', data } })
      }
      return json(200, await Promise.all(request.map(call)))
    },
  }
}

function parseJson(body: Uint8Array): unknown {
  const text = fromUtf8(body)
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    // JSON.parse says by throwing that this is none.
    return undefined
  }
}
