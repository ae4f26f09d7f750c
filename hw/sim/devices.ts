/**
 * Everything that stands behind the wires' ends: meters that show what really flows, and relays that really switch it. The
 * agents reach them only through the lines that this file is given.
 */
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import type { Clock, Timers } from '../../drivers/ports.ts'
import { hex } from '../../protocol/bytes.ts'
import { type CoilBoard, createCoilBoard } from './coil-board.ts'
import { sdm120Bank, sdm630Bank } from './eastron-image.ts'
import { createSimGpioBank, type SimGpioBank } from './gpio-bank.ts'
import { createUnit, type ModbusUnit, serveModbus } from './modbus-slave.ts'
import type { Random } from './noise.ts'
import type { Measured } from './register-image.ts'
import { shellyPro3emBank } from './shelly-image.ts'
import { type SiteLine, type StreetPace, UNIT } from './site-config.ts'
import { lineEndsOf, type Street, type StreetSite, type WiredContact, wiredContacts } from './street.ts'
import { type SpeakingMeter, startP1Meter, startSmlMeter } from './telegram-meters.ts'
import type { WireContact } from './wire-plan.ts'
import type { Wires } from './wires.ts'

/** One line of one site, from the devices' side. */
export interface DeviceLine {
  /** Serves each connection: one for ever on a serial line, one after the other on TCP. */
  attach(serve: (end: DeviceEnd) => void): void
  unplug(): void
  close(): Promise<void>
}

/** Eastron and board alike; Modbus allows far more, these answer within a few milliseconds. */
const TURNAROUND_MS = 5
/** 10 bits a character at 9,600 and at 115,200 baud, in milliseconds. */
const CHARACTER_MS = { slow: 10_000 / 9_600, p1: 10_000 / 115_200 }

/** What every counter stood at before the street began, in milliwatt-hours: no meter is hung up at zero. */
const COUNTED_BEFORE = 1_000_000n

/** What a meter shows whose wires carried this since the street began. */
export const hungUp = <T extends Measured>(view: T): T => ({
  ...view,
  imported: view.imported + COUNTED_BEFORE,
  exported: view.exported + COUNTED_BEFORE,
})

export interface SiteDevices {
  /** Line meters by line id, where their faults are set. */
  readonly lineMeters: ReadonlyMap<string, ModbusUnit>
  /** The grid meter, where it speaks Modbus on the same bus. */
  readonly gridMeter: ModbusUnit | undefined
  readonly board: CoilBoard | undefined
  readonly gpio: SimGpioBank | undefined
  stop(): void
}

export interface DeviceOptions {
  readonly street: Street
  readonly site: StreetSite
  readonly wires: Wires
  readonly clock: Clock
  readonly timers: Timers
  readonly random: Random
  /** Whether lines keep the wire's pace by themselves; a pseudo-terminal does not. */
  readonly paced: boolean
  readonly coilsOnly: boolean
  readonly pace: StreetPace
  line(name: SiteLine): DeviceLine
}

export function startSiteDevices(options: DeviceOptions): SiteDevices {
  const { street, site, wires, clock, timers, random, paced } = options
  const stops: (() => void)[] = []
  const characterMs = paced ? 0 : CHARACTER_MS.slow
  const modbus = { framing: 'rtu', characterMs, turnaroundMs: TURNAROUND_MS, clock, timers, random } as const
  const grid = (): Measured => hungUp(wires.gridMeter(site.name))

  const ends = lineEndsOf(street, site.name)
  const lineMeters = new Map(
    ends.map(({ line, side }) => [
      line.id,
      createUnit(
        sdm120Bank({
          serial: Number(side === 'seller' ? line.sellerMeterId : line.buyerMeterId),
          measure: () => hungUp(wires.lineMeter(line.id, side)),
        }),
      ),
    ]),
  )
  const units = new Map(ends.map(({ line }, index) => [UNIT.lineMeter(index), lineMeters.get(line.id)!]))
  if (site.gridMeter === 'eastron-sdm630' || site.gridMeter === 'eastron-sdm120') {
    const bank = site.gridMeter === 'eastron-sdm630' ? sdm630Bank : sdm120Bank
    units.set(UNIT.grid, createUnit(bank({ serial: Number(site.gridMeterId), measure: grid })))
  }
  options.line('meters').attach(end => stops.push(serveModbus(end, units, modbus)))

  const telegrams = { measure: grid, clock, timers, random, everyMs: options.pace.telegramEveryMs }
  const speak = (start: (end: DeviceEnd) => SpeakingMeter) =>
    options.line('grid').attach(end => {
      const meter = start(end)
      stops.push(() => meter.stop())
    })
  if (site.gridMeter === 'sml') {
    speak(end => startSmlMeter({ ...telegrams, end, characterMs, serverId: hex(site.gridMeterId), maker: 'TLN' }))
  } else if (site.gridMeter === 'dsmr') {
    const pace = paced ? 0 : CHARACTER_MS.p1
    speak(end => startP1Meter({ ...telegrams, end, characterMs: pace, equipmentId: site.gridMeterId, model: 'TLN5' }))
  } else if (site.gridMeter === 'modbus-tcp') {
    const shelly = new Map([[1, createUnit(shellyPro3emBank({ mac: site.gridMeterId, measure: grid }))]])
    options
      .line('grid')
      .attach(end => stops.push(serveModbus(end, shelly, { ...modbus, framing: 'tcp', characterMs: 0 })))
  }

  const wired = wiredContacts(street, site)
  const move = (channel: number, position: 'open' | 'closed') =>
    wires.setContact(wireContact(site, wired[channel]!), position)
  if (site.relays === 'johnny-five' && !options.coilsOnly) {
    const gpio = createSimGpioBank({
      name: `${site.name}-gpio`,
      lines: wired.flatMap((_, channel) => [
        { name: outputLine(channel + 1), pull: 0 as const },
        { name: auxiliaryLine(channel + 1), pull: 0 as const },
      ]),
      timers,
      watchdogMs: options.pace.holdMs,
      onLevel: (line, level) => {
        const channel = wired.findIndex((_, index) => outputLine(index + 1) === line)
        if (channel < 0) return
        move(channel, level === 1 ? 'closed' : 'open')
        // The auxiliary contact moves with the main one, which a weld holds where it is.
        gpio.drive(auxiliaryLine(channel + 1), wires.position(wireContact(site, wired[channel]!)) === 'closed' ? 1 : 0)
      },
    })
    return { lineMeters, gridMeter: units.get(UNIT.grid), board: undefined, gpio, stop: () => stopAll(stops) }
  }
  const board = createCoilBoard({ channels: wired.length, moved: move, clock, timers })
  options.line('switch').attach(end => stops.push(serveModbus(end, new Map([[UNIT.board, board.unit]]), modbus)))
  return { lineMeters, gridMeter: units.get(UNIT.grid), board, gpio: undefined, stop: () => stopAll(stops) }
}

/** How a GPIO bank's relay channels, counted from 1, are wired to its lines. */
export const outputLine = (channel: number): string => `OUT${channel}`
export const auxiliaryLine = (channel: number): string => `AUX${channel}`

const stopAll = (stops: readonly (() => void)[]): void => {
  for (const stop of stops) stop()
}

/** A site's wired contact as the wires call it. */
function wireContact(site: StreetSite, { line, role, side }: WiredContact): WireContact {
  if (role === 'own' || line === undefined) return { kind: 'own', of: site.name }
  return { kind: role === 'upstream' ? 'upstream' : side, of: line }
}
