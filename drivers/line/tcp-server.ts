/** A TCP port behind which a simulated meter answers: one device end for each connection. */
import { createServer, type Socket } from 'node:net'
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { DeviceEnd } from './device-end.ts'

export interface TcpServer {
  readonly host: string
  /** The port that was given, or the one that the system chose for 0. */
  readonly port: number
  /** Pulls every plug: connections are reset and new ones refused until `plug`. */
  unplug(): void
  /** Takes connections again. */
  plug(): void
  /** Safe to call at any time, more than once. */
  close(): Promise<void>
}

/** More than this many gateways on one meter is a mistake; real ones take one to five. */
const CONNECTIONS_MAX = 16

/** Listens; `connected` hears of each connection before any of its bytes. */
export function openTcpServer(
  at: { readonly host: string; readonly port: number },
  connected: (end: DeviceEnd) => void,
): Promise<Result<TcpServer>> {
  const ends = new Set<DeviceEnd>()
  let plugged = true
  const server = createServer({ noDelay: true }, socket => {
    if (!plugged || ends.size >= CONNECTIONS_MAX) {
      socket.resetAndDestroy()
      return
    }
    const end = deviceEnd(socket)
    ends.add(end)
    socket.once('close', () => ends.delete(end))
    connected(end)
  })
  return new Promise(resolve => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      resolve(
        fail({
          code: 'line.listen',
          at: `${at.host}:${at.port}`,
          reason: error.code ?? error.message,
          hint: 'choose another port, or end the program that holds this one',
        }),
      ),
    )
    server.listen(at.port, at.host, () => {
      const address = server.address()
      const port = typeof address === 'object' && address !== null ? address.port : at.port
      resolve(
        ok({
          host: at.host,
          port,
          unplug: () => {
            plugged = false
            for (const end of ends) end.unplug()
          },
          plug: () => {
            plugged = true
          },
          close: async () => {
            const closed = new Promise<void>(done => server.close(() => done()))
            await Promise.all([...ends].map(end => end.close()))
            await closed
          },
        }),
      )
    })
  })
}

function deviceEnd(socket: Socket): DeviceEnd {
  let hear: (chunk: Uint8Array) => void = () => {}
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()))
  socket.on('data', (chunk: Buffer) => hear(new Uint8Array(chunk)))
  // A reset by the other side; 'close' follows.
  socket.on('error', () => {})
  return {
    write: bytes => {
      if (!socket.destroyed) socket.write(bytes)
    },
    onBytes: listener => {
      hear = listener
    },
    unplug: () => {
      if (!socket.destroyed) socket.resetAndDestroy()
    },
    close: async () => {
      socket.destroy()
      await closed
    },
  }
}
