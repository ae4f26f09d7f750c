/** Web sockets over a real port, judged by the bytes that RFC 6455 prints. */
import { connect, type Socket } from 'node:net'
import { type HttpOptions, type HttpServer, serveHttp } from '../../../drivers/http/server.ts'
import { encodeFrame, pullFrame } from '../../../drivers/http/websocket-frame.ts'
import { concat, toHex, utf8 } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { eventually } from '../../eventually.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('web sockets')

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'))

// RFC 6455, 5.7:      fin+text masked+5  mask         "Hello"
const HELLO = bytes('   81       85        37fa213d     7f9f4d5158')
const HELLO_UNMASKED = bytes('81 05 48656c6c6f')
// 1.3: the key and what a server answers to it.
const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
const LIMIT = 70_000

const bugs: unknown[] = []
const sockets: NonNullable<HttpOptions['sockets']> = {
  '/echo': async message => message,
  '/long': async () => 'x'.repeat(66_000),
  '/bug': async () => {
    throw new Error('planted')
  },
}

async function served<T>(use: (server: HttpServer) => Promise<T>, change: Partial<HttpOptions> = {}): Promise<T> {
  const routes: HttpOptions['routes'] = { 'GET /': () => ({ kind: 'json', status: 200, value: 'plain' }) }
  const onBug = (error: unknown) => void bugs.push(error)
  const server = must(await serveHttp({ port: 0, routes, sockets, bodyLimit: LIMIT, onBug, ...change }))
  try {
    return await use(server)
  } finally {
    await server.close()
  }
}

const HANDSHAKE = {
  Host: '127.0.0.1',
  Upgrade: 'websocket',
  Connection: 'Upgrade',
  'Sec-WebSocket-Key': KEY,
  'Sec-WebSocket-Version': '13',
}

class Peer {
  received: Uint8Array = new Uint8Array(0)
  ended = false
  readonly socket: Socket
  constructor(port: number, path = '/echo', headers: Record<string, string> = HANDSHAKE) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    this.socket = connect(port, '127.0.0.1', () => this.socket.write(`GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`))
    this.socket.on('data', chunk => {
      this.received = concat(this.received, chunk)
    })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.ended = true
    })
  }
  async until(holds: () => boolean): Promise<void> {
    await eventually(() => assert.ok(holds(), toHex(this.received.slice(0, 200))))
  }
  /** What came after the handshake's answer. */
  frames(): Uint8Array {
    const end = Buffer.from(this.received).indexOf('\r\n\r\n')
    return end < 0 ? new Uint8Array(0) : this.received.subarray(end + 4)
  }
  async opened(): Promise<this> {
    await this.until(() => Buffer.from(this.received).includes('\r\n\r\n'))
    return this
  }
  async expect(hex: Uint8Array): Promise<void> {
    await this.until(() => this.frames().length >= hex.length)
    assert.is(toHex(this.frames()), toHex(hex))
  }
}

/** A client's frame. */
function masked(opcode: number, payload: Uint8Array, final = true): Uint8Array {
  const frame = encodeFrame(opcode, payload)
  frame[0] = (final ? 0x80 : 0) | opcode
  frame[1]! |= 0x80
  const head = frame.length - payload.length
  const mask = bytes('01020304')
  return concat(
    frame.subarray(0, head),
    mask,
    payload.map((byte, i) => byte ^ mask[i & 3]!),
  )
}

test("the RFC's own frames are read and written", () => {
  const pulled = pullFrame(HELLO, LIMIT)
  assert.ok(pulled.kind === 'frame' && toHex(pulled.frame.payload) === toHex(utf8('Hello')))
  assert.is(toHex(encodeFrame(1, utf8('Hello'))), toHex(HELLO_UNMASKED))
  // 256 and 65536 bytes: 16 and 64 bits of length.
  assert.is(toHex(encodeFrame(2, new Uint8Array(256)).slice(0, 4)), '827e0100')
  assert.is(toHex(encodeFrame(2, new Uint8Array(65_536)).slice(0, 10)), '827f0000000000010000')
})

test('a frame cut anywhere is waited for, and whatever the bytes nothing throws', () => {
  for (let cut = 0; cut < HELLO.length; cut++) {
    const pulled = pullFrame(HELLO.slice(0, cut), LIMIT)
    assert.ok(pulled.kind === 'need' && pulled.bytes > cut && pulled.bytes <= HELLO.length, `cut at ${cut}`)
  }
  assertProperty(
    fc.property(fc.uint8Array({ maxLength: 300 }), junk => {
      const pulled = pullFrame(junk, 200)
      if (pulled.kind === 'frame') assert.ok(pulled.used <= junk.length && pulled.frame.payload.length <= 200)
      if (pulled.kind === 'need') assert.ok(pulled.bytes > junk.length && pulled.bytes <= 214)
    }),
  )
})

test("the handshake is the RFC's, and messages are answered in the order of asking, however they are cut", () =>
  served(async ({ port }) => {
    const peer = await new Peer(port).opened()
    assert.match(Buffer.from(peer.received).toString(), /^HTTP\/1\.1 101 /)
    assert.ok(Buffer.from(peer.received).includes(`Sec-WebSocket-Accept: ${ACCEPT}\r\n`))
    for (const byte of HELLO) peer.socket.write(Uint8Array.of(byte))
    await peer.expect(HELLO_UNMASKED)
    peer.socket.write(concat(masked(1, utf8('a')), masked(1, utf8('b')), masked(1, utf8('c'))))
    await peer.expect(concat(HELLO_UNMASKED, bytes('810161 810162 810163')))
  }))

test('a message in pieces is one message, and a ping between them is answered at once', () =>
  served(async ({ port }) => {
    const peer = await new Peer(port).opened()
    peer.socket.write(concat(masked(1, utf8('He'), false), masked(9, utf8('?')), masked(0, utf8('l'), false)))
    await peer.expect(bytes('8a013f'))
    peer.socket.write(masked(0, utf8('lo')))
    await peer.expect(concat(bytes('8a013f'), HELLO_UNMASKED))
  }))

test('a long answer comes whole', () =>
  served(async ({ port }) => {
    const peer = await new Peer(port, '/long').opened()
    peer.socket.write(HELLO)
    await peer.until(() => peer.frames().length === 66_010)
    assert.is(toHex(peer.frames().slice(0, 10)), '817f00000000000101d0')
  }))

test('what breaks the protocol closes the socket with the code that says so', () =>
  served(async ({ port }) => {
    for (const [sent, code, what] of [
      [HELLO_UNMASKED, 1002, 'not masked'],
      [bytes('c1 85 37fa213d 7f9f4d5158'), 1002, 'a reserved bit'],
      [bytes('83 80 37fa213d'), 1002, 'an unknown opcode'],
      [bytes('80 80 37fa213d'), 1002, 'a piece of nothing'],
      [concat(masked(1, utf8('a'), false), masked(1, utf8('b'))), 1002, 'a message within a message'],
      [bytes('09 80 37fa213d'), 1002, 'a ping in pieces'],
      [bytes('89 fe 007e'), 1002, 'a ping too long'],
      [bytes('81 fe 0005 37fa213d'), 1002, 'a length that is not the shortest'],
      [masked(2, utf8('a')), 1003, 'binary'],
      [masked(1, bytes('ff')), 1007, 'not UTF-8'],
      [bytes('81 ff 0000000000011171 37fa213d'), 1009, 'one byte too long, refused before it comes'],
      [bytes('81 ff ffffffffffffffff 37fa213d'), 1009, 'far too long'],
      [concat(masked(1, new Uint8Array(40_000), false), masked(0, new Uint8Array(40_000))), 1009, 'pieces too long'],
      [masked(8, bytes('03e8')), 1000, 'a close'],
    ] as const) {
      const peer = await new Peer(port).opened()
      peer.socket.write(sent)
      await peer.until(() => peer.frames().length >= 4)
      const frames = peer.frames()
      assert.is(frames[0], 0x88, what)
      assert.is((frames[2]! << 8) | frames[3]!, code, what)
      await peer.until(() => peer.ended)
    }
  }))

test('a message in more pieces than any program cuts is refused before they fill the memory', () =>
  served(async ({ port }) => {
    const peer = await new Peer(port).opened()
    // Each of one byte: a message of 60 kB would be as many arrays.
    peer.socket.write(
      concat(masked(1, utf8('a'), false), ...Array.from({ length: 1100 }, () => masked(0, utf8('a'), false))),
    )
    await peer.until(() => peer.frames().length >= 4)
    assert.is(toHex(peer.frames().slice(0, 1)), '88')
    assert.is((peer.frames()[2]! << 8) | peer.frames()[3]!, 1009)
  }))

test('who does not fetch an answer is asked for no further question, until it does', async () => {
  let asked = 0
  // More than the system keeps for a connection whose other end does not read: some 4 MB.
  const huge = 'x'.repeat(16_000_000)
  const answer = async () => {
    asked++
    return huge
  }
  await served(
    async ({ port }) => {
      const peer = await new Peer(port, '/huge').opened()
      // Reads on later, and throws it away.
      peer.socket.pause().removeAllListeners('data')
      for (let i = 0; i < 10; i++) peer.socket.write(HELLO)
      // Another, who asks later, has its answer: whatever was to be asked of the first is asked by now.
      const other = await new Peer(port).opened()
      for (let i = 1; i <= 20; i++) {
        other.socket.write(HELLO)
        await other.until(() => other.frames().length === i * HELLO_UNMASKED.length)
      }
      assert.is(asked, 1, 'one answer waits in memory, and not as many as were asked for')
      peer.socket.resume()
      await peer.until(() => asked === 10)
    },
    { sockets: { ...sockets, '/huge': answer } },
  )
})

test('a handshake that is none, another path and a page of another host are refused', () =>
  served(async ({ port, url }) => {
    for (const [path, change, status] of [
      ['/echo', { 'Sec-WebSocket-Version': '8' }, 400],
      ['/echo', { 'Sec-WebSocket-Key': 'short' }, 400],
      ['/none', {}, 404],
      ['/__proto__', {}, 404],
      ['/echo', { Host: 'attacker.example' }, 421],
      ['/echo', { Origin: 'http://attacker.example' }, 403],
      ['/echo', { Origin: 'null' }, 403],
      ['/echo', { Origin: 'http://127.0.0.1' }, 101],
    ] as const) {
      const peer = await new Peer(port, path, { ...HANDSHAKE, ...change }).opened()
      assert.match(Buffer.from(peer.received).toString(), new RegExp(`^HTTP/1\\.1 ${status} `), JSON.stringify(change))
      peer.socket.destroy()
    }
    assert.is(await (await fetch(url)).json(), 'plain')
  }))

test('a bug in an answer closes that socket and is heard', () =>
  served(async ({ port }) => {
    const peer = await new Peer(port, '/bug').opened()
    peer.socket.write(HELLO)
    await peer.until(() => peer.ended)
    assert.is((bugs.at(-1) as Error).message, 'planted')
  }))

test('closing the server closes its sockets', async () => {
  const peer = await served(async ({ port }) => new Peer(port).opened())
  await peer.until(() => peer.ended)
})

test.run()
