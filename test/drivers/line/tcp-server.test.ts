import { connect } from 'node:net'
import type { DeviceEnd } from '../../../drivers/line/device-end.ts'
import { openTcpServer } from '../../../drivers/line/tcp-server.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('tcp server')

const LOCAL = { host: '127.0.0.1', port: 0 }
const once = (emitter: NodeJS.EventEmitter, event: string) =>
  new Promise<unknown>(resolve => emitter.once(event, resolve))

const echo = (end: DeviceEnd) => end.onBytes(chunk => end.write(chunk.map(byte => byte ^ 0xff)))

test('each connection is an end of its own, bytes both ways', async () => {
  const server = must(await openTcpServer(LOCAL, echo))
  for (let n = 0; n < 3; n++) {
    const socket = connect(server.port, server.host)
    socket.write(Uint8Array.of(n, 0x0f))
    assert.equal(Buffer.from((await once(socket, 'data')) as Buffer), Buffer.of(n ^ 0xff, 0xf0))
    if (n > 0) socket.destroy()
  }
  await server.close()
  await server.close()
})

test('unplugged it resets its connections and refuses new ones until it is plugged in again', async () => {
  const server = must(await openTcpServer(LOCAL, echo))
  const socket = connect(server.port, server.host)
  await once(socket, 'connect')
  socket.write('x')
  await once(socket, 'data')
  server.unplug()
  assert.is(((await once(socket, 'error')) as NodeJS.ErrnoException).code, 'ECONNRESET')
  const refused = connect(server.port, server.host)
  await once(refused, 'error')
  server.plug()
  const again = connect(server.port, server.host)
  again.write('x')
  await once(again, 'data')
  again.destroy()
  await server.close()
})

test('a port in use is a fault that says what to do', async () => {
  const server = must(await openTcpServer(LOCAL, echo))
  const second = await openTcpServer({ host: LOCAL.host, port: server.port }, echo)
  assert.is(!second.ok && second.fault.code, 'line.listen')
  assert.ok(!second.ok && second.fault.hint)
  await server.close()
})

test.run()
