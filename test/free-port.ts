/** Ports for tests that have to name one before a program listens there. */
import { createServer } from 'node:net'

/** Below those that Linux gives by itself to whoever connects or asks for any (net.ipv4.ip_local_port_range). */
const [LOWEST, HIGHEST] = [10_000, 32_000]

/** A port of 127.0.0.1 at which nobody listens, and at which nobody will who did not ask for just this one. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST))
    if (await isFree(port)) return port
  }
}

const isFree = (port: number) =>
  new Promise<boolean>(resolve => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
