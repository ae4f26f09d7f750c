/** The frames of a real BAUER BSM-WS36A that the shared data holds, as snapshots and their key. */
import { concat, hex } from '../../../protocol/bytes.ts'
import { p256 } from '../../../protocol/crypto/curves.ts'
import { crc16 } from '../../../protocol/modbus/crc.ts'
import { sharedText } from '../../data.ts'

interface Captured {
  readonly dir: 'request' | 'response'
  readonly hex: string
  readonly crcOk: boolean
}

export const captured = (): readonly Captured[] => JSON.parse(sharedText('modbus/bsm-ws36a-frames.json'))

/** The registers of every sound answer to a read, in the order of the capture. */
const blocks = (): readonly Uint8Array[] =>
  captured().flatMap(({ dir, hex: text, crcOk }) => {
    const frame = hex(text)
    return dir === 'response' && crcOk && frame[1] === 3 ? [frame.subarray(3, -2)] : []
  })

/** Model 64901: id, length, and 252 registers that the capture reads as 100 + 125 + 27. */
export function snapshots(): readonly Uint8Array[] {
  const all = blocks()
  return all.flatMap((block, i) =>
    block.length === 200 && all[i + 2]?.length === 54
      ? [concat(hex('fd85 00fc'), block, all[i + 1]!, all[i + 2]!)]
      : [],
  )
}

/**
 * The capture's only answer with the meter's public key lost two hexadecimal zeros on its way into the documentation. Put back
 * where its CRC and the curve agree, they give the key.
 */
export function publicKey(): Uint8Array {
  const { hex: broken } = captured().find(({ crcOk }) => !crcOk)!
  // 042 00 04 | X | Y: the point's first digit, and the end of its 128 (126 here).
  const start = broken.indexOf('03420004') + 8
  for (let i = start; i <= start + 126; i++)
    for (let j = i; j <= start + 126; j++) {
      const text = `${broken.slice(0, i)}0${broken.slice(i, j)}0${broken.slice(j)}`
      const frame = hex(text)
      const crc = crc16(frame, 0, frame.length - 2)
      if (frame.at(-2) !== (crc & 0xff) || frame.at(-1) !== crc >> 8) continue
      try {
        return p256.Point.fromHex(`04${text.slice(start, start + 128)}`).toBytes(true)
      } catch {
        // The CRC agreed by chance: one try in 65,536 does.
      }
    }
  throw new Error('no key in the capture')
}
