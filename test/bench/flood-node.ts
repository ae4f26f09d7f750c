/**
 * Nodes of a ledger that flood whoever asks them, as a process of its own: each hands on to an honest node behind it until a line comes
 * in; from then on it answers in the ways below, one after the other, until the next. Says `ready` first, and after each flood how
 * many answers and bytes it wrote.
 */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

export interface NodeTask {
  readonly ports: readonly number[]
  /** Of the honest nodes, in the same order. */
  readonly behind: readonly number[]
}

export interface NodeSaid {
  readonly answers: number
  readonly bytes: number
}

const task = JSON.parse(process.argv[2]!) as NodeTask
const KIB = 1024
/** The most that a client of ours takes is 4 MiB. */
const LARGE = 4 * KIB * KIB - 64 * KIB
const SLOW_MS = 100
/** What waits for the other side: no more than it could take in a turn. */
const AHEAD = 256 * KIB
/** Between two looks at whether the other side takes more. */
const TURN_MS = 5

const answer = (body: string) =>
  `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`
const result = (json: string) => `{"jsonrpc":"2.0","id":1,"result":${json}}`
const SHORT = answer(result('{}'))
const LARGE_LIST = answer(result(`{"signed_header":[${'0,'.repeat(LARGE / 2)}0]}`))
const DEEP = answer(result(`${'['.repeat(LARGE / 2)}${']'.repeat(LARGE / 2)}`))

const said = { answers: 0, bytes: 0 }
let flooding = false
let turn = 0
let height = 1_000

const write = (socket: Socket, bytes: string) => {
  if (!socket.writable) return
  said.bytes += bytes.length
  socket.write(bytes)
}

/** As much as the other side takes, until it or the flood ends. */
function stream(socket: Socket, head: string, piece: string): void {
  write(socket, head)
  const timer = setInterval(() => {
    if (!socket.writable || !flooding) return clearInterval(timer)
    if (socket.writableLength < AHEAD) write(socket, piece.repeat(Math.ceil(AHEAD / piece.length)))
  }, TURN_MS)
}

/** Newest heights without end, and nothing behind them. */
function newest(socket: Socket): void {
  const status = { node_info: { network: 'tieline-street' }, sync_info: { latest_block_height: String(++height) } }
  write(socket, answer(result(JSON.stringify(status))))
}

const WAYS: readonly ((socket: Socket) => void)[] = [
  // As long as is taken, and JSON.
  socket => write(socket, LARGE_LIST),
  socket => write(socket, DEEP),
  // Longer than is taken.
  socket => {
    const piece = 'a'.repeat(64 * KIB)
    stream(socket, 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n', `10000\r\n${piece}\r\n`)
  },
  // Answers that nobody asked for.
  socket => stream(socket, SHORT, SHORT.repeat(400)),
  // Headers without end, small ones and one.
  socket => stream(socket, 'HTTP/1.1 200 OK\r\n', 'x-flood: 1\r\n'.repeat(1_000)),
  socket => stream(socket, 'HTTP/1.1 200 OK\r\nx-flood: ', 'a'.repeat(64 * KIB)),
  newest,
  // Words before an answer that never comes (RFC 9110, 15.2).
  socket => stream(socket, '', 'HTTP/1.1 103 Early Hints\r\nlink: </>\r\n\r\n'.repeat(400)),
  // A byte now and then.
  socket => {
    write(socket, 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n')
    const timer = setInterval(() => {
      if (!socket.writable || !flooding) clearInterval(timer)
      else write(socket, '1\r\n \r\n')
    }, SLOW_MS)
  },
]

function serve(socket: Socket, behind: number): void {
  socket.on('error', () => {})
  let honest: Socket | undefined
  socket.on('data', chunk => {
    if (flooding) {
      said.answers++
      return WAYS[turn++ % WAYS.length]!(socket)
    }
    if (honest === undefined) {
      honest = connect(behind, '127.0.0.1')
      honest.on('error', () => socket.destroy())
      honest.on('close', () => socket.destroy())
      honest.on('data', piece => {
        if (!flooding && !socket.destroyed) socket.write(piece)
      })
    }
    if (honest.writable) honest.write(chunk)
  })
  socket.on('close', () => honest?.destroy())
}

const open = new Set<Socket>()
for (const [index, port] of task.ports.entries()) {
  const server = createServer(socket => {
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    serve(socket, task.behind[index]!)
  })
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
}
const tell = (value: object) => process.stdout.write(`${JSON.stringify(value)}\n`)
tell({ ready: true })
for await (const _ of createInterface({ input: process.stdin })) {
  flooding = !flooding
  if (flooding) Object.assign(said, { answers: 0, bytes: 0 })
  else {
    tell(said)
    // What a flood has begun on a connection, nobody could end in order.
    for (const socket of open) socket.destroy()
  }
}
process.exit()
