/** A line of a configuration as this machine's own. */
import { createReplugLine } from '../drivers/line/replug.ts'
import { createTcpLine } from '../drivers/line/tcp.ts'
import type { Clock, Line, Log, Timers } from '../drivers/ports.ts'
import type { LineConfig } from './config/site-config.ts'

const FORMATS = {
  '8N1': { dataBits: 8, parity: 'none', stopBits: 1 },
  '8N2': { dataBits: 8, parity: 'none', stopBits: 2 },
  '8E1': { dataBits: 8, parity: 'even', stopBits: 1 },
  '8O1': { dataBits: 8, parity: 'odd', stopBits: 1 },
  '7E1': { dataBits: 7, parity: 'even', stopBits: 1 },
  '7O1': { dataBits: 7, parity: 'odd', stopBits: 1 },
} as const

/** `timers` are the machine's own, whatever the clock does: a device keeps real time. */
export function openSystemLine(line: LineConfig, clock: Clock, timers: Timers, log: Log): Line {
  if (line.kind === 'tcp') return createTcpLine(line.host, line.port, clock, timers)
  const { path, baud, format, rs485 } = line
  const direction =
    rs485 === undefined ? {} : { rs485: { rtsOnSend: rs485 === 'rts-high', delayBeforeMs: 0, delayAfterMs: 0 } }
  return createReplugLine({ path, baudRate: baud, ...FORMATS[format], ...direction }, clock, timers, log)
}
