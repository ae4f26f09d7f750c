/** The reflected 16-bit CRCs of telegrams, table-driven; names as in the catalogue of parametrised CRC algorithms. */

function tableOf(polynomial: number): Uint16Array {
  const table = new Uint16Array(256)
  for (let i = 0; i < 256; i++) {
    let crc = i
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    table[i] = crc
  }
  return table
}

/** x^16 + x^12 + x^5 + 1, reflected. */
const CCITT = tableOf(0x8408)
/** x^16 + x^15 + x^2 + 1, reflected. */
const ARC = tableOf(0xa001)

function run(table: Uint16Array, bytes: Uint8Array, from: number, to: number, start: number): number {
  let crc = start
  for (let i = from; i < to; i++) crc = (crc >>> 8) ^ table[(crc ^ bytes[i]!) & 0xff]!
  return crc
}

/** CRC-16/X-25 (SML, HDLC) of bytes[from..to). */
export const crcX25 = (bytes: Uint8Array, from = 0, to = bytes.length): number =>
  run(CCITT, bytes, from, to, 0xffff) ^ 0xffff

/** CRC-16/KERMIT, which Holley meters send in the place of X-25, of bytes[from..to). */
export const crcKermit = (bytes: Uint8Array, from = 0, to = bytes.length): number => run(CCITT, bytes, from, to, 0)

/** CRC-16/ARC (DSMR P1 from v4 on) of bytes[from..to). */
export const crcArc = (bytes: Uint8Array, from = 0, to = bytes.length): number => run(ARC, bytes, from, to, 0)
