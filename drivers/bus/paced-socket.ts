/**
 * A socket that gives its bytes out a little at a time, a turn of the event loop apart, so that timers come between. A plain one reads up to
 * two megabytes in a turn where a sender has filled its buffer, and whatever is made of each message is done before anything else.
 */
import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'

/** Some fifty sealed messages, of which none costs more than a fifth of a millisecond; 16 MB a second at a turn a millisecond. */
const TURN_BYTES = 16 * 1024

export function pacedSocket(socket: Socket): Duplex {
  let waiting: Buffer[] = []
  let wanted = false
  let armed = false
  let ended = false

  /** One slice, in a turn of its own, and only while somebody wants it. */
  function give(): void {
    if (armed || !wanted) return
    const next = waiting.shift()
    if (next === undefined) {
      if (ended) duplex.push(null)
      else socket.resume()
      return
    }
    armed = true
    setImmediate(() => {
      armed = false
      if (duplex.destroyed) return
      wanted = false
      if (next.length > TURN_BYTES) waiting.unshift(next.subarray(TURN_BYTES))
      // Whoever wants more asks for it, maybe at once.
      if (duplex.push(next.subarray(0, TURN_BYTES))) wanted = true
      give()
    })
  }

  const duplex = new Duplex({
    readableHighWaterMark: TURN_BYTES,
    read() {
      wanted = true
      give()
    },
    write: (chunk, encoding, done) => void socket.write(chunk, encoding, done),
    writev(chunks, done) {
      socket.cork()
      for (const { chunk, encoding } of chunks.slice(0, -1)) socket.write(chunk, encoding)
      const last = chunks.at(-1)!
      socket.write(last.chunk, last.encoding, done)
      socket.uncork()
    },
    final: done => void socket.end(done),
    destroy(error, done) {
      waiting = []
      socket.destroy()
      done(error)
    },
  })
  socket.on('data', chunk => {
    socket.pause()
    waiting.push(chunk)
    give()
  })
  socket.on('end', () => {
    ended = true
    give()
  })
  socket.on('error', error => duplex.destroy(error))
  // What came before the end is given out first.
  socket.on('close', () => {
    ended = true
    if (duplex.readableEnded || duplex.destroyed) duplex.destroy()
    else duplex.once('end', () => duplex.destroy())
    give()
  })
  return duplex
}
