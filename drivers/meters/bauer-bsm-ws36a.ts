import { A, Hz, holding, type MeterPage, type RegisterTraits, steps, V, var_, W, Wh } from './page.ts'

const scaledBy = (address: number): RegisterTraits => ({ scaledBy: { table: 'holding', address, count: 1 } })
const CURRENT = scaledBy(40_096)
const VOLTAGE = scaledBy(40_105)
const POWER = scaledBy(40_112)

/** BAUER BSM-WS36A: three phases, for charging stations; its SunSpec models stand at fixed addresses. It signs snapshots too. */
export const BAUER_BSM_WS36A: MeterPage = {
  name: 'bauer-bsm-ws36a',
  products: ['BAUER Electronic BSM-WS36A-H01-1311-0000'],
  sources: [
    {
      title: 'chargeITmobility/bsm-python, doc/modbus/bsm-ws36a-modbus-registers.csv (register table)',
      seen: 'manual not seen',
    },
    { title: 'sunspec/models, json/model_203.json', seen: 'manual not seen' },
    { title: 'chargeITmobility/bsm-python, doc/examples (frames of its snapshots)', seen: 'manual not seen' },
  ],
  replay: 'synthetic',
  framing: 'rtu',
  factory: { baud: 19_200, format: '8E1', unit: 42 },
  wordOrder: 'high-first',
  identity: { table: 'holding', address: 40_052, count: 16, as: 'text' },
  sentinels: { i16: [0x8000n], u16: [0xffffn], u32: [0n, 0xffff_ffffn] },
  maxRegisters: 125,
  turnaroundMs: 20,
  holes: 'readable',
  resolution: {},
  registers: {
    currentL1: holding(40_093, 'i16', A, CURRENT),
    currentL2: holding(40_094, 'i16', A, CURRENT),
    currentL3: holding(40_095, 'i16', A, CURRENT),
    voltageL1: holding(40_098, 'i16', V, VOLTAGE),
    voltageL2: holding(40_099, 'i16', V, VOLTAGE),
    voltageL3: holding(40_100, 'i16', V, VOLTAGE),
    frequency: holding(40_106, 'i16', Hz, scaledBy(40_107)),
    power: holding(40_108, 'i16', W, POWER),
    powerL1: holding(40_109, 'i16', W, POWER),
    powerL2: holding(40_110, 'i16', W, POWER),
    powerL3: holding(40_111, 'i16', W, POWER),
    reactivePower: holding(40_118, 'i16', steps(0, var_), scaledBy(40_122)),
    energyExported: holding(40_128, 'u32', Wh, scaledBy(40_144)),
    energyImported: holding(40_136, 'u32', Wh, scaledBy(40_144)),
  },
  caveats: [
    'Never tried on hardware.',
    'A counter at zero looks like one that is not there (SunSpec acc32) and is left out until it has moved.',
    'The captured frames show its snapshots only; those are verified where snapshots are, not by this page.',
    'Older readers of it take what was delivered from the counter of export: check which of the two moves.',
    "Address, baud rate and parity are those of the maker's examples.",
  ],
}
