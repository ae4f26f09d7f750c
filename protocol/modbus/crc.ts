/**
 * The check values of serial frames (MODBUS over Serial Line V1.02): CRC-16/MODBUS of RTU (6.2.2), reflected polynomial
 * 0xA001, start 0xFFFF; and the LRC of ASCII (6.2.1).
 */

const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >> 1 : (crc >> 1) ^ 0xa001
  return crc
})

/** The check value of `bytes[start, end)`; on the wire its low byte comes first. */
export function crc16(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let crc = 0xffff
  for (let at = start; at < end; at++) crc = (crc >> 8) ^ TABLE[(crc ^ bytes[at]!) & 0xff]!
  return crc
}

/** What makes the sum of `bytes[start, end)` and itself zero, in eight bits: it misses whatever leaves the sum as it is. */
export function lrc8(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let sum = 0
  for (let at = start; at < end; at++) sum += bytes[at]!
  return -sum & 0xff
}
