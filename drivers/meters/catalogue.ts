/** Every page by name: the only list of the meters that this gateway reads through Modbus. */
import { EASTRON_SDM120 } from './eastron-sdm120.ts'
import { EASTRON_SDM630 } from './eastron-sdm630.ts'
import type { MeterPage } from './page.ts'
import { SHELLY_PRO_3EM } from './shelly-pro-3em.ts'

export const PAGES: ReadonlyMap<string, MeterPage> = new Map(
  [EASTRON_SDM120, EASTRON_SDM630, SHELLY_PRO_3EM].map(page => [page.name, page]),
)
