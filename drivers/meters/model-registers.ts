/**
 * Registers by which products of one maker are told apart whose other registers look alike. Codes are those that sources
 * name; all others tell nothing.
 */
import type { ModelRegister } from './page.ts'

/**
 * Eastron, "meter code". From the manuals, as quoted by others: SDM120 Modbus Protocol (0020), SDM72D-M-1 User Manual V1.4
 * (0084), SDM72DM-V2 User Manual V1.1 (0089); reported by users of Victron's Modbus client: 002B an SDM230, 0070 an SDM630,
 * 0087 an SDM72D V2. The register with the software version is read with it: an SDM630 refuses odd numbers of registers.
 */
export const EASTRON_MODEL: ModelRegister = {
  table: 'holding',
  address: 0xfc02,
  count: 2,
  pages: {
    32: 'eastron-sdm120',
    43: 'eastron-sdm120',
    112: 'eastron-sdm630',
    132: 'eastron-sdm72',
    135: 'eastron-sdm72-v2',
    137: 'eastron-sdm72-v2',
  },
}

/**
 * Carlo Gavazzi, "identification code": stands alone at an address inside of a value. EM24 E1 from
 * victronenergy/dbus-modbus-client, carlo_gavazzi.py; EM530 and EM540 as a public exporter names them.
 */
export const CARLO_GAVAZZI_MODEL: ModelRegister = {
  table: 'holding',
  address: 0x000b,
  count: 1,
  pages: {
    ...codes(0x0670, 0x0675, 'carlo-gavazzi-em24-e1'),
    ...codes(0x06d0, 0x06d3, 'carlo-gavazzi-em540'),
    ...codes(0x06e0, 0x06e3, 'carlo-gavazzi-em540'),
  },
}

function codes(first: number, last: number, page: string): Readonly<Record<number, string>> {
  return Object.fromEntries(Array.from({ length: last - first + 1 }, (_, i) => [first + i, page]))
}
