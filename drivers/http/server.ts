/**
 * A small HTTP/1.1 server for machines and people nearby: exact routes, JSON, bytes, server-sent events.
 *
 * Everything a stranger could fill is bounded: header and request time, body bytes, connections, bytes waiting for a slow
 * listener. It binds to the loopback interface unless told otherwise, and then answers only requests that were
 * addressed to this machine by a loopback name, so that no web page elsewhere can reach it through a name that it controls.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { concat, utf8 } from '../../protocol/bytes.ts'
import type { BucketSize } from '../../protocol/crypto/bucket.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { Mono } from '../../protocol/time.ts'
import type { Cancel } from '../ports.ts'
import { createPeerBuckets, type PeerBuckets, peerOf } from './peer-buckets.ts'
import { acceptSocket, refuseSocket, type SocketAnswer } from './websocket.ts'

export interface HttpRequest {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly body: Uint8Array
  /** As `peerOf` names it. */
  readonly peer?: string
  readonly cookie?: string
  /**
   * Sent as JSON by no page of another origin, and by whom the gate knows; where there is no gate, by a program of this machine
   * to a loopback name: the least that is asked of what changes something.
   */
  readonly local?: boolean
}

/** A request before its body is read: what there is to decide by whether it is answered. */
export interface Knock {
  readonly method: string
  readonly path: string
  readonly authorization: string | undefined
  readonly cookie: string | undefined
  /** No page of another origin sent it, as its browser says; programs say nothing. */
  readonly sameOrigin: boolean
  /** A person who follows a link or types an address: HTML is understood. */
  readonly wantsPage: boolean
}

/** Let through, `known` where it has shown that it may ask; or what it is told instead. */
export type Admission = { readonly kind: 'admitted'; readonly known: boolean } | HttpReply

/** What one peer can take from the others, and all from the program that serves them. Whom the gate knows takes nothing. */
export interface PeerLimits {
  readonly connections: number
  /** Requests. */
  readonly each: BucketSize
  readonly all: BucketSize
  /** By whose time the buckets fill again; this machine's where left out. */
  readonly mono?: () => Mono
}

/** One listener of server-sent events. */
export interface EventSink {
  /** `data` may hold several lines. A listener that cannot keep up is disconnected; it will come back by itself. */
  send(event: string, data: string): void
  /** Ends the stream; `start`'s answer is then called as when the listener goes by itself. */
  end(): void
}

export type HttpReply =
  | {
      readonly kind: 'json'
      readonly status: number
      readonly value: unknown
      readonly headers?: Readonly<Record<string, string>>
    }
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
  /** Decides on each request. With one, any host name is answered to: what the gate asks for, no foreign name's page has. */
  readonly gate?: (knock: Knock) => Admission
  readonly perPeer?: PeerLimits
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

/**
 * On every answer: it is what its type says, is kept nowhere, runs nothing, and no page of another origin may frame, embed or
 * hold it. `same-origin`, because under `no-referrer` a browser names no origin with a form either.
 */
const GUARDED = {
  'x-content-type-options': 'nosniff',
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
} as const

const isLoopback = (host: string): boolean => LOOPBACK.includes(host)

export function serveHttp(options: HttpOptions): Promise<Result<HttpServer, ListenFault>> {
  const { port, host = '127.0.0.1' } = options
  const { perPeer } = options
  const unfetched: Unfetched = { bytes: 0 }
  const buckets = perPeer && createPeerBuckets(perPeer.each, perPeer.all)
  const server = createServer(
    { headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: 1000 },
    (request, response) => {
      answer(options, request, response, unfetched, buckets).catch(error => {
        options.onBug(error)
        if (response.headersSent) response.destroy()
        else writeReply(request, response, problem(500, 'internal error'), unfetched)
      })
    },
  )
  server.maxConnections = MAX_CONNECTIONS
  // As many listeners as answers wait on a connection: `unfetched` bounds them.
  server.on('connection', socket => socket.setMaxListeners(0))
  if (perPeer !== undefined) limitConnections(server, perPeer.connections)
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
    server.on('error', (error: NodeJS.ErrnoException) =>
      server.listening ? options.onBug(error) : resolve(fail(listenFault(error, host, port))),
    )
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

/** Connections that end with the answer that they wait for. */
const closing = new WeakSet<Duplex>()

/** Bytes of answers handed over and not yet fetched. */
interface Unfetched {
  bytes: number
}

async function answer(
  options: HttpOptions,
  request: IncomingMessage,
  response: ServerResponse,
  unfetched: Unfetched,
  buckets: PeerBuckets | undefined,
): Promise<void> {
  const { host = '127.0.0.1', routes, gate, perPeer, bodyLimit = BODY_LIMIT } = options
  const reply = (made: HttpReply) => writeReply(request, response, made, unfetched)
  // What was sent behind a request that was one too many is not even looked at.
  if (request.socket.writableEnded || closing.has(request.socket)) return
  const peer = peerOf(request.socket.remoteAddress)
  const url = parseUrl(request.url)
  const method = request.method === 'HEAD' ? 'GET' : (request.method ?? '')
  const admission = url && gate?.(knockOf(request, method, url.pathname))
  const known = admission?.kind === 'admitted' && admission.known
  if (!known && buckets?.take(peer, perPeer?.mono?.() ?? (performance.now() as Mono)) === false) {
    response.setHeader('retry-after', '1')
    // Whoever floods opens a connection for each request more.
    response.setHeader('connection', 'close')
    closing.add(request.socket)
    return reply(problem(429, 'too many requests'))
  }
  if (gate === undefined && isLoopback(host) && !isLoopbackName(request.headers.host)) {
    return reply(problem(421, 'this server answers to loopback names only'))
  }
  if (url === undefined) return reply(problem(400, 'not a URL'))
  if (admission !== undefined && admission.kind !== 'admitted') return reply(admission)
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
  const { cookie } = request.headers
  const local = isJson(request) && isSameOrigin(request) && (gate === undefined ? isOfThisMachine(request) : known)
  const asked = { method, path: url.pathname, query: url.searchParams, body, peer, local }
  reply(await handler(cookie === undefined ? asked : { ...asked, cookie }))
}

const knockOf = (request: IncomingMessage, method: string, path: string): Knock => ({
  method,
  path,
  authorization: request.headers.authorization,
  cookie: request.headers.cookie,
  sameOrigin: isSameOrigin(request),
  wantsPage: /\btext\/html\b/.test(request.headers.accept ?? ''),
})

/** One peer cannot have every connection that there is. */
function limitConnections(server: Server, most: number): void {
  const open = new Map<string, number>()
  server.on('connection', socket => {
    const peer = peerOf(socket.remoteAddress)
    const now = (open.get(peer) ?? 0) + 1
    if (now > most) return void socket.destroy()
    open.set(peer, now)
    socket.once('close', () => {
      const left = open.get(peer)! - 1
      if (left === 0) open.delete(peer)
      else open.set(peer, left)
    })
  })
}

function upgrade(options: HttpOptions, request: IncomingMessage, socket: Duplex, head: Uint8Array): void {
  const { host = '127.0.0.1', sockets = {}, gate, bodyLimit: limit = BODY_LIMIT, onBug } = options
  if (gate === undefined && isLoopback(host) && !isLoopbackName(request.headers.host)) {
    return refuseSocket(socket, 421, 'Misdirected Request')
  }
  const path = parseUrl(request.url)?.pathname ?? ''
  const admission = gate?.(knockOf(request, 'GET', path))
  // A page of any origin may open a web socket here, and its cookies come along.
  if (admission !== undefined && !(admission.kind === 'admitted' && admission.known && isSameOrigin(request))) {
    return refuseSocket(socket, 401, 'Unauthorized')
  }
  const answer = Object.hasOwn(sockets, path) ? sockets[path] : undefined
  if (answer === undefined) return refuseSocket(socket, 404, 'Not Found')
  acceptSocket(request, socket, head, { answer, limit, onBug })
}

/** A browser sends JSON to another origin only when it was asked first and said yes, which this server never does. */
const isJson = ({ headers }: IncomingMessage): boolean => /^application\/json\b/i.test(headers['content-type'] ?? '')

/** The scheme is that of whoever stands before this server, which may speak TLS to the browser. */
const isSameOrigin = ({ headers }: IncomingMessage): boolean =>
  (headers.origin === undefined || [`http://${headers.host}`, `https://${headers.host}`].includes(headers.origin)) &&
  /^(same-origin|none)$/.test(String(headers['sec-fetch-site'] ?? 'none'))

const isOfThisMachine = ({ headers, socket }: IncomingMessage): boolean =>
  /^(127\.|::1$|::ffff:127\.)/.test(socket.remoteAddress ?? '') && isLoopbackName(headers.host)

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
  if (request.socket.destroyed) return
  for (const [name, value] of Object.entries(GUARDED)) response.setHeader(name, value)
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
    ...reply.headers,
  })
  if (request.method === 'HEAD') return void response.end()
  unfetched.bytes += bytes.length
  const late = setTimeout(() => request.socket.destroy(), FETCH_TIMEOUT_MS)
  onceOver(request, response, () => {
    clearTimeout(late)
    unfetched.bytes -= bytes.length
  })
  response.end(bytes)
}

function openEvents(request: IncomingMessage, response: ServerResponse, start: (sink: EventSink) => Cancel): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  response.flushHeaders()
  const stop = start({
    send(event, data) {
      if (response.destroyed || request.socket.destroyed) return
      if (response.writableLength > MAX_EVENT_BACKLOG) response.destroy()
      else response.write(`event: ${event}\n${data.replace(/^/gm, 'data: ')}\n\n`)
    },
    end: () => response.end(),
  })
  onceOver(request, response, stop)
}

/** When an answer is fetched or lost; one that waits behind another on its connection hears nothing of the connection's end. */
function onceOver({ socket }: IncomingMessage, response: ServerResponse, run: () => void): void {
  const over = () => {
    response.off('close', over)
    socket.off('close', over)
    run()
  }
  response.once('close', over)
  socket.once('close', over)
}
