import { EASTRON_REGISTERS, EASTRON_RESOLUTION } from './eastron-three-phase.ts'
import { EASTRON_MODEL } from './model-registers.ts'
import { input, kvarh, type MeterPage } from './page.ts'

/** Eastron SDM630: three phases, direct connection, RS-485. */
export const EASTRON_SDM630: MeterPage = {
  name: 'eastron-sdm630',
  products: ['Eastron SDM630-Modbus', 'Eastron SDM630-Modbus V2'],
  sources: [
    { title: 'Eastron, SDM630Modbus Smart Meter Modbus Protocol Implementation V1.8', seen: 'manual not seen' },
    { title: 'volkszaehler/mbmd, meters/rs485/sdm.go, opcodes of SDMProducer', seen: 'manual not seen' },
    {
      title: 'nmakel/sdm_modbus, src/sdm_modbus/sdm.py, class SDM630; issue 28 (serial number)',
      seen: 'manual not seen',
    },
    { title: 'nmakel/solaredge_meterproxy, issue 16: frames of an SDM630 V2', seen: 'manual not seen' },
  ],
  replay: 'foreign',
  framing: 'rtu',
  factory: { baud: 9_600, format: '8N1', unit: 1 },
  wordOrder: 'high-first',
  identity: { table: 'holding', address: 0xfc00, count: 2, as: 'u32' },
  model: EASTRON_MODEL,
  maxRegisters: 80,
  turnaroundMs: 5,
  holes: 'readable',
  resolution: { ...EASTRON_RESOLUTION, energy: -3, 'reactive energy': -3 },
  registers: {
    ...EASTRON_REGISTERS,
    reactiveEnergyImported: input(0x004c, 'f32', kvarh),
    reactiveEnergyExported: input(0x004e, 'f32', kvarh),
  },
  caveats: [
    'Never tried on hardware.',
    'Requests for an odd address or an odd number of registers are refused.',
    'Phases that the configured wiring does not use read 0, not absent.',
    'The energy registers are singles in kWh: from 8,192 kWh on they step by more than 1 Wh.',
    'The word order can be changed in the meter; this page expects the default, high word first.',
    'The serial number register is missing from some versions of the manual; users report it on both products.',
    'The turnaround is an assumption; it only decides how reads are joined.',
  ],
}

/** What mbmd says of both that follow; neither source says where their serial numbers stand. */
const CAVEATS = [
  'Never tried on hardware.',
  'That the serial number stands at 0xFC00, as in other products of this maker, is an assumption.',
  'Phases that the configured wiring does not use read 0, not absent.',
  'The energy registers are singles in kWh: from 8,192 kWh on they step by more than 1 Wh.',
  'The most registers of one request is that of the SDM72; the turnaround is an assumption.',
] as const

/** Eastron SDM54: three phases, direct connection, RS-485. */
export const EASTRON_SDM54: MeterPage = {
  ...EASTRON_SDM630,
  name: 'eastron-sdm54',
  products: ['Eastron SDM54'],
  sources: [
    { title: 'volkszaehler/mbmd, meters/rs485/sdm54.go (after the manual V1.2)', seen: 'manual not seen' },
    { title: 'Eastron, SDM320Y User Manual V1.0, page 41 (serial number of another product)', seen: 'manual' },
  ],
  replay: 'synthetic',
  maxRegisters: 60,
  registers: EASTRON_REGISTERS,
  resolution: { ...EASTRON_RESOLUTION, energy: -3 },
  caveats: CAVEATS,
}

/** Eastron SMART X96-1A: three phases behind current transformers, RS-485. */
export const EASTRON_X96: MeterPage = {
  ...EASTRON_SDM630,
  name: 'eastron-x96',
  products: ['Eastron SMART X96-1A'],
  sources: [
    { title: 'volkszaehler/mbmd, meters/rs485/x961a.go (after the protocol V1.0)', seen: 'manual not seen' },
    { title: 'AGG Software, register list of the Eastron X96 (addresses, units)', seen: 'manual not seen' },
    { title: 'Eastron, SDM320Y User Manual V1.0, page 41 (serial number of another product)', seen: 'manual' },
  ],
  replay: 'synthetic',
  maxRegisters: 60,
  maxPowerW: 10_000_000,
  caveats: [
    ...CAVEATS,
    'Values are those of the primary side only if the transformer ratio is set in the meter.',
    'By its register list the energy counters count since the last reset: whoever is at the meter may reset them.',
  ],
}
