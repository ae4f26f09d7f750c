import { A, Hz, holding, kWh, type MeterPage, V } from './page.ts'

/** WAGO 879-3000, 879-3020, 879-3040 and their sisters: three phases, RS-485. */
export const WAGO_879: MeterPage = {
  name: 'wago-879',
  products: ['WAGO 879-3000', 'WAGO 879-3020'],
  sources: [
    { title: 'WAGO, Energy Meters (MID) 4PU and 4PS user manual, pages 28, 29 and 34', seen: 'manual' },
    { title: 'volkszaehler/mbmd, meters/rs485/wago87930.go', seen: 'manual not seen' },
    {
      title: 'victronenergy/dbus-modbus-client, inepro.py (the same addresses in its sister, the PRO380)',
      seen: 'manual not seen',
    },
  ],
  replay: 'synthetic',
  framing: 'rtu',
  factory: { baud: 9_600, format: '8E1', unit: 1 },
  wordOrder: 'high-first',
  identity: { table: 'holding', address: 0x4000, count: 2, as: 'u32' },
  maxRegisters: 60,
  turnaroundMs: 20,
  holes: 'readable',
  resolution: { voltage: -2, current: -3, energy: -2, frequency: -2 },
  registers: {
    voltageL1: holding(0x5002, 'f32', V),
    voltageL2: holding(0x5004, 'f32', V),
    voltageL3: holding(0x5006, 'f32', V),
    frequency: holding(0x5008, 'f32', Hz),
    currentL1: holding(0x500c, 'f32', A),
    currentL2: holding(0x500e, 'f32', A),
    currentL3: holding(0x5010, 'f32', A),
    energyImported: holding(0x600c, 'f32', kWh),
    energyExported: holding(0x6018, 'f32', kWh),
  },
  caveats: [
    'Never tried on hardware.',
    'By one source its power is in W, by another in kW: it is left out.',
    'Register 4026h can turn all measured values into integers: it must read 1.',
    'The models behind transformers are not covered.',
    'The most registers of one request and the turnaround are assumptions.',
  ],
}
