import { A, Hz, holding, kvarh, kWh, type MeterPage, ratio, steps, V, VA, var_, W } from './page.ts'

/** ABB B23, B24, A43 and A44: three phases, direct (B23, A43) or behind current transformers (B24, A44), RS-485. */
export const ABB_B23: MeterPage = {
  name: 'abb-b23',
  products: ['ABB B23', 'ABB B24', 'ABB A43', 'ABB A44'],
  sources: [
    { title: 'ABB, A43/A44 User Manual 2CMC48001M0201 revision C, pages 108, 113 and 168 to 170', seen: 'manual' },
    { title: 'volkszaehler/mbmd, meters/rs485/abb.go', seen: 'manual not seen' },
    { title: 'victronenergy/dbus-modbus-client, abb.py, class ABB_Meter_3P', seen: 'manual not seen' },
    {
      title: 'nobrega8/mbmap-library, maps/abb/b23-b24 (after 2CMC485003M0201 revision E: sentinels, 125 registers)',
      seen: 'manual not seen',
    },
  ],
  replay: 'foreign',
  framing: 'rtu',
  factory: { baud: 19_200, format: '8N1', unit: 1 },
  wordOrder: 'high-first',
  identity: { table: 'holding', address: 0x8900, count: 2, as: 'u32' },
  // All ones where there is no such quantity (manual, page 170); signed ones also the largest number (mbmd).
  sentinels: {
    u16: [0xffffn],
    i16: [0x7fffn, 0xffffn],
    u32: [0xffff_ffffn],
    i32: [0x7fff_ffffn, 0xffff_ffffn],
    u64: [0xffff_ffff_ffff_ffffn],
  },
  maxRegisters: 125,
  maxPowerW: 10_000_000,
  turnaroundMs: 20,
  holes: 'readable',
  resolution: {},
  registers: {
    energyImported: holding(0x5000, 'u64', steps(-2, kWh)),
    energyExported: holding(0x5004, 'u64', steps(-2, kWh)),
    reactiveEnergyImported: holding(0x500c, 'u64', steps(-2, kvarh)),
    reactiveEnergyExported: holding(0x5010, 'u64', steps(-2, kvarh)),
    voltageL1: holding(0x5b00, 'u32', steps(-1, V)),
    voltageL2: holding(0x5b02, 'u32', steps(-1, V)),
    voltageL3: holding(0x5b04, 'u32', steps(-1, V)),
    currentL1: holding(0x5b0c, 'u32', steps(-2, A)),
    currentL2: holding(0x5b0e, 'u32', steps(-2, A)),
    currentL3: holding(0x5b10, 'u32', steps(-2, A)),
    power: holding(0x5b14, 'i32', steps(-2, W)),
    powerL1: holding(0x5b16, 'i32', steps(-2, W)),
    powerL2: holding(0x5b18, 'i32', steps(-2, W)),
    powerL3: holding(0x5b1a, 'i32', steps(-2, W)),
    reactivePower: holding(0x5b1c, 'i32', steps(-2, var_)),
    apparentPower: holding(0x5b24, 'i32', steps(-2, VA)),
    frequency: holding(0x5b2c, 'u16', steps(-2, Hz)),
    powerFactor: holding(0x5b3a, 'i16', steps(-3, ratio)),
  },
  caveats: [
    'Never tried on hardware.',
    'Addresses are as on the wire; nothing is to be taken off.',
    'The pages of the manual that were seen are those of the A43/A44; the B series has the same table by both other sources.',
    'A signed value of -1 step (-0.01 W) cannot be told from a missing one, and is absent.',
    'Steel, bronze and silver variants lack export or reactive registers.',
    'Behind transformers the values are primary only if the ratio is set in the meter.',
    'Factory settings are an assumption.',
    'The turnaround is an assumption; it only decides how reads are joined.',
  ],
}

const { registers } = ABB_B23

/** ABB B21, A41 and A42: one phase. */
export const ABB_B21: MeterPage = {
  ...ABB_B23,
  name: 'abb-b21',
  products: ['ABB B21', 'ABB A41', 'ABB A42'],
  sources: [
    { title: 'ABB, A43/A44 User Manual 2CMC48001M0201 revision C, pages 108 and 113', seen: 'manual' },
    { title: 'victronenergy/dbus-modbus-client, abb.py, class ABB_Meter_1P', seen: 'manual not seen' },
  ],
  replay: 'synthetic',
  registers: {
    energyImported: registers.energyImported!,
    energyExported: registers.energyExported!,
    reactiveEnergyImported: registers.reactiveEnergyImported!,
    reactiveEnergyExported: registers.reactiveEnergyExported!,
    voltageL1: registers.voltageL1!,
    currentL1: registers.currentL1!,
    power: registers.power!,
    reactivePower: registers.reactivePower!,
    apparentPower: registers.apparentPower!,
    frequency: registers.frequency!,
    powerFactor: registers.powerFactor!,
  },
  caveats: [
    'Never tried on hardware.',
    'The registers of power by phase say "not available"; the total is that of the one phase.',
    ...ABB_B23.caveats.slice(1),
  ],
}
