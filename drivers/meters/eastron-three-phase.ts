/** What the three-phase products of Eastron have alike; which of them were seen to, their own pages say. */
import { A, Hz, input, kWh, type MeterPage, type Registers, ratio, V, VA, var_, W } from './page.ts'

export const EASTRON_REGISTERS = {
  voltageL1: input(0x0000, 'f32', V),
  voltageL2: input(0x0002, 'f32', V),
  voltageL3: input(0x0004, 'f32', V),
  currentL1: input(0x0006, 'f32', A),
  currentL2: input(0x0008, 'f32', A),
  currentL3: input(0x000a, 'f32', A),
  powerL1: input(0x000c, 'f32', W),
  powerL2: input(0x000e, 'f32', W),
  powerL3: input(0x0010, 'f32', W),
  power: input(0x0034, 'f32', W),
  apparentPower: input(0x0038, 'f32', VA),
  reactivePower: input(0x003c, 'f32', var_),
  powerFactor: input(0x003e, 'f32', ratio),
  frequency: input(0x0046, 'f32', Hz),
  energyImported: input(0x0048, 'f32', kWh),
  energyExported: input(0x004a, 'f32', kWh),
} as const satisfies Registers

/** In the registers' own units, energy apart. */
export const EASTRON_RESOLUTION = {
  voltage: -2,
  current: -3,
  power: -1,
  frequency: -2,
  'reactive power': -1,
  'apparent power': -1,
  'power factor': -3,
} as const satisfies MeterPage['resolution']
