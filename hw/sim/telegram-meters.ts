/** Meters that speak unasked once a second: SML on an infrared eye or RS-485, DSMR P1 on its customer port. */
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import type { Cancel, Clock, Timers } from '../../drivers/ports.ts'
import { type PushSeal, sealPush } from '../../protocol/telegram/dlms/write.ts'
import { encodeDsmr } from '../../protocol/telegram/dsmr-write.ts'
import { type MeterValue, OBIS, type UnitName } from '../../protocol/telegram/obis.ts'
import { encodeSml } from '../../protocol/telegram/sml-write.ts'
import { isoTime, later } from '../../protocol/time.ts'
import { type Noise, noise, type Random } from './noise.ts'
import { sendPaced } from './pace.ts'
import type { Measured } from './register-image.ts'

export interface TelegramMeterOptions {
  readonly end: DeviceEnd
  /** Asked when a telegram begins. */
  readonly measure: () => Measured
  /** Milliseconds a character where the end keeps no pace of its own (a pseudo-terminal), else 0. */
  readonly characterMs: number
  readonly everyMs?: number
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
}

/** What is wrong with the meter; set at any time. */
export interface TelegramFaults extends Noise {
  silent: boolean
  /** Goes on speaking, of what it measured when it froze. */
  frozen: boolean
  flippedBits: number
  lostBytes: number
  extraBytes: number
  parityErrors: number
  garbled: boolean
}

export interface SpeakingMeter {
  readonly faults: TelegramFaults
  stop(): void
}

/** Every second: P1 v5 (5.0.2, chapter 6.1) and most SML meters. */
const EVERY_MS = 1000

export const startSmlMeter = (
  options: TelegramMeterOptions & { readonly serverId: Uint8Array; readonly maker: string },
): SpeakingMeter =>
  speak(options, (measured, sequence) =>
    encodeSml({
      serverId: options.serverId,
      maker: options.maker,
      seconds: Math.floor(options.clock.mono() / 1000),
      sequence,
      values: [
        milli(OBIS.energyImport, measured.imported, -1, 'Wh'),
        milli(OBIS.energyExport, measured.exported, -1, 'Wh'),
        milli(OBIS.power, measured.powerMw, -1, 'W'),
        milli(OBIS.voltageL1, measured.voltageMv, -1, 'V'),
        milli(OBIS.currentL1, measured.currentMa, -2, 'A'),
        milli(OBIS.frequency, measured.frequencyMhz, -1, 'Hz'),
      ],
    }),
  )

/** A v5 meter: whole watt-hours in two tariffs of which only the second counts, and power of each direction apart. */
export function startP1Meter(
  options: TelegramMeterOptions & {
    readonly equipmentId: string
    readonly model: string
    /** With it every telegram is encrypted, as in Luxembourg, the frame counter rising from the time of day. */
    readonly seal?: Omit<PushSeal, 'counter'>
  },
): SpeakingMeter {
  const { seal } = options
  const counted = Math.floor(options.clock.now() / 1000)
  return speak(options, (measured, sequence) => {
    const telegram = encodeDsmr({
      model: options.model,
      equipmentId: options.equipmentId,
      timestamp: dutchWinterTime(options.clock),
      values: [
        milli('1-0:1.8.1', 0, 0, 'Wh'),
        milli('1-0:1.8.2', measured.imported, 0, 'Wh'),
        milli('1-0:2.8.1', 0, 0, 'Wh'),
        milli('1-0:2.8.2', measured.exported, 0, 'Wh'),
        milli(OBIS.powerImport, Math.max(0, measured.powerMw), 0, 'W'),
        milli(OBIS.powerExport, Math.max(0, -measured.powerMw), 0, 'W'),
        milli(OBIS.voltageL1, measured.voltageMv, -1, 'V'),
        milli(OBIS.currentL1, measured.currentMa, 0, 'A'),
      ],
    })
    return seal === undefined ? telegram : sealPush(telegram, { ...seal, counter: counted + sequence })
  })
}

export function speak(
  options: TelegramMeterOptions,
  telegram: (measured: Measured, sequence: number) => Uint8Array,
): SpeakingMeter {
  const { end, measure, characterMs, everyMs = EVERY_MS, timers, random } = options
  const faults: TelegramFaults = {
    silent: false,
    frozen: false,
    flippedBits: 0,
    lostBytes: 0,
    extraBytes: 0,
    parityErrors: 0,
    garbled: false,
  }
  let live = true
  let sequence = 0
  let measured: Measured | undefined
  const stop: Cancel = timers.every(everyMs, () => {
    measured = faults.frozen && measured !== undefined ? measured : measure()
    sequence++
    if (faults.silent) return
    const bytes = noise(telegram(measured, sequence), faults, random)
    sendPaced({ write: slice => live && end.write(slice) }, bytes, { afterMs: 0, characterMs }, timers)
  })
  return {
    faults,
    stop: () => {
      live = false
      stop()
    },
  }
}

/** Thousandths of a unit as a register of that many decimals shows them: digits beyond are cut off. */
export function milli(obis: string, thousandths: number | bigint, scaler: number, unit: UnitName): MeterValue {
  return { obis, value: BigInt(thousandths) / 10n ** BigInt(3 + scaler), scaler, unit }
}

/** YYMMDDhhmmssW: an hour ahead of UTC the year round; the meter of the street knows no summer time. */
function dutchWinterTime(clock: Clock): string {
  const digits = isoTime(later(clock.now(), 3_600_000)).replace(/\D/g, '')
  return `${digits.slice(2, 14)}W`
}
