import { A, Hz, holding, kWh, type MeterPage, ratio, steps, V, W } from './page.ts'

/** Orno OR-WE-514 and OR-WE-515: one phase, direct connection, RS-485; one counter for both directions. */
export const ORNO_WE514: MeterPage = {
  name: 'orno-we514',
  products: ['Orno OR-WE-514', 'Orno OR-WE-515'],
  sources: [
    { title: 'volkszaehler/mbmd, meters/rs485/orno1p.go (after its register description)', seen: 'manual not seen' },
    { title: 'M.-O. Blumenauer, ORNO package (OR-WE-514, 516, 517)', seen: 'manual not seen' },
    { title: 'TapHome, Orno OR-WE-515 (serial settings)', seen: 'manual not seen' },
    { title: 'devices.esphome.io, OR-WE-514 (its address on the bus at 0110h, parity)', seen: 'manual not seen' },
  ],
  replay: 'synthetic',
  framing: 'rtu',
  factory: { baud: 9_600, format: '8E1', unit: 1 },
  wordOrder: 'high-first',
  identity: {
    table: 'holding',
    address: 0x0110,
    count: 1,
    as: 'none',
    why: 'no source names a register for its serial number; this one holds its address on the bus',
  },
  maxRegisters: 20,
  turnaroundMs: 20,
  holes: 'forbidden',
  resolution: {},
  registers: {
    frequency: holding(0x0130, 'u16', steps(-2, Hz)),
    voltageL1: holding(0x0131, 'u16', steps(-2, V)),
    currentL1: holding(0x0139, 'u32', steps(-3, A)),
    power: holding(0x0140, 'u32', W),
    powerFactor: holding(0x0158, 'u16', steps(-3, ratio)),
    energyImported: holding(0xa000, 'u32', steps(-2, kWh)),
  },
  caveats: [
    'Never tried on hardware.',
    'Only for a load: what flows the other way is counted as import too, and power has no sign.',
    'The most registers of one request and the turnaround are assumptions.',
  ],
}
