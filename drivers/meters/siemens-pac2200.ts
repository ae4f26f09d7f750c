import { A, holding, type MeterPage, V, VA, var_, W, Wh } from './page.ts'

/** Siemens SENTRON PAC2200, PAC3200, PAC4200: three phases, over Modbus TCP. */
export const SIEMENS_PAC2200: MeterPage = {
  name: 'siemens-pac2200',
  products: ['Siemens SENTRON PAC2200', 'Siemens SENTRON PAC3200', 'Siemens SENTRON PAC4200'],
  sources: [
    { title: 'Siemens, SENTRON PAC2200 manual L1V30415167B-03, page 115 (identification)', seen: 'manual' },
    { title: 'Siemens, SENTRON PAC4200 manual A5E02316180B-01, page 208 (energies)', seen: 'manual' },
    {
      title: 'OpenEMS, MeterSiemensPac2200_3200_4200Impl.java (measured values and energies)',
      seen: 'manual not seen',
    },
    { title: 'volkszaehler/mbmd, meters/rs485/pac2200.go', seen: 'manual not seen' },
    {
      title: 'nobrega8/mbmap-library, maps/siemens (after L1V30415167B-06: what is refused, identification as a block)',
      seen: 'manual not seen',
    },
  ],
  replay: 'synthetic',
  framing: 'tcp',
  wordOrder: 'high-first',
  /** The serial number, in the identification that is given whole only. */
  identity: { table: 'holding', address: 64_001, count: 27, as: 'text', part: { from: 11, count: 8 } },
  maxRegisters: 60,
  maxPowerW: 5_000_000,
  turnaroundMs: 5,
  holes: 'readable',
  resolution: { voltage: -2, current: -3, power: -1, energy: 0, 'reactive power': -1, 'apparent power': -1 },
  registers: {
    voltageL1: holding(1, 'f32', V),
    voltageL2: holding(3, 'f32', V),
    voltageL3: holding(5, 'f32', V),
    currentL1: holding(13, 'f32', A),
    currentL2: holding(15, 'f32', A),
    currentL3: holding(17, 'f32', A),
    powerL1: holding(25, 'f32', W),
    powerL2: holding(27, 'f32', W),
    powerL3: holding(29, 'f32', W),
    apparentPower: holding(63, 'f32', VA),
    power: holding(65, 'f32', W),
    reactivePower: holding(67, 'f32', var_),
    energyImportedT1: holding(801, 'f64', Wh),
    energyImportedT2: holding(805, 'f64', Wh),
    energyExportedT1: holding(809, 'f64', Wh),
    energyExportedT2: holding(813, 'f64', Wh),
  },
  caveats: [
    'Never tried on hardware.',
    'It counts two tariffs and no sum: other readers take tariff 1 for the whole, which is wrong once tariff 2 was used.',
    'A request that begins or ends inside a number is refused, and so is a part of the identification.',
    'Energy counters can be written and reset over the bus.',
    'Frequency stands at different addresses by source and is left out.',
    'The most registers of one request is an assumption.',
  ],
}
