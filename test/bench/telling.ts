/** What registers say of themselves in bench:late, where a value is judged by what it tells. */

/** The first word of a register pair: its unit and its address; the second are the wall clock's milliseconds. */
export const tellingWord = (unit: number, address: number): number => ((unit & 0x0f) << 12) | (address & 0x0fff)

/** Where the identity register stands: of another table and length than the values. */
export const TELLING_IDENTITY = { address: 0xfc00, count: 4 }
