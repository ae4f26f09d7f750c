/**
 * A listening stream socket, on a path of this machine or on a TCP port, for a program nearby that sends and is answered.
 *
 * Whoever serves a connection asks for its bytes: what is not asked for stays with the sender. A write resolves when there is
 * room for the next, so a reader that does not read holds up only its own connection.
 */
import { existsSync, lstatSync, unlinkSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type ListenOptions, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { fail, ok, type Result } from '../../protocol/result.ts'

export type SocketAddress =
  | { readonly kind: 'unix'; readonly path: string }
  /** Port 0 takes any free one. */
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }

export interface SocketConnection {
  /** In the order they came, to be run through once. Ends when the other side has ended or is gone, however that came. */
  readonly chunks: AsyncIterable<Uint8Array>
  /** Resolves when the next may be written, or the connection is gone. */
  write(bytes: Uint8Array): Promise<void>
  /** Sends what was written and ends. */
  close(): void
}

export interface SocketServer {
  /** As in `unix:///run/tieline/abci.sock` or `tcp://127.0.0.1:26658`, with the port that was taken. */
  readonly address: string
  /** Ends every connection; resolves when the address is free. */
  close(): Promise<void>
}

export type SocketFault =
  | { readonly code: 'socket.busy'; readonly address: string; readonly hint: string }
  | { readonly code: 'socket.denied'; readonly address: string; readonly hint: string }
  | { readonly code: 'socket.not-a-socket'; readonly address: string; readonly hint: string }
  | { readonly code: 'socket.no-folder'; readonly address: string; readonly hint: string }
  | { readonly code: 'socket.path-too-long'; readonly address: string; readonly bytes: number; readonly limit: number }
  | { readonly code: 'socket.listen'; readonly address: string; readonly why: string }

/** sockaddr_un.sun_path on Linux is 108 bytes with its final zero. */
const MAX_PATH_BYTES = 107

/** `unix://PATH` or `tcp://HOST:PORT`; undefined for anything else. */
export function parseSocketAddress(text: string): SocketAddress | undefined {
  const path = /^unix:\/\/(.+)$/.exec(text)?.[1]
  if (path !== undefined) return path.includes('\0') ? undefined : { kind: 'unix', path }
  const match = /^tcp:\/\/(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  return match === null || port > 65_535 ? undefined : { kind: 'tcp', host: (match[1] ?? match[2])!, port }
}

export function socketAddressText(address: SocketAddress): string {
  if (address.kind === 'unix') return `unix://${address.path}`
  return `tcp://${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
}

/** Listens. A socket file that a dead program left behind is taken over; one that somebody answers at, or any other file, is not. */
export async function listenSocket(
  address: SocketAddress,
  serve: (connection: SocketConnection) => void,
): Promise<Result<SocketServer, SocketFault>> {
  const text = socketAddressText(address)
  if (address.kind === 'tcp') return listen(address, text, serve)
  const bytes = Buffer.byteLength(address.path)
  if (bytes > MAX_PATH_BYTES) {
    return fail({ code: 'socket.path-too-long', address: text, bytes, limit: MAX_PATH_BYTES })
  }
  // The system says of a folder that is not there that access is denied.
  if (!existsSync(dirname(address.path))) {
    return fail({ code: 'socket.no-folder', address: text, hint: `make the folder ${dirname(address.path)} first` })
  }
  const first = await listen(address, text, serve)
  if (first.ok || first.fault.code !== 'socket.busy') return first
  if (!isSocketFile(address.path)) {
    const hint = 'another file is there; it is left alone: name another path'
    return fail({ code: 'socket.not-a-socket', address: text, hint })
  }
  if (await someoneAnswers(address.path)) return first
  try {
    unlinkSync(address.path)
  } catch (error) {
    return fail(faultOf(error as NodeJS.ErrnoException, text))
  }
  return listen(address, text, serve)
}

function listen(
  address: SocketAddress,
  text: string,
  serve: (connection: SocketConnection) => void,
): Promise<Result<SocketServer, SocketFault>> {
  const sockets = new Set<Socket>()
  const server = createServer({ noDelay: true }, socket => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    // What went wrong shows as the end of its chunks.
    socket.on('error', () => {})
    serve(connectionOf(socket))
  })
  const at: ListenOptions =
    address.kind === 'unix' ? { path: address.path } : { host: address.host, port: address.port }
  return new Promise(resolve => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(fail(faultOf(error, text))))
    server.listen(at, () => {
      const port = address.kind === 'tcp' ? (server.address() as AddressInfo).port : 0
      resolve(
        ok({
          address: address.kind === 'tcp' ? socketAddressText({ ...address, port }) : text,
          close: () =>
            new Promise(closed => {
              server.close(() => closed())
              for (const socket of sockets) socket.destroy()
            }),
        }),
      )
    })
  })
}

function connectionOf(socket: Socket): SocketConnection {
  return {
    chunks: {
      async *[Symbol.asyncIterator]() {
        try {
          for await (const chunk of socket as AsyncIterable<Buffer>) {
            // Plain bytes: a Buffer's own slice would be a view where callers mean a copy.
            yield new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length)
          }
        } catch {
          // A reset, or our own close: the other side is gone, and that is all that can be said.
        }
      },
    },
    write: bytes =>
      new Promise(resolve => {
        if (socket.destroyed || socket.writableEnded || socket.write(bytes)) return resolve()
        const done = () => {
          socket.off('drain', done).off('close', done)
          resolve()
        }
        socket.once('drain', done).once('close', done)
      }),
    close: () => {
      socket.end()
    },
  }
}

function faultOf(error: NodeJS.ErrnoException, address: string): SocketFault {
  if (error.code === 'EADDRINUSE') {
    return { code: 'socket.busy', address, hint: 'another program listens there: end it or choose another address' }
  }
  if (error.code === 'EACCES' || error.code === 'EPERM') {
    return { code: 'socket.denied', address, hint: 'choose a place where this user may listen' }
  }
  return { code: 'socket.listen', address, why: error.code ?? error.message }
}

function isSocketFile(path: string): boolean {
  try {
    return lstatSync(path).isSocket()
  } catch {
    // Gone meanwhile: nothing that could be harmed.
    return true
  }
}

const someoneAnswers = (path: string): Promise<boolean> =>
  new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
  })
