import { A, holding, kWh, type MeterPage, type Registers, ratio, steps, V, var_, W } from './page.ts'

/** The maker numbers registers from 1; these are protocol addresses. */
const PHASE_1: Registers = {
  voltageL1: holding(35, 'u16', V),
  currentL1: holding(36, 'u16', steps(-1, A)),
}
const ONE_PHASE: Registers = {
  ...PHASE_1,
  power: holding(37, 'i16', steps(1, W)),
  reactivePower: holding(38, 'i16', steps(1, var_)),
  powerFactor: holding(39, 'i16', steps(-2, ratio)),
}
const THREE_PHASES: Registers = {
  ...PHASE_1,
  powerL1: holding(37, 'i16', steps(1, W)),
  voltageL2: holding(40, 'u16', V),
  currentL2: holding(41, 'u16', steps(-1, A)),
  powerL2: holding(42, 'i16', steps(1, W)),
  voltageL3: holding(45, 'u16', V),
  currentL3: holding(46, 'u16', steps(-1, A)),
  powerL3: holding(47, 'i16', steps(1, W)),
  power: holding(50, 'i16', steps(1, W)),
  reactivePower: holding(51, 'i16', steps(1, var_)),
}
const FIRST = holding(27, 'u32', steps(-2, kWh))

const ALD1_MANUAL = {
  title: 'Saia-Burgess, ALD1D5FD and ALD1B5FD data sheet, page 10 (register table)',
  seen: 'manual',
} as const
const ALE3_MANUAL = {
  title: 'Saia-Burgess, ALE3D5FD10C3A00 data sheet, page 6 (register table)',
  seen: 'manual',
} as const
const OPENHAB = { title: 'openHAB, binding modbus.sbc, ALD1Registers.java', seen: 'manual not seen' } as const
const MBMD = { title: 'volkszaehler/mbmd, meters/rs485/sbc.go', seen: 'manual not seen' } as const
const AGG = { title: 'AGG Software, SAIA Energy Meter ALD1-ALE3-AWD3', seen: 'manual not seen' } as const

const COMMON = {
  replay: 'synthetic',
  framing: 'rtu',
  factory: { baud: 9_600, format: '8E1', unit: 1 },
  wordOrder: 'high-first',
  identity: { table: 'holding', address: 15, count: 2, as: 'u32' },
  maxRegisters: 20,
  turnaroundMs: 20,
  holes: 'readable',
  resolution: {},
} as const

const CAVEATS = [
  'Never tried on hardware.',
  'Models with D5 and B5 in their name give the same registers other meanings: choose the page by the name on the meter.',
  'The table lists a further register of the serial number, which is not read.',
  'Counters step by 10 Wh, voltage by 1 V, power by 10 W.',
  'Factory settings, the most registers of one request and the turnaround are assumptions.',
]

/** Saia-Burgess ALD1 B5 and Finder 7E.23: one phase, both directions. */
export const SAIA_ALD1_B5: MeterPage = {
  ...COMMON,
  name: 'saia-ald1-b5',
  products: ['Saia-Burgess ALD1B5FD', 'Finder 7E.23 with Modbus, both directions'],
  sources: [ALD1_MANUAL, { title: 'Finder, 7E.23 series manual, page 4 (register table)', seen: 'manual' }, OPENHAB],
  registers: { ...ONE_PHASE, energyImported: FIRST, energyExported: holding(29, 'u32', steps(-2, kWh)) },
  caveats: [...CAVEATS, 'The maker allows the counter of export to be set to zero over the bus.'],
}

/** Saia-Burgess ALD1 D5: one phase, one direction. */
export const SAIA_ALD1_D5: MeterPage = {
  ...COMMON,
  name: 'saia-ald1-d5',
  products: ['Saia-Burgess ALD1D5FD'],
  sources: [ALD1_MANUAL, OPENHAB],
  registers: { ...ONE_PHASE, energyImported: FIRST },
  caveats: [...CAVEATS, 'There is no counter of export.'],
}

/** Saia-Burgess ALE3 B5: three phases, both directions. */
export const SAIA_ALE3_B5: MeterPage = {
  ...COMMON,
  name: 'saia-ale3-b5',
  products: ['Saia-Burgess ALE3B5FD'],
  sources: [ALE3_MANUAL, MBMD, AGG],
  registers: { ...THREE_PHASES, energyImported: FIRST, energyExported: holding(31, 'u32', steps(-2, kWh)) },
  caveats: [...CAVEATS, 'That B5 models count export where D5 models count tariff 2 is from one source (mbmd).'],
}

/** Saia-Burgess ALE3 D5: three phases, one direction, two tariffs. */
export const SAIA_ALE3_D5: MeterPage = {
  ...COMMON,
  name: 'saia-ale3-d5',
  products: ['Saia-Burgess ALE3D5FD'],
  sources: [ALE3_MANUAL, AGG],
  registers: { ...THREE_PHASES, energyImportedT1: FIRST, energyImportedT2: holding(31, 'u32', steps(-2, kWh)) },
  caveats: [...CAVEATS, 'There is no counter of export, and none over both tariffs.'],
}
