/**
 * A TPM as the kernel offers it (/dev/tpmrm0): one write is one command, and the read that follows waits for its response. Each
 * opening has its own objects, which the kernel removes when it is closed.
 */
import { constants } from 'node:fs'
import { type FileHandle, open as openFile } from 'node:fs/promises'
import { type Fault, fail, type Result } from '../../../protocol/result.ts'
import { TPM_RESPONSE_MAX } from '../../../protocol/tpm/frame.ts'
import type { Timers } from '../../ports.ts'
import { gathered, noAnswer, type TpmTransport, tpmSystemFault } from './transport.ts'

export function createTpmDevice(path: string, timers: Timers): TpmTransport {
  let open: FileHandle | undefined
  /**
   * An exchange that was given up. The kernel cannot be called off: it holds a thread until the TPM answers or its own limit is
   * reached, which is minutes, and until then this process cannot end by itself.
   */
  let stuck = false

  async function give(command: Uint8Array): Promise<Result<Uint8Array>> {
    try {
      open ??= await openFile(path, constants.O_RDWR | constants.O_NOCTTY)
      await open.write(command)
      const response = Buffer.alloc(TPM_RESPONSE_MAX + 1)
      for (let length = 0; ; ) {
        const { bytesRead } = await open.read(response, length, response.length - length, null)
        length += bytesRead
        const answer = gathered(path, new Uint8Array(response.subarray(0, length)))
        if (answer?.ok === true) return answer
        if (answer !== undefined) return giveUp(answer.fault)
        if (bytesRead === 0)
          return giveUp({ code: 'tpm.malformed', device: path, reason: `${length} bytes are no response` })
      }
    } catch (error) {
      return giveUp(tpmSystemFault(path, error))
    }
  }

  async function giveUp(fault: Fault): Promise<Result<Uint8Array>> {
    await shut()
    return fail(fault)
  }

  async function shut(): Promise<void> {
    const closing = open
    open = undefined
    // Whatever the device says of its closing, it is given up.
    await closing?.close().catch(() => {})
  }

  return {
    name: path,
    managed: true,
    exchange: (command, withinMs) => {
      if (stuck) return Promise.resolve(fail(noAnswer(path, withinMs)))
      return new Promise(resolve => {
        const cancel = timers.after(withinMs, () => {
          stuck = true
          resolve(fail(noAnswer(path, withinMs)))
        })
        void give(command).then(async answer => {
          cancel()
          if (stuck) await shut()
          stuck = false
          resolve(answer)
        })
      })
    },
    // The handle of a stuck exchange is closed when that ends.
    close: async () => {
      if (!stuck) await shut()
    },
  }
}
