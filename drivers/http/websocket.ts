/**
 * The server's side of a web socket (RFC 6455) that carries questions and answers: each text message gets one text back, in
 * the order of asking, the next question unread until that one is fetched. No extensions, no subprotocols, no binary messages.
 *
 * A web page may open a socket to any address, loopback too, and no browser asks the server first. Only the Origin header
 * tells: one that names another host is refused.
 */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { concat, fromUtf8, utf8 } from '../../protocol/bytes.ts'
import {
  CLOSE,
  CLOSED_NORMALLY,
  closeFrame,
  encodeFrame,
  type Frame,
  isContinuation,
  NOT_UTF8,
  PING,
  PONG,
  PROTOCOL_ERROR,
  pullFrame,
  TEXT,
  TOO_BIG,
} from './websocket-frame.ts'

/** The answer to one message. */
export type SocketAnswer = (message: string) => Promise<string>

export interface SocketOptions {
  readonly answer: SocketAnswer
  /** Bytes of one message. */
  readonly limit: number
  /** Hears what `answer` threw; the socket is closed. */
  readonly onBug: (error: unknown) => void
}

/** The constant of RFC 6455, 1.3, that shows that a server speaks the protocol. */
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
/** CometBFT's servers ping at this pace; a peer that was not heard for two of them is gone. */
const PING_MS = 27_000
/** How long a peer may take to close its own side. */
const GOODBYE_MS = 1_000
/** How long a peer may take to fetch an answer; the next question is read after that. */
const FETCH_MS = 60_000
/** Pongs that a peer has not fetched: beyond this it does not read at all. */
const MAX_BACKLOG = 256 * 1024
/** Of one message: our clients cut none, others at some kilobytes; a piece of a byte takes some hundred in memory. */
const MAX_PIECES = 1024

/** Answers an upgrade request. The socket is the handler's from here on. */
export function acceptSocket(request: IncomingMessage, socket: Duplex, head: Uint8Array, options: SocketOptions): void {
  socket.on('error', () => socket.destroy())
  const key = handshakeKey(request)
  if (key === undefined) return refuseSocket(socket, 400, 'Bad Request')
  if (!isSameHost(request)) return refuseSocket(socket, 403, 'Forbidden')
  const accept = createHash('sha1').update(`${key}${ACCEPT_GUID}`).digest('base64')
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  )
  converse(socket, head, options)
}

export function refuseSocket(socket: Duplex, status: number, reason: string): void {
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Length: 0\r\nSec-WebSocket-Version: 13\r\n\r\n`,
  )
}

/** The client's nonce, where the request is a whole handshake (4.2.1). */
function handshakeKey({ method, headers }: IncomingMessage): string | undefined {
  const key = headers['sec-websocket-key']
  const whole =
    method === 'GET' &&
    headers.upgrade?.toLowerCase() === 'websocket' &&
    headers['sec-websocket-version'] === '13' &&
    key !== undefined &&
    /^[A-Za-z0-9+/]{22}==$/.test(key)
  return whole ? key : undefined
}

function isSameHost({ headers }: IncomingMessage): boolean {
  const { origin, host } = headers
  return origin === undefined || (URL.canParse(origin) && new URL(origin).host === host)
}

function converse(socket: Duplex, head: Uint8Array, { answer, limit, onBug }: SocketOptions): void {
  let chunks: Uint8Array[] = []
  let buffered = 0
  let needed = 2
  let pieces: Uint8Array[] | undefined
  let pieceBytes = 0
  let pieceCount = 0
  let busy = false
  let heard = true
  let fetching = false
  let late: NodeJS.Timeout | undefined

  const send = (bytes: Uint8Array) => {
    if (socket.destroyed || !socket.writable) return
    if (socket.writableLength > MAX_BACKLOG) socket.destroy()
    else socket.write(bytes)
  }
  const leave = (code: number, why: string) => {
    clearInterval(pings)
    chunks = []
    buffered = 0
    busy = true
    if (socket.writable) socket.end(closeFrame(code, why))
    socket.resume()
    setTimeout(() => socket.destroy(), GOODBYE_MS).unref()
  }
  const pings = setInterval(() => {
    // Its time is counted already.
    if (fetching) return
    if (!heard && !busy) return void socket.destroy()
    heard = false
    send(encodeFrame(PING, new Uint8Array(0)))
  }, PING_MS)
  socket.on('close', () => {
    clearInterval(pings)
    clearTimeout(late)
    busy = true
  })
  socket.on('end', () => socket.end())
  socket.on('data', (chunk: Uint8Array) => {
    heard = true
    take(chunk)
  })

  function take(chunk: Uint8Array): void {
    if (!socket.writable) return
    chunks.push(chunk)
    buffered += chunk.length
    if (!busy) pull()
  }

  /** Reads frames until more bytes are needed, or a question has to be answered first. */
  function pull(): void {
    while (!busy && buffered >= needed) {
      const bytes = chunks.length === 1 ? chunks[0]! : concat(...chunks)
      const pulled = pullFrame(bytes, limit)
      if (pulled.kind === 'refused') return leave(pulled.code, pulled.why)
      needed = pulled.kind === 'need' ? pulled.bytes : 2
      chunks = [pulled.kind === 'frame' ? bytes.subarray(pulled.used) : bytes]
      buffered = chunks[0]!.length
      if (pulled.kind === 'frame') hear(pulled.frame)
    }
  }

  function hear(frame: Frame): void {
    if (frame.opcode === CLOSE) return leave(CLOSED_NORMALLY, '')
    if (frame.opcode === PING) return send(encodeFrame(PONG, frame.payload))
    if (frame.opcode === PONG) return
    if (isContinuation(frame) !== (pieces !== undefined))
      return leave(PROTOCOL_ERROR, 'pieces of messages out of order')
    pieces ??= []
    if (frame.payload.length > 0) pieces.push(frame.payload)
    pieceBytes += frame.payload.length
    if (pieceBytes > limit) return leave(TOO_BIG, `a message of more than ${limit} bytes`)
    if (++pieceCount > MAX_PIECES) return leave(TOO_BIG, `a message in more than ${MAX_PIECES} pieces`)
    if (!frame.final) return
    const message = fromUtf8(concat(...pieces))
    pieces = undefined
    pieceBytes = 0
    pieceCount = 0
    if (message === undefined) return leave(NOT_UTF8, 'a message that is not UTF-8')
    reply(message)
  }

  function reply(message: string): void {
    busy = true
    socket.pause()
    answer(message)
      .then(
        text => send(encodeFrame(TEXT, utf8(text))),
        error => {
          onBug(error)
          socket.destroy()
        },
      )
      .finally(() => {
        if (!socket.writableNeedDrain) return listen()
        fetching = true
        late = setTimeout(() => socket.destroy(), FETCH_MS)
        socket.once('drain', () => {
          clearTimeout(late)
          fetching = false
          listen()
        })
      })
  }

  function listen(): void {
    if (socket.destroyed || !socket.writable) return
    busy = false
    socket.resume()
    pull()
  }

  if (head.length > 0) take(head)
}
