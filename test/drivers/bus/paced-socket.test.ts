import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { pacedSocket } from '../../../drivers/bus/paced-socket.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('drivers: a paced socket')

const MEGABYTES = randomBytes(8 << 20)
const hashOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** A connection whose other end has written everything that its buffers take before this one is read. */
async function withFlood(work: (socket: Socket) => Promise<void>): Promise<void> {
  const server = createServer({ pauseOnConnect: false }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  const socket = connect(port, '127.0.0.1').pause()
  const [sender] = (await once(server, 'connection')) as [Socket]
  sender.on('error', () => {})
  sender.end(MEGABYTES)
  await new Promise(resolve => setTimeout(resolve, 200))
  await work(socket)
  socket.destroy()
  sender.destroy()
  server.close()
}

/** The most bytes that were heard between two turns of the event loop, and all of them. */
async function hear(stream: Readable): Promise<{ readonly most: number; readonly all: Buffer }> {
  const chunks: Buffer[] = []
  let [turn, most, over] = [0, 0, false]
  const count = () => {
    most = Math.max(most, turn)
    turn = 0
    if (!over) setImmediate(count)
  }
  setImmediate(count)
  stream.on('data', (chunk: Buffer) => {
    turn += chunk.length
    chunks.push(chunk)
  })
  await once(stream, 'end')
  over = true
  return { most: Math.max(most, turn), all: Buffer.concat(chunks) }
}

test('a flood comes a little in each turn, whole and in order', () =>
  withFlood(async socket => {
    const { most, all } = await hear(pacedSocket(socket))
    assert.ok(most <= 32 * 1024, `${most} bytes in one turn`)
    assert.is(hashOf(all), hashOf(MEGABYTES))
  }))

test('a socket without it gives out more than that in one turn', () =>
  withFlood(async socket => {
    const hearing = hear(socket)
    socket.resume()
    const { most, all } = await hearing
    assert.ok(most > 32 * 1024, `${most} bytes in one turn`)
    assert.is(hashOf(all), hashOf(MEGABYTES))
  }))

test('who does not listen holds no more than a few reads of the socket', () =>
  withFlood(async socket => {
    const paced = pacedSocket(socket)
    paced.once('readable', () => {})
    await new Promise(resolve => setTimeout(resolve, 300))
    assert.ok(socket.bytesRead < 1 << 20, `${socket.bytesRead} bytes were read`)
    paced.destroy()
    await once(socket, 'close')
  }))

test('what is written goes out in order, and an end ends both ways', async () => {
  const server = createServer(socket => void socket.pipe(socket)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const paced = pacedSocket(connect((server.address() as { port: number }).port, '127.0.0.1'))
  const heard = hear(paced)
  paced.cork()
  for (let n = 0; n < 100; n++) paced.write(`${n} `)
  paced.uncork()
  paced.end('end')
  assert.is((await heard).all.toString(), `${Array.from({ length: 100 }, (_, n) => `${n} `).join('')}end`)
  server.close()
})

test('an error of the socket is one of it', async () => {
  const paced = pacedSocket(connect(1, '127.0.0.1'))
  const [error] = (await once(paced, 'error')) as [NodeJS.ErrnoException]
  assert.is(error.code, 'ECONNREFUSED')
})

test.run()
