/** A TCP connection as a Line: Modbus TCP meters, and serial servers. */
import { connect, type Socket } from 'node:net'
import { concat } from '../../protocol/bytes.ts'
import { done, type Fault, fail, type Result } from '../../protocol/result.ts'
import type { Clock, Line, LineListener, Timers } from '../ports.ts'

/** A device in the same house answers in milliseconds or not at all. */
const OPERATION_DEADLINE_MS = 2_000
/** A peer that vanished without a word is asked after this long; the kernel then gives up within minutes, our reads at once. */
const KEEP_ALIVE_MS = 10_000

/** What a person can do about it, by what the system says. */
const HINTS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the device is there, but nothing listens on this port',
  ENOTFOUND: 'this name has no address: check how it is spelt',
  EAI_AGAIN: 'the name service does not answer: check the network, or give the address itself',
  EHOSTUNREACH: 'nobody is there: check the address and the cable',
  ENETUNREACH: 'no network leads there: check the address',
  ETIMEDOUT: 'nobody answers: check the address, and that the device is switched on',
}

const hintOf = (code: string | undefined): { readonly hint?: string } =>
  code !== undefined && Object.hasOwn(HINTS, code) ? { hint: HINTS[code]! } : {}

interface Batch {
  readonly sent: Promise<Result<void>>
  /** What was written so far. */
  readonly parts: Uint8Array[]
}

export function createTcpLine(host: string, port: number, clock: Clock, timers: Timers): Line {
  const name = `${host}:${port}`
  let socket: Socket | undefined
  let open = false
  let batch: Batch | undefined

  const faultOf = (operation: string, error?: Error): Fault => {
    const code = (error as NodeJS.ErrnoException | undefined)?.code
    return {
      code: `tcp.${operation}`,
      line: name,
      message: error?.message,
      ...hintOf(operation === 'no-answer' ? 'ETIMEDOUT' : code),
    }
  }

  function drop(dropped: Socket): void {
    dropped.removeAllListeners()
    // A late error of a connection that is given up must not end the process.
    dropped.on('error', () => {})
    dropped.destroy()
  }

  /** What is written in one turn leaves in one call: requests that are answered together are followed by others together. */
  function startBatch(writing: Socket): Batch {
    const parts: Uint8Array[] = []
    const sent = new Promise<Result<void>>(resolve => {
      process.nextTick(() => {
        batch = undefined
        let cancel = () => {}
        writing.write(parts.length === 1 ? parts[0]! : concat(...parts), error => {
          cancel()
          resolve(error ? fail(faultOf('write', error)) : done)
        })
        // Nearly always the kernel takes all of it at once.
        if (writing.writableLength > 0)
          cancel = timers.after(OPERATION_DEADLINE_MS, () => resolve(fail(faultOf('stuck'))))
      })
    })
    batch = { sent, parts }
    return batch
  }

  return {
    name,
    characterMs: 0,
    open: (listener: LineListener) => {
      if (socket !== undefined) return Promise.resolve(fail({ code: 'tcp.already-open', line: name }))
      return new Promise<Result<void>>(resolve => {
        const opening = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS })
        socket = opening
        const lose = (fault: Fault) => {
          cancel()
          drop(opening)
          if (socket !== opening) return resolve(fail({ code: 'tcp.closed', line: name }))
          socket = undefined
          const wasOpen = open
          open = false
          if (wasOpen) listener.down(fault)
          resolve(fail(fault))
        }
        const cancel = timers.after(OPERATION_DEADLINE_MS, () => lose(faultOf('no-answer')))
        opening.on('error', error => lose(faultOf('gone', error)))
        opening.on('close', () => lose(faultOf('gone')))
        opening.on('data', chunk => {
          if (socket === opening) listener.bytes(chunk, clock.mono())
        })
        opening.once('connect', () => {
          if (socket !== opening) return lose(faultOf('closed'))
          cancel()
          open = true
          resolve(done)
        })
      })
    },
    write: bytes => {
      const writing = socket
      if (writing === undefined || !open) return Promise.resolve(fail({ code: 'tcp.closed', line: name }))
      const sending = batch ?? startBatch(writing)
      sending.parts.push(bytes)
      return sending.sent
    },
    // What came is already handed to the listener; a connection holds nothing back.
    flush: async () => (open ? done : fail({ code: 'tcp.closed', line: name })),
    close: async () => {
      const closing = socket
      socket = undefined
      open = false
      if (closing !== undefined) drop(closing)
    },
  }
}
