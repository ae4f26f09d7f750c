import { EASTRON_MODEL } from './model-registers.ts'
import { A, Hz, input, kvarh, kWh, type MeterPage, ratio, V, VA, var_, W } from './page.ts'

/** Eastron SDM120: one phase, direct connection, RS-485. */
export const EASTRON_SDM120: MeterPage = {
  name: 'eastron-sdm120',
  products: ['Eastron SDM120-Modbus', 'Eastron SDM230-Modbus'],
  sources: [
    { title: 'Eastron, SDM120Modbus Smart Meter Modbus Protocol Implementation V2.4', seen: 'manual not seen' },
    { title: 'nmakel/sdm_modbus, src/sdm_modbus/sdm.py, classes SDM120 and SDM230', seen: 'manual not seen' },
    { title: 'syssi/esphome-solax-x1-mini, issue 20: frames of an SDM230', seen: 'manual not seen' },
  ],
  replay: 'foreign',
  framing: 'rtu',
  factory: { baud: 2_400, format: '8N1', unit: 1 },
  wordOrder: 'high-first',
  identity: { table: 'holding', address: 0xfc00, count: 2, as: 'u32' },
  model: EASTRON_MODEL,
  maxRegisters: 60,
  turnaroundMs: 5,
  holes: 'readable',
  resolution: {
    voltage: -2,
    current: -3,
    power: -1,
    energy: -3,
    frequency: -2,
    'reactive power': -1,
    'apparent power': -1,
    'reactive energy': -3,
    'power factor': -3,
  },
  registers: {
    voltageL1: input(0x0000, 'f32', V),
    currentL1: input(0x0006, 'f32', A),
    power: input(0x000c, 'f32', W),
    apparentPower: input(0x0012, 'f32', VA),
    reactivePower: input(0x0018, 'f32', var_),
    powerFactor: input(0x001e, 'f32', ratio),
    frequency: input(0x0046, 'f32', Hz),
    energyImported: input(0x0048, 'f32', kWh),
    energyExported: input(0x004a, 'f32', kWh),
    reactiveEnergyImported: input(0x004c, 'f32', kvarh),
    reactiveEnergyExported: input(0x004e, 'f32', kvarh),
  },
  caveats: [
    'Never tried on hardware.',
    'The energy registers are singles in kWh: from 8,192 kWh on they step by more than 1 Wh.',
    'Total power stands at 0x000C, not at 0x0034 as in the three-phase products.',
    'The most registers of one request is that of the SDM72 and the SDM230-2T; the SDM630 takes 80.',
    'By one source an SDM230 leaves the factory at 9,600 baud.',
    'The turnaround is an assumption; it only decides how reads are joined.',
  ],
}
