/** `tieline detect`: what meters there are on a line, and which page reads each. */
import { createSystemTime } from '../../../drivers/clock.ts'
import { listSerialDevices } from '../../../drivers/line/serial-names.ts'
import { PAGES } from '../../../drivers/meters/catalogue.ts'
import { detectUnits, type FoundUnit, type Heard, listenTo, SEARCH_ANSWERS } from '../../../drivers/meters/detect.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import type { Clock, Timers } from '../../../drivers/ports.ts'
import { type Fault, fail, ok, type Result } from '../../../protocol/result.ts'
import type { Framing, LineConfig, SerialFormat } from '../../config/site-config.ts'
import { openSystemLine } from '../../lines.ts'
import { oneLine } from '../../log.ts'
import { EXIT, type ExitCode, exitOf } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import type { Terminal } from '../terminal.ts'
import { misused } from '../usage.ts'
import { sayFault } from './diagnose.ts'
import { choose, FORMATS, FRAMINGS, lineOf, usualFraming, wholeOption } from './read-target.ts'

export interface DetectOptions {
  readonly line?: string
  readonly tcp?: string
  readonly baud: string
  readonly format: string
  readonly framing?: string
  readonly units?: string
  readonly json?: true
}

const PROGRESS_MS = 5_000
/** Devices on TCP answer at the first of these or behind a gateway at any; a gateway's are named with --units. */
const TCP_UNITS = [1, 2, 3, 4, 5, 10, 126, 240, 247, 255, 0]
const SERIAL_UNITS = Array.from({ length: 247 }, (_, i) => i + 1)

interface Search {
  readonly lines: readonly LineConfig[]
  readonly framing: Framing | undefined
  readonly units: readonly number[]
}

interface Around {
  readonly clock: Clock
  readonly timers: Timers
  readonly json: boolean
  readonly terminal: Terminal
  readonly live: () => boolean
}

export async function detect(
  options: DetectOptions,
  terminal: Terminal,
  interrupted: Promise<void>,
): Promise<ExitCode> {
  const search = await searchOf(options)
  if (!search.ok) return misused('detect', String(search.fault['what']), terminal)
  if (search.value.length === 0) {
    terminal.err('tieline detect: this machine has no serial device; name one with --line, or a host with --tcp\n')
    return EXIT.unavailable
  }
  let live = true
  void interrupted.then(() => {
    live = false
  })
  const around = { ...createSystemTime(), json: options.json === true, terminal, live: () => live }
  let found = 0
  let last: Fault | undefined
  for (const one of search.value) {
    const result = await searchLine(one, around)
    if (result.ok) found += result.value
    else {
      last = result.fault
      if (around.json) terminal.out(jsonLine({ ok: false, ...whereJson(one.lines[0]!), fault: last }))
      terminal.err(`tieline detect: ${sayFault(result.fault, { line: nameOf(one.lines[0]!), baud: '' })}\n`)
    }
  }
  if (found > 0) return EXIT.ok
  if (last !== undefined) return exitOf(last)
  terminal.err(
    `tieline detect: ${live ? 'nothing was found' : 'ended before all was asked, and nothing was found yet'}\n`,
  )
  return live ? EXIT.no : EXIT.temporary
}

/** One search for each line; its speeds are tried one after the other. */
async function searchOf(options: DetectOptions): Promise<Result<readonly Search[]>> {
  const framing = options.framing === undefined ? ok(undefined) : choose('--framing', options.framing, FRAMINGS)
  if (!framing.ok) return framing
  const isTcp = (framing.value ?? (options.tcp === undefined ? 'rtu' : 'tcp')) === 'tcp'
  if (isTcp && options.tcp === undefined) return fail({ code: 'usage.detect', what: '--framing tcp is for --tcp' })
  const units = options.units === undefined ? ok(isTcp ? TCP_UNITS : SERIAL_UNITS) : unitsOf(options.units, isTcp)
  if (!units.ok) return units
  const common = { framing: framing.value, units: units.value }
  if (options.tcp !== undefined) {
    const line = lineOf(options, { baud: 0, format: '8N1' })
    return line.ok ? ok([{ lines: [line.value], ...common }]) : line
  }
  const speeds: { baud: number; format: SerialFormat }[] = []
  for (const text of options.baud.split(',')) {
    const baud = wholeOption('--baud', text, 50, 4_000_000)
    if (!baud.ok) return baud
    for (const form of options.format.split(',')) {
      const format = choose('--format', form.toUpperCase(), FORMATS)
      if (!format.ok) return format
      speeds.push({ baud: baud.value, format: format.value })
    }
  }
  const paths = options.line === undefined ? (await listSerialDevices()).map(({ path }) => path) : [options.line]
  return ok(
    paths.map(path => ({ lines: speeds.map(speed => ({ kind: 'serial', path, ...speed }) as const), ...common })),
  )
}

/** `1-247`, `1,2,5-9`. */
function unitsOf(text: string, isTcp: boolean): Result<readonly number[]> {
  const [least, most] = isTcp ? [0, 255] : [1, 247]
  const units: number[] = []
  for (const part of text.split(',')) {
    const match = /^(\d{1,3})(?:-(\d{1,3}))?$/.exec(part)
    const [first, last] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])]
    if (match === null || first > last || first < least || last > most)
      return fail({
        code: 'usage.detect',
        what: `--units is numbers from ${least} to ${most}, as in 1-10,42, not "${text.slice(0, 48)}"`,
      })
    for (let unit = first; unit <= last; unit++) units.push(unit)
  }
  return ok([...new Set(units)])
}

/** How many were found on one line. A wire has one speed: what is found at one is not looked for at the others. */
async function searchLine(search: Search, around: Around): Promise<Result<number>> {
  const { terminal, clock, timers, live } = around
  for (const line of search.lines) {
    if (!live()) return ok(0)
    const heard = await listenTo(
      openSystemLine(line, clock, timers, () => {}),
      timers,
    )
    if ('code' in heard) return fail(heard)
    const told = tellHeard(line, heard, around)
    if (told > 0) return ok(told)
    if (heard.bytes > 0)
      terminal.err(`${placeOf(line)}: ${heard.bytes} bytes heard that make no telegram: another speed?\n`)
  }
  for (const line of search.lines) {
    if (!live()) return ok(0)
    const units = await searchUnits(line, search, around)
    if (!units.ok) return units
    for (const unit of units.value) tellUnit(line, framingOf(line, search), unit, around)
    if (units.value.length > 0) return ok(units.value.length)
  }
  return ok(0)
}

const framingOf = (line: LineConfig, { framing }: Search): Framing => framing ?? usualFraming(line)

async function searchUnits(line: LineConfig, search: Search, around: Around): Promise<Result<readonly FoundUnit[]>> {
  const { clock, timers, live, terminal } = around
  const framing = framingOf(line, search)
  const port = openSystemLine(line, clock, timers, () => {})
  // Behind a network, a serial server adds its own time.
  const answers = line.kind === 'tcp' ? {} : { answers: SEARCH_ANSWERS }
  const master = createModbusMaster({ line: port, clock, timers, framing, ...answers })
  try {
    const opened = await master.open()
    if (!opened.ok) return opened
    let told = clock.mono()
    const { units } = search
    const onUnit = (unit: number, found: number) => {
      if (clock.mono() - told < PROGRESS_MS) return
      told = clock.mono()
      terminal.err(
        `${placeOf(line)}: ${units.indexOf(unit) + 1} of ${units.length} units asked, ${found} ${found === 1 ? 'answers' : 'answer'}\n`,
      )
    }
    let garbled = false
    const onGarbled = () => {
      garbled = true
    }
    const parts = { master, pages: [...PAGES.values()], clock, timers, live, onUnit, onGarbled }
    const found = await detectUnits(parts, units)
    if (found.length === 0 && garbled)
      terminal.err(`${placeOf(line)}: bytes are heard that make no answer: another speed or parity, or noise?\n`)
    return ok(found)
  } finally {
    await master.close()
  }
}

const nameOf = (line: LineConfig): string => (line.kind === 'tcp' ? `${line.host}:${line.port}` : line.path)
const placeOf = (line: LineConfig): string =>
  line.kind === 'tcp' ? nameOf(line) : `${line.path} at ${line.baud} ${line.format}`
const whereJson = (line: LineConfig) =>
  line.kind === 'tcp' ? { tcp: nameOf(line) } : { line: line.path, baud: line.baud, format: line.format }
const whereFlags = (line: LineConfig): string =>
  line.kind === 'tcp' ? `--tcp ${nameOf(line)}` : `--line ${line.path} --baud ${line.baud} --format ${line.format}`

/** A wire carries one kind of telegram: the first kind of which a whole one was heard, in the order of the list of all. */
function tellHeard(line: LineConfig, { telegrams, encrypted }: Heard, { json, terminal }: Around): number {
  const { kind } = telegrams[0] ?? encrypted[0] ?? {}
  if (kind === undefined) return 0
  const meters = telegrams.filter(one => one.kind === kind)
  const sealed = meters.length === 0
  const list: readonly { readonly meterId?: string | undefined; readonly maker?: string | undefined }[] = sealed
    ? encrypted.filter(one => one.kind === kind)
    : meters
  for (const { meterId, maker } of list) {
    if (json)
      terminal.out(
        jsonLine({
          ok: true,
          ...whereJson(line),
          telegram: kind,
          meter: meterId ?? null,
          encrypted: sealed,
          ...(maker === undefined ? {} : { maker }),
        }),
      )
    else {
      const who = oneLine(meterId ?? (maker === undefined ? 'a meter' : `a meter of ${maker}`))
      terminal.out(`${placeOf(line)}: ${who} speaks ${kind}${sealed ? ', encrypted: its key is needed' : ''}\n`)
      terminal.out(`  tieline read --telegram ${kind} ${whereFlags(line)}${sealed ? ' --key-file FILE' : ''}\n`)
    }
  }
  return list.length
}

function tellUnit(line: LineConfig, framing: Framing, found: FoundUnit, { json, terminal }: Around): void {
  const { unit, fits, says, models } = found
  if (json) {
    const pages = fits.map(({ page, certainty, meterId, because }) => ({
      page,
      certainty,
      meter: meterId ?? null,
      because,
    }))
    terminal.out(jsonLine({ ok: true, ...whereJson(line), framing, unit, pages, models, says }))
    return
  }
  const named = says.length === 0 ? '' : `, calls itself ${oneLine(says.join(' '))}`
  const flags = `${whereFlags(line)}${framing === usualFraming(line) ? '' : ` --framing ${framing}`} --unit ${unit}`
  const nothing = fits.length === 0 && models.length === 0
  terminal.out(`${placeOf(line)}: unit ${unit} answers${nothing ? ', no page fits' : ''}${named}\n`)
  if (models.length > 0) {
    terminal.out(`  describes itself (SunSpec), models ${models.join(' ')}\n`)
    terminal.out(`  tieline read --page sunspec ${flags}\n`)
  }
  for (const { page, certainty, meterId, because } of fits)
    terminal.out(
      `  ${certainty} ${page}${meterId === undefined ? '' : `, serial ${oneLine(meterId)}`}: ${because.join(', ')}\n`,
    )
  if (fits[0] !== undefined) terminal.out(`  tieline read --page ${fits[0].page} ${flags}\n`)
}
