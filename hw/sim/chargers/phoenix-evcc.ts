/** A simulated Phoenix EV-CC: registers as drivers/chargers/phoenix-evcc.ts has them, from the same second-hand source. */
import { createModbusCharger, type ModbusCharger } from './modbus-charger.ts'
import { createStation, type StationOptions } from './station.ts'

export function createPhoenix(options: StationOptions & { readonly unit: number }): ModbusCharger {
  const station = createStation(options)
  let amperes = 0
  let enabled = false
  let stubborn = false
  const offer = (): void => station.offer(enabled ? amperes * 1000 : 0)

  return createModbusCharger({
    station,
    banks: new Map([
      [
        options.unit,
        {
          registers: () => (table, address) => {
            if (table === 'holding') return address === 22_000 ? amperes : undefined
            const state = station.state()
            return address === 24_000 ? (state === 'unknown' ? 'Z' : state).charCodeAt(0) << 8 : undefined
          },
          writeRegister: (address, value) => {
            if (address !== 22_000) return false
            if (!stubborn) amperes = value
            offer()
            return true
          },
          coil: address => (address === 20_000 ? enabled : undefined),
          writeCoil: (address, on) => {
            if (address !== 20_000) return false
            if (!stubborn) enabled = on
            offer()
            return true
          },
        },
      ],
    ]),
    restart: () => {
      amperes = station.bootMa / 1000
      enabled = true
      offer()
    },
    stubborn: on => {
      stubborn = on
    },
  })
}
