/** One kind of telegram, listened for on a line that may carry another or none. */
import { concat } from '../../protocol/bytes.ts'
import type { TelegramDecoder } from './telegrams.ts'

export interface Ear {
  hear(chunk: Uint8Array): void
  heard(): readonly { readonly kind: string; readonly meterId: string | undefined }[]
  encrypted(): readonly { readonly kind: string; readonly maker: string | undefined }[]
}

/** More than any telegram is long. */
const BUFFER_MOST = 32_768

export function createEar(kind: string, decode: TelegramDecoder): Ear {
  let buffer: Uint8Array = new Uint8Array(0)
  const meters = new Set<string | undefined>()
  const makers = new Set<string | undefined>()
  return {
    hear: chunk => {
      buffer = concat(buffer, chunk)
      while (buffer.length > 0) {
        const pull = decode(buffer)
        if (pull.kind === 'need') break
        // Of a telegram that nothing checks, a name is the least.
        if (pull.kind === 'frame' && (pull.value.checked || pull.value.meterId !== undefined))
          meters.add(pull.value.meterId)
        else if (pull.kind === 'junk' && pull.fault.code.endsWith('.no-key'))
          makers.add(pull.fault['maker']?.toString())
        buffer = buffer.subarray(pull.kind === 'frame' ? pull.used : pull.skip)
      }
      if (buffer.length > BUFFER_MOST) buffer = new Uint8Array(0)
    },
    heard: () => [...meters].map(meterId => ({ kind, meterId })),
    encrypted: () => [...makers].map(maker => ({ kind, maker })),
  }
}
