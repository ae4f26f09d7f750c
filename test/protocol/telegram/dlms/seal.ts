/** Telegrams put together by hand and sealed by OpenSSL: nothing here comes from the product. */
import { createCipheriv } from 'node:crypto'
import { concat, hex } from '../../../../protocol/bytes.ts'

export const KEYS = {
  encryption: hex('000102030405060708090a0b0c0d0e0f'),
  authentication: hex('d0d1d2d3d4d5d6d7d8d9dadbdcdddedf'),
}
export const TITLE = hex('54 4c 4e 00 00 bc 61 4e')

/** A general-glo-ciphering APDU; `control` 30 both, 20 encrypted only, 10 with a tag only. */
export function seal(plain: Uint8Array, counter: number, control = 0x30, title = TITLE): Uint8Array {
  const count = Buffer.alloc(4)
  count.writeUInt32BE(counter)
  const cipher = createCipheriv('aes-128-gcm', KEYS.encryption, concat(title, count), { authTagLength: 12 })
  const head = concat(Uint8Array.of(control), KEYS.authentication)
  if (control === 0x30) cipher.setAAD(head)
  if (control === 0x10) cipher.setAAD(concat(head, plain))
  const body = control === 0x10 ? plain : cipher.update(plain)
  cipher.final()
  const tag = control === 0x20 ? new Uint8Array(0) : cipher.getAuthTag()
  const content = concat(Uint8Array.of(control), count, body, tag)
  return concat(hex('db 08'), title, length(content.length), content)
}

/** A-XDR length. */
const length = (n: number): Uint8Array =>
  n < 0x80 ? Uint8Array.of(n) : n < 0x100 ? Uint8Array.of(0x81, n) : Uint8Array.of(0x82, n >> 8, n & 0xff)

/** General block transfer of `size` bytes a block. */
export function blocks(apdu: Uint8Array, size: number): readonly Uint8Array[] {
  const count = Math.ceil(apdu.length / size)
  return Array.from({ length: count }, (_, i) => {
    const data = apdu.subarray(i * size, (i + 1) * size)
    const control = i === count - 1 ? 0xc0 : 0x40
    return concat(Uint8Array.of(0xe0, control, 0, i + 1, 0, 0), length(data.length), data)
  })
}

/** CRC-16/X-25 bit by bit, low byte first. */
export function x25(bytes: Uint8Array): Uint8Array {
  let crc = 0xffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0x8408 : crc >> 1
  }
  crc ^= 0xffff
  return Uint8Array.of(crc & 0xff, crc >> 8)
}

/** One HDLC frame. `addresses` are the bytes of both, `more` sets the segment bit. */
export function hdlc(information: Uint8Array, { more = false, addresses = 'cf0223', control = 0x13 } = {}): Uint8Array {
  const to = hex(addresses)
  const size = 2 + to.length + 1 + 2 + information.length + 2
  const head = concat(Uint8Array.of((more ? 0xa8 : 0xa0) | (size >> 8), size & 0xff), to, Uint8Array.of(control))
  const covered = concat(head, x25(head), information)
  return concat(hex('7e'), covered, x25(covered), hex('7e'))
}

const LLC = hex('e6e700')

/** An APDU in HDLC segments of `size` bytes of information. */
export function hdlcSegments(apdu: Uint8Array, size: number, addresses = 'cf0223'): readonly Uint8Array[] {
  const all = concat(LLC, apdu)
  const count = Math.ceil(all.length / size)
  return Array.from({ length: count }, (_, i) =>
    hdlc(all.subarray(i * size, (i + 1) * size), {
      more: i < count - 1,
      addresses,
      control: i < count - 1 ? 0x03 : 0x13,
    }),
  )
}

/** One wired M-Bus frame. */
export function mbus(ci: number, information: Uint8Array, saps = '0167'): Uint8Array {
  const body = concat(Uint8Array.of(0x53, 0xff, ci), hex(saps), information)
  const sum = body.reduce((total, byte) => (total + byte) % 256, 0)
  return concat(Uint8Array.of(0x68, body.length, body.length, 0x68), body, Uint8Array.of(sum, 0x16))
}

export function mbusSegments(apdu: Uint8Array, size: number): readonly Uint8Array[] {
  const count = Math.ceil(apdu.length / size)
  return Array.from({ length: count }, (_, i) =>
    mbus((i === count - 1 ? 0x10 : 0) | (i % 16), apdu.subarray(i * size, (i + 1) * size)),
  )
}
