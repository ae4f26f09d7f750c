/** The HTTP server over real sockets: what it serves, and what it refuses. */
import { connect } from 'node:net'
import { type EventSink, type HttpOptions, type HttpServer, serveHttp } from '../../../drivers/http/server.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { eventually } from '../../eventually.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('http server')

/** Of real sockets on a machine that is busy with something else. */
const DEADLINE_MS = 120_000

const bugs: unknown[] = []
const routes: HttpOptions['routes'] = {
  'GET /json': ({ query }) => ({ kind: 'json', status: 200, value: { asked: query.get('q') } }),
  'GET /page': () => ({
    kind: 'bytes',
    status: 200,
    type: 'text/html; charset=utf-8',
    bytes: utf8('<p>'),
    headers: { 'content-security-policy': "default-src 'self'" },
  }),
  'POST /echo': async ({ body }) => ({ kind: 'bytes', status: 200, type: 'application/octet-stream', bytes: body }),
  'GET /bug': () => {
    throw new Error('planted')
  },
}

async function served<T>(change: Partial<HttpOptions>, use: (server: HttpServer) => Promise<T>): Promise<T> {
  const server = must(await serveHttp({ port: 0, routes, onBug: error => bugs.push(error), ...change }))
  try {
    return await use(server)
  } finally {
    await server.close()
  }
}

/** What comes back for raw bytes, until the server closes or `until` is seen. */
const raw = (port: number, text: string, until?: string): Promise<string> =>
  new Promise(resolve => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(text))
    socket.on('data', chunk => {
      answer += chunk
      if (until !== undefined && answer.includes(until)) socket.destroy()
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
  })

test('routes answer with JSON and bytes, HEAD without a body', () =>
  served({}, async ({ url }) => {
    const json = await fetch(`${url}/json?q=a%20b`)
    assert.is(json.status, 200)
    assert.is(json.headers.get('x-content-type-options'), 'nosniff')
    assert.equal(await json.json(), { asked: 'a b' })
    const page = await fetch(`${url}/page`)
    assert.is(page.headers.get('content-security-policy'), "default-src 'self'")
    assert.is(await page.text(), '<p>')
    const head = await fetch(`${url}/page`, { method: 'HEAD' })
    assert.is(head.headers.get('content-length'), '3')
    assert.is(await head.text(), '')
    const body = Uint8Array.from({ length: 256 }, (_, i) => i)
    const echo = await fetch(`${url}/echo`, { method: 'POST', body })
    assert.equal(new Uint8Array(await echo.arrayBuffer()), body)
  }))

test('unknown paths and wrong methods are named, names from the prototype are no routes', () =>
  served({}, async ({ url, port }) => {
    assert.is((await fetch(`${url}/none`)).status, 404)
    assert.is((await fetch(`${url}/constructor`)).status, 404)
    const wrong = await fetch(`${url}/echo`)
    assert.is(wrong.status, 405)
    assert.is(wrong.headers.get('allow'), 'POST')
    await wrong.text()
    assert.match(
      await raw(port, 'GET //evil/json HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'),
      /^HTTP\/1.1 400/,
    )
  }))

test('a body over the limit is refused before it has come', () =>
  served({ bodyLimit: 1000 }, async ({ url, port }) => {
    assert.is((await fetch(`${url}/echo`, { method: 'POST', body: new Uint8Array(1000) })).status, 200)
    const head = 'POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n'
    assert.match(await raw(port, head + 'x'.repeat(1001)), /^HTTP\/1.1 413/)
  }))

test('a request addressed to another name is not answered on the loopback interface', () =>
  served({}, async ({ port }) => {
    const ask = (host: string) => raw(port, `GET /json HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
    for (const host of ['evil.example', '127.0.0.1.evil.example', 'localhost.evil.example:80', '']) {
      assert.match(await ask(host), /^HTTP\/1.1 421/, host)
    }
    for (const host of ['localhost', 'LOCALHOST:99', '127.0.0.1:1', '[::1]:8480']) {
      assert.match(await ask(host), /^HTTP\/1.1 200/, host)
    }
  }))

test("a handler's bug is reported to us and hidden from the client", () =>
  served({}, async ({ url }) => {
    bugs.length = 0
    const response = await fetch(`${url}/bug`)
    assert.is(response.status, 500)
    assert.equal(await response.json(), { error: 'internal error' })
    assert.is((bugs[0] as Error).message, 'planted')
  }))

test('a busy port is a fault that names it', () =>
  served({}, async ({ port }) => {
    const second = await serveHttp({ port, routes, onBug: () => {} })
    assert.ok(!second.ok)
    assert.is(second.fault.code, 'http.port-busy')
    assert.is(second.fault.port, port)
  }))

test('events reach a listener line by line, and its leaving is heard', async () => {
  let left: () => void = () => {}
  const gone = new Promise<void>(resolve => {
    left = resolve
  })
  const sinks: EventSink[] = []
  const start = (sink: EventSink) => {
    sinks.push(sink)
    sink.send('hello', 'one\ntwo')
    return left
  }
  await served({ routes: { 'GET /events': () => ({ kind: 'events', start }) } }, async ({ port }) => {
    const answer = await raw(port, 'GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n', 'data: two')
    assert.match(answer, /content-type: text\/event-stream/i)
    assert.match(answer, /event: hello\ndata: one\ndata: two\n\n/)
    await gone
    sinks[0]!.send('hello', 'nobody hears this')
  })
})

test(
  'a listener that does not read is disconnected, not buffered for ever',
  async () => {
    let left = false
    const start = (sink: EventSink) => {
      const timer = setInterval(() => {
        for (let i = 0; i < 20; i++) sink.send('flood', 'x'.repeat(65_536))
      }, 1)
      return () => {
        left = true
        clearInterval(timer)
      }
    }
    await served({ routes: { 'GET /events': () => ({ kind: 'events', start }) } }, async ({ port }) => {
      const socket = connect(port, '127.0.0.1', () => socket.write('GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n'))
      socket.on('error', () => {})
      socket.pause()
      try {
        await eventually(() => assert.ok(left))
      } finally {
        socket.destroy()
      }
    })
  },
  DEADLINE_MS,
)

test(
  'answers that nobody fetches are bounded over all connections, and the server goes on for the others',
  () => {
    let asked = 0
    const bytes = new Uint8Array(8 << 20)
    const huge: HttpOptions['routes'] = {
      ...routes,
      'GET /huge': () => {
        asked++
        return { kind: 'bytes', status: 200, type: 'application/octet-stream', bytes }
      },
    }
    return served({ routes: huge }, async ({ port, url }) => {
      const sockets = Array.from({ length: 24 }, () => {
        const socket = connect(port, '127.0.0.1', () => socket.write('GET /huge HTTP/1.1\r\nHost: localhost\r\n\r\n'))
        socket.pause().on('error', () => {})
        return socket
      })
      try {
        await eventually(() => assert.is(asked, 24))
        const refused = await fetch(`${url}/huge`)
        assert.is(refused.status, 503)
        assert.is((await fetch(`${url}/json`)).status, 200, 'small answers are given still')
      } finally {
        for (const socket of sockets) socket.destroy()
      }
      await eventually(async () => {
        const served = await fetch(`${url}/huge`)
        assert.is((await served.arrayBuffer()).byteLength, 8 << 20)
      })
    })
  },
  DEADLINE_MS,
)

test('closing disconnects everybody and frees the port', async () => {
  const server = must(await serveHttp({ port: 0, routes, onBug: () => {} }))
  const idle = connect(server.port, '127.0.0.1')
  idle.on('error', () => {})
  const closed = new Promise(resolve => idle.once('close', resolve))
  await new Promise(resolve => idle.once('connect', resolve))
  await server.close()
  await closed
  const again = must(await serveHttp({ port: server.port, routes, onBug: () => {} }))
  await again.close()
})

test.run()
