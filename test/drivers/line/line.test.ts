/** The line contract on the real adapters: serialport over a pseudo-terminal, and TCP. */
import { createSystemTime } from '../../../drivers/clock.ts'
import type { DeviceEnd } from '../../../drivers/line/device-end.ts'
import { openPty } from '../../../drivers/line/pty.ts'
import { createSerialLine } from '../../../drivers/line/serial.ts'
import { createTcpLine } from '../../../drivers/line/tcp.ts'
import { openTcpServer } from '../../../drivers/line/tcp-server.ts'
import { must } from '../../../protocol/result.ts'
import { lineCases } from '../../contracts/line.ts'
import { suite } from '../../harness.ts'

const test = suite('lines of this machine')
const { clock, timers } = createSystemTime()
/** The contract's waiting times are for 9,600 baud; a pseudo-terminal and the loopback need milliseconds. */
const pass = (ms: number) => timers.sleep(ms / 8)

lineCases(test, 'serial', async () => {
  const pty = must(await openPty())
  return {
    line: createSerialLine({ path: pty.path, baudRate: 9600 }, clock, timers),
    device: () => pty,
    pass,
    end: () => pty.close(),
  }
})

lineCases(test, 'tcp', async () => {
  let last: DeviceEnd | undefined
  const server = must(
    await openTcpServer({ host: '127.0.0.1', port: 0 }, end => {
      last = end
    }),
  )
  const line = createTcpLine(server.host, server.port, clock, timers)
  return {
    line: {
      ...line,
      // Open at this end a connection may still be to come at the other.
      async open(ear) {
        const before = last
        const opened = await line.open(ear)
        while (opened.ok && last === before) await timers.sleep(1)
        return opened
      },
    },
    device: () => last!,
    pass,
    end: () => server.close(),
  }
})

test.run()
