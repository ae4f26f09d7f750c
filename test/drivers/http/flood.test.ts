/** Floods and slow clients against the real server, from addresses that are peers of their own: 127.0.0.2 and up. */
import { connect, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { Worker } from 'node:worker_threads'
import { type HttpOptions, serveHttp } from '../../../drivers/http/server.ts'
import { must } from '../../../protocol/result.ts'
import { ask, hold } from '../../agent/web/guarded-web.ts'
import { eventually } from '../../eventually.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('http floods')

const LIMITS = { connections: 20, each: { burst: 100, perSecond: 50 }, all: { burst: 300, perSecond: 100 } }
/** Garbage is not what a flood holds on to. */
setFlagsFromString('--expose-gc')
const collect: () => void = runInNewContext('gc')
const sleep = (ms: number) => new Promise(resolve => setTimeout(resolve, ms))

async function served(
  perPeer: HttpOptions['perPeer'],
  body: (port: number, handled: () => number) => Promise<void>,
): Promise<void> {
  let handled = 0
  const server = must(
    await serveHttp({
      port: 0,
      ...(perPeer === undefined ? {} : { perPeer }),
      routes: {
        'GET /work': () => {
          handled++
          return { kind: 'json', status: 200, value: {} }
        },
        'POST /work': () => ({ kind: 'json', status: 200, value: {} }),
        'GET /stay': () => ({ kind: 'events', start: () => () => {} }),
      },
      onBug: error => assert.unreachable(String(error)),
    }),
  )
  try {
    await body(server.port, () => handled)
  } finally {
    await server.close()
  }
}

/** In a thread of its own, so that the server's event loop is the server's alone: requests sent as fast as they are taken. */
const FLOOD = `
const { connect } = require('node:net')
const { parentPort, workerData: { port, requests, connections, addresses } } = require('node:worker_threads')
let sent = 0, open = 0
const counts = {}
const one = n => {
  if (sent >= requests) return
  open++
  const socket = connect({ port, host: '127.0.0.1', localAddress: '127.0.0.' + (2 + n % addresses) })
  const some = Math.min(50, requests - sent)
  sent += some
  socket.on('connect', () => socket.write('GET /work HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n'.repeat(some)))
  let heard = 0
  let text = ''
  socket.on('data', data => {
    // A status may come in two pieces.
    const lines = (text + data).split('\\r\\n')
    text = lines.pop()
    for (const line of lines) {
      const [, status] = /^(?:.*\\})?HTTP\\/1.1 (\\d+)/.exec(line) ?? []
      if (status === undefined) continue
      counts[status] = (counts[status] ?? 0) + 1
      if (++heard === some) socket.destroy()
    }
  })
  socket.on('error', () => {})
  socket.on('close', () => { open--; one(n); if (open === 0 && sent >= requests) parentPort.postMessage(counts) })
}
for (let n = 0; n < connections; n++) one(n)
`

const flood = (
  port: number,
  requests: number,
  connections: number,
  addresses: number,
): Promise<Record<number, number>> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(FLOOD, { eval: true, workerData: { port, requests, connections, addresses } })
    worker.once('message', resolve)
    worker.once('error', reject)
  })

test(
  'of 10,000 requests in a flood the handlers see what the buckets let through; an honest peer is served',
  () =>
    served({ ...LIMITS, all: { burst: 100_000, perSecond: 0 } }, async (port, handled) => {
      collect()
      const before = process.memoryUsage()
      const used = () => {
        collect()
        const now = process.memoryUsage()
        return now.heapUsed + now.external - before.heapUsed - before.external
      }
      let most = 0
      let honest = 0
      const started = performance.now()
      let over = false
      const flooding = flood(port, 10_000, 15, 1).finally(() => {
        over = true
      })
      while (!over) {
        const { status } = await ask(port, 'GET', '/work')
        assert.is(status, 200)
        honest++
        if (honest % 20 === 1) most = Math.max(most, used())
        await sleep(40)
      }
      const seconds = (performance.now() - started) / 1000
      await flooding
      most = Math.max(most, used())
      assert.ok(honest > 0)
      assert.ok(handled() <= honest + 100 + 50 * seconds + 1, `${handled()} of a flood in ${seconds.toFixed(1)} s`)
      assert.ok(most < 32 << 20, `${most} bytes`)
    }),
  120_000,
)

test(
  'without limits each peer the handlers see every request of a flood: the flood is real',
  () =>
    served(undefined, async (port, handled) => {
      const counts = await flood(port, 5000, 15, 1)
      assert.equal([counts, handled()], [{ 200: 5000 }, 5000])
    }),
  120_000,
)

test(
  'a flood from many addresses is bounded by what all may take',
  () =>
    served({ ...LIMITS, all: { burst: 300, perSecond: 0 } }, async (port, handled) => {
      await flood(port, 5000, 100, 50)
      assert.is(handled(), 300)
    }),
  120_000,
)

const closing = (socket: Socket) => new Promise<void>(resolve => socket.resume().once('close', () => resolve()))

test(
  'of a hundred connections of one peer those above the limit are closed, and the next peer gets its own',
  () =>
    served(LIMITS, async port => {
      let [closed, answered] = [0, 0]
      // A request that has no end: what is let in stays.
      const sockets = Array.from({ length: 100 }, () =>
        hold(port, 'GET /stay HTTP/1.1\r\nHost: localhost\r\n\r\n', '127.0.0.2')
          .resume()
          .once('data', () => answered++)
          .once('close', () => closed++),
      )
      try {
        await eventually(() => assert.is(closed + answered, 100))
        assert.equal([closed, answered], [80, 20])
        assert.is((await ask(port, 'GET', '/work')).status, 200)
      } finally {
        for (const socket of sockets) socket.destroy()
      }
      // What it has given up it may have again.
      await eventually(async () => assert.is((await ask(port, 'GET', '/work', {}, '', '127.0.0.2')).status, 200))
    }),
  120_000,
)

test(
  'whoever never ends a header, or sends a body a byte a second, is disconnected by time; others are served',
  () =>
    served(LIMITS, async port => {
      const slow = [
        hold(port, '', '127.0.0.2'),
        hold(port, 'GET /work HTTP/1.1\r\nHost: localhost\r\nX-Slow: ', '127.0.0.2'),
        hold(port, 'POST /work HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n', '127.0.0.2'),
      ]
      const trickle = setInterval(() => {
        for (const socket of slow.slice(1)) if (!socket.destroyed) socket.write('x')
      }, 1000)
      let over = false
      const gone = Promise.all(slow.map(closing)).then(() => {
        over = true
      })
      try {
        while (!over) {
          assert.is((await ask(port, 'GET', '/work')).status, 200)
          await sleep(250)
        }
        await gone
      } finally {
        clearInterval(trickle)
        for (const socket of slow) socket.destroy()
      }
    }),
  120_000,
)

test('answers that were asked for at once and never fetched are forgotten with their connection', async () => {
  let [listening, started] = [0, 0]
  const bytes = new Uint8Array(1 << 20)
  const server = must(
    await serveHttp({
      port: 0,
      routes: {
        'GET /large': () => ({ kind: 'bytes', status: 200, type: 'application/octet-stream', bytes }),
        'GET /events': () => ({
          kind: 'events',
          start: () => {
            listening++
            started++
            return () => listening--
          },
        }),
      },
      onBug: error => assert.unreachable(String(error)),
    }),
  )
  const request = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
  try {
    // Three times what may wait in all, and listeners behind one another.
    for (let n = 1; n <= 12; n++) {
      const socket = hold(server.port, request('/large').repeat(16) + request('/events').repeat(3), '127.0.0.2')
      await eventually(() => assert.is(started, 3 * n)).finally(() => socket.destroy())
    }
    await eventually(() => assert.is(listening, 0))
    assert.is((await ask(server.port, 'GET', '/large')).status, 200)
  } finally {
    await server.close()
  }
}, 120_000)

test(
  'headers above 16 kB and an address without end are refused',
  () =>
    served(undefined, async port => {
      const statusOf = (head: string) =>
        new Promise<string>(resolve => {
          let text = ''
          const socket = connect(port, '127.0.0.1', () => socket.write(`${head}\r\nHost: localhost\r\n\r\n`))
          socket.on('data', data => {
            text += data
            socket.destroy()
          })
          socket.on('error', () => {})
          socket.on('close', () => resolve(text.slice(9, 12)))
        })
      assert.is(await statusOf(`GET /work HTTP/1.1\r\nX: ${'x'.repeat(20_000)}`), '431')
      assert.is(await statusOf(`GET /${'x'.repeat(20_000)} HTTP/1.1`), '431')
      assert.is(await statusOf('GET /work HTTP/1.1\r\nX: y'), '200')
    }),
  120_000,
)

test.run()
