/** CometBFT's RPC over HTTP: each method as GET with a query, and all of them as JSON-RPC 2.0 by POST to `/`. */
import type { Handler, HttpReply } from '../../drivers/http/server.ts'
import type { SocketAnswer } from '../../drivers/http/websocket.ts'
import type { Timers } from '../../drivers/ports.ts'
import { fromUtf8 } from '../../protocol/bytes.ts'
import type { Producer } from './producer.ts'
import { type RpcMethod, rpcMethods } from './rpc-methods.ts'
import { internalError, jsonParams, RpcError, type RpcParams, uriParams } from './rpc-params.ts'

/** Calls in one batch, as many as a light client asks of one page of headers. */
const MAX_BATCH = 20

/** CometBFT's max_body_bytes: evidence carries two sets of validators and their commits. */
export const RPC_BODY_LIMIT = 1_000_000

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

/** What one request, or a batch of them, comes to. */
type Dispatch = (request: unknown) => Promise<{ readonly status: number; readonly reply: unknown }>

function dispatcher(methods: Readonly<Record<string, RpcMethod>>): Dispatch {
  const own = (name: unknown) => (typeof name === 'string' && Object.hasOwn(methods, name) ? methods[name] : undefined)

  const call = async (request: unknown): Promise<object> => {
    const {
      id = null,
      method,
      params,
    } = (typeof request === 'object' && request !== null ? request : {}) as Readonly<Record<string, unknown>>
    // What is echoed must be what it may be (JSON-RPC 2.0, 4): a list in lists without end could not even be written.
    if (id !== null && typeof id !== 'string' && typeof id !== 'number') {
      return refused(-32600, 'Invalid Request', 'id is neither a text nor a number').reply
    }
    return carryOut(id, own(method), () => jsonParams(params))
  }
  const refused = (code: number, message: string, data: string) => ({
    status: 400,
    reply: { jsonrpc: '2.0', id: null, error: { code, message, data } },
  })

  return async request => {
    if (request === undefined) return refused(-32700, 'Parse error', '')
    if (!Array.isArray(request)) return { status: 200, reply: await call(request) }
    if (request.length === 0 || request.length > MAX_BATCH) {
      return refused(-32600, 'Invalid Request', `a batch of 1 to ${MAX_BATCH}, not ${request.length}`)
    }
    // One after the other, so that no more than one old block is being read for each connection.
    const replies: object[] = []
    for (const each of request) replies.push(await call(each))
    return { status: 200, reply: replies }
  }
}

/** The routes of one ledger node. */
export function rpcRoutes(producer: Producer, timers: Timers): Readonly<Record<string, Handler>> {
  const methods = rpcMethods(producer, timers)
  const dispatch = dispatcher(methods)
  const get = (method: RpcMethod): Handler => {
    return async ({ query }) => {
      const reply = await carryOut(URI_ID, method, () => uriParams(query))
      return json('error' in reply ? 500 : 200, reply)
    }
  }
  return {
    ...Object.fromEntries(Object.entries(methods).map(([name, method]) => [`GET /${name}`, get(method)])),
    'POST /': async ({ body }) => {
      const { status, reply } = await dispatch(parseJson(fromUtf8(body)))
      return json(status, reply)
    },
  }
}

/** The same methods over `/websocket`, where CometBFT's own clients look for events: of those there are none here. */
export function rpcSockets(producer: Producer, timers: Timers): Readonly<Record<string, SocketAnswer>> {
  const noEvents = () => {
    throw internalError('events are not served here: ask /status for the newest height')
  }
  const methods = { ...rpcMethods(producer, timers), subscribe: noEvents }
  const dispatch = dispatcher({ ...methods, unsubscribe: () => ({}), unsubscribe_all: () => ({}) })
  return { '/websocket': async message => JSON.stringify((await dispatch(parseJson(message))).reply) }
}

function parseJson(text: string | undefined): unknown {
  if (text === undefined) return undefined
  try {
    return JSON.parse(text)
  } catch {
    // JSON.parse says by throwing that this is none.
    return undefined
  }
}
