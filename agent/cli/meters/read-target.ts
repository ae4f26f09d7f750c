/** What `tieline read` was told to read, with what a maker sets where nothing was said. */
import { PAGES } from '../../../drivers/meters/catalogue.ts'
import { TELEGRAMS } from '../../../drivers/meters/telegrams.ts'
import { fail, ok, type Result } from '../../../protocol/result.ts'
import { IEC_FORMATS, type LineSpeed, usualSpeed } from '../../config/line-settings.ts'
import { parseDuration, parseHostPort, parseIecAddress, parseMbusAddress, parseWhole } from '../../config/literals.ts'
import {
  type Framing,
  type LineConfig,
  type MeterConfig,
  PAGE_FRAMINGS,
  type SerialFormat,
} from '../../config/site-config.ts'
import { unknownName } from '../usage.ts'
import type { KeyOptions } from './meter-keys.ts'

export interface ReadOptions extends KeyOptions {
  readonly page?: string
  readonly telegram?: string
  readonly line?: string
  readonly tcp?: string
  readonly framing?: string
  readonly baud?: string
  readonly format?: string
  readonly unit?: string
  readonly address?: string
  readonly positive?: string
  readonly nth?: string
  readonly maxRegisters?: string
  readonly id?: string
  readonly every?: string
  readonly count?: string
  readonly config?: string
  readonly json?: true
}

export interface ReadTarget {
  readonly meter: MeterConfig
  readonly line: LineConfig
  /** undefined of a meter that is no Modbus slave. */
  readonly framing: Framing | undefined
}

/** Pages that no table of registers describes. */
const MODELS: Readonly<Record<string, 'meter' | 'inverter' | 'battery'>> = {
  sunspec: 'meter',
  'sunspec-meter': 'meter',
  'sunspec-inverter': 'inverter',
  'sunspec-battery': 'battery',
}
const SIGNS = ['import', 'export'] as const
const IEC = 'iec62056'
const MBUS = 'mbus'
/** The M-Bus address to which whoever is there answers. */
const ONLY_METER = '254'

export const FORMATS: readonly SerialFormat[] = ['8N1', '8N2', '8E1', '8O1', '7E1', '7O1']
export const FRAMINGS: readonly Framing[] = ['rtu', 'ascii', 'tcp']
/** A gateway speaks Modbus TCP for the meters behind it; a bare serial server is told by --framing. */
export const usualFraming = ({ kind }: LineConfig): Framing => (kind === 'tcp' ? 'tcp' : 'rtu')
const DEFAULT_PORT = 502
const BAUD_MOST = 4_000_000

const wrong = (what: string) => fail({ code: 'usage.read', what })

/** The name under which the one line and the one meter of the command line go. */
const HERE = 'here'

export function readTarget(options: ReadOptions): Result<ReadTarget> {
  const { page, telegram } = options
  if ((page === undefined) === (telegram === undefined)) return wrong('give either --page or --telegram')
  const names = [...PAGES.keys(), ...Object.keys(MODELS), IEC, MBUS]
  if (page !== undefined && !names.includes(page)) return wrong(unknownName('page', page, names))
  if (telegram !== undefined && !TELEGRAMS.has(telegram))
    return wrong(unknownName('kind of telegram', telegram, [...TELEGRAMS.keys()]))
  if (telegram === MBUS) return wrong(`a meter on an M-Bus is asked: --page ${MBUS} --address N`)
  const factory = page === undefined ? undefined : PAGES.get(page)?.factory
  const spoken = { protocol: (page ?? telegram) as 'sml', ...(telegram === IEC ? { mode: 'pushed' as const } : {}) }
  const line = lineOf(options, factory ?? usualSpeed(spoken))
  if (!line.ok) return line
  const common = { line: HERE, everyMs: 1000, ...(options.id === undefined ? {} : { id: options.id }) }
  if (telegram !== undefined) return ok({ meter: { ...common, ...spoken }, line: line.value, framing: undefined })
  const { address } = options
  if (page === IEC) {
    if (line.value.kind === 'serial' && !IEC_FORMATS.includes(line.value.format))
      return wrong(`--format of ${IEC} is ${IEC_FORMATS.join(' or ')}`)
    if (address !== undefined && parseIecAddress(address) === undefined)
      return wrong(`--address of ${IEC} is at most 32 letters, digits or blanks`)
    const meter: MeterConfig = { ...common, protocol: IEC, ...(address === undefined ? {} : { address }) }
    return ok({ meter, line: line.value, framing: undefined })
  }
  if (page === MBUS) {
    const at = parseMbusAddress(address ?? ONLY_METER)
    if (at === undefined)
      return wrong('--address of an M-Bus meter is 0 to 250, 254, or 8 digits with F for any, as in 12345678-TLN-01-02')
    return ok({ meter: { ...common, protocol: MBUS, address: at }, line: line.value, framing: undefined })
  }
  if (address !== undefined) return wrong('--address is for iec62056 and mbus; a Modbus slave has a --unit')
  const framing = choose('--framing', options.framing ?? usualFraming(line.value), FRAMINGS)
  if (!framing.ok) return framing
  if (framing.value === 'tcp' && line.value.kind === 'serial') return wrong('--framing tcp is for --tcp')
  const unit = wholeOption(
    '--unit',
    options.unit ?? String(factory?.unit ?? 1),
    framing.value === 'tcp' ? 0 : 1,
    framing.value === 'tcp' ? 255 : 247,
  )
  if (!unit.ok) return unit
  const at = { ...common, unit: unit.value }
  const model = MODELS[page!]
  const positive = options.positive === undefined ? ok(undefined) : choose('--positive', options.positive, SIGNS)
  if (!positive.ok) return positive
  const nth = optional('--nth', options.nth, 1, 99)
  if (!nth.ok) return nth
  const maxRegisters = optional('--max-registers', options.maxRegisters, 2, 125)
  if (!maxRegisters.ok) return maxRegisters
  const sunspec = {
    ...(positive.value === undefined ? {} : { positive: positive.value }),
    ...(nth.value === undefined ? {} : { nth: nth.value }),
    ...(maxRegisters.value === undefined ? {} : { maxRegisters: maxRegisters.value }),
  }
  if (model === undefined && Object.keys(sunspec).length > 0)
    return wrong('--positive, --nth and --max-registers are for sunspec')
  const protocol = (Object.keys(PAGE_FRAMINGS) as (keyof typeof PAGE_FRAMINGS)[]).find(
    one => PAGE_FRAMINGS[one] === framing.value,
  )!
  const meter: MeterConfig =
    model === undefined ? { ...at, protocol, page: page! } : { ...at, protocol: 'sunspec', model, ...sunspec }
  return ok({ meter, line: line.value, framing: framing.value })
}

export function lineOf(
  options: Pick<ReadOptions, 'line' | 'tcp' | 'baud' | 'format'>,
  usual: LineSpeed,
): Result<LineConfig> {
  const { line, tcp } = options
  if ((line === undefined) === (tcp === undefined)) return wrong('give either --line (a device) or --tcp (host:port)')
  if (tcp !== undefined) {
    const at = parseHostPort(/:\d+$/.test(tcp) ? tcp : `${tcp}:${DEFAULT_PORT}`)
    return at === undefined
      ? wrong(`--tcp is host:port, as in meter.local:502, not "${tcp.slice(0, 48)}"`)
      : ok({ kind: 'tcp', ...at })
  }
  const baud = wholeOption('--baud', options.baud ?? String(usual.baud), 50, BAUD_MOST)
  if (!baud.ok) return baud
  const format = choose('--format', (options.format ?? usual.format).toUpperCase(), FORMATS)
  return format.ok ? ok({ kind: 'serial', path: line!, baud: baud.value, format: format.value }) : format
}

export function wholeOption(name: string, text: string, least: number, most: number): Result<number> {
  const value = parseWhole(text)
  return value !== undefined && value >= least && value <= most
    ? ok(value)
    : wrong(`${name} is a whole number from ${least} to ${most}, not "${text.slice(0, 48)}"`)
}

const optional = (name: string, text: string | undefined, least: number, most: number): Result<number | undefined> =>
  text === undefined ? ok(undefined) : wholeOption(name, text, least, most)

export function choose<T extends string>(name: string, text: string, known: readonly T[]): Result<T> {
  const found = known.find(one => one === text)
  return found === undefined ? wrong(`${name}: ${unknownName('choice', text, known)}`) : ok(found)
}

/** How often, and how many times; one reading where neither is said, until interrupted where only the pace is. */
export function readPace({ every, count }: ReadOptions): Result<{ readonly everyMs: number; readonly count: number }> {
  const everyMs = every === undefined ? 1_000 : parseDuration(every)
  if (everyMs === undefined || everyMs < 1)
    return wrong(`--every is a duration, as in 1s, not "${every!.slice(0, 48)}"`)
  const times =
    count === undefined
      ? ok(every === undefined ? 1 : Number.POSITIVE_INFINITY)
      : wholeOption('--count', count, 1, 1_000_000_000)
  return times.ok ? ok({ everyMs, count: times.value }) : times
}
