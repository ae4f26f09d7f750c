import { A, Hz, input, kWh, type MeterPage, V, W } from './page.ts'

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
  ],
  replay: 'synthetic',
  framing: 'rtu',
  wordOrder: 'high-first',
  identity: { table: 'holding', address: 0xfc00, count: 2, as: 'u32' },
  maxRegisters: 80,
  turnaroundMs: 5,
  holes: 'readable',
  resolution: { voltage: -2, current: -3, power: -1, energy: -3, frequency: -2 },
  registers: {
    voltageL1: input(0x0000, 'f32', V),
    voltageL2: input(0x0002, 'f32', V),
    voltageL3: input(0x0004, 'f32', V),
    currentL1: input(0x0006, 'f32', A),
    currentL2: input(0x0008, 'f32', A),
    currentL3: input(0x000a, 'f32', A),
    power: input(0x0034, 'f32', W),
    frequency: input(0x0046, 'f32', Hz),
    energyImported: input(0x0048, 'f32', kWh),
    energyExported: input(0x004a, 'f32', kWh),
  },
  caveats: [
    'Requests for an odd address or an odd number of registers are refused.',
    'Phases that the configured wiring does not use read 0, not absent.',
    'The energy registers are singles in kWh: from 8,192 kWh on they step by more than 1 Wh.',
    'The word order can be changed in the meter; this page expects the default, high word first.',
    'The serial number register is missing from some versions of the manual; users report it on both products.',
    'The turnaround is an assumption; it only decides how reads are joined.',
  ],
}
