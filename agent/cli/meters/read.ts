/** `tieline read`: one meter, read once or again and again, without an agent. */
import { createSystemTime } from '../../../drivers/clock.ts'
import { PAGES } from '../../../drivers/meters/catalogue.ts'
import { createMbusMaster } from '../../../drivers/meters/mbus-master.ts'
import { CHANNELS, type Channel } from '../../../drivers/meters/page.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import type { Clock, Line, Meter, MeterReading, Timers } from '../../../drivers/ports.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { fail, type Result } from '../../../protocol/result.ts'
import type { TelegramKeys } from '../../../protocol/telegram/telegram.ts'
import { isoTime } from '../../../protocol/time.ts'
import { framingOf } from '../../config/line-settings.ts'
import type { LineConfig, MeterConfig, SiteConfig } from '../../config/site-config.ts'
import { openSystemLine } from '../../lines.ts'
import { oneLine } from '../../log.ts'
import { baudOf, openMeter } from '../../open-meter.ts'
import { EXIT, type ExitCode, exitOf } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import { defaultConfigFile, readSite } from '../site-file.ts'
import type { Terminal } from '../terminal.ts'
import { misused, unknownName } from '../usage.ts'
import { type DiagnosisParts, diagnose, sayFault } from './diagnose.ts'
import { readMeterKeys, refusedKey } from './meter-keys.ts'
import { channelOf, channelWords, valueJson, valueTable } from './meter-text.ts'
import { type ReadOptions, type ReadTarget, readPace, readTarget } from './read-target.ts'

/** `name` is a meter of the configuration that `--config` names. `interrupted` ends a repeated reading. */
export async function read(
  name: string | undefined,
  options: ReadOptions,
  terminal: Terminal,
  interrupted: Promise<void>,
): Promise<ExitCode> {
  const target = await targetOf(name, options, terminal)
  if (typeof target === 'number') return target
  const pace = readPace(options)
  if (!pace.ok) return misused('read', String(pace.fault['what']), terminal)
  const given = await readMeterKeys(options, terminal.env)
  if (!given.ok) return refusedKey('read', given.fault, terminal)
  const keys = Object.keys(given.value).length > 0 || name === undefined ? given.value : undefined

  const reader = createReader(target, keys)
  const opened = await reader.open()
  if (!opened.ok) {
    if (opened.fault.code.startsWith('keys.') || opened.fault.code.startsWith('file.'))
      return refusedKey('read', opened.fault, terminal)
    terminal.err(`tieline read: ${sayFault(opened.fault, placeOf(target.line))}\n`)
    return exitOf(opened.fault)
  }
  try {
    return await readRepeatedly(reader, opened.value, pace.value, options.json === true, terminal, interrupted)
  } finally {
    await reader.close()
  }
}

async function targetOf(
  name: string | undefined,
  options: ReadOptions,
  terminal: Terminal,
): Promise<ReadTarget | ExitCode> {
  if (name === undefined && options.config === undefined) {
    const target = readTarget(options)
    return target.ok ? target.value : misused('read', String(target.fault['what']), terminal)
  }
  if (name === undefined) return misused('read', 'a configuration has many meters: --config FILE METER', terminal)
  const file = options.config ?? defaultConfigFile(terminal.env)
  const site = await readSite(file, terminal)
  if (typeof site === 'number') return site
  const target = siteTarget(site, name)
  if (target !== undefined) return target
  terminal.err(`tieline read: ${file}: ${unknownName('meter', name, Object.keys(site.meters))}\n`)
  return EXIT.usage
}

/** A meter of a configuration; undefined where it has none of that name. */
export function siteTarget(site: SiteConfig, name: string): ReadTarget | undefined {
  const meter = site.meters[name]
  if (meter === undefined) return undefined
  const line = site.lines[meter.line]!
  const neighbours = Object.values(site.meters).filter(one => one.line === meter.line)
  return { meter, line, framing: 'unit' in meter ? framingOf(line, neighbours) : undefined }
}

/** One reading as the command would take it, or why there is none. */
export async function readOnce(target: ReadTarget): Promise<Result<MeterReading>> {
  const reader = createReader(target, undefined)
  try {
    const opened = await reader.open()
    if (!opened.ok) return opened
    const reading = await opened.value.read()
    if (reading.ok) return reading
    await reader.close()
    return fail(await diagnose(reading.fault, diagnosisOf(reader, true)))
  } finally {
    await reader.close()
  }
}

interface Reader {
  open(): Promise<Result<Meter>>
  readonly target: ReadTarget
  readonly clock: Clock
  readonly timers: Timers
  /** Whether the line was open at any time. */
  wasOpen(): boolean
  openLine(): Line
  close(): Promise<void>
}

function createReader(target: ReadTarget, keys: TelegramKeys | undefined): Reader {
  const { clock, timers } = createSystemTime()
  const closers: (() => Promise<void>)[] = []
  let wasOpen = false
  const openLine = () => openSystemLine(target.line, clock, timers, () => {})
  /** The line, with an eye on whether it ever was up. */
  const watched = (): Line => {
    const line = openLine()
    return {
      ...line,
      open: async listener => {
        const opened = await line.open(listener)
        wasOpen ||= opened.ok
        return opened
      },
    }
  }
  return {
    target,
    clock,
    timers,
    openLine,
    wasOpen: () => wasOpen,
    open: async () => {
      const meter = await openMeter(target.meter, {
        clock,
        timers,
        lineOf: watched,
        specOf: () => target.line,
        masterOn: async () => {
          const line = watched()
          const master = createModbusMaster({ line, clock, timers, framing: target.framing! })
          closers.push(() => master.close())
          await master.open()
          return { master, characterMs: line.characterMs }
        },
        mbusOn: async () => {
          const master = createMbusMaster({ line: watched(), clock, timers, ...baudOf(target.line) })
          closers.push(() => master.close())
          await master.open()
          return master
        },
        ...(keys === undefined ? {} : { keys }),
      })
      if (meter.ok) closers.push(() => meter.value.close())
      return meter
    },
    close: async () => {
      for (const close of closers.splice(0).reverse()) await close()
    },
  }
}

async function readRepeatedly(
  reader: Reader,
  meter: Meter,
  { everyMs, count }: { readonly everyMs: number; readonly count: number },
  json: boolean,
  terminal: Terminal,
  interrupted: Promise<void>,
): Promise<ExitCode> {
  const { target, clock, timers } = reader
  let live = true
  const stopped = interrupted.then(() => {
    live = false
    return undefined
  })
  let good = 0
  let exit: ExitCode = EXIT.ok
  const begun = clock.mono()
  for (let n = 0; n < count && live; n++) {
    if (n > 0) {
      await Promise.race([timers.sleep(Math.max(0, begun + n * everyMs - clock.mono())), stopped])
      if (!live) break
    }
    const reading = await Promise.race([meter.read(), stopped])
    if (reading === undefined) break
    if (reading.ok) {
      good++
      exit = EXIT.ok
      terminal.out(
        json ? jsonLine(readingJson(reading.value, target.meter, clock)) : readingText(reading.value, target.meter),
      )
      continue
    }
    // A meter that was read before is asked again as it is: the line finds its way back by itself.
    const final = good === 0
    if (final) await reader.close()
    const fault = await diagnose(reading.fault, diagnosisOf(reader, final))
    exit = exitOf(fault)
    if (json) terminal.out(jsonLine({ ok: false, fault }))
    terminal.err(`tieline read: ${sayFault(fault, placeOf(target.line))}\n`)
    if (final) break
  }
  if (live || good > 0 || exit !== EXIT.ok) return exit
  terminal.err('tieline read: ended before the meter was read\n')
  return EXIT.temporary
}

function diagnosisOf(reader: Reader, probe: boolean): DiagnosisParts {
  const { meter, framing } = reader.target
  const page = 'page' in meter ? meter.page : meter.protocol
  const factory = PAGES.get(page)?.factory?.unit
  const asked =
    probe && framing !== undefined && 'unit' in meter
      ? { unit: meter.unit, framing, page, alsoUnits: factory === undefined ? [] : [factory] }
      : undefined
  const { clock, timers, openLine } = reader
  return { openLine, clock, timers, asked, wasOpen: reader.wasOpen() }
}

const placeOf = (line: LineConfig) =>
  line.kind === 'tcp'
    ? { line: `${line.host}:${line.port}`, baud: '' }
    : { line: line.path, baud: ` at ${line.baud} baud ${line.format}` }

/** What the meter's page has and its meter did not say. */
function absentOf({ values }: MeterReading, meter: MeterConfig): readonly Channel[] {
  const page = 'page' in meter ? PAGES.get(meter.page) : undefined
  const wanted = page === undefined ? [] : (Object.keys(page.registers) as Channel[])
  return wanted.filter(channel => !values.some(({ obis }) => obis === CHANNELS[channel].obis))
}

function readingJson(reading: MeterReading, meter: MeterConfig, clock: Clock) {
  const { meterId, taken, takenMono, values, rawHash } = reading
  return {
    ok: true,
    meter: meterId,
    taken: isoTime(taken),
    age: Math.round(clock.mono() - takenMono),
    values: values.map(value => ({ ...valueJson(value), name: channelOf(value.obis) ?? null })),
    rawHash: toHex(rawHash),
    absent: absentOf(reading, meter),
  }
}

function readingText(reading: MeterReading, meter: MeterConfig): string {
  const { meterId, taken, values } = reading
  const absent = absentOf(reading, meter).map(channelWords)
  return (
    `${isoTime(taken)}  ${oneLine(meterId)}\n${valueTable(values)}` +
    (absent.length === 0 ? '' : `  the meter has no value of: ${absent.join('; ')}\n`)
  )
}
