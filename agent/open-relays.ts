/**
 * Part of the composition root: a site's relay banks, each opened with its driver. A bank that cannot be opened stops nothing:
 * its contacts answer with the reason, count as unknown and stay open, and it is tried again.
 */
import type { ModbusMaster } from '../drivers/modbus/master.ts'
import type { OnAgentDeath, Relay, Timers } from '../drivers/ports.ts'
import { COIL_BOARDS } from '../drivers/relays/coil-boards.ts'
import { firmataOpensWithin, openFirmataRelays } from '../drivers/relays/firmata.ts'
import { openGpioRelays } from '../drivers/relays/johnny-five.ts'
import { lcusRelays } from '../drivers/relays/lcus.ts'
import { coilRelays } from '../drivers/relays/modbus-coil.ts'
import { shellyRelays } from '../drivers/relays/shelly.ts'
import { toHex } from '../protocol/bytes.ts'
import { type Fault, fail, ok, type Result } from '../protocol/result.ts'
import { tlsFilesFor, tlsFrom } from './broker-tls.ts'
import type { ContactRef, RelayBankConfig } from './config/relay-config.ts'
import type { SiteConfig } from './config/site-config.ts'
import { wireGpio } from './gpio-wiring.ts'
import type { World } from './world.ts'

/** Between two attempts at a bank: a person who mends something sees it work, and a log is not flooded. */
const RETRY_MS = 5_000
/** A site does not wait longer for a bank: its other contacts may have to be opened. */
const FIRST_TRY_MS = 1_000

export interface RelayBanks {
  relay(contact: ContactRef): Relay
  close(): Promise<void>
}

export interface RelaySurroundings {
  readonly masterOn: (line: string) => Promise<{ readonly master: ModbusMaster }>
  /** Raises with a fault, clears without. */
  readonly health: (name: string, fault: Fault | undefined) => void
}

/** A bank's contacts by channel, and what is closed after them. */
interface OpenBank {
  readonly relays: ReadonlyMap<number, Relay>
  close?(): Promise<void> | void
}

/** Resolves when each bank was tried once, or has had its time; what is late is opened all the same. */
export async function openRelays(config: SiteConfig, world: World, around: RelaySurroundings): Promise<RelayBanks> {
  const relays = new Map<string, Relay>()
  const closers: (() => Promise<void>)[] = []
  const banks = Object.entries(config.relays).flatMap(([name, bank]) => {
    const channels = channelsInUse(config, name)
    const open = () => openBank(name, bank, channels, config, world, around)
    const declared = () => declaredDeath(name, bank, config, world)
    return channels.length === 0 ? [] : [{ name, channels, open, declared }]
  })
  await Promise.all(
    banks.map(async ({ name, channels, open, declared }) => {
      const kept = await keepBank(name, channels, open, declared, world.timers, around.health)
      closers.push(kept.close)
      for (const [channel, relay] of kept.relays) relays.set(`${name}.${channel}`, relay)
    }),
  )
  return {
    // loadConfig has checked that every contact names a bank of this site.
    relay: ({ bank, channel }) => relays.get(`${bank}.${channel}`)!,
    async close() {
      await Promise.all(closers.map(close => close()))
    },
  }
}

const channelsInUse = (config: SiteConfig, bank: string): readonly number[] => {
  const contacts = config.directLines.flatMap(({ contacts }) => Object.values(contacts) as ContactRef[])
  const channels = contacts.filter(contact => contact.bank === bank).map(({ channel }) => channel)
  return [...new Set(channels)].sort((a, b) => a - b)
}

/** The contacts of a bank, whether it can be opened yet or not. */
async function keepBank(
  name: string,
  channels: readonly number[],
  open: () => Promise<Result<OpenBank>>,
  declared: () => OnAgentDeath,
  timers: Timers,
  health: RelaySurroundings['health'],
): Promise<{ readonly relays: ReadonlyMap<number, Relay>; close(): Promise<void> }> {
  const notOpen: Fault = { code: 'relays.not-open', bank: name }
  let opened: Result<OpenBank> = fail(notOpen)
  let closed = false
  let cancel = () => {}

  async function attempt(): Promise<void> {
    const next = await open()
    if (closed) {
      if (next.ok) await closeBank(next.value)
      return
    }
    opened = next
    // What an agent that died left closed does not wait until this one has its journal, its brokers and its ledger.
    if (next.ok) for (const relay of next.value.relays.values()) void relay.command('open')
    health(`relays.${name}`, next.ok ? undefined : next.fault)
    if (!next.ok) cancel = timers.after(RETRY_MS, () => void attempt())
  }

  await new Promise<void>(resolve => {
    const late = timers.after(FIRST_TRY_MS, () => {
      health(`relays.${name}`, notOpen)
      resolve()
    })
    void attempt().then(() => {
      late()
      resolve()
    })
  })
  const relayOf = (channel: number): Result<Relay> => (opened.ok ? ok(opened.value.relays.get(channel)!) : opened)
  return {
    relays: new Map(
      channels.map(channel => {
        const relay = relayOf(channel)
        const onAgentDeath = relay.ok ? relay.value.onAgentDeath : declared()
        const of = () => relayOf(channel)
        return [channel, standIn(`${name}.${channel}`, onAgentDeath, of)]
      }),
    ),
    async close() {
      closed = true
      cancel()
      if (opened.ok) await closeBank(opened.value)
    },
  }
}

async function closeBank({ relays, close }: OpenBank): Promise<void> {
  for (const relay of relays.values()) await relay.close()
  await close?.()
}

/** One contact, which is there when its bank is. */
const standIn = (name: string, onAgentDeath: OnAgentDeath, relay: () => Result<Relay>): Relay => ({
  name,
  onAgentDeath,
  async command(position) {
    const now = relay()
    return now.ok ? now.value.command(position) : now
  },
  async observe() {
    const now = relay()
    return now.ok ? now.value.observe() : { seen: 'unknown', why: now.fault }
  },
  async close() {
    const now = relay()
    if (now.ok) await now.value.close()
  },
})

/** What the configuration says of a bank that was not there when the agent started: rounded as its driver does, never longer. */
function declaredDeath(name: string, bank: RelayBankConfig, config: SiteConfig, world: World): OnAgentDeath {
  const stays: OnAgentDeath = { kind: 'stays', allowUnsupervised: true }
  const opens = (withinMs: number): OnAgentDeath => ({ kind: 'opens', withinMs, by: `timer of ${name}` })
  const down = (ms: number, stepMs = 1) => opens(ms - (ms % stepMs))
  switch (bank.driver) {
    case 'modbus-coils':
      return bank.timedMs === undefined ? stays : down(bank.timedMs, COIL_BOARDS[bank.board].timed?.stepMs)
    case 'shelly':
      return bank.timedMs === undefined ? stays : down(bank.timedMs, 1000)
    case 'firmata':
      return bank.deadManMs === undefined
        ? stays
        : opens(firmataOpensWithin(bank.deadManMs, world.openLine(config.lines[bank.line]!)))
    default:
      return stays
  }
}

async function openBank(
  name: string,
  bank: RelayBankConfig,
  channels: readonly number[],
  config: SiteConfig,
  world: World,
  { masterOn, health }: RelaySurroundings,
): Promise<Result<OpenBank>> {
  const { clock, timers, log } = world
  const named = channels.map(channel => ({ name: `${name}.${channel}`, channel }))
  const byChannel = (relays: Result<readonly Relay[]>, close?: OpenBank['close']): Result<OpenBank> => {
    if (relays.ok)
      return ok({ relays: new Map(relays.value.map((relay, n) => [channels[n]!, relay])), ...(close && { close }) })
    void close?.()
    return relays
  }
  switch (bank.driver) {
    case 'modbus-coils': {
      const { master } = await masterOn(bank.line)
      return byChannel(coilRelays({ ...bank, name, master, contacts: named }))
    }
    case 'johnny-five': {
      const wired = world.openGpioBank(bank.bank)
      if (!wired.ok) return wired
      return byChannel(await openGpioRelays({ bank: wired.value.bank, contacts: channels.map(wired.value.contact) }))
    }
    case 'gpio': {
      const wiring = await wireGpio(name, bank, config.board)
      if (!wiring.ok) return wiring
      const missing = channels.find(channel => wiring.value.contacts[channel - 1] === undefined)
      if (missing !== undefined) return fail({ code: 'relays.no-channel', bank: name, channel: missing })
      const contacts = named.map(({ name, channel }) => ({ name, ...wiring.value.contacts[channel - 1]! }))
      const used = contacts.flatMap(({ output, auxiliary }) => [output, auxiliary?.line])
      const lines = wiring.value.lines.filter(line => used.includes(line.name))
      const chip = await world.openGpioChip(bank.chip, lines)
      if (!chip.ok) return chip
      const { allowUnsupervised } = bank
      const relays = await openGpioRelays({ bank: chip.value, contacts, allowUnsupervised })
      return byChannel(relays, () => chip.value.close())
    }
    case 'firmata': {
      const contacts = named.map(({ name, channel }) => ({ name, ...bank.contacts[channel - 1]! }))
      const line = world.openLine(config.lines[bank.line]!)
      return byChannel(await openFirmataRelays({ ...bank, line, clock, timers, contacts, log }))
    }
    case 'lcus': {
      const line = world.openLine(config.lines[bank.line]!)
      return byChannel(await lcusRelays({ ...bank, name, line, clock, timers, contacts: named, log }))
    }
    case 'shelly': {
      const files = bank.broker === undefined ? config.brokerTls : tlsFilesFor(config, bank.broker)
      const tls = await tlsFrom(files, fault => health(`relays.${name}.tls`, fault))
      if (!tls.ok) return tls
      const bus = await world.openBus(bank.broker === undefined ? config.brokers : [bank.broker], tls.value)
      if (!bus.ok) return bus
      const src = `tieline-${toHex(world.entropy.bytes(8))}`
      const relays = await shellyRelays({ ...bank, name, bus: bus.value, src, contacts: named, clock, timers })
      return byChannel(relays, () => bus.value.close())
    }
  }
}
