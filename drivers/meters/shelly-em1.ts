import { A, input, type MeterPage, V, W, Wh } from './page.ts'

/** The first single-phase channel of a Shelly (component EM1), over Modbus TCP (port 502, switched on in its settings). */
export const SHELLY_EM1: MeterPage = {
  name: 'shelly-em1',
  products: ['Shelly Pro 3EM in its single-phase profile, channel A', 'Shelly Pro EM-50, first channel'],
  sources: [
    { title: 'victronenergy/dbus-modbus-client, shelly.py, class Shelly_Pro_3EM', seen: 'manual not seen' },
    { title: 'Shelly Gen2 API, components EM1 and EM1Data, Modbus registers', seen: 'manual not seen' },
  ],
  replay: 'synthetic',
  framing: 'tcp',
  wordOrder: 'low-first',
  identity: { table: 'input', address: 0, count: 6, as: 'text-low-byte-first' },
  maxRegisters: 80,
  maxPowerW: 110_000,
  turnaroundMs: 5,
  holes: 'readable',
  resolution: { voltage: -1, current: -3, power: -1, energy: -2 },
  registers: {
    voltageL1: input(2003, 'f32', V),
    currentL1: input(2005, 'f32', A),
    power: input(2007, 'f32', W),
    energyImported: input(2302, 'f32', Wh),
    energyExported: input(2304, 'f32', Wh),
  },
  caveats: [
    'Never tried on hardware.',
    'Not a billing meter, and its counters move once a minute: fit for a site, not for a direct line.',
    'Only the first channel: the others stand further up and have the same identity.',
    'The owner can set the counters to zero; a counter that goes back is refused until a person says otherwise.',
  ],
}
