import { CARLO_GAVAZZI_MODEL } from './model-registers.ts'
import { A, Hz, input, kvarh, kWh, type MeterPage, type Registers, ratio, steps, V, VA, var_, W, Wh } from './page.ts'

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
  'What exceeds its range is shown by 7FFFh in the high word, or 8000h below, whatever the low word says.',
  'Counters step by 100 Wh.',
  'Power factor is negative for a leading current, not for export.',
  'More registers a request than OpenEMS asks for may be taken; EVerest saw 52 refused by the EM300 series.',
  'The turnaround is an assumption; it only decides how reads are joined.',
] as const

/** Carlo Gavazzi EM330, EM340, ET330 and ET340: three phases, RS-485. */
export const CARLO_GAVAZZI_EM340: MeterPage = {
  name: 'carlo-gavazzi-em340',
  products: ['Carlo Gavazzi EM330', 'Carlo Gavazzi EM340', 'Carlo Gavazzi ET330', 'Carlo Gavazzi ET340'],
  sources: [
    EM21_MANUAL,
    { title: 'volkszaehler/mbmd, meters/rs485/carlogavazzi-ex3x0.go', seen: 'manual not seen' },
    { title: 'OpenEMS, meter.carlo.gavazzi, MeterCarloGavazziEm300Impl.java', seen: 'manual not seen' },
    { title: 'EVerest, CarloGavazzi_EM580, main/helper.hpp (serial number of both series)', seen: 'manual not seen' },
    { title: 'evcc-io/evcc, templates/definition/meter/cg-emt3xx.yaml', seen: 'manual not seen' },
  ],
  replay: 'synthetic',
  framing: 'rtu',
  factory: { baud: 9_600, format: '8N1', unit: 1 },
  wordOrder: 'low-first',
  identity: { table: 'holding', address: 0x5000, count: 7, as: 'text' },
  model: CARLO_GAVAZZI_MODEL,
  sentinels: { i16: [0x7fffn, 0x8000n] },
  overflow: { i32: 0x7fff_0000n },
  maxRegisters: 29,
  maxPowerW: 1_000_000,
  turnaroundMs: 20,
  holes: 'readable',
  resolution: {},
  registers,
  caveats: [...CAVEATS, 'Both directions are counted only in measurement mode B.'],
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

/** Carlo Gavazzi EM580: three phases, 65 A, RS-485; signs its readings, which this page does not ask for. */
export const CARLO_GAVAZZI_EM580: MeterPage = {
  ...CARLO_GAVAZZI_EM340,
  name: 'carlo-gavazzi-em580',
  products: ['Carlo Gavazzi EM580'],
  sources: [
    EM21_MANUAL,
    { title: 'EVerest, CarloGavazzi_EM580, main/powermeterImpl.cpp and helper.hpp', seen: 'manual not seen' },
  ],
  maxRegisters: 52,
  registers: {
    voltageL1: registers.voltageL1!,
    voltageL2: registers.voltageL2!,
    voltageL3: registers.voltageL3!,
    currentL1: registers.currentL1!,
    currentL2: registers.currentL2!,
    currentL3: registers.currentL3!,
    powerL1: registers.powerL1!,
    powerL2: registers.powerL2!,
    powerL3: registers.powerL3!,
    power: registers.power!,
    reactivePower: registers.reactivePower!,
    frequency: registers.frequency!,
    energyImported: input(0x0500, 'i64', Wh),
    energyExported: input(0x051c, 'i64', Wh),
  },
  caveats: [
    'Never tried on hardware.',
    'What exceeds its range is shown by 7FFFh in the high word, or 8000h below, whatever the low word says.',
    'Its serial number is said to be unique within a year of production only; the year stands in another register.',
    'The turnaround is an assumption; it only decides how reads are joined.',
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
  model: CARLO_GAVAZZI_MODEL,
  sentinels: { i16: [0x7fffn, 0x8000n] },
  overflow: { i32: 0x7fff_0000n },
  maxRegisters: 29,
  turnaroundMs: 20,
  holes: 'readable',
  resolution: {},
  registers,
  caveats: [
    ...CAVEATS,
    'Both directions are told only in application H (holding register A000h reads 7); in others export may count as import.',
  ],
}
