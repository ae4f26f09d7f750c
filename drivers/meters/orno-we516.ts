import { A, Hz, holding, kW, kWh, type MeterPage, V } from './page.ts'

/** Orno OR-WE-516 and OR-WE-517: three phases, direct connection, RS-485. */
export const ORNO_WE516: MeterPage = {
  name: 'orno-we516',
  products: ['Orno OR-WE-516', 'Orno OR-WE-517'],
  sources: [
    { title: 'volkszaehler/mbmd, meters/rs485/orno3p.go', seen: 'manual not seen' },
    { title: 'TapHome, Orno OR-WE-517 (singles, function 3, serial settings)', seen: 'manual not seen' },
    {
      title: 'Frames: volkszaehler/mbmd, pull request 129 (OR-WE-516); arendst/Tasmota, issue 19616 (OR-WE-517)',
      seen: 'manual not seen',
    },
    { title: 'M.-O. Blumenauer, ORNO package (OR-WE-514, 516, 517)', seen: 'manual not seen' },
  ],
  replay: 'foreign',
  framing: 'rtu',
  factory: { baud: 9_600, format: '8E1', unit: 1 },
  wordOrder: 'high-first',
  identity: { table: 'holding', address: 0x0000, count: 2, as: 'u32' },
  maxRegisters: 60,
  turnaroundMs: 20,
  holes: 'readable',
  resolution: { voltage: -1, current: -3, power: -4, energy: -2, frequency: -2 },
  registers: {
    voltageL1: holding(0x000e, 'f32', V),
    voltageL2: holding(0x0010, 'f32', V),
    voltageL3: holding(0x0012, 'f32', V),
    frequency: holding(0x0014, 'f32', Hz),
    currentL1: holding(0x0016, 'f32', A),
    currentL2: holding(0x0018, 'f32', A),
    currentL3: holding(0x001a, 'f32', A),
    power: holding(0x001c, 'f32', kW),
    powerL1: holding(0x001e, 'f32', kW),
    powerL2: holding(0x0020, 'f32', kW),
    powerL3: holding(0x0022, 'f32', kW),
    energyImported: holding(0x0108, 'f32', kWh),
    energyExported: holding(0x0110, 'f32', kWh),
  },
  caveats: [
    'Never tried on hardware.',
    'Counters are rounded to the 10 Wh of its display.',
    'By one source the factory parity is odd, by another even.',
    'Whether its power is signed in both directions depends on the combination code that was set.',
    'The most registers of one request and the turnaround are assumptions.',
  ],
}
