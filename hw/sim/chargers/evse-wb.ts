/** A simulated EVSE-WB: registers as drivers/chargers/evse-wb.ts has them, from the same second-hand sources. */
import type { PilotState } from '../../../drivers/ports.ts'
import { createModbusCharger, type ModbusCharger } from './modbus-charger.ts'
import { createStation, type StationOptions } from './station.ts'

export interface SimEvseWb extends ModbusCharger {
  /** Turns bit 7 of H2005 over; what stands in H1000 is at once read in the other unit. */
  flipUnit(): void
  /** Turns it over after so many more answers. */
  flipAfter(answers: number): void
}

const CODES: Readonly<Record<PilotState | 'unknown', number>> = { A: 1, B: 2, C: 3, D: 4, E: 5, F: 5, unknown: 9 }
/** Its hardware ends here, whatever is written. */
const MOST_MA = 32_000
/** Bit 13: the settings that it comes with. */
const SETTINGS = 0x2000

export function createEvseWb(options: StationOptions & { readonly unit: number }): SimEvseWb {
  const station = createStation(options)
  let settings = SETTINGS
  let configured = 0
  let stubborn = false
  let answersToFlip = Number.POSITIVE_INFINITY

  const unitMa = (): number => ((settings & 0x80) === 0 ? 1000 : 10)
  const offer = (): void => station.offer(Math.min(configured * unitMa(), MOST_MA))
  const flipUnit = (): void => {
    settings ^= 0x80
    offer()
  }

  const charger = createModbusCharger({
    station,
    banks: new Map([
      [
        options.unit,
        {
          registers: () => {
            const standing = new Map([
              [1000, configured],
              [1001, Math.floor(station.offeredMa() / 1000)],
              [1002, CODES[station.state()]],
              [1003, MOST_MA / 1000],
              [1004, 0],
              [1005, 18],
              [1006, station.offeredMa() > 0 ? 2 : 3],
              [2000, options.bootMa / 1000],
              [2001, 1],
              [2002, 6],
              [2003, 1],
              [2004, 0],
              [2005, settings],
              [2006, 0],
            ])
            if (--answersToFlip === 0) flipUnit()
            return (table, address) => (table === 'holding' ? standing.get(address) : undefined)
          },
          writeRegister: (address, value) => {
            if (address !== 1000) return false
            if (stubborn) return true
            configured = value
            offer()
            return true
          },
        },
      ],
    ]),
    restart: () => {
      configured = Math.floor(station.bootMa / unitMa())
      offer()
    },
    stubborn: on => {
      stubborn = on
    },
  })
  return {
    ...charger,
    flipUnit,
    flipAfter: answers => {
      answersToFlip = answers
    },
  }
}
