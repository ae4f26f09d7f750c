/**
 * What Eastron SDM meters answer: every measured value a single in two input registers, high word first, at even
 * addresses; settings and the serial number in holding registers. Addresses after the makers' protocol documents
 * (SDM120Modbus V2.4, SDM630Modbus V1.8; second-hand, as other projects' drivers give them).
 */
import type { ModbusBank, RegisterTable } from './modbus-bank.ts'
import { type Field, f32, kWh, type Measured, registersOf, u32, type Words } from './register-image.ts'

export interface EastronOptions {
  /** The number on the nameplate, below 2^32. */
  readonly serial: number
  /** Asked at each read. */
  readonly measure: () => Measured
}

const ILLEGAL_ADDRESS = 2
const ILLEGAL_VALUE = 3
/** Registers of one request (SDM630 protocol: 40 parameters of two registers each). */
const REGISTERS_MAX = 80
/** The end of the measured values; registers between them read 0. */
const INPUT_END = 0x0182

const input = (address: number, value: (measured: Measured) => number): Field => ({
  table: 'input',
  address,
  words: (measured): Words => f32(value(measured)),
})

const serialField = (serial: number): Field => ({ table: 'holding', address: 0xfc00, words: () => u32(serial) })

const eastronBank = ({ serial, measure }: EastronOptions, fields: readonly Field[]): ModbusBank => ({
  registers: registersOf([...COMMON, serialField(serial), ...fields], measure, (table, address) =>
    table === 'input' && address < INPUT_END ? 0 : undefined,
  ),
  refuse: (_table: RegisterTable, address: number, count: number) => {
    if (address % 2 !== 0 || count % 2 !== 0) return ILLEGAL_ADDRESS
    return count > REGISTERS_MAX ? ILLEGAL_VALUE : undefined
  },
})

/** Those that both families have at the same address. */
const COMMON: readonly Field[] = [
  input(0x0046, measured => measured.frequencyMhz / 1000),
  input(0x0048, ({ imported }) => kWh(imported)),
  input(0x004a, ({ exported }) => kWh(exported)),
  input(0x0156, ({ imported, exported }) => kWh(imported + exported)),
]

/** SDM120: one phase. */
export const sdm120Bank = (options: EastronOptions): ModbusBank =>
  eastronBank(options, [
    input(0x0000, measured => measured.voltageMv / 1000),
    input(0x0006, measured => measured.currentMa / 1000),
    input(0x000c, measured => measured.powerMw / 1000),
    input(0x0012, apparent),
    input(0x001e, powerFactor),
  ])

/** SDM630: three phases under the same voltage, all of the current on the first. */
export const sdm630Bank = (options: EastronOptions): ModbusBank =>
  eastronBank(options, [
    ...[0x0000, 0x0002, 0x0004, 0x002a].map(address => input(address, measured => measured.voltageMv / 1000)),
    ...[0x0006, 0x0030].map(address => input(address, measured => measured.currentMa / 1000)),
    ...[0x000c, 0x0034].map(address => input(address, measured => measured.powerMw / 1000)),
    ...[0x0012, 0x0038].map(address => input(address, apparent)),
    ...[0x001e, 0x003e].map(address => input(address, powerFactor)),
    input(0x002e, measured => measured.currentMa / 3000),
  ])

/** Volt-amperes. */
function apparent({ voltageMv, currentMa }: Measured): number {
  return (voltageMv / 1000) * (currentMa / 1000)
}

function powerFactor(measured: Measured): number {
  const va = apparent(measured)
  return va === 0 ? 1 : Math.max(-1, Math.min(1, measured.powerMw / 1000 / va))
}
