/** A simulated Alfen NG9xx with one socket: registers as drivers/chargers/alfen.ts has them, from the same sources. */
import type { PilotState } from '../../../drivers/ports.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { f32, u32 } from '../register-image.ts'
import { createModbusCharger, type ModbusCharger } from './modbus-charger.ts'
import { createStation, type StationOptions } from './station.ts'

export interface SimAlfenOptions extends StationOptions {
  readonly unit: number
  readonly validS: number
  readonly safeMa: number
}

const TEXTS: Readonly<Record<PilotState | 'unknown', string>> = {
  A: 'A',
  B: 'B1',
  C: 'C2',
  D: 'D2',
  E: 'E',
  F: 'F',
  unknown: 'X7',
}

/** Two characters a register, then zeros. */
function words(text: string, registers: number): readonly number[] {
  const bytes = utf8(text.padEnd(2 * registers, '\0'))
  return Array.from({ length: registers }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!)
}

export function createAlfen(options: SimAlfenOptions): ModbusCharger {
  const { clock, unit, validS, safeMa } = options
  const station = createStation(options)
  const raw = new Uint16Array(f32(0))
  let validUntil = 0
  let phases = 3
  let stubborn = false
  /** Before its first limit after power-on it lets the car have all that it is built for. */
  let untold = false

  const limitMa = (): number => {
    const view = new DataView(new ArrayBuffer(4))
    view.setUint16(0, raw[0]!)
    view.setUint16(2, raw[1]!)
    return Math.round(view.getFloat32(0) * 1000)
  }
  const appliedMa = (): number => {
    if (untold) return station.bootMa
    return clock.mono() < validUntil ? limitMa() : Math.min(safeMa, limitMa())
  }

  const socket = (): ReadonlyMap<number, number> => {
    const drawn = f32(station.drawnMa() / 1000)
    const status = [
      1,
      ...words(TEXTS[station.state()], 5),
      ...f32(appliedMa() / 1000),
      ...u32(Math.max(0, Math.ceil((validUntil - clock.mono()) / 1000))),
      ...raw,
      ...f32(safeMa / 1000),
      clock.mono() < validUntil ? 1 : 0,
      phases,
    ]
    return new Map([
      ...[...drawn, ...drawn, ...drawn].map((word, i): [number, number] => [320 + i, word]),
      ...status.map((word, i): [number, number] => [1200 + i, word]),
    ])
  }
  const product = new Map([
    ...words('Alfen NV', 5).map((word, i): [number, number] => [117 + i, word]),
    ...words('ACE0123456', 11).map((word, i): [number, number] => [157 + i, word]),
  ])

  return createModbusCharger({
    station,
    banks: new Map([
      [200, { registers: () => (table, address) => (table === 'holding' ? product.get(address) : undefined) }],
      [
        unit,
        {
          registers: () => {
            const standing = socket()
            return (table, address) => (table === 'holding' ? standing.get(address) : undefined)
          },
          writeRegister: (address, value) => {
            if (address === 1215) {
              phases = value
              return value === 1 || value === 3
            }
            if (address !== 1210 && address !== 1211) return false
            if (stubborn) return true
            raw[address - 1210] = value
            // Both registers come in one request; the second makes them a limit.
            if (address === 1210) return true
            untold = false
            validUntil = clock.mono() + 1000 * validS
            station.offer(appliedMa())
            station.watch(1000 * validS, () => station.offer(appliedMa()))
            return true
          },
        },
      ],
    ]),
    restart: () => {
      raw.set(f32(0))
      validUntil = 0
      untold = true
      station.watch(0, () => {})
      station.offer(appliedMa())
    },
    stubborn: on => {
      stubborn = on
    },
  })
}
