/** A simulated Heidelberg Energy Control: registers as drivers/chargers/amperfied.ts has them, from the same sources. */
import type { PilotState } from '../../../drivers/ports.ts'
import { createModbusCharger, type ModbusCharger } from './modbus-charger.ts'
import { createStation, type StationOptions } from './station.ts'

const CODES: Readonly<Record<PilotState | 'unknown', number>> = { A: 3, B: 5, C: 7, D: 12, E: 9, F: 10, unknown: 1 }

export function createAmperfied(options: StationOptions & { readonly unit: number }): ModbusCharger {
  const station = createStation(options)
  let stubborn = false
  let fallenBack = false
  const holding = new Map<number, number>()
  const powerOn = (limitMa: number): void => {
    for (const [address, value] of [
      [257, 0],
      [258, 0],
      [259, 1],
      [261, limitMa / 100],
      [262, 0],
    ] as const)
      holding.set(address, value)
  }
  const offer = (): void => station.offer(holding.get(259) === 1 ? holding.get(fallenBack ? 262 : 261)! * 100 : 0)
  const feed = (): void => {
    fallenBack = false
    offer()
    station.watch(holding.get(257)!, () => {
      fallenBack = true
      offer()
    })
  }
  powerOn(0)

  return createModbusCharger({
    station,
    banks: new Map([
      [
        options.unit,
        {
          registers: () => {
            feed()
            const tenths = Math.floor(station.drawnMa() / 100)
            const input = new Map([
              [4, 0x108],
              [5, CODES[station.state()]],
              [6, tenths],
              [7, tenths],
              [8, tenths],
              [9, 250],
              [10, 230],
              [11, 230],
              [12, 230],
              [13, 1],
              [14, 3 * 23 * tenths],
              [100, 16],
              [101, 6],
            ])
            return (table, address) => (table === 'input' ? input : holding).get(address)
          },
          writeRegister: (address, value) => {
            if (!holding.has(address)) return false
            if (!stubborn || address !== 261) holding.set(address, value)
            feed()
            return true
          },
        },
      ],
    ]),
    restart: () => {
      powerOn(station.bootMa)
      feed()
    },
    stubborn: on => {
      stubborn = on
    },
  })
}
