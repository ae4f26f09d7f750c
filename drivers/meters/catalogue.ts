/** Every page by name: the only list of the meters that this gateway reads through Modbus. */
import { ABB_B21, ABB_B23 } from './abb-b23.ts'
import { BAUER_BSM_WS36A } from './bauer-bsm-ws36a.ts'
import { CARLO_GAVAZZI_EM24 } from './carlo-gavazzi-em24.ts'
import { CARLO_GAVAZZI_EM112 } from './carlo-gavazzi-em112.ts'
import {
  CARLO_GAVAZZI_EM24_E1,
  CARLO_GAVAZZI_EM340,
  CARLO_GAVAZZI_EM540,
  CARLO_GAVAZZI_EM580,
} from './carlo-gavazzi-em300.ts'
import { CHINT_DTSU666 } from './chint-dtsu666.ts'
import { EASTRON_SDM72, EASTRON_SDM72_V2 } from './eastron-sdm72.ts'
import { EASTRON_SDM120 } from './eastron-sdm120.ts'
import { EASTRON_SDM54, EASTRON_SDM630, EASTRON_X96 } from './eastron-sdm630.ts'
import { HIKING_DDS238 } from './hiking-dds238.ts'
import { INEPRO_PRO380 } from './inepro-pro380.ts'
import { JANITZA_UMG96RM } from './janitza-umg96rm.ts'
import { ORNO_WE514 } from './orno-we514.ts'
import { ORNO_WE516 } from './orno-we516.ts'
import type { MeterPage } from './page.ts'
import { PZEM_004T } from './pzem-004t.ts'
import { SAIA_ALD1_B5, SAIA_ALD1_D5, SAIA_ALE3_B5, SAIA_ALE3_D5 } from './saia-burgess.ts'
import { SCHNEIDER_IEM3000 } from './schneider-iem3000.ts'
import { SHELLY_EM1 } from './shelly-em1.ts'
import { SHELLY_PRO_3EM } from './shelly-pro-3em.ts'
import { SIEMENS_PAC2200 } from './siemens-pac2200.ts'
import {
  SOCOMEC_COUNTIS_E13,
  SOCOMEC_COUNTIS_E14,
  SOCOMEC_COUNTIS_E24,
  SOCOMEC_COUNTIS_E44,
  SOCOMEC_DIRIS_A40,
} from './socomec-countis.ts'
import { WAGO_879 } from './wago-879.ts'

export const PAGES: ReadonlyMap<string, MeterPage> = new Map(
  [
    ABB_B21,
    ABB_B23,
    BAUER_BSM_WS36A,
    CARLO_GAVAZZI_EM112,
    CARLO_GAVAZZI_EM24,
    CARLO_GAVAZZI_EM24_E1,
    CARLO_GAVAZZI_EM340,
    CARLO_GAVAZZI_EM540,
    CARLO_GAVAZZI_EM580,
    CHINT_DTSU666,
    EASTRON_SDM120,
    EASTRON_SDM54,
    EASTRON_SDM630,
    EASTRON_SDM72,
    EASTRON_SDM72_V2,
    EASTRON_X96,
    HIKING_DDS238,
    INEPRO_PRO380,
    JANITZA_UMG96RM,
    ORNO_WE514,
    ORNO_WE516,
    PZEM_004T,
    SAIA_ALD1_B5,
    SAIA_ALD1_D5,
    SAIA_ALE3_B5,
    SAIA_ALE3_D5,
    SCHNEIDER_IEM3000,
    SHELLY_EM1,
    SHELLY_PRO_3EM,
    SIEMENS_PAC2200,
    SOCOMEC_COUNTIS_E13,
    SOCOMEC_COUNTIS_E14,
    SOCOMEC_COUNTIS_E24,
    SOCOMEC_COUNTIS_E44,
    SOCOMEC_DIRIS_A40,
    WAGO_879,
  ].map(page => [page.name, page]),
)
