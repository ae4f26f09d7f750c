/** The reflected 16-bit CRCs of telegrams, table-driven; names as in the catalogue of parametrised CRC algorithms. */

/**
 * Four tables behind one another: what a byte does to the CRC with 0, 1, 2 or 3 bytes behind it. So four bytes are taken at
 * once ("slicing by four"), in a third of the time.
 */
function tablesOf(polynomial: number): Uint16Array {
  const tables = new Uint16Array(1024)
  for (let i = 0; i < 256; i++) {
    let crc = i
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1
    tables[i] = crc
  }
  for (let i = 256; i < 1024; i++) tables[i] = (tables[i - 256]! >>> 8) ^ tables[tables[i - 256]! & 0xff]!
  return tables
}

/** x^16 + x^12 + x^5 + 1, reflected. */
const CCITT = tablesOf(0x8408)
/** x^16 + x^15 + x^2 + 1, reflected. */
const ARC = tablesOf(0xa001)

function run(tables: Uint16Array, bytes: Uint8Array, from: number, to: number, start: number): number {
  let crc = start
  let i = from
  for (; i + 4 <= to; i += 4)
    crc =
      tables[768 + ((crc ^ bytes[i]!) & 0xff)]! ^
      tables[512 + ((crc >>> 8) ^ bytes[i + 1]!)]! ^
      tables[256 + bytes[i + 2]!]! ^
      tables[bytes[i + 3]!]!
  for (; i < to; i++) crc = (crc >>> 8) ^ tables[(crc ^ bytes[i]!) & 0xff]!
  return crc
}

/** CRC-16/X-25 (SML, HDLC) of bytes[from..to). */
export const crcX25 = (bytes: Uint8Array, from = 0, to = bytes.length): number =>
  run(CCITT, bytes, from, to, 0xffff) ^ 0xffff

/** CRC-16/KERMIT, which Holley meters send in the place of X-25, of bytes[from..to). */
export const crcKermit = (bytes: Uint8Array, from = 0, to = bytes.length): number => run(CCITT, bytes, from, to, 0)

/** CRC-16/ARC (DSMR P1 from v4 on) of bytes[from..to). */
export const crcArc = (bytes: Uint8Array, from = 0, to = bytes.length): number => run(ARC, bytes, from, to, 0)
