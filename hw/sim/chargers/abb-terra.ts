/** A simulated ABB Terra AC: registers as drivers/chargers/abb-terra.ts has them, from the same second-hand sources. */
import type { PilotState } from '../../../drivers/ports.ts'
import { u32 } from '../register-image.ts'
import { createModbusCharger, type ModbusCharger } from './modbus-charger.ts'
import { createStation, type StationOptions } from './station.ts'

const CODES: Readonly<Record<PilotState | 'unknown', number>> = {
  A: 0x0000,
  B: 0x0200,
  // Charging at the rated current, which sets bit 7 of the state.
  C: 0x8400,
  D: 0x8400,
  E: 0x0001,
  F: 0x0001,
  unknown: 0x6600,
}
const SERIAL = [0x5443, 0x3131, 0x2345, 0x6789] as const

export function createAbbTerra(options: StationOptions & { readonly unit: number }): ModbusCharger {
  const station = createStation(options)
  let limitMa = 0
  let timeoutS = 0
  let stopped = false
  let stubborn = false
  let highWord = 0

  const offer = (): void => station.offer(stopped ? 0 : limitMa)
  const feed = (): void => {
    stopped = false
    offer()
    station.watch(1000 * timeoutS, () => {
      stopped = true
      offer()
    })
  }

  return createModbusCharger({
    station,
    banks: new Map([
      [
        options.unit,
        {
          registers: () => {
            feed()
            const drawn = u32(station.drawnMa())
            const words = [
              ...SERIAL,
              ...u32(0x0001_0800),
              ...u32(32_000),
              ...u32(0),
              ...u32(station.state() === 'A' ? 0x001 : 0x111),
              ...u32(CODES[station.state()]),
              ...u32(limitMa),
              ...drawn,
              ...drawn,
              ...drawn,
              ...Array.from({ length: 10 }, () => 0),
              timeoutS,
            ]
            return (table, address) => (table === 'holding' ? words[address - 0x4000] : undefined)
          },
          writeRegister: (address, value) => {
            if (address === 0x4106) timeoutS = value
            else if (address === 0x4100) highWord = value
            else if (address === 0x4101 && !stubborn) limitMa = highWord * 0x1_0000 + value
            else if (address !== 0x4101) return false
            feed()
            return true
          },
        },
      ],
    ]),
    restart: () => {
      timeoutS = 0
      limitMa = station.bootMa
      feed()
    },
    stubborn: on => {
      stubborn = on
    },
  })
}
