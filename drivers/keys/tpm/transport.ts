/** How bytes come to a TPM and back. */
import { type Fault, fail, ok, type Result } from '../../../protocol/result.ts'
import { responseSize, TPM_HEADER_BYTES } from '../../../protocol/tpm/frame.ts'

/** One command at a time: whoever calls waits for the answer before the next. */
export interface TpmTransport {
  /** What a person calls it: a path, or host:port. */
  readonly name: string
  /** A kernel stands between: it has started the TPM, and keeps its users apart. */
  readonly managed: boolean
  /** The whole response, opened anew if need be; after a fault nothing of the old answer can be taken for the next. */
  exchange(command: Uint8Array, withinMs: number): Promise<Result<Uint8Array>>
  close(): Promise<void>
}

const HINTS: Readonly<Record<string, readonly [code: string, hint: string]>> = {
  ENOENT: [
    'tpm.absent',
    'nothing is there: enable the TPM in the firmware and its driver in the kernel, or start the emulator',
  ],
  ENODEV: ['tpm.absent', 'the kernel does not find the TPM that belongs to this device'],
  ECONNREFUSED: ['tpm.absent', 'nothing listens there: start it'],
  EACCES: ['tpm.permission', 'this user may not use the TPM: add it to the group of the device (tss)'],
  EPERM: ['tpm.permission', 'this user may not use the TPM: add it to the group of the device (tss)'],
  EBUSY: ['tpm.in-use', 'another program holds the TPM alone: use /dev/tpmrm0, which is shared'],
}

/** What the system says of a device or connection; `tpm.gone` where it says nothing known. */
export function tpmSystemFault(device: string, error: unknown): Fault {
  const why = (error as NodeJS.ErrnoException | undefined)?.code ?? (error instanceof Error ? error.message : 'closed')
  const [code, hint] = (Object.hasOwn(HINTS, why) ? HINTS[why] : undefined) ?? ['tpm.gone', undefined]
  return { code, device, why, ...(hint === undefined ? {} : { hint }) }
}

export const noAnswer = (device: string, withinMs: number): Fault => ({
  code: 'tpm.no-answer',
  device,
  withinMs,
  hint: 'the TPM hangs: restart the board if this stays',
})

/**
 * What has come of a response so far: undefined while more is to come, the response, or a fault where its size cannot be or is
 * exceeded.
 */
export function gathered(device: string, bytes: Uint8Array): Result<Uint8Array> | undefined {
  if (bytes.length < TPM_HEADER_BYTES) return undefined
  const size = responseSize(bytes)
  if (size === undefined || bytes.length > size) {
    return fail({
      code: 'tpm.malformed',
      device,
      reason: `${bytes.length} bytes that say they are ${size ?? 'too many or too few'}`,
    })
  }
  return bytes.length === size ? ok(bytes) : undefined
}
