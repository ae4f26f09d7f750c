/** Serial formats as people write them. */

/** Bits of a character on the wire: start, data, parity, stop. */
export const FORMAT_BITS = { '8N1': 10, '8N2': 11, '8E1': 11, '8O1': 11, '7E1': 10, '7O1': 10 } as const

export type SerialFormat = keyof typeof FORMAT_BITS

/** Milliseconds that a character takes. */
export const characterMsOf = (baud: number, format: SerialFormat): number => (FORMAT_BITS[format] * 1000) / baud
