import { A, Hz, holding, kWh, type MeterPage, ratio, steps, V, W } from './page.ts'

/** Carlo Gavazzi EM110, EM111, EM112 and ET112: one phase, RS-485. */
export const CARLO_GAVAZZI_EM112: MeterPage = {
  name: 'carlo-gavazzi-em112',
  products: ['Carlo Gavazzi EM110', 'Carlo Gavazzi EM111', 'Carlo Gavazzi EM112', 'Carlo Gavazzi ET112'],
  sources: [
    { title: 'Carlo Gavazzi, EM21 Communication Protocol V1 R0, page 7 (word order, overflow)', seen: 'manual' },
    { title: 'evcc-io/evcc, templates/definition/meter/cg-emt1xx.yaml', seen: 'manual not seen' },
    { title: 'OpenEMS, pull request 3215 (energies of the EM100 series)', seen: 'manual not seen' },
    {
      title: 'A fork of victronenergy/dbus-modbus-client, carlo_gavazzi.py, class ET112_Meter',
      seen: 'manual not seen',
    },
    { title: 'ioBroker.modbus, issue 286: frames of an ET112', seen: 'manual not seen' },
  ],
  replay: 'foreign',
  framing: 'rtu',
  factory: { baud: 9_600, format: '8N1', unit: 1 },
  wordOrder: 'low-first',
  identity: { table: 'holding', address: 0x5000, count: 7, as: 'text' },
  sentinels: { i16: [0x7fffn, 0x8000n] },
  overflow: { i32: 0x7fff_0000n },
  maxRegisters: 16,
  turnaroundMs: 20,
  holes: 'readable',
  resolution: {},
  registers: {
    voltageL1: holding(0x0000, 'i32', steps(-1, V)),
    currentL1: holding(0x0002, 'i32', steps(-3, A)),
    power: holding(0x0004, 'i32', steps(-1, W)),
    powerFactor: holding(0x000e, 'i16', steps(-3, ratio)),
    frequency: holding(0x000f, 'i16', steps(-1, Hz)),
    energyImported: holding(0x0010, 'i32', steps(-1, kWh)),
    energyExported: holding(0x0020, 'i32', steps(-1, kWh), { magnitude: true }),
  },
  caveats: [
    'Never tried on hardware.',
    'The ET112 is said to hold one letter of its serial number in each register: then the first seven are its identity.',
    'By one source the counter of export is negative, by two it is positive: its size is taken.',
    'Both directions are counted only in measurement mode B (holding register 1103h reads 1).',
    'Power factor is negative for a leading current, not for export.',
    'Counters step by 100 Wh.',
    'The most registers of one request is an assumption; what the meter refuses is read in smaller pieces.',
    'The turnaround is an assumption; it only decides how reads are joined.',
  ],
}
