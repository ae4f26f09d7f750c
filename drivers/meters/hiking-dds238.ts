import { A, Hz, holding, kWh, type MeterPage, ratio, steps, V, W } from './page.ts'

/** Hiking DDS238-2 ZN/S: one phase, direct connection, RS-485. */
export const HIKING_DDS238: MeterPage = {
  name: 'hiking-dds238',
  products: ['Hiking DDS238-2 ZN/S'],
  sources: [
    { title: 'AndreasIBZ/energymeter, README.md (register table)', seen: 'manual not seen' },
    { title: 'gabrielcolceriu, gist on the DDS238-2 ZN/S (register table)', seen: 'manual not seen' },
    { title: 'dzlabing/dds238, README.md (registers of a meter, and what it showed)', seen: 'manual not seen' },
  ],
  replay: 'foreign',
  framing: 'rtu',
  factory: { baud: 9_600, format: '8N1', unit: 1 },
  wordOrder: 'high-first',
  identity: {
    table: 'holding',
    address: 0x0015,
    count: 1,
    as: 'none',
    why: 'it has no serial number on the bus; this register holds its address and its baud rate',
  },
  maxRegisters: 24,
  turnaroundMs: 20,
  holes: 'readable',
  resolution: {},
  registers: {
    energyExported: holding(0x0008, 'u32', steps(-2, kWh)),
    energyImported: holding(0x000a, 'u32', steps(-2, kWh)),
    voltageL1: holding(0x000c, 'u16', steps(-1, V)),
    currentL1: holding(0x000d, 'u16', steps(-2, A)),
    power: holding(0x000e, 'i16', W),
    powerFactor: holding(0x0010, 'u16', steps(-3, ratio)),
    frequency: holding(0x0011, 'u16', steps(-2, Hz)),
  },
  caveats: [
    'Never tried on hardware.',
    'Anybody on the bus can set its counters to zero.',
    'Its directions are those of its terminals: export is what leaves on the load side.',
    'Models of other names (DDS238-1 ZN, DDS238-4) have other registers.',
    'The most registers of one request and the turnaround are assumptions.',
  ],
}
