/** Part of the composition root: opens the site's lines and makes its meters and relays on them. */
import { createMbusMaster, type MbusMaster } from '../drivers/meters/mbus-master.ts'
import { createModbusMaster } from '../drivers/modbus/master.ts'
import type { Meter, Relay } from '../drivers/ports.ts'
import { openGpioRelays } from '../drivers/relays/johnny-five.ts'
import { coilRelays } from '../drivers/relays/modbus-coil.ts'
import { ok, type Result } from '../protocol/result.ts'
import type { TelegramKeys } from '../protocol/telegram/telegram.ts'
import { framingOf } from './config/line-settings.ts'
import type { ContactRef, RelayBankConfig, SiteConfig } from './config/site-config.ts'
import type { FrameCounters } from './metering/frame-counters.ts'
import { baudOf, openMeter, type SharedMaster } from './open-meter.ts'
import type { World } from './world.ts'

/**
 * What a meter is asked for: no more than the interlock, trading and receipts need, so that three line meters at once a
 * second fit on a 9,600 baud line.
 */
const CHANNELS = ['voltageL1', 'currentL1', 'power', 'frequency', 'energyImported', 'energyExported'] as const

export interface Devices {
  readonly meters: ReadonlyMap<string, Meter>
  relay(contact: ContactRef): Relay
  close(): Promise<void>
}

export async function openDevices(
  config: SiteConfig,
  world: World,
  {
    lateAnswerDefence = true,
    frameCounters,
  }: { readonly lateAnswerDefence?: boolean; readonly frameCounters?: FrameCounters },
): Promise<Result<Devices>> {
  const { clock, timers, log } = world
  const masters = new Map<string, SharedMaster>()
  const mbuses = new Map<string, MbusMaster>()
  const closers: (() => Promise<void>)[] = []
  const close = async () => {
    for (const closeOne of closers.reverse()) await closeOne()
  }

  async function masterOn(name: string): Promise<SharedMaster> {
    const known = masters.get(name)
    if (known !== undefined) return known
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
    const made = { master, characterMs: line.characterMs }
    masters.set(name, made)
    return made
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

  async function openBank(name: string, bank: RelayBankConfig): Promise<Result<ReadonlyMap<number, Relay>>> {
    const channels = [...new Set(contactsOn(config, name).map(({ channel }) => channel))].sort((a, b) => a - b)
    if (channels.length === 0) return ok(new Map())
    const opened = await openRelays(name, bank, channels)
    return opened.ok ? ok(new Map(opened.value.map((relay, index) => [channels[index]!, relay]))) : opened
  }

  async function openRelays(
    name: string,
    bank: RelayBankConfig,
    channels: readonly number[],
  ): Promise<Result<readonly Relay[]>> {
    if (bank.driver === 'johnny-five') {
      const wired = world.openGpioBank(bank.bank)
      if (!wired.ok) return wired
      return openGpioRelays({ bank: wired.value.bank, contacts: channels.map(wired.value.contact) })
    }
    const { master } = await masterOn(bank.line)
    const contacts = channels.map(channel => ({ name: `${name}.${channel}`, channel }))
    return coilRelays({ name, master, unit: bank.unit, contacts, timedMs: bank.timedMs })
  }

  const relays = new Map<string, Relay>()
  for (const [name, bank] of Object.entries(config.relays)) {
    const opened = await openBank(name, bank)
    if (!opened.ok) {
      await close()
      return opened
    }
    for (const [channel, relay] of opened.value) {
      relays.set(`${name}.${channel}`, relay)
      closers.push(() => relay.close())
    }
  }
  const meters = new Map<string, Meter>()
  for (const [name, meter] of Object.entries(config.meters)) {
    const lineOf = (line: string) => world.openLine(config.lines[line]!)
    const specOf = (line: string) => config.lines[line]!
    const counters = frameCounters && { counterOf: (keys: TelegramKeys) => frameCounters.of(name, keys) }
    const around = { clock, timers, log, masterOn, mbusOn, lineOf, specOf, channels: CHANNELS, ...counters }
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
    // loadConfig has checked that every contact names a bank of this site.
    relay: ({ bank, channel }) => relays.get(`${bank}.${channel}`)!,
    close,
  })
}

const contactsOn = (config: SiteConfig, bank: string): readonly ContactRef[] =>
  config.directLines.flatMap(({ contacts }) => Object.values(contacts).filter(contact => contact.bank === bank))
