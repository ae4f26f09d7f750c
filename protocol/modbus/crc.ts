/** CRC-16/MODBUS: reflected polynomial 0xA001, start 0xFFFF (MODBUS over Serial Line V1.02, 6.2.2). */

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
