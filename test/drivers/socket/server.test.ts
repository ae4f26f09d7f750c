/** The same cases over a path and over TCP. */

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  listenSocket,
  parseSocketAddress,
  type SocketAddress,
  type SocketConnection,
  type SocketServer,
  socketAddressText,
} from '../../../drivers/socket/server.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('socket server')
const folder = mkdtempSync(join(tmpdir(), 'tieline-socket-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
let paths = 0
const freePath = () => join(folder, `${paths++}.sock`)

const echo = async (connection: SocketConnection): Promise<void> => {
  for await (const chunk of connection.chunks) await connection.write(chunk)
}

async function dial(server: SocketServer): Promise<Socket> {
  const at = parseSocketAddress(server.address)!
  const socket = at.kind === 'unix' ? connect(at.path) : connect(at.port, at.host)
  await new Promise((resolve, reject) => {
    socket.once('connect', resolve).once('error', reject)
  })
  return socket
}

const ended = (socket: Socket): Promise<void> => new Promise(resolve => socket.once('close', () => resolve()))

/** Reads exactly so many bytes. */
async function read(socket: Socket, count: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    parts.push(chunk)
    bytes += chunk.length
    if (bytes >= count) break
  }
  return Buffer.concat(parts)
}

for (const [name, fresh] of [
  ['unix', (): SocketAddress => ({ kind: 'unix', path: freePath() })],
  ['tcp', (): SocketAddress => ({ kind: 'tcp', host: '127.0.0.1', port: 0 })],
] as const) {
  const listening = async (serve: (connection: SocketConnection) => void = connection => void echo(connection)) =>
    must(await listenSocket(fresh(), serve))

  test(`${name}: what is sent comes back, byte by byte or at once, on several connections`, async () => {
    const server = await listening()
    const sockets = [await dial(server), await dial(server), await dial(server), await dial(server)]
    const sent = Buffer.from('a length split across reads')
    for (const [i, socket] of sockets.entries()) {
      if (i % 2 === 0) socket.write(sent)
      else for (const byte of sent) socket.write(Uint8Array.of(byte))
    }
    for (const socket of sockets) assert.equal(await read(socket, sent.length), sent)
    for (const socket of sockets) socket.destroy()
    await server.close()
  })

  test(`${name}: whoever does not read is not written to without end, and holds up nobody else`, async () => {
    let written = 0
    const piece = new Uint8Array(256 * 1024)
    const server = await listening(async connection => {
      for await (const chunk of connection.chunks) {
        if (chunk[0] !== 1) {
          await connection.write(chunk)
          continue
        }
        for (let i = 0; i < 400; i++) {
          await connection.write(piece)
          written += piece.length
        }
        connection.close()
      }
    })
    const deaf = await dial(server)
    deaf.write(Uint8Array.of(1))
    const other = await dial(server)
    other.write(Uint8Array.of(2))
    assert.equal([...(await read(other, 1))], [2])
    await new Promise(resolve => setTimeout(resolve, 100))
    // A hundred megabytes are waiting to be written: some fill the system's buffers, the rest waits.
    assert.ok(written < 20_000_000, `${written} bytes written to a deaf reader`)
    let heard = 0
    deaf.on('data', chunk => {
      heard += chunk.length
    })
    await ended(deaf)
    assert.is(heard, 400 * piece.length)
    other.destroy()
    await server.close()
  })

  test(`${name}: a sender that is not read from waits`, async () => {
    let go: () => void = () => {}
    const mayRead = new Promise<void>(resolve => {
      go = resolve
    })
    let heard = 0
    const server = await listening(async connection => {
      await mayRead
      for await (const chunk of connection.chunks) heard += chunk.length
    })
    const socket = await dial(server)
    const all = 64 * 1024 * 1024
    socket.write(new Uint8Array(all))
    await new Promise(resolve => setTimeout(resolve, 100))
    assert.ok(socket.bytesWritten - socket.writableLength >= 0 && socket.writableLength > 0, 'all was taken unread')
    go()
    socket.end()
    await ended(socket)
    assert.is(heard, all)
    await server.close()
  })

  test(`${name}: a reset or vanished peer ends its chunks and nothing else`, async () => {
    let ends = 0
    const server = await listening(async connection => {
      for await (const chunk of connection.chunks) await connection.write(chunk)
      await connection.write(Uint8Array.of(1))
      ends++
    })
    for (const leave of [(s: Socket) => s.resetAndDestroy(), (s: Socket) => s.destroy(), (s: Socket) => s.end()]) {
      const socket = await dial(server)
      socket.on('error', () => {})
      socket.write('x')
      await read(socket, 1)
      const before = ends
      // A path has no reset; there it is a plain end.
      if (name === 'unix') socket.destroy()
      else leave(socket)
      for (let i = 0; i < 3_000 && ends === before; i++) await new Promise(resolve => setTimeout(resolve, 5))
      assert.is(ends, before + 1)
    }
    await server.close()
  })

  test(`${name}: closing ends the connections and frees the address`, async () => {
    const server = await listening()
    const at = parseSocketAddress(server.address)!
    const socket = await dial(server)
    const over = ended(socket)
    await server.close()
    await over
    const again = must(await listenSocket(at, connection => void echo(connection)))
    assert.is(again.address, server.address)
    await again.close()
    if (at.kind === 'unix') assert.not(existsSync(at.path))
  })

  test(`${name}: an address at which somebody answers is busy, and stays theirs`, async () => {
    const server = await listening()
    const second = await listenSocket(parseSocketAddress(server.address)!, () => {})
    assert.is(second.ok ? '' : second.fault.code, 'socket.busy')
    const socket = await dial(server)
    socket.write('x')
    assert.is((await read(socket, 1)).length, 1)
    socket.destroy()
    await server.close()
  })
}

test('a socket file that a killed program left is taken over', async () => {
  const path = freePath()
  const script = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  assert.is(spawnSync(process.execPath, ['-e', script]).signal, 'SIGKILL')
  assert.ok(existsSync(path))
  const server = must(await listenSocket({ kind: 'unix', path }, connection => void echo(connection)))
  const socket = await dial(server)
  socket.write('x')
  assert.is((await read(socket, 1)).length, 1)
  socket.destroy()
  await server.close()
})

test('a file that is no socket is left alone', async () => {
  const path = freePath()
  writeFileSync(path, 'precious')
  const refused = await listenSocket({ kind: 'unix', path }, () => {})
  assert.is(refused.ok ? '' : refused.fault.code, 'socket.not-a-socket')
  assert.is(readFileSync(path, 'utf8'), 'precious')
})

test('what cannot be listened at says why', async () => {
  const codeOf = async (at: SocketAddress) => {
    const made = await listenSocket(at, () => {})
    if (made.ok) await made.value.close()
    return made.ok ? 'listens' : made.fault.code
  }
  assert.is(await codeOf({ kind: 'unix', path: join(folder, 'x'.repeat(108 - folder.length)) }), 'socket.path-too-long')
  assert.is(await codeOf({ kind: 'unix', path: join(folder, 'none', 'a.sock') }), 'socket.no-folder')
  assert.is(await codeOf({ kind: 'tcp', host: '192.0.2.1', port: 0 }), 'socket.listen')
  const taken = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => taken.once('listening', resolve))
  const { port } = taken.address() as { port: number }
  assert.is(await codeOf({ kind: 'tcp', host: '127.0.0.1', port }), 'socket.busy')
  taken.close()
})

test('addresses are read and written alike; others are none', () => {
  for (const text of [
    'unix:///run/tieline/abci.sock',
    'tcp://127.0.0.1:26658',
    'tcp://[::1]:1',
    'tcp://node-1.local:0',
  ]) {
    assert.is(socketAddressText(parseSocketAddress(text)!), text)
  }
  for (const text of [
    '',
    'unix://',
    'tcp://127.0.0.1',
    'tcp://127.0.0.1:65536',
    'http://127.0.0.1:1',
    'tcp://a b:1',
    '/run/x',
  ]) {
    assert.is(parseSocketAddress(text), undefined, text)
  }
})

test.run()
