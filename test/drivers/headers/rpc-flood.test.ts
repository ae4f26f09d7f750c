/** A node of a ledger that floods who asks it: each call ends, by its limit or its time, and nothing is made of what is too much. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { createRpcClient } from '../../../drivers/headers/rpc-client.ts'
import { assert, suite } from '../../harness.ts'

/** No answer of these is late, however busy this machine is. */
const PATIENCE_MS = 60_000
const SOON_MS = 300

/** What becomes of a call against a server that answers so, and whether its connection is closed afterwards. */
async function askOf(answer: (socket: Socket) => void, timeoutMs = PATIENCE_MS) {
  const closed: Promise<unknown>[] = []
  const server = createServer(socket => {
    closed.push(new Promise(resolve => socket.on('close', resolve)))
    socket.on('error', () => {})
    socket.once('data', () => answer(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  try {
    const asked = await createRpcClient({ url: `http://127.0.0.1:${port}`, timeoutMs }).status()
    if (!asked.ok) await Promise.all(closed)
    return asked.ok ? `height ${asked.value.height}` : asked.fault.code
  } finally {
    server.close()
  }
}

const reply = (body: string) => (socket: Socket) =>
  void socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
const status = (more: string) =>
  `{"jsonrpc":"2.0","id":1,"result":{"node_info":{"network":"c"},"sync_info":{"latest_block_height":"7"},"more":${more}}}`

/** As fast as the other side takes it, until it hangs up. */
const without = (end: string, piece: string) => (socket: Socket) => {
  socket.write(end)
  const more = () => {
    while (!socket.destroyed && socket.write(piece));
  }
  socket.on('drain', more)
  more()
}

const test = suite('rpc client under a flood')

test(
  'an answer of more values than any has is refused before anything is made of it, though it is right in all else',
  async () => {
    const many = 70_000
    for (const more of [
      `[${'0,'.repeat(many)}0]`,
      `[${'{},'.repeat(many / 2)}0]`,
      `${'['.repeat(many)}${']'.repeat(many)}`,
      `[${Array.from({ length: many / 2 }, (_, n) => `{"k${n}":0}`).join(',')}]`,
      `{${Array.from({ length: many }, (_, n) => `"k${n}":0`).join(',')}}`,
    ]) {
      // Only by their number: JSON.parse would take it.
      assert.is(JSON.parse(status(more)).result.sync_info.latest_block_height, '7')
      assert.is(await askOf(reply(status(more))), 'rpc.too-many', more.slice(0, 20))
    }
  },
  PATIENCE_MS,
)

test(
  'the largest answer of an honest node is taken',
  async () => {
    const signature = JSON.stringify({
      ...{ block_id_flag: 2, validator_address: 'A'.repeat(40), timestamp: '2026-11-23T19:50:50.123456789Z' },
      signature: 'A'.repeat(88),
    })
    assert.is(await askOf(reply(status(`[${Array(10_000).fill(signature).join(',')}]`))), 'height 7')
    assert.is(await askOf(reply(status(JSON.stringify('a'.repeat(4_000_000))))), 'height 7')
  },
  PATIENCE_MS,
)

test(
  'what has no end is given up by its length, by its headers, or by its time, and the connection is closed',
  async () => {
    const chunk = `10000\r\n${'a'.repeat(65_536)}\r\n`
    const endless = without('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', chunk)
    assert.is(await askOf(endless), 'rpc.too-long')
    assert.is(await askOf(without('HTTP/1.1 200 OK\r\n', 'x-flood: 1\r\n'.repeat(1000))), 'rpc.unreachable')
    assert.is(await askOf(without('HTTP/1.1 200 OK\r\nx-flood: ', 'a'.repeat(65_536))), 'rpc.unreachable')
    const early = 'HTTP/1.1 103 Early Hints\r\nlink: </>\r\n\r\n'.repeat(400)
    assert.is(await askOf(without('', early), SOON_MS), 'rpc.timeout')
    const slow = (socket: Socket) => {
      socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
      const timer = setInterval(() => socket.write('1\r\n \r\n'), 20)
      socket.on('close', () => clearInterval(timer))
    }
    assert.is(await askOf(slow, SOON_MS), 'rpc.timeout')
  },
  PATIENCE_MS,
)

test(
  'of answers that nobody asked for only the first counts',
  async () => {
    const one = status('0')
    const answer = `HTTP/1.1 200 OK\r\ncontent-length: ${one.length}\r\n\r\n${one}`
    const others = answer.replace('"7"', '"9"')
    assert.is(
      await askOf(socket => {
        socket.write(answer)
        socket.end(others.repeat(1000))
      }),
      'height 7',
    )
  },
  PATIENCE_MS,
)

test.run()
