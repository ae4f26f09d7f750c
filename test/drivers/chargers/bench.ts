/** Each charger driver before its simulated controller: in memory, or on a real pseudo-terminal or TCP socket. */
import { openAbbTerraCharger } from '../../../drivers/chargers/abb-terra.ts'
import { openAlfenCharger } from '../../../drivers/chargers/alfen.ts'
import { openAmperfiedCharger } from '../../../drivers/chargers/amperfied.ts'
import { openEvseWbCharger } from '../../../drivers/chargers/evse-wb.ts'
import { openOpenEvseCharger } from '../../../drivers/chargers/openevse.ts'
import { openPhoenixCharger } from '../../../drivers/chargers/phoenix-evcc.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import type { DeviceEnd } from '../../../drivers/line/device-end.ts'
import { openPty } from '../../../drivers/line/pty.ts'
import { createSerialLine } from '../../../drivers/line/serial.ts'
import { createTcpLine } from '../../../drivers/line/tcp.ts'
import { openTcpServer } from '../../../drivers/line/tcp-server.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import type { Charger, Clock, Line, Timers } from '../../../drivers/ports.ts'
import { createAbbTerra } from '../../../hw/sim/chargers/abb-terra.ts'
import { createAlfen } from '../../../hw/sim/chargers/alfen.ts'
import { createAmperfied } from '../../../hw/sim/chargers/amperfied.ts'
import { createEvseWb } from '../../../hw/sim/chargers/evse-wb.ts'
import type { ModbusCharger } from '../../../hw/sim/chargers/modbus-charger.ts'
import { createOpenEvse } from '../../../hw/sim/chargers/openevse.ts'
import { createPhoenix } from '../../../hw/sim/chargers/phoenix-evcc.ts'
import type { SimCharger } from '../../../hw/sim/chargers/station.ts'
import { createSimTime, type SimTime } from '../../../hw/sim/clock.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { must } from '../../../protocol/result.ts'
import { type ChargerFacts, type ChargerUnderTest, STEP_MS } from '../../contracts/charger.ts'
import { follow } from '../followed-bytes.ts'

export const MOST_MA = 16_000
export const BOOT_MA = 20_000
export const FAILSAFE_MA = 6_000
const UNIT = 7

/** The simulator's side of a controller. */
export interface SimParts {
  readonly clock: Clock
  readonly timers: Timers
  readonly bootMa: number
  readonly carMa: number
  readonly reactionMs: number
}

/** The gateway's side. */
export interface AgentParts {
  readonly line: Line
  readonly clock: Clock
  readonly timers: Timers
  readonly givesWay?: boolean
}

export interface Kind<S extends SimCharger = SimCharger> {
  readonly name: string
  readonly facts: ChargerFacts
  readonly wire: { readonly baudRate: number; readonly parity: 'none' | 'even' } | 'tcp'
  simulate(end: DeviceEnd, parts: SimParts): S
  open(parts: AgentParts): Promise<Charger>
}

const facts = (states: string, stepMa: number): ChargerFacts => ({
  states: [...states] as ChargerFacts['states'],
  stepMa,
  mostMa: MOST_MA,
  bootMa: BOOT_MA,
})

function onModbus<S extends ModbusCharger>(
  wire: Kind['wire'],
  simulate: (parts: SimParts & { unit: number }) => S,
  open: (parts: AgentParts & { master: ReturnType<typeof createModbusMaster>; unit: number }) => Charger,
): Pick<Kind<S>, 'wire' | 'simulate' | 'open'> {
  const framing = wire === 'tcp' ? 'tcp' : 'rtu'
  return {
    wire,
    simulate: (end, parts) => {
      const sim = simulate({ ...parts, unit: UNIT })
      const options = { framing, characterMs: 0, turnaroundMs: 5, random: seededRandom(1) } as const
      serveModbus(end, sim.units, { ...options, clock: parts.clock, timers: parts.timers })
      return sim
    },
    open: async parts => {
      const master = createModbusMaster({ ...parts, framing })
      must(await master.open())
      return open({ ...parts, master, unit: UNIT })
    },
  }
}

const named = { name: 'garage', mostMa: MOST_MA } as const
const RTU_9600 = { baudRate: 9600, parity: 'none' } as const

export const EVSE_WB: Kind<ReturnType<typeof createEvseWb>> = {
  name: 'evse-wb',
  facts: facts('ABCDF', 1000),
  ...onModbus(RTU_9600, createEvseWb, parts =>
    must(openEvseWbCharger({ ...named, ...parts, allowUnsupervised: true })),
  ),
}

const PHOENIX: Kind = {
  name: 'phoenix-evcc',
  facts: facts('ABCDEF', 1000),
  ...onModbus(RTU_9600, createPhoenix, parts =>
    must(openPhoenixCharger({ ...named, ...parts, allowUnsupervised: true })),
  ),
}

export const AMPERFIED: Kind<ModbusCharger> = {
  name: 'amperfied',
  facts: facts('ABCEF', 100),
  ...onModbus({ baudRate: 19_200, parity: 'even' }, createAmperfied, parts =>
    must(openAmperfiedCharger({ ...named, ...parts, failsafeMa: FAILSAFE_MA })),
  ),
}

const ABB_TERRA: Kind<ModbusCharger> = {
  name: 'abb-terra',
  facts: facts('ABCF', 1),
  ...onModbus('tcp', createAbbTerra, parts => must(openAbbTerraCharger({ ...named, ...parts }))),
}

/** The same on its RS-485 port. */
export const ABB_TERRA_RTU: Kind<ModbusCharger> = {
  ...ABB_TERRA,
  name: 'abb-terra on rtu',
  ...onModbus(RTU_9600, createAbbTerra, parts => must(openAbbTerraCharger({ ...named, ...parts }))),
}

const VALID_S = 60
export const ALFEN: Kind<ModbusCharger> = {
  name: 'alfen',
  facts: facts('ABCDEF', 1),
  ...onModbus(
    'tcp',
    parts => createAlfen({ ...parts, validS: VALID_S, safeMa: FAILSAFE_MA }),
    parts => must(openAlfenCharger({ ...named, ...parts, watchdogMs: 1000 * VALID_S, failsafeMa: FAILSAFE_MA })),
  ),
}

export const OPENEVSE: Kind<ReturnType<typeof createOpenEvse>> = {
  name: 'openevse',
  facts: facts('ABCDF', 1000),
  wire: { baudRate: 115_200, parity: 'none' },
  simulate: createOpenEvse,
  open: async parts => must(openOpenEvseCharger({ ...named, ...parts })),
}

export const KINDS: readonly Kind[] = [EVSE_WB, PHOENIX, AMPERFIED, ABB_TERRA, ABB_TERRA_RTU, ALFEN, OPENEVSE]
export const SUPERVISED: readonly Kind[] = KINDS.filter(kind => kind !== EVSE_WB && kind !== PHOENIX)

export interface Bench<S extends SimCharger> extends ChargerUnderTest {
  readonly sim: S
  readonly line: Line
  readonly timers: Timers
}

const CAR = { bootMa: BOOT_MA, carMa: 32_000, reactionMs: 2_000 } as const

/** What stands between a driver and its wire, with what a case wants to know of it. */
export function counted<T extends (...args: never[]) => unknown>(
  write: T,
): { readonly write: T } & Pick<ChargerUnderTest, 'sent' | 'atWrite'> {
  let sent = 0
  const due = new Map<number, () => void>()
  return {
    write: ((...args) => {
      sent++
      due.get(sent)?.()
      due.delete(sent)
      return write(...args)
    }) as T,
    sent: () => sent,
    atWrite: (count, run) => void due.set(sent + count, run),
  }
}

/** `disturb`: what the wire makes of bytes, in either direction. */
export async function inMemory<S extends SimCharger>(
  kind: Kind<S>,
  disturb: (bytes: Uint8Array) => Uint8Array = bytes => bytes,
  more: Pick<AgentParts, 'givesWay'> = {},
): Promise<Bench<S>> {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const baud = kind.wire === 'tcp' ? undefined : kind.wire.baudRate
  const wire = createMemoryLine({
    name: 'bus',
    characterMs: baud === undefined ? 0 : 10_000 / baud,
    disturb,
    clock,
    timers,
  })
  const sim = kind.simulate(wire.device, { ...CAR, clock, timers })
  const { write, sent, atWrite } = counted(wire.port.write)
  const line = { ...wire.port, write }
  const charger = await kind.open({ line, clock, timers, ...more })
  return { charger, sim, clock, timers, line, sent, atWrite, pass: advance, end: async () => {} }
}

/** Nobody waits for an answer while a test lets more than this pass. */
const STRIDE_MS = 1_000

/** Real bytes on a real device, in virtual time. */
export async function onDevice<S extends SimCharger>(kind: Kind<S>): Promise<Bench<S>> {
  const system = createSystemTime()
  const { clock, timers, advance }: SimTime = createSimTime(0, drainPromises)
  const parts = { ...CAR, clock, timers }
  const followed = follow()
  let [line, sim, end]: [Line?, S?, (() => Promise<void>)?] = []
  if (kind.wire === 'tcp') {
    const server = must(
      await openTcpServer({ host: '127.0.0.1', port: 0 }, device => {
        sim = kind.simulate(followed.device(device), parts)
      }),
    )
    line = createTcpLine('127.0.0.1', server.port, clock, system.timers)
    end = () => server.close()
  } else {
    const device = must(await openPty())
    sim = kind.simulate(followed.device(device), parts)
    line = createSerialLine({ path: device.path, ...kind.wire }, clock, system.timers)
    end = () => device.close()
  }
  const real = followed.line(line)
  const { write, sent, atWrite } = counted(real.write)
  const watched = { ...real, write }
  const charger = await kind.open({ line: watched, clock, timers })
  while (sim === undefined) await system.timers.sleep(1)
  return {
    charger,
    sim,
    clock,
    timers,
    line: watched,
    sent,
    atWrite,
    pass: ms => followed.pass(advance, ms, ms > STRIDE_MS ? STRIDE_MS : STEP_MS),
    async end() {
      await watched.close()
      await end?.()
    },
  }
}
