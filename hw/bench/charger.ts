/** `tieline-bench charger`: a simulated charging station with a car at it, on a line of its own, until somebody ends it. */
import { type Command, program } from '../../agent/cli/commander.ts'
import { EXIT, type ExitCode, exitOf } from '../../agent/cli/exit-codes.ts'
import { unknownName } from '../../agent/cli/usage.ts'
import { parseCurrent } from '../../agent/config/literals.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import type { Cancel, Clock, Timers } from '../../drivers/ports.ts'
import { faultLine } from '../../protocol/result.ts'
import { createAbbTerra } from '../sim/chargers/abb-terra.ts'
import { createAlfen } from '../sim/chargers/alfen.ts'
import { createAmperfied } from '../sim/chargers/amperfied.ts'
import { createEvseWb } from '../sim/chargers/evse-wb.ts'
import type { ModbusCharger } from '../sim/chargers/modbus-charger.ts'
import { createOpenEvse } from '../sim/chargers/openevse.ts'
import { createPhoenix } from '../sim/chargers/phoenix-evcc.ts'
import type { SimCharger, StationOptions } from '../sim/chargers/station.ts'
import { serveModbus } from '../sim/modbus-slave.ts'
import { seededRandom } from '../sim/random.ts'
import { collect, readFlags, UsageError, whole } from './flags.ts'
import { address } from './meter-options.ts'
import { openPlug, type Serve } from './plug.ts'
import type { BenchSurroundings } from './surroundings.ts'

/** The one that is met on a network alone. */
const ON_TCP = 'alfen'
const OPENEVSE = 'openevse'
/** What each speaks, as its driver expects it. */
const ON_MODBUS: Readonly<Record<string, (options: StationOptions & { readonly unit: number }) => ModbusCharger>> = {
  'evse-wb': createEvseWb,
  phoenix: createPhoenix,
  amperfied: createAmperfied,
  'abb-terra': createAbbTerra,
  // As it comes: a limit holds a minute, then 6 A.
  [ON_TCP]: options => createAlfen({ ...options, validS: 60, safeMa: 6_000 }),
}
const CONTROLLERS = [...Object.keys(ON_MODBUS), OPENEVSE]
const BOOT_MA = 16_000
const REACTION_MS = 1_000
const TURNAROUND_MS = 5
/** A station is looked at so often; a change in between is seen as its outcome. */
const LOOK_MS = 100

interface Asked {
  readonly controller: string
  readonly unit: number
  readonly carMa: number
  readonly plugs: readonly { readonly atMs: number; readonly plugged: boolean }[]
  readonly tcp: { readonly host: string; readonly port: number } | undefined
  readonly json: boolean
}

export async function benchCharger(args: readonly string[], around: BenchSurroundings): Promise<ExitCode> {
  const { terminal, interruption } = around
  const read = await readAsked(args, around)
  if ('exit' in read) return read.exit
  const { asked } = read
  const interrupted = interruption()
  const { clock, timers } = createSystemTime()
  const bench = openStation(asked, clock, timers)
  const plug = await openPlug(asked.tcp, bench.serve)
  if (!plug.ok) {
    terminal.err(`tieline-bench charger: ${faultLine(plug.fault)}\n`)
    return exitOf(plug.fault)
  }
  const where = plug.value.where()
  const { controller, unit, json } = asked
  const said = { controller, ...(controller === OPENEVSE ? {} : { unit }) }
  terminal.out(
    json
      ? `${JSON.stringify({ place: where, ...said })}\n`
      : `${where}\n${controller}${controller === OPENEVSE ? '' : `, unit ${unit}`}: what \`tieline init\` asks for\n`,
  )
  const stops: Cancel[] = asked.plugs.map(({ atMs, plugged }) =>
    timers.after(atMs, () => bench.station()?.plug(plugged)),
  )
  let last = ''
  stops.push(
    timers.every(LOOK_MS, () => {
      const station = bench.station()
      if (station === undefined) return
      const state = station.state()
      const now = { state, offered_ma: station.offeredMa(), drawn_ma: station.drawnMa() }
      if (last === JSON.stringify(now)) return
      last = JSON.stringify(now)
      if (json) terminal.out(`${JSON.stringify(now)}\n`)
      else terminal.err(`state ${state}: offers ${amperes(now.offered_ma)}, the car draws ${amperes(now.drawn_ma)}\n`)
    }),
  )
  await interrupted
  for (const stop of stops) stop()
  await plug.value.close()
  // Nobody is watched any more: a minute's watchdog would keep the program for that long.
  bench.station()?.watch(0, () => {})
  return EXIT.ok
}

const amperes = (ma: number): string => `${ma / 1000} A`

/** The station behind whatever line is opened; that of an OpenEVSE is made with its line. */
function openStation({ controller, unit, carMa, tcp }: Asked, clock: Clock, timers: Timers) {
  const options = { clock, timers, bootMa: BOOT_MA, carMa, reactionMs: REACTION_MS }
  let made: SimCharger | undefined
  // As it is when it is switched on: the car has what it comes with, until somebody says otherwise.
  const switchOn = <S extends SimCharger>(charger: S): S => {
    charger.restart()
    made = charger
    return charger
  }
  const station = () => made?.station
  if (controller === OPENEVSE) {
    const serve: Serve = end => {
      const charger = switchOn(createOpenEvse(end, options))
      return () => charger.cut(true)
    }
    return { serve, station }
  }
  const { units } = switchOn(ON_MODBUS[controller]!({ ...options, unit }))
  const slave = {
    framing: tcp === undefined ? ('rtu' as const) : ('tcp' as const),
    ...{ characterMs: 0, turnaroundMs: TURNAROUND_MS, clock, timers, random: seededRandom(1) },
  }
  const serve: Serve = end => serveModbus(end, units, slave)
  return { serve, station }
}

const EXAMPLES = `
Examples:
  tieline-bench charger --controller amperfied
  tieline-bench charger --controller alfen --tcp 1502 --car 10A
  tieline-bench charger --controller evse-wb --unit 7 --unplugged --plug 20 --unplug 80      a car that comes, and goes after a minute
`

interface Raw {
  readonly controller: string
  readonly unit: number
  readonly car: number
  readonly unplugged?: true
  readonly plug: readonly number[]
  readonly unplug: readonly number[]
  readonly tcp?: Asked['tcp']
  readonly json?: true
}

/** A day of a bench. */
const SECONDS_MOST = 86_400
const [CAR_LEAST_MA, CAR_MOST_MA] = [6_000, 80_000]

function car(text: string): number {
  const ma = parseCurrent(text)
  if (ma !== undefined && ma >= CAR_LEAST_MA && ma <= CAR_MOST_MA) return ma
  throw new UsageError(`--car must be a current from 6A to 80A, as in 16A, not "${text}"`)
}

async function readAsked(
  args: readonly string[],
  { terminal }: BenchSurroundings,
): Promise<{ readonly asked: Asked } | { readonly exit: ExitCode }> {
  let asked: Asked | undefined
  const seconds = (option: string) => collect(whole(option, 0, SECONDS_MOST))
  const command: Command = program('tieline-bench charger', terminal)
    .description('A simulated car charger on a serial device of its own (a pseudo-terminal) or on TCP, until Ctrl-C.')
    .requiredOption('--controller <name>', CONTROLLERS.join(', '))
    .option('--unit <n>', 'its address on Modbus', whole('--unit', 1, 247), 1)
    .option('--tcp <[host:]port>', `serve on TCP instead, as ${ON_TCP} always does; 0 for any free port`, address)
    .option('--car <current>', 'the most that the car at it takes, per phase', car, CAR_MOST_MA)
    .option('--unplugged', 'begins without a car')
    .option('--plug <s>', 'a car is plugged in so many seconds after the start; repeat', seconds('--plug'), [])
    .option('--unplug <s>', 'and gone so many seconds after it; repeat', seconds('--unplug'), [])
    .option(
      '--json',
      'JSON lines on stdout: where it is, then what it offers and the car draws, each time that changes',
    )
    .addHelpText('after', EXAMPLES)
    .action((raw: Raw) => {
      asked = askedOf(raw)
    })
  const exit = await readFlags(command, args, terminal)
  return asked === undefined ? { exit: exit ?? EXIT.ok } : { asked }
}

function askedOf({ controller, unit, car: carMa, unplugged, plug, unplug, tcp, json }: Raw): Asked {
  if (!CONTROLLERS.includes(controller)) throw new UsageError(unknownName('controller', controller, CONTROLLERS))
  const at = (plugged: boolean) => (s: number) => ({ atMs: 1000 * s, plugged })
  const plugs = [...(unplugged ? [at(false)(0)] : []), ...plug.map(at(true)), ...unplug.map(at(false))]
  const place = tcp ?? (controller === ON_TCP ? { host: '127.0.0.1', port: 0 } : undefined)
  if (place !== undefined && controller === OPENEVSE) throw new UsageError('an OpenEVSE is on a serial line')
  return { controller, unit, carMa, plugs, tcp: place, json: json === true }
}
