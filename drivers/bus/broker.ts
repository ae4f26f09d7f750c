/**
 * An MQTT broker inside this process, on the loopback, for the bench and the tests: with nothing else installed a street
 * still talks over real sockets. It keeps nothing and asks nobody who they are; a site uses Mosquitto.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { Aedes } from 'aedes'
import { done, fail, ok, type Result } from '../../protocol/result.ts'

export interface Broker {
  readonly url: string
  /** Cuts every connection and listens no more, as a broker that died. */
  stop(): Promise<void>
  /** Listens again at the same address. */
  restart(): Promise<Result<void>>
  close(): Promise<void>
}

/** `port` 0 takes a free one. */
export async function startBroker(port = 0): Promise<Result<Broker>> {
  const aedes = await Aedes.createBroker()
  const sockets = new Set<Socket>()
  let server: Server | undefined

  function listen(at: number): Promise<Result<number>> {
    return new Promise(resolve => {
      const next = createServer({ noDelay: true }, socket => {
        sockets.add(socket)
        socket.on('close', () => sockets.delete(socket))
        aedes.handle(socket)
      })
      next.on('error', error => {
        const { code } = error as NodeJS.ErrnoException
        resolve(fail({ code: 'broker.listen', port: at, reason: code ?? error.message, hint: 'choose another port' }))
      })
      next.listen(at, '127.0.0.1', () => {
        server = next
        resolve(ok((next.address() as { port: number }).port))
      })
    })
  }

  async function stop(): Promise<void> {
    const last = server
    if (last === undefined) return
    server = undefined
    const over = new Promise<void>(resolve => last.close(() => resolve()))
    for (const socket of sockets) socket.destroy()
    await over
  }

  const close = async () => {
    await stop()
    await new Promise<void>(resolve => aedes.close(() => resolve()))
  }

  const bound = await listen(port)
  if (!bound.ok) {
    await close()
    return bound
  }
  return ok({
    url: `mqtt://127.0.0.1:${bound.value}`,
    stop,
    async restart() {
      if (server !== undefined) return done
      const again = await listen(bound.value)
      return again.ok ? done : again
    },
    close,
  })
}
