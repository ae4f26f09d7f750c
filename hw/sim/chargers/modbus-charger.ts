/** What the simulated controllers on Modbus share: their units, the one that answers in their place, and cut wires. */
import type { ModbusBank, Registers } from '../modbus-bank.ts'
import { createUnit, type ModbusUnit } from '../modbus-slave.ts'
import type { SimCharger, Station } from './station.ts'

export interface ModbusCharger extends SimCharger {
  readonly units: ReadonlyMap<number, ModbusUnit>
}

/** What a controller holds, by unit number. */
export interface ChargerBanks {
  readonly station: Station
  readonly banks: ReadonlyMap<number, ModbusBank>
  restart(): void
  stubborn(on: boolean): void
}

/** Registers that no charger has: every one reads 0 and takes what is written. */
const STRANGER: Required<Pick<ModbusBank, 'registers' | 'writeRegister' | 'coil' | 'writeCoil'>> = {
  registers: (): Registers => () => 0,
  writeRegister: () => true,
  coil: () => false,
  writeCoil: () => true,
}

export function createModbusCharger({ station, banks, restart, stubborn }: ChargerBanks): ModbusCharger {
  let swapped = false
  const units = new Map(
    [...banks].map(([number, own]): [number, ModbusUnit] => {
      const bank = () => (swapped ? STRANGER : own)
      return [
        number,
        createUnit({
          registers: () => bank().registers?.() ?? (() => undefined),
          writeRegister: (address, value) => bank().writeRegister?.(address, value) ?? false,
          coil: address => bank().coil?.(address),
          writeCoil: (address, on) => bank().writeCoil?.(address, on) ?? false,
        }),
      ]
    }),
  )
  return {
    station,
    units,
    restart,
    stubborn,
    cut: off => {
      for (const { faults } of units.values()) faults.dead = off
    },
    swap: () => {
      swapped = true
    },
  }
}
