/** `tieline-bench meter`: one simulated meter, or several on one line, until somebody ends it. */
import { EXIT, type ExitCode, exitOf } from '../../agent/cli/exit-codes.ts'
import { createSystemTime } from '../../drivers/clock.ts'
import type { Cancel, Clock, Timers } from '../../drivers/ports.ts'
import { type Fault, fail, faultLine, ok, type Result } from '../../protocol/result.ts'
import { createHomeMeter } from '../sim/home-meter.ts'
import { noiseOf, strike } from '../sim/meter-faults.ts'
import {
  createSlaveStats,
  createUnit,
  type LineFaults,
  type ModbusUnit,
  type SlaveStats,
  serveModbus,
} from '../sim/modbus-slave.ts'
import { createPageBank, inventSerial } from '../sim/page-bank.ts'
import { preciseTime } from '../sim/precise-time.ts'
import { seededRandom } from '../sim/random.ts'
import type { Measured } from '../sim/register-image.ts'
import { type AskedMeter, type MeterOptions, readMeterOptions } from './meter-options.ts'
import { openPlug, type Plug, type Serve } from './plug.ts'
import { characterMsOf } from './serial-format.ts'
import type { BenchSurroundings } from './surroundings.ts'
import { readFlags, TELEGRAM_KINDS, type TelegramName } from './telegram-kinds.ts'

/** As an FTDI adapter hands bytes over with its latency timer at 1 ms. */
const SLICE_MS = 1
/** How long an unplugged device stays away. */
const AWAY_MS = 2_000
const STATUS_MS = 1_000

interface Time {
  readonly clock: Clock
  readonly timers: Timers
}

/** What is served, and what to say of it. */
interface Service {
  readonly serve: Serve
  readonly stats: SlaveStats
  /** Units with their serial numbers; none where the meter is not asked. */
  readonly units: readonly { readonly unit: number; readonly serial: string }[]
  readonly describe: { readonly page?: string; readonly telegram?: string; readonly framing?: string }
  /** The rest of a `tieline read` line, one for each unit. */
  readonly read: readonly string[]
}

export async function benchMeter(args: readonly string[], around: BenchSurroundings): Promise<ExitCode> {
  const { terminal, columns, interruption } = around
  const parsed = await readMeterOptions(args, terminal)
  if ('exit' in parsed) return parsed.exit
  const { options } = parsed
  const interrupted = interruption()
  const time = preciseTime(createSystemTime())
  const service =
    typeof options.meter === 'string' ? speaking(options.meter, options, time) : asked(options.meter, options, time)
  if (!service.ok) return refuse(service.fault, terminal.err)
  const plug = await openPlug(options.tcp, service.value.serve)
  if (!plug.ok) return refuse(plug.fault, terminal.err)

  const announce = () => terminal.out(announcement(options, service.value, plug.value))
  announce()
  const stops = options.faults.flatMap(fault =>
    fault.kind === 'unplug' ? [unplugEvery(fault.everyMs, plug.value, time.timers, service.value.stats, announce)] : [],
  )
  if (columns() !== undefined)
    stops.push(time.timers.every(STATUS_MS, () => terminal.err(`\r\u001b[K${statusLine(service.value.stats)}`)))
  await interrupted
  for (const stop of stops) stop()
  await plug.value.close()
  if (options.json) terminal.out(`${JSON.stringify(counts(service.value.stats))}\n`)
  terminal.err(`${columns() === undefined ? '' : '\r\u001b[K'}${statusLine(service.value.stats)}\n`)
  return EXIT.ok
}

function refuse(fault: Fault, say: (text: string) => void): ExitCode {
  say(`tieline-bench meter: ${fault.code.startsWith('page-bank.') ? fault.hint : faultLine(fault)}\n`)
  return fault.code.startsWith('page-bank.') ? EXIT.usage : exitOf(fault)
}

function asked(meter: AskedMeter, options: MeterOptions, { clock, timers }: Time): Result<Service> {
  const { page, framing, turnaroundMs, missing } = meter
  const units = new Map<number, ModbusUnit>()
  const serials: { unit: number; serial: string }[] = []
  for (const [index, unit] of meter.units.entries()) {
    const serial = options.serial === undefined ? inventSerial(page, index) : successor(options.serial, index)
    const bank = createPageBank({
      page,
      serial,
      measure: createHomeMeter(options.seed + index, clock, options.power),
      missing,
    })
    if (!bank.ok) return bank.fault.code === 'page-bank.never-missing' ? fail(neverMissing(bank.fault)) : bank
    units.set(unit, createUnit(bank.value))
    serials.push({ unit, serial })
  }
  const line: LineFaults = { echo: false, secondMasterMs: 0 }
  for (const fault of options.faults) strike(fault, units, line)
  const stats = createSlaveStats()
  const random = seededRandom(options.seed)
  const characterMs = options.tcp === undefined ? characterMsOf(options.baud, options.format) : 0
  const slave = { framing, characterMs, sliceMs: SLICE_MS, turnaroundMs, line, stats, clock, timers, random }
  return ok({
    serve: end => serveModbus(end, units, slave),
    stats,
    units: serials,
    describe: { page: page.name, framing },
    read: meter.units.map(unit => `--page ${page.name} --unit ${unit}${framingFlag(framing, options)}`),
  })
}

const framingFlag = (framing: string, { tcp }: MeterOptions): string =>
  framing === (tcp === undefined ? 'rtu' : 'tcp') ? '' : ` --framing ${framing}`

const neverMissing = (fault: Fault): Fault => ({
  ...fault,
  hint: `${String(fault['page'])} has no way to say that ${String(fault['channel'])} is missing; it can of ${String(fault['able']) || 'none'}`,
})

function speaking(kind: TelegramName, options: MeterOptions, { clock, timers }: Time): Result<Service> {
  const { form, hint, invented, start } = TELEGRAM_KINDS[kind]
  const { serial = invented, seal, baud, format } = options
  if (!form.test(serial)) return fail({ code: 'page-bank.serial', hint })
  const stats = createSlaveStats()
  const home = createHomeMeter(options.seed, clock, options.power)
  let frozen: Measured | undefined
  const measure = () => {
    stats.answers++
    const now = frozen ?? home()
    if (options.faults.some(fault => fault.kind === 'frozen')) frozen = now
    return now
  }
  const noise = Object.assign({}, ...options.faults.map(noiseOf))
  const common = {
    ...{ serial, measure, seal, noise, baud, clock, timers },
    characterMs: options.tcp === undefined ? characterMsOf(baud, format) : 0,
    // A pseudo-terminal has 8 bits whatever is asked of it: there the parity stands in the last.
    parity: options.tcp === undefined && format === '8N1' ? ('even-in-bit-7' as const) : ('none' as const),
    random: seededRandom(options.seed),
  }
  const serve: Serve = end => start({ ...common, end })
  return ok({ serve, stats, units: [], describe: { telegram: kind }, read: [readFlags(kind, serial, seal)] })
}

/** Serial numbers count on at their last digits: A09, A10, A11. */
function successor(serial: string, index: number): string {
  const [, head = '', digits = ''] = /^(.*?)(\d*)$/.exec(serial) ?? []
  if (index === 0) return serial
  return `${head}${(BigInt(digits || '0') + BigInt(index)).toString().padStart(digits.length, '0')}`
}

/** What `tieline read` takes where nothing is said. */
const usualFormat = ({ meter }: MeterOptions): string =>
  typeof meter === 'string' ? TELEGRAM_KINDS[meter].speed.format : (meter.page.factory?.format ?? '8N1')

function announcement(options: MeterOptions, { describe, units, read }: Service, plug: Plug): string {
  const where = plug.where()
  const { baud, format, tcp } = options
  const wire =
    tcp === undefined
      ? `--line ${where} --baud ${baud}${format === usualFormat(options) ? '' : ` --format ${format}`}`
      : `--tcp ${where}`
  const commands = read.map(rest => `tieline read ${wire} ${rest}`)
  if (!options.json) return `${where}\n${commands.map(command => `${command}\n`).join('')}`
  const [host, port] = where.split(':')
  const place = tcp === undefined ? { path: where, baud, format } : { host, port: Number(port) }
  return `${JSON.stringify({ ...place, ...describe, ...(units.length > 0 ? { units } : {}), read: commands })}\n`
}

/** Takes the device away every `everyMs`, for a while. */
function unplugEvery(everyMs: number, plug: Plug, timers: Timers, stats: SlaveStats, announce: () => void): Cancel {
  let live = true
  let cancel: Cancel = () => {}
  const wait = (ms: number, act: () => Promise<void>) => {
    if (live) cancel = timers.after(ms, () => void act())
  }
  const pull = async () => {
    stats.injected++
    await plug.pull()
    wait(AWAY_MS, replug)
  }
  const replug = async () => {
    const back = await plug.replug()
    if (!live) return plug.pull()
    if (back.ok) announce()
    wait(back.ok ? everyMs : AWAY_MS, back.ok ? pull : replug)
  }
  wait(everyMs, pull)
  return () => {
    live = false
    cancel()
  }
}

const counts = ({ requests, answers, injected, silences, breaches, shortestMs }: SlaveStats) => ({
  requests,
  answers,
  injected,
  silences,
  breaches,
  shortest_silence_ms: Number.isFinite(shortestMs) ? Number(shortestMs.toFixed(3)) : null,
})

function statusLine({ requests, answers, injected, silences, breaches, shortestMs }: SlaveStats): string {
  const silence =
    silences === 0
      ? ''
      : `, ${breaches} of ${silences} silences under 3.5 characters (shortest ${shortestMs.toFixed(2)} ms)`
  return `${requests} requests, ${answers} answers, ${injected} faults${silence}`
}
