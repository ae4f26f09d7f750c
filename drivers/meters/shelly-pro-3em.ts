import { A, Hz, input, type MeterPage, V, W, Wh } from './page.ts'

/** Shelly Pro 3EM in its three-phase profile, over Modbus TCP (port 502, switched on in its settings). */
export const SHELLY_PRO_3EM: MeterPage = {
  name: 'shelly-pro-3em',
  products: ['Shelly Pro 3EM', 'Shelly Pro 3EM-400'],
  sources: [
    { title: 'Shelly Gen2 API, components Modbus, EM and EMData, Modbus registers', seen: 'manual not seen' },
    { title: 'victronenergy/dbus-modbus-client, shelly.py, class Shelly_Pro_3EM', seen: 'manual not seen' },
  ],
  replay: 'synthetic',
  framing: 'tcp',
  wordOrder: 'low-first',
  identity: { table: 'input', address: 0, count: 6, as: 'text-low-byte-first' },
  maxRegisters: 80,
  maxPowerW: 300_000,
  turnaroundMs: 5,
  holes: 'readable',
  resolution: { voltage: -1, current: -3, power: -1, energy: -2, frequency: -2 },
  registers: {
    power: input(1013, 'f32', W),
    powerL1: input(1024, 'f32', W),
    powerL2: input(1044, 'f32', W),
    powerL3: input(1064, 'f32', W),
    voltageL1: input(1020, 'f32', V),
    currentL1: input(1022, 'f32', A),
    frequency: input(1033, 'f32', Hz),
    voltageL2: input(1040, 'f32', V),
    currentL2: input(1042, 'f32', A),
    voltageL3: input(1060, 'f32', V),
    currentL3: input(1062, 'f32', A),
    energyImported: input(1162, 'f32', Wh),
    energyExported: input(1164, 'f32', Wh),
  },
  caveats: [
    'Never tried on hardware.',
    'Not a billing meter, and its counters move once a minute: fit for a site, not for a direct line.',
    'Import on one phase and export on another are both counted; there is no sum over the phases.',
    'The documentation writes input register 1013 as 31013.',
    'In the single-phase profile these registers do not exist (exception 2); the page shelly-em1 reads its first channel.',
    'The owner can set the counters to zero; a counter that goes back is refused until a person says otherwise.',
  ],
}
