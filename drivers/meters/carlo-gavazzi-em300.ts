import { A, Hz, input, kvarh, kWh, type MeterPage, type Registers, ratio, steps, V, VA, var_, W } from './page.ts'

/** The table that the EM21 had first and that all three-phase products since have. */
const registers: Registers = {
  voltageL1: input(0x0000, 'i32', steps(-1, V)),
  voltageL2: input(0x0002, 'i32', steps(-1, V)),
  voltageL3: input(0x0004, 'i32', steps(-1, V)),
  currentL1: input(0x000c, 'i32', steps(-3, A)),
  currentL2: input(0x000e, 'i32', steps(-3, A)),
  currentL3: input(0x0010, 'i32', steps(-3, A)),
  powerL1: input(0x0012, 'i32', steps(-1, W)),
  powerL2: input(0x0014, 'i32', steps(-1, W)),
  powerL3: input(0x0016, 'i32', steps(-1, W)),
  power: input(0x0028, 'i32', steps(-1, W)),
  apparentPower: input(0x002a, 'i32', steps(-1, VA)),
  reactivePower: input(0x002c, 'i32', steps(-1, var_)),
  powerFactor: input(0x0031, 'i16', steps(-3, ratio)),
  frequency: input(0x0033, 'i16', steps(-1, Hz)),
  energyImported: input(0x0034, 'i32', steps(-1, kWh)),
  reactiveEnergyImported: input(0x0036, 'i32', steps(-1, kvarh)),
  energyExported: input(0x004e, 'i32', steps(-1, kWh)),
}

const EM21_MANUAL = {
  title: 'Carlo Gavazzi, EM21 Communication Protocol V1 R0, pages 7 to 10 (same table, word order, overflow)',
  seen: 'manual',
} as const

const CAVEATS = [
  'Never tried on hardware.',
  'A whole number above its range is shown by 7FFFh in its high word, whatever the low word says.',
  'Counters step by 100 Wh.',
  'Power factor is negative for a leading current, not for export.',
  'The most registers of one request is an assumption; what the meter refuses is read in smaller pieces.',
  'The turnaround is an assumption; it only decides how reads are joined.',
] as const

/** Carlo Gavazzi EM330, EM340, ET330 and ET340: three phases, RS-485. */
export const CARLO_GAVAZZI_EM340: MeterPage = {
  name: 'carlo-gavazzi-em340',
  products: ['Carlo Gavazzi EM330', 'Carlo Gavazzi EM340', 'Carlo Gavazzi ET330', 'Carlo Gavazzi ET340'],
  sources: [
    EM21_MANUAL,
    { title: 'volkszaehler/mbmd, meters/rs485/carlogavazzi-ex3x0.go', seen: 'manual not seen' },
    { title: 'evcc-io/evcc, templates/definition/meter/cg-emt3xx.yaml', seen: 'manual not seen' },
  ],
  replay: 'synthetic',
  framing: 'rtu',
  factory: { baud: 9_600, format: '8N1', unit: 1 },
  wordOrder: 'low-first',
  identity: { table: 'holding', address: 0x5000, count: 7, as: 'text' },
  sentinels: { i16: [0x7fffn] },
  overflow: { i32: 0x7fff_0000n },
  maxRegisters: 50,
  maxPowerW: 1_000_000,
  turnaroundMs: 20,
  holes: 'readable',
  resolution: {},
  registers,
  caveats: [
    ...CAVEATS,
    'That the serial number stands where the EM24 E1 has it is an assumption.',
    'Both directions are counted only in measurement mode B.',
  ],
}

/** Carlo Gavazzi EM530 (behind transformers) and EM540 (65 A): three phases, RS-485. */
export const CARLO_GAVAZZI_EM540: MeterPage = {
  ...CARLO_GAVAZZI_EM340,
  name: 'carlo-gavazzi-em540',
  products: ['Carlo Gavazzi EM530', 'Carlo Gavazzi EM540'],
  sources: [
    EM21_MANUAL,
    { title: 'volkszaehler/mbmd, issue 304: registers of the EM500', seen: 'manual not seen' },
    { title: 'evcc-io/evcc, templates/definition/meter/cg-emt3xx.yaml', seen: 'manual not seen' },
  ],
}

/** Carlo Gavazzi EM24 E1: three phases, 65 A, Ethernet. */
export const CARLO_GAVAZZI_EM24_E1: MeterPage = {
  name: 'carlo-gavazzi-em24-e1',
  products: ['Carlo Gavazzi EM24DINAV23XE1', 'Carlo Gavazzi EM24DINAV53XE1'],
  sources: [
    EM21_MANUAL,
    { title: 'victronenergy/dbus-modbus-client, carlo_gavazzi.py, class EM24_Meter', seen: 'manual not seen' },
    { title: 'volkszaehler/mbmd, meters/rs485/carlogavazzi-em24_e1.go', seen: 'manual not seen' },
  ],
  replay: 'synthetic',
  framing: 'tcp',
  wordOrder: 'low-first',
  identity: { table: 'holding', address: 0x5000, count: 7, as: 'text' },
  sentinels: { i16: [0x7fffn] },
  overflow: { i32: 0x7fff_0000n },
  maxRegisters: 50,
  turnaroundMs: 20,
  holes: 'readable',
  resolution: {},
  registers,
  caveats: [
    ...CAVEATS,
    'Both directions are told only in application H (holding register A000h reads 7); in others export may count as import.',
  ],
}
