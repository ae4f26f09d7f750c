/**
 * A small HTTP/1.1 server for machines and people nearby: exact routes, JSON, bytes, server-sent events.
 *
 * Everything a stranger could fill is bounded: header and request time, body bytes, connections, bytes waiting for a slow
 * listener. It binds to the loopback interface unless told otherwise, and then answers only requests that were
 * addressed to this machine by a loopback name, so that no web page elsewhere can reach it through a name that it controls.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { concat, utf8 } from '../../protocol/bytes.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { Cancel } from '../ports.ts'
import { acceptSocket, refuseSocket, type SocketAnswer } from './websocket.ts'

export interface HttpRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: Uint8Array
}

/** One listener of server-sent events. */
export interface EventSink {
  /** `data` may hold several lines. A listener that cannot keep up is disconnected; it will come back by itself. */
  send(event: string, data: string): void
}

export type HttpReply =
  | { readonly kind: 'json'; readonly status: number; readonly value: unknown }
  | {
      readonly kind: 'bytes'
      readonly status: number
      /** Media type. */
      readonly type: string
      readonly bytes: Uint8Array
      readonly headers?: Readonly<Record<string, string>>
    }
  /** `start` begins to send; what it returns is called once when the listener has gone. */
  | { readonly kind: 'events'; readonly start: (sink: EventSink) => Cancel }

export type Handler = (request: HttpRequest) => HttpReply | Promise<HttpReply>

export interface HttpOptions {
  /** 0 takes any free port. */
  readonly port: number
  readonly host?: string
  /** By method and path, as in `GET /status`. GET answers HEAD too. */
  readonly routes: Readonly<Record<string, Handler>>
  /** Web sockets by path: what answers each of their messages. */
  readonly sockets?: Readonly<Record<string, SocketAnswer>>
  /** Bytes of a body, and of a web socket's message. */
  readonly bodyLimit?: number
  /** Hears what a handler threw: our own bug, of which the client is told nothing but 500. */
  readonly onBug: (error: unknown) => void
}

export interface HttpServer {
  readonly port: number
  /** As in `http://127.0.0.1:8480`. */
  readonly url: string
  /** Disconnects everybody; resolves when the port is free. */
  close(): Promise<void>
}

export type ListenFault =
  | { readonly code: 'http.port-busy'; readonly host: string; readonly port: number; readonly hint: string }
  | { readonly code: 'http.port-denied'; readonly host: string; readonly port: number; readonly hint: string }
  | { readonly code: 'http.listen'; readonly host: string; readonly port: number; readonly why: string }

/** Our largest request is a transaction in hex. */
const BODY_LIMIT = 64 * 1024
/** A client nearby that needs longer for its headers or its request is stuck or hostile. */
const HEADERS_TIMEOUT_MS = 5_000
const REQUEST_TIMEOUT_MS = 10_000
const MAX_CONNECTIONS = 256
/** Whole answers that clients have not fetched, of all connections together: the largest is some megabytes. */
const MAX_UNFETCHED = 64 * 1024 * 1024
/** What is small is given even then: each connection waits for one answer at most. */
const SMALL_REPLY = 64 * 1024
/** A client on a slow line fetches the largest answer in this time. */
const FETCH_TIMEOUT_MS = 120_000
/** A page shows some kilobytes a second; this is a minute behind. */
const MAX_EVENT_BACKLOG = 256 * 1024
const LOOPBACK = ['127.0.0.1', '::1', 'localhost']

export function serveHttp(options: HttpOptions): Promise<Result<HttpServer, ListenFault>> {
  const { port, host = '127.0.0.1' } = options
  const unfetched: Unfetched = { bytes: 0 }
  const server = createServer(
    { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: 1000 },
    (request, response) => {
      answer(options, request, response, unfetched).catch(error => {
        options.onBug(error)
        if (response.headersSent) response.destroy()
        else writeReply(request, response, problem(500, 'internal error'), unfetched)
      })
    },
  )
  server.maxConnections = MAX_CONNECTIONS
  // The server forgets a connection that was upgraded: closing them is ours.
  const upgraded = new Set<Duplex>()
  if (options.sockets !== undefined) {
    server.on('upgrade', (request, socket, head) => {
      upgraded.add(socket)
      socket.once('close', () => upgraded.delete(socket))
      upgrade(options, request, socket, head)
    })
  }
  return new Promise(resolve => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(fail(listenFault(error, host, port))))
    server.listen(port, host, () => {
      const bound = (server.address() as AddressInfo).port
      resolve(
        ok({
          port: bound,
          url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
          close: () =>
            new Promise(done => {
              server.close(() => done())
              server.closeAllConnections()
              for (const socket of upgraded) socket.destroy()
            }),
        }),
      )
    })
  })
}

function listenFault(error: NodeJS.ErrnoException, host: string, port: number): ListenFault {
  if (error.code === 'EADDRINUSE') {
    return { code: 'http.port-busy', host, port, hint: 'another program listens there; stop it or choose another port' }
  }
  if (error.code === 'EACCES') {
    return { code: 'http.port-denied', host, port, hint: 'choose a port from 1024 up' }
  }
  return { code: 'http.listen', host, port, why: error.message }
}

const problem = (status: number, what: string): HttpReply => ({ kind: 'json', status, value: { error: what } })

/** Bytes of answers handed over and not yet fetched. */
interface Unfetched {
  bytes: number
}

async function answer(
  options: HttpOptions,
  request: IncomingMessage,
  response: ServerResponse,
  unfetched: Unfetched,
): Promise<void> {
  const { host = '127.0.0.1', routes, bodyLimit = BODY_LIMIT } = options
  const reply = (made: HttpReply) => writeReply(request, response, made, unfetched)
  if (LOOPBACK.includes(host) && !isLoopbackName(request.headers.host)) {
    return reply(problem(421, 'this server answers to loopback names only'))
  }
  const url = parseUrl(request.url)
  if (url === undefined) return reply(problem(400, 'not a URL'))
  const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '')
  const handler = Object.hasOwn(routes, `${method} ${url.pathname}`) ? routes[`${method} ${url.pathname}`] : undefined
  if (handler === undefined) {
    const allowed = ['GET', 'POST'].filter(other => Object.hasOwn(routes, `${other} ${url.pathname}`))
    if (allowed.length === 0) return reply(problem(404, 'no such path'))
    response.setHeader('allow', allowed.join(', '))
    return reply(problem(405, `only ${allowed.join(' and ')}`))
  }
  const body = await readBody(request, bodyLimit)
  if (body === 'too-long') return reply(problem(413, `a body of more than ${bodyLimit} bytes`))
  if (body === 'gone') return
  reply(await handler({ method, path: url.pathname, query: url.searchParams, body }))
}

function upgrade(options: HttpOptions, request: IncomingMessage, socket: Duplex, head: Uint8Array): void {
  const { host = '127.0.0.1', sockets = {}, bodyLimit: limit = BODY_LIMIT, onBug } = options
  if (LOOPBACK.includes(host) && !isLoopbackName(request.headers.host)) {
    return refuseSocket(socket, 421, 'Misdirected Request')
  }
  const path = parseUrl(request.url)?.pathname ?? ''
  const answer = Object.hasOwn(sockets, path) ? sockets[path] : undefined
  if (answer === undefined) return refuseSocket(socket, 404, 'Not Found')
  acceptSocket(request, socket, head, { answer, limit, onBug })
}

function isLoopbackName(header: string | undefined): boolean {
  const name = /^(?:\[([0-9a-fA-F:]+)\]|([^:]+))(?::\d+)?$/.exec(header ?? '')
  return name !== null && LOOPBACK.includes((name[1] ?? name[2])!.toLowerCase())
}

function parseUrl(target: string | undefined): URL | undefined {
  // A second slash would name another host.
  if (target === undefined || !/^\/(?!\/)/.test(target)) return undefined
  return URL.canParse(target, 'http://localhost') ? new URL(target, 'http://localhost') : undefined
}

/** The whole body, or why there is none; a body over the limit is not read to its end. */
function readBody(request: IncomingMessage, limit: number): Promise<Uint8Array | 'too-long' | 'gone'> {
  return new Promise(resolve => {
    const chunks: Uint8Array[] = []
    let bytes = 0
    request.on('data', (chunk: Uint8Array) => {
      bytes += chunk.length
      if (bytes <= limit) chunks.push(chunk)
      else {
        request.pause()
        resolve('too-long')
      }
    })
    request.on('end', () => resolve(concat(...chunks)))
    request.on('error', () => resolve('gone'))
    request.on('close', () => resolve('gone'))
  })
}

function writeReply(request: IncomingMessage, response: ServerResponse, reply: HttpReply, unfetched: Unfetched): void {
  response.setHeader('x-content-type-options', 'nosniff')
  // What was not read of a refused body must not be taken for the next request.
  if (!request.complete) response.setHeader('connection', 'close')
  if (reply.kind === 'events') {
    openEvents(request, response, reply.start)
    return
  }
  const bytes = reply.kind === 'json' ? utf8(JSON.stringify(reply.value)) : reply.bytes
  if (bytes.length > SMALL_REPLY && unfetched.bytes + bytes.length > MAX_UNFETCHED) {
    return writeReply(request, response, problem(503, 'too many answers wait to be fetched'), unfetched)
  }
  response.writeHead(reply.status, {
    'content-type': reply.kind === 'json' ? 'application/json' : reply.type,
    'content-length': bytes.length,
    'cache-control': 'no-cache',
    ...(reply.kind === 'bytes' ? reply.headers : {}),
  })
  if (request.method === 'HEAD') return void response.end()
  unfetched.bytes += bytes.length
  const late = setTimeout(() => response.destroy(), FETCH_TIMEOUT_MS)
  response.once('close', () => {
    clearTimeout(late)
    unfetched.bytes -= bytes.length
  })
  response.end(bytes)
}

function openEvents(request: IncomingMessage, response: ServerResponse, start: (sink: EventSink) => Cancel): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  response.flushHeaders()
  const stop = start({
    send(event, data) {
      if (response.destroyed) return
      if (response.writableLength > MAX_EVENT_BACKLOG) response.destroy()
      else response.write(`event: ${event}\n${data.replace(/^/gm, 'data: ')}\n\n`)
    },
  })
  response.once('close', stop)
}
