import { A, Hz, input, type MeterPage, ratio, steps, V, W, Wh } from './page.ts'

/** Peacefair PZEM-004T V3, PZEM-014 and PZEM-016: one phase, no direction, UART or RS-485. */
export const PZEM_004T: MeterPage = {
  name: 'pzem-004t',
  products: ['Peacefair PZEM-004T V3.0', 'Peacefair PZEM-014', 'Peacefair PZEM-016'],
  sources: [
    { title: 'jabastien/STM32_PZEM016, README.md (register table)', seen: 'manual not seen' },
    { title: 'rodrigoratan, gist on the PZEM-004T V3.0', seen: 'manual not seen' },
    { title: 'PZEM-004T V3.0 User Manual, sections 1 and 2.1 (ranges, serial settings)', seen: 'manual' },
  ],
  replay: 'synthetic',
  framing: 'rtu',
  factory: { baud: 9_600, format: '8N1', unit: 1 },
  wordOrder: 'low-first',
  identity: {
    table: 'holding',
    address: 0x0001,
    count: 2,
    as: 'none',
    why: 'it has no serial number; these registers hold its alarm threshold and its address',
  },
  maxRegisters: 10,
  turnaroundMs: 50,
  holes: 'readable',
  resolution: {},
  registers: {
    voltageL1: input(0, 'u16', steps(-1, V)),
    currentL1: input(1, 'u32', steps(-3, A)),
    power: input(3, 'u32', steps(-1, W)),
    energyImported: input(5, 'u32', Wh),
    frequency: input(7, 'u16', steps(-1, Hz)),
    powerFactor: input(8, 'u16', steps(-2, ratio)),
  },
  caveats: [
    'Never tried on hardware.',
    'Only for a load: it knows no direction and counts what flows either way as import.',
    'Not a billing meter: anybody on the bus can set its counter to zero, and it ends at 9,999.99 kWh.',
    'Several of them leave the factory with the same address and nothing to tell them apart.',
    'The turnaround is an assumption.',
  ],
}
