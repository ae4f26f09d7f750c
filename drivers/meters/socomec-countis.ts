import { A, Hz, holding, kWh, type MeterPage, type Registers, steps, V, var_, W } from './page.ts'

/** In all of these meters power counts in tens of watts, current in mA, voltage in hundredths; positive is import (Ea+). */
const PHASE_1: Registers = {
  voltageL1: holding(0xc558, 'u32', steps(-2, V)),
  currentL1: holding(0xc560, 'u32', steps(-3, A)),
  power: holding(0xc568, 'i32', steps(1, W)),
}
const PHASES: Registers = {
  ...PHASE_1,
  voltageL2: holding(0xc55a, 'u32', steps(-2, V)),
  voltageL3: holding(0xc55c, 'u32', steps(-2, V)),
  currentL2: holding(0xc562, 'u32', steps(-3, A)),
  currentL3: holding(0xc564, 'u32', steps(-3, A)),
  reactivePower: holding(0xc56a, 'i32', steps(1, var_)),
  powerL1: holding(0xc570, 'i32', steps(1, W)),
  powerL2: holding(0xc572, 'i32', steps(1, W)),
  powerL3: holding(0xc574, 'i32', steps(1, W)),
}
/** The second set of counters, in steps of 10 Wh; the first, at C652h, counts whole kilowatt-hours. */
const IMPORTED: Registers = { energyImported: holding(0xc702, 'u32', steps(-2, kWh)) }
const BOTH_WAYS: Registers = { ...IMPORTED, energyExported: holding(0xc708, 'u32', steps(-2, kWh)) }

const OPENEMS = (file: string) => ({ title: `OpenEMS, ${file}`, seen: 'manual not seen' }) as const
const TABLE = {
  title: 'Socomec, MODBUS tables of Countis E34/E44 (2017-08), identification',
  seen: 'manual',
} as const
const TABLES_SEEN_BY_OTHERS = {
  title: 'nobrega8/mbmap-library, maps/socomec (after the communication tables: steps of both sets of counters)',
  seen: 'manual not seen',
} as const
const MBMD = { title: 'volkszaehler/mbmd, meters/rs485/socomec.go (Countis E3x/E4x)', seen: 'manual not seen' } as const

const COMMON = {
  replay: 'synthetic',
  framing: 'rtu',
  factory: { baud: 38_400, format: '8N1', unit: 5 },
  wordOrder: 'high-first',
  /** The software's version, then three registers of serial number. */
  identity: { table: 'holding', address: 0xc357, count: 4, as: 'u64' },
  sentinels: { u32: [0xffff_ffffn], i32: [0xffff_ffffn, 0x7fff_ffffn] },
  maxRegisters: 125,
  turnaroundMs: 20,
  holes: 'readable',
  resolution: {},
} as const

const CAVEATS = [
  'Never tried on hardware.',
  'The identity is the software version and the serial number as one number, because no four registers hold the latter alone.',
  'Registers that a model lacks read as all ones; a power of -10 W looks the same and is then left out.',
  'Factory settings and the turnaround are assumptions.',
]
const BEHIND_TRANSFORMERS = 'Behind transformers its values are those of the primary side, by the ratio that was set.'

/** Socomec Countis E03, E04, E13: one phase, one direction. */
export const SOCOMEC_COUNTIS_E13: MeterPage = {
  ...COMMON,
  name: 'socomec-countis-e13',
  products: ['Socomec Countis E03', 'Socomec Countis E04', 'Socomec Countis E13'],
  sources: [
    TABLE,
    { title: 'AGG Software, Socomec (Countis E03) MODBUS registers', seen: 'manual not seen' },
    TABLES_SEEN_BY_OTHERS,
  ],
  registers: { ...PHASE_1, ...IMPORTED },
  caveats: [...CAVEATS, 'There is no counter of export.'],
}

/** Socomec Countis E14: one phase, both directions. */
export const SOCOMEC_COUNTIS_E14: MeterPage = {
  ...COMMON,
  name: 'socomec-countis-e14',
  products: ['Socomec Countis E14'],
  sources: [TABLE, OPENEMS('MeterSocomecSinglephaseImpl.java'), TABLES_SEEN_BY_OTHERS],
  registers: { ...PHASE_1, ...BOTH_WAYS },
  caveats: CAVEATS,
}

/** Socomec Countis E23, E24, E27, E28: three phases, direct connection. */
export const SOCOMEC_COUNTIS_E24: MeterPage = {
  ...COMMON,
  name: 'socomec-countis-e24',
  products: ['Socomec Countis E23', 'Socomec Countis E24', 'Socomec Countis E27', 'Socomec Countis E28'],
  sources: [TABLE, OPENEMS('MeterSocomecThreephaseImpl.java'), TABLES_SEEN_BY_OTHERS],
  registers: { ...PHASES, ...BOTH_WAYS },
  caveats: [...CAVEATS, 'Sources differ on the step of the frequency, which is left out.'],
}

/** Socomec Countis E34, E44, Diris A14: three phases behind current transformers. */
export const SOCOMEC_COUNTIS_E44: MeterPage = {
  ...COMMON,
  name: 'socomec-countis-e44',
  products: ['Socomec Countis E34', 'Socomec Countis E44', 'Socomec Diris A14'],
  sources: [TABLE, OPENEMS('MeterSocomecThreephaseImpl.java'), MBMD, TABLES_SEEN_BY_OTHERS],
  maxPowerW: 5_000_000,
  registers: { ...PHASES, frequency: holding(0xc55e, 'u32', steps(-2, Hz)), ...BOTH_WAYS },
  caveats: [...CAVEATS, BEHIND_TRANSFORMERS],
}

/** Socomec Diris A40, A41 with the communication table of 2009: three phases behind current transformers. */
export const SOCOMEC_DIRIS_A40: MeterPage = {
  ...COMMON,
  name: 'socomec-diris-a40',
  products: ['Socomec Diris A40 with the table of 2009', 'Socomec Diris A41 with the table of 2009'],
  sources: [TABLE, MBMD, TABLES_SEEN_BY_OTHERS],
  maxPowerW: 5_000_000,
  registers: {
    ...PHASES,
    frequency: holding(0xc55e, 'u32', steps(-2, Hz)),
    energyImported: holding(0xc652, 'u32', kWh),
    energyExported: holding(0xc658, 'u32', kWh),
  },
  caveats: [
    ...CAVEATS,
    BEHIND_TRANSFORMERS,
    'Counters step by 1 kWh.',
    'Devices of before 2009 have another table, and so has its successor DIRIS A-40 (4804h and on).',
  ],
}
