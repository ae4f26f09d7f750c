import { EASTRON_REGISTERS, EASTRON_RESOLUTION } from './eastron-three-phase.ts'
import { EASTRON_MODEL } from './model-registers.ts'
import { input, kWh, type MeterPage, W } from './page.ts'

/** Eastron SDM72D-M: three phases, direct connection, RS-485; tells power and energy only. */
export const EASTRON_SDM72: MeterPage = {
  name: 'eastron-sdm72',
  products: ['Eastron SDM72D-M'],
  sources: [
    { title: 'Eastron, SDM72D-M Modbus Protocol V1.1 (registers, parity, address)', seen: 'manual' },
    { title: 'Eastron (B+G e-tech), SDM72D-M User Manual V1.5, page 14', seen: 'manual' },
    { title: 'yaacov/node-modbus-serial, issue 509: registers read from one', seen: 'manual not seen' },
    { title: 'volkszaehler/mbmd, meters/rs485/sdm72.go', seen: 'manual not seen' },
  ],
  replay: 'foreign',
  framing: 'rtu',
  factory: { baud: 9_600, format: '8N1', unit: 1 },
  wordOrder: 'high-first',
  identity: { table: 'holding', address: 0x0014, count: 2, as: 'none', why: 'no source names its serial number' },
  model: EASTRON_MODEL,
  maxRegisters: 60,
  turnaroundMs: 5,
  holes: 'readable',
  resolution: { power: -1, energy: -2 },
  registers: {
    power: input(0x0034, 'f32', W),
    energyImported: input(0x0048, 'f32', kWh),
    energyExported: input(0x004a, 'f32', kWh),
  },
  caveats: [
    'Never tried on hardware.',
    'What is pinned instead of an identity is the register with its Modbus address.',
    'Voltages, currents and frequency read 0 here: the first version does not tell them, the second does.',
    'The energy registers are singles in kWh: from 131,072 kWh on they step by more than 10 Wh.',
    'The manual allows 30 parameters of two registers a request.',
    'The turnaround is an assumption; it only decides how reads are joined.',
  ],
}

/** Eastron SDM72D-M-2: three phases, direct connection, RS-485. */
export const EASTRON_SDM72_V2: MeterPage = {
  ...EASTRON_SDM72,
  name: 'eastron-sdm72-v2',
  products: ['Eastron SDM72D-M-2 (SDM72DM V2)'],
  sources: [
    { title: 'volkszaehler/mbmd, meters/rs485/sdm72v2.go', seen: 'manual not seen' },
    { title: 'nmakel/sdm_modbus, src/sdm_modbus/sdm.py, class SDM72V2; pull request 11', seen: 'manual not seen' },
    { title: 'Eastron, SDM320Y User Manual V1.0, page 41 (serial number at FC00h of another product)', seen: 'manual' },
    { title: 'sdm72 0.2.2 (Rust), module protocol: has a serial number and meter code 0089', seen: 'manual not seen' },
  ],
  identity: { table: 'holding', address: 0xfc00, count: 2, as: 'u32' },
  resolution: { ...EASTRON_RESOLUTION, power: -2, energy: -2 },
  registers: EASTRON_REGISTERS,
  caveats: [
    'Never tried on hardware.',
    'That the serial number stands at 0xFC00, as in the SDM120 and the SDM630, is an assumption.',
    'Phases that are not connected read 0, not absent.',
    'The energy registers are singles in kWh: from 131,072 kWh on they step by more than 10 Wh.',
    'More than 60 registers a request are refused (esphome, issue 4627).',
    'The turnaround is an assumption; it only decides how reads are joined.',
  ],
}
