/** One meter of a configuration, on the line that it names: whatever it speaks, a Meter comes out. */
import { readHexKeyFile } from '../drivers/keys/hex-key-file.ts'
import { PAGES } from '../drivers/meters/catalogue.ts'
import { createIecMeter } from '../drivers/meters/iec-meter.ts'
import type { MbusMaster } from '../drivers/meters/mbus-master.ts'
import { createMbusMeter } from '../drivers/meters/mbus-meter.ts'
import { createModbusMeter } from '../drivers/meters/modbus-meter.ts'
import type { Channel } from '../drivers/meters/page.ts'
import { createSunspecMeter } from '../drivers/meters/sunspec-meter.ts'
import { createTelegramMeter } from '../drivers/meters/telegram-meter.ts'
import { TELEGRAMS } from '../drivers/meters/telegrams.ts'
import type { ModbusMaster } from '../drivers/modbus/master.ts'
import type { Clock, Line, Log, Meter, Timers } from '../drivers/ports.ts'
import { fail, ok, type Result } from '../protocol/result.ts'
import type { TelegramKeys } from '../protocol/telegram/telegram.ts'
import type { LineConfig, MeterConfig } from './config/site-config.ts'
import type { KeptCounter } from './metering/frame-counters.ts'

/** The one master of a line that is asked, and how long a character takes on it. */
export interface SharedMaster {
  readonly master: ModbusMaster
  readonly characterMs: number
}

export interface MeterSurroundings {
  readonly clock: Clock
  readonly timers: Timers
  readonly log?: Log
  /** Of a meter that is asked. */
  readonly masterOn: (line: string) => Promise<SharedMaster>
  readonly mbusOn: (line: string) => Promise<MbusMaster>
  /** For a meter that has its line to itself; not open yet. */
  readonly lineOf: (line: string) => Line
  readonly specOf: (line: string) => LineConfig
  /** Keys that somebody has given already; else those of the meter's files are read. */
  readonly keys?: TelegramKeys
  /** What is known of an encrypted meter's frame counter, and who is told of it. */
  readonly counterOf?: (keys: TelegramKeys) => Promise<KeptCounter>
  /** What a page is read for; all that it has when left out. */
  readonly channels?: readonly Channel[]
}

/** What a line is set to, where it has a speed of its own. */
export const baudOf = (line: LineConfig): { readonly baud?: number } =>
  line.kind === 'serial' ? { baud: line.baud } : {}

/** A line that is not there yet is tried again until the meter is closed; what can never be read is a fault. */
export async function openMeter(meter: MeterConfig, around: MeterSurroundings): Promise<Result<Meter>> {
  const { clock, timers, log, channels } = around
  const common = {
    ...(meter.id === undefined ? {} : { meterId: meter.id }),
    ...(log === undefined ? {} : { log }),
  }
  if ('page' in meter) {
    const page = PAGES.get(meter.page)
    if (page === undefined)
      return fail({ code: 'meter.no-page', page: meter.page, hint: `known pages: ${[...PAGES.keys()].join(', ')}` })
    const shared = await around.masterOn(meter.line)
    const parts = { ...shared, ...common, page, unit: meter.unit, clock }
    return ok(createModbusMeter(channels === undefined ? parts : { ...parts, channels }))
  }
  if (meter.protocol === 'sunspec') {
    const { master } = await around.masterOn(meter.line)
    const { unit, model: which, positive, nth, maxRegisters } = meter
    const told = {
      ...(positive === undefined ? {} : { positive }),
      ...(nth === undefined ? {} : { nth: nth - 1 }),
      ...(maxRegisters === undefined ? {} : { maxRegisters }),
    }
    return ok(createSunspecMeter({ ...common, ...told, master, unit, which, clock }))
  }
  if (meter.protocol === 'mbus') {
    const master = await around.mbusOn(meter.line)
    return ok(createMbusMeter({ ...common, master, address: meter.address, clock }))
  }
  if (meter.protocol === 'iec62056' && meter.mode === undefined) {
    const { address } = meter
    const wire = iecWire(around.specOf(meter.line))
    const line = around.lineOf(meter.line)
    const asked = { ...common, ...wire, line, clock, timers, ...(address === undefined ? {} : { address }) }
    return opened(createIecMeter(asked), meter.line, log)
  }
  const kind = TELEGRAMS.get(meter.protocol)
  if (kind === undefined) return fail({ code: 'meter.no-page', page: meter.protocol })
  const keys =
    around.keys === undefined
      ? await keysOf('keyFile' in meter || 'authKeyFile' in meter ? meter : {})
      : ok(around.keys)
  if (!keys.ok) return keys
  const line = around.lineOf(meter.line)
  const decode = kind(keys.value)
  const kept = keys.value.encryption === undefined ? undefined : await around.counterOf?.(keys.value)
  const parts = { page: meter.protocol, line, decode, clock, timers, ...common, ...kept }
  return opened(createTelegramMeter(parts), meter.line, log)
}

/** A line of 8 bits hands over the parity that an IEC 62056-21 meter always sends. */
const iecWire = (line: LineConfig): { readonly openingBaud?: number; readonly parity?: 'even-in-bit-7' } =>
  line.kind === 'tcp'
    ? {}
    : { openingBaud: line.baud, ...(line.format === '8N1' ? ({ parity: 'even-in-bit-7' } as const) : {}) }

async function opened(
  made: Meter & { open(): Promise<Result<void>> },
  line: string,
  log: Log | undefined,
): Promise<Result<Meter>> {
  const up = await made.open()
  if (!up.ok) log?.('warn', 'lines', `${line} is not open`, up.fault)
  return ok(made)
}

async function keysOf({
  keyFile,
  authKeyFile,
}: {
  readonly keyFile?: string
  readonly authKeyFile?: string
}): Promise<Result<TelegramKeys>> {
  const keys: { encryption?: Uint8Array; authentication?: Uint8Array } = {}
  for (const [use, file] of [
    ['encryption', keyFile],
    ['authentication', authKeyFile],
  ] as const) {
    if (file === undefined) continue
    const key = await readHexKeyFile(file, { guarded: true })
    if (!key.ok) return key
    keys[use] = key.value
  }
  return ok(keys)
}
