/** A TPM behind a socket: an emulator such as swtpm, by TCP or a Unix socket, raw commands and responses. */
import { connect, type Socket } from 'node:net'
import { concat } from '../../../protocol/bytes.ts'
import { type Fault, fail, type Result } from '../../../protocol/result.ts'
import type { Timers } from '../../ports.ts'
import { gathered, noAnswer, type TpmTransport, tpmSystemFault } from './transport.ts'

type Address = { readonly path: string } | { readonly host: string; readonly port: number }

export function createTpmSocket(name: string, address: Address, timers: Timers): TpmTransport {
  let open: Socket | undefined
  /** Whoever waits for an answer. */
  let waiting: ((answer: Result<Uint8Array>) => void) | undefined
  let come: Uint8Array = new Uint8Array(0)

  function drop(fault: Fault): void {
    open?.destroy()
    open = undefined
    come = new Uint8Array(0)
    waiting?.(fail(fault))
  }

  function connected(): Socket {
    if (open !== undefined) return open
    const socket = connect({ ...address, noDelay: true })
    // Each of these may still come from a connection that was given up, which then has nothing to say.
    const lost = (error?: Error) => {
      if (open === socket) drop(tpmSystemFault(name, error))
    }
    socket.on('error', lost)
    socket.on('close', () => lost())
    socket.on('end', () => lost())
    socket.on('data', chunk => {
      if (open !== socket) return
      come = concat(come, chunk)
      const answer = gathered(name, come)
      // What comes unasked must not be taken for the answer to what is asked next.
      if (waiting === undefined) drop({ code: 'tpm.malformed', device: name, reason: 'an answer to nothing' })
      else if (answer?.ok === false) drop(answer.fault)
      else if (answer !== undefined) waiting(answer)
    })
    open = socket
    return socket
  }

  return {
    name,
    managed: false,
    exchange: (command, withinMs) =>
      new Promise(resolve => {
        const cancel = timers.after(withinMs, () => drop(noAnswer(name, withinMs)))
        waiting = answer => {
          waiting = undefined
          come = new Uint8Array(0)
          cancel()
          // An idle connection keeps no program from ending.
          open?.unref()
          resolve(answer)
        }
        // Before the connection stands, Node keeps what is written until it does.
        connected().ref().write(command)
      }),
    close: async () => drop({ code: 'tpm.closed', device: name }),
  }
}
