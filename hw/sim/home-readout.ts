/** What a home's meter says over IEC 62056-21 and over a wired M-Bus. */
import { concat, fromHex } from '../../protocol/bytes.ts'
import type { Parity } from '../../protocol/telegram/iec62056.ts'
import { onWire, pushedText } from '../../protocol/telegram/iec62056-write.ts'
import type { Measured } from './register-image.ts'
import { type SpeakingMeter, speak, type TelegramMeterOptions } from './telegram-meters.ts'

/** A count of thousandths as a display shows it: 12345 in six whole digits is `000012.345`. */
function thousandths(value: bigint, whole: number): string {
  const digits = String(value).padStart(whole + 3, '0')
  return `${digits.slice(0, -3)}.${digits.slice(-3)}`
}

/** Counters in whole watt-hours, power of each direction, voltage and current of the one phase. */
export const iecLines = (serial: string, { imported, exported, powerMw, voltageMv, currentMa }: Measured) => [
  'F.F(00)',
  `C.1.0(${serial})`,
  `1.8.0(${thousandths(imported / 1000n, 6)}*kWh)`,
  `2.8.0(${thousandths(exported / 1000n, 6)}*kWh)`,
  `1.7.0(${thousandths(BigInt(Math.max(0, powerMw)) / 1000n, 2)}*kW)`,
  `2.7.0(${thousandths(BigInt(Math.max(0, -powerMw)) / 1000n, 2)}*kW)`,
  `32.7.0(${thousandths(BigInt(voltageMv), 3).slice(0, -2)}*V)`,
  `31.7.0(${thousandths(BigInt(currentMa), 3).slice(0, -1)}*A)`,
]

/** Mode D: the same lines, unasked. */
export function startIecPusher(
  options: TelegramMeterOptions & { readonly identification: string; readonly serial: string; readonly parity: Parity },
): SpeakingMeter {
  const { identification, serial, parity } = options
  return speak(options, measured => onWire(pushedText(identification, iecLines(serial, measured)), parity))
}

/**
 * The records of one M-Bus telegram: energy forward and backward (VIFE 3C), power, voltage (FD 48), counted in watt-hours,
 * watts and tenths of a volt (EN 13757-3, tables 10, 14 and 15).
 */
export const mbusRecords = ({ imported, exported, powerMw, voltageMv }: Measured): Uint8Array =>
  concat(
    Uint8Array.of(0x04, 0x03),
    lowFirst(imported / 1000n, 4),
    Uint8Array.of(0x04, 0x83, 0x3c),
    lowFirst(exported / 1000n, 4),
    Uint8Array.of(0x04, 0x2b),
    lowFirst(BigInt(Math.trunc(powerMw / 1000)), 4),
    Uint8Array.of(0x02, 0xfd, 0x48),
    lowFirst(BigInt(Math.trunc(voltageMv / 100)), 2),
  )

/** The header's first eight bytes: eight digits low byte first, maker TLN, version 1, electricity. */
export const mbusIdentity = (digits: string): Uint8Array =>
  concat(fromHex(digits)!.reverse(), Uint8Array.of(0x8e, 0x51, 0x01, 0x02))

function lowFirst(value: bigint, bytes: number): Uint8Array {
  const raw = BigInt.asUintN(8 * bytes, value)
  return Uint8Array.from({ length: bytes }, (_, i) => Number((raw >> BigInt(8 * i)) & 0xffn))
}
