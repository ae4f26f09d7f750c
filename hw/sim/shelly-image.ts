/**
 * What a Shelly Pro 3EM in its three-phase profile answers over Modbus TCP: input registers only, 32-bit values with the
 * low word first. Addresses after the Shelly Gen2 documentation of the components Modbus, EM and EMData (which writes input
 * register 1013 as 31013). That a register's two characters of the MAC stand low byte first is second-hand
 * (victronenergy/dbus-modbus-client, shelly.py: `Reg_text(0, 6, '/Serial', little=True)`).
 */
import { utf8 } from '../../protocol/bytes.ts'
import type { ModbusBank } from './modbus-bank.ts'
import { type Field, f32, lowWordFirst, type Measured, registersOf, type Words } from './register-image.ts'

export interface ShellyOptions {
  /** The MAC address, twelve hex digits, which serves as serial number. */
  readonly mac: string
  /** Asked at each read. */
  readonly measure: () => Measured
}

const text = (address: number, registers: number, content: string): Field => {
  const bytes = utf8(content.padEnd(2 * registers, '\0'))
  const words = Array.from({ length: registers }, (_, i) => bytes[2 * i]! | (bytes[2 * i + 1]! << 8))
  return { table: 'input', address, words: () => words }
}

const input = (address: number, value: (measured: Measured) => number): Field => ({
  table: 'input',
  address,
  words: (measured): Words => lowWordFirst(f32(value(measured))),
})

/** First registers of the components and the ends of their blocks, and the first of each phase within EM. */
const INFO_END = 48
const EM = 1000
const EM_END = 1080
const PHASES = [1020, 1040, 1060]
const EM_DATA = 1160
const EM_DATA_END = 1230

/** All of the current flows on the first phase. */
const phase = (first: number, index: number): readonly Field[] => [
  input(first, ({ voltageMv }) => voltageMv / 1000),
  input(first + 2, ({ currentMa }) => (index === 0 ? currentMa / 1000 : 0)),
  input(first + 4, ({ powerMw }) => (index === 0 ? powerMw / 1000 : 0)),
  input(first + 13, ({ frequencyMhz }) => frequencyMhz / 1000),
]

const isHole = (address: number): boolean =>
  address < INFO_END || (address >= EM && address < EM_END) || (address >= EM_DATA && address < EM_DATA_END)

export const shellyPro3emBank = ({ mac, measure }: ShellyOptions): ModbusBank => ({
  registers: registersOf(
    [
      text(0, 6, mac),
      text(6, 10, 'SPEM-003CEBEU'),
      input(EM + 11, ({ currentMa }) => currentMa / 1000),
      input(EM + 13, ({ powerMw }) => powerMw / 1000),
      ...PHASES.flatMap(phase),
      // Counters in watt-hours. The device itself moves them once a minute; here they move as the energy does.
      input(EM_DATA + 2, ({ imported }) => Number(imported) / 1000),
      input(EM_DATA + 4, ({ exported }) => Number(exported) / 1000),
    ],
    measure,
    (table, address) => (table === 'input' && isHole(address) ? 0 : undefined),
  ),
})
