/** Part of the composition root: opens the site's lines and makes its meters and relays on them. */
import { createMbusMaster, type MbusMaster } from '../drivers/meters/mbus-master.ts'
import { createModbusMaster, type ModbusMaster } from '../drivers/modbus/master.ts'
import type { Line, Meter, Relay } from '../drivers/ports.ts'
import { type Fault, ok, type Result } from '../protocol/result.ts'
import type { TelegramKeys } from '../protocol/telegram/telegram.ts'
import { framingOf } from './config/line-settings.ts'
import type { ContactRef } from './config/relay-config.ts'
import type { SiteConfig } from './config/site-config.ts'
import type { FrameCounters } from './metering/frame-counters.ts'
import { baudOf, openMeter, type SharedMaster } from './open-meter.ts'
import { openRelays } from './open-relays.ts'
import type { World } from './world.ts'

/**
 * What a meter is asked for: no more than the interlock, trading and receipts need, so that three line meters at once a
 * second fit on a 9,600 baud line.
 */
const CHANNELS = ['voltageL1', 'currentL1', 'power', 'frequency', 'energyImported', 'energyExported'] as const
/** Of the meter of a fuse. */
const FUSE_CHANNELS = [...CHANNELS, 'currentL2', 'currentL3'] as const

export interface Devices {
  readonly meters: ReadonlyMap<string, Meter>
  relay(contact: ContactRef): Relay
  /** The master of a line, shared by all that is on it. */
  masterOn(line: string): Promise<ModbusMaster>
  lineOf(line: string): Line
  close(): Promise<void>
}

export async function openDevices(
  config: SiteConfig,
  world: World,
  {
    lateAnswerDefence = true,
    frameCounters,
    health = () => {},
  }: {
    readonly lateAnswerDefence?: boolean
    readonly frameCounters?: FrameCounters
    readonly health?: (name: string, fault: Fault | undefined) => void
  },
): Promise<Result<Devices>> {
  const { clock, timers, log } = world
  const masters = new Map<string, Promise<SharedMaster>>()
  const mbuses = new Map<string, MbusMaster>()
  const closers: (() => Promise<void>)[] = []
  const close = async () => {
    for (const closeOne of closers.reverse()) await closeOne()
  }

  /** One for each line, whoever asks while it is being opened. */
  function masterOn(name: string): Promise<SharedMaster> {
    const known = masters.get(name) ?? openMaster(name)
    masters.set(name, known)
    return known
  }

  async function openMaster(name: string): Promise<SharedMaster> {
    const spec = config.lines[name]!
    const line = world.openLine(spec)
    const framing = framingOf(
      spec,
      Object.values(config.meters).filter(meter => meter.line === name),
    )
    const { answerFloorMs } = world
    const answers = answerFloorMs === undefined ? {} : { answers: { floorMs: answerFloorMs } }
    const master = createModbusMaster({ line, clock, timers, framing, log, lateAnswerDefence, ...answers })
    closers.push(() => master.close())
    // A line that is not there yet is tried again by the master; its meters are absent until then.
    const opened = await master.open()
    if (!opened.ok) log('warn', 'lines', `${name} is not open`, opened.fault)
    return { master, characterMs: line.characterMs }
  }

  async function mbusOn(name: string): Promise<MbusMaster> {
    const known = mbuses.get(name)
    if (known !== undefined) return known
    const spec = config.lines[name]!
    const made = createMbusMaster({ line: world.openLine(spec), clock, timers, log, ...baudOf(spec) })
    mbuses.set(name, made)
    closers.push(() => made.close())
    const opened = await made.open()
    if (!opened.ok) log('warn', 'lines', `${name} is not open`, opened.fault)
    return made
  }

  const relays = await openRelays(config, world, { masterOn, health })
  closers.push(relays.close)
  const lineOf = (line: string) => world.openLine(config.lines[line]!)
  const meters = new Map<string, Meter>()
  for (const [name, meter] of Object.entries(config.meters)) {
    const specOf = (line: string) => config.lines[line]!
    const onFuse = Object.values(config.charging?.fuses ?? {}).some(fuse => fuse.meter === name)
    const channels = onFuse ? FUSE_CHANNELS : CHANNELS
    const counters = frameCounters && { counterOf: (keys: TelegramKeys) => frameCounters.of(name, keys) }
    const around = { clock, timers, log, masterOn, mbusOn, lineOf, specOf, channels, ...counters }
    const opened = await openMeter(meter, around)
    if (!opened.ok) {
      await close()
      return opened
    }
    meters.set(name, opened.value)
    closers.push(() => opened.value.close())
  }
  return ok({
    meters,
    relay: relays.relay,
    masterOn: async line => (await masterOn(line)).master,
    lineOf,
    close,
  })
}
