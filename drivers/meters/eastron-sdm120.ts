import { A, Hz, input, kWh, type MeterPage, V, W } from './page.ts'

/** Eastron SDM120: one phase, direct connection, RS-485. */
export const EASTRON_SDM120: MeterPage = {
  name: 'eastron-sdm120',
  products: ['Eastron SDM120-Modbus', 'Eastron SDM230-Modbus'],
  sources: [
    { title: 'Eastron, SDM120Modbus Smart Meter Modbus Protocol Implementation V2.4', seen: 'manual not seen' },
    { title: 'nmakel/sdm_modbus, src/sdm_modbus/sdm.py, classes SDM120 and SDM230', seen: 'manual not seen' },
  ],
  replay: 'synthetic',
  framing: 'rtu',
  wordOrder: 'high-first',
  identity: { table: 'holding', address: 0xfc00, count: 2, as: 'u32' },
  maxRegisters: 80,
  turnaroundMs: 5,
  holes: 'readable',
  resolution: { voltage: -2, current: -3, power: -1, energy: -3, frequency: -2 },
  registers: {
    voltageL1: input(0x0000, 'f32', V),
    currentL1: input(0x0006, 'f32', A),
    power: input(0x000c, 'f32', W),
    frequency: input(0x0046, 'f32', Hz),
    energyImported: input(0x0048, 'f32', kWh),
    energyExported: input(0x004a, 'f32', kWh),
  },
  caveats: [
    'Leaves the factory at 2,400 baud, address 1.',
    'The energy registers are singles in kWh: from 8,192 kWh on they step by more than 1 Wh.',
    'Total power stands at 0x000C, not at 0x0034 as in the three-phase products.',
    'The most registers of one request is taken from the SDM630.',
    'The turnaround is an assumption; it only decides how reads are joined.',
  ],
}
