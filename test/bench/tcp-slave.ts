/** For bench:tcp: answers each 12 bytes, a Modbus TCP read, with the same registers, as fast as a process can. */
import { createServer } from 'node:net'
import { answerTo, REQUEST_BYTES } from './tcp-frames.ts'

const server = createServer({ noDelay: true }, socket => {
  let left: Buffer = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => {
    const bytes = left.length === 0 ? chunk : Buffer.concat([left, chunk])
    let from = 0
    for (; from + REQUEST_BYTES <= bytes.length; from += REQUEST_BYTES) socket.write(answerTo(bytes, from))
    left = bytes.subarray(from)
  })
})
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`${(server.address() as { port: number }).port}\n`)
})
process.stdin.resume().on('end', () => process.exit(0))
