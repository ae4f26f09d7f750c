/** The flags of `tieline-bench meter`, and what is wrong with them in one line. */
import { type Command, program } from '../../agent/cli/commander.ts'
import { EXIT, type ExitCode } from '../../agent/cli/exit-codes.ts'
import type { Terminal } from '../../agent/cli/terminal.ts'
import { parsePower } from '../../agent/config/literals.ts'
import { nearest } from '../../agent/config/nearest.ts'
import { parseHexKey } from '../../drivers/keys/hex-key-file.ts'
import { PAGES } from '../../drivers/meters/catalogue.ts'
import type { Channel, MeterPage } from '../../drivers/meters/page.ts'
import { milliwatts, type Power } from '../../protocol/quantity.ts'
import { FAULT_FORMS, type MeterFault, readMeterFault, SPEAKING_FAULTS } from '../sim/meter-faults.ts'
import { channelsOf } from '../sim/page-bank.ts'
import { collect, readFlags, UsageError, whole } from './flags.ts'
import { FORMAT_BITS, type SerialFormat } from './serial-format.ts'
import { PUBLIC_AUTH_KEY, type Seal, TELEGRAM_KINDS, TELEGRAM_NAMES, type TelegramName } from './telegram-kinds.ts'

export type Framing = 'rtu' | 'ascii' | 'tcp'

/** A meter that is asked, with one unit or several. */
export interface AskedMeter {
  readonly page: MeterPage
  readonly framing: Framing
  readonly units: readonly number[]
  readonly turnaroundMs: number
  readonly missing: readonly Channel[]
}

export interface MeterOptions {
  readonly meter: AskedMeter | TelegramName
  /** Of the first unit; the others count on. One is invented where none is given. */
  readonly serial: string | undefined
  readonly baud: number
  readonly format: SerialFormat
  /** undefined for a pseudo-terminal. */
  readonly tcp: { readonly host: string; readonly port: number } | undefined
  readonly faults: readonly MeterFault[]
  /** Of telegrams that are encrypted. */
  readonly seal?: Seal
  readonly seed: number
  /** Flows at all times, import positive; absent: what a home takes and its roof gives. */
  readonly power?: Power
  readonly json: boolean
}

const DEFAULT_BAUD = 9_600
const [BAUD_LEAST, BAUD_MOST] = [50, 4_000_000]
const TURNAROUND_MOST_MS = 10_000

const faultTable = FAULT_FORMS.map(([, example, what]) => `  ${example.padEnd(26)}${what}`).join('\n')

const EXAMPLES = `
Faults, each with --fault, as often as wanted:
${faultTable}

Examples:
  tieline-bench meter --page eastron-sdm630
  tieline-bench meter --page eastron-sdm120 --unit 1,2,3 --fault late=0.02:150ms --fault dead=3
  tieline-bench meter --page shelly-pro-3em --tcp 1502
  tieline-bench meter --page eastron-sdm630 --tcp 1502 --framing rtu      RTU over TCP
  tieline-bench meter --page eastron-sdm630 --power=-5kW      a roof whose surplus never ends, to sell from
  tieline-bench meter --telegram sml --fault noise=1e-5
  tieline-bench meter --telegram dlms --key 00112233445566778899aabbccddeeff
  tieline-bench meter --telegram iec62056 --format 8N1
`

const choose = <T extends string>(kind: string, text: string, known: readonly T[]): T => {
  const found = known.find(one => one === text)
  if (found !== undefined) return found
  const near = nearest(text, known)
  const meant = near === undefined ? '' : `, did you mean "${near}"?`
  throw new UsageError(`unknown ${kind} "${text.slice(0, 48)}"${meant || ';'} known: ${known.join(', ')}`)
}

function units(text: string): readonly number[] {
  const all = text.split(',').map(whole('--unit', 0, 255))
  if (new Set(all).size === all.length) return all
  throw new UsageError(`--unit names a unit twice: ${text}`)
}

function turnaround(text: string): number {
  const ms = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN
  if (ms <= TURNAROUND_MOST_MS) return ms
  throw new UsageError(`--turnaround must be milliseconds from 0 to ${TURNAROUND_MOST_MS}, not "${text}"`)
}

export function address(text: string): { readonly host: string; readonly port: number } {
  const [, host = '127.0.0.1', port] = /^(?:(.+):)?(\d{1,5})$/.exec(text) ?? []
  if (port === undefined || Number(port) > 65_535)
    throw new UsageError(`--tcp must be a port or host:port, 0 for any free port, not "${text}"`)
  return { host, port: Number(port) }
}

export const baudRate = whole('--baud', BAUD_LEAST, BAUD_MOST)

export const serialFormat = (text: string): SerialFormat =>
  choose('format', text.toUpperCase(), Object.keys(FORMAT_BITS) as SerialFormat[])

function fault(text: string): MeterFault {
  const read = readMeterFault(text)
  if (read.ok) return read.value
  throw new UsageError(`--fault "${text}": ${read.fault.hint}`)
}

interface Raw {
  readonly page?: string
  readonly telegram?: string
  readonly baud?: number
  readonly format?: SerialFormat
  readonly framing?: string
  readonly unit?: readonly number[]
  readonly serial?: string
  readonly turnaround?: number
  readonly missing: readonly string[]
  readonly tcp?: MeterOptions['tcp']
  readonly key?: Uint8Array
  readonly authKey?: Uint8Array
  readonly fault: readonly MeterFault[]
  readonly seed: number
  readonly power?: Power
  readonly json?: true
}

/** The options, or the code to exit with: everything that had to be said has been said. */
export async function readMeterOptions(
  args: readonly string[],
  terminal: Terminal,
): Promise<{ readonly options: MeterOptions } | { readonly exit: ExitCode }> {
  let options: MeterOptions | undefined
  const command: Command = program('tieline-bench meter', terminal)
    .description('A simulated meter on a serial device of its own (a pseudo-terminal) or on TCP, until Ctrl-C.')
    .option('--page <name>', 'a meter that is asked, by its page; `tieline pages` lists them')
    .option('--telegram <kind>', `a meter of telegrams, asked or unasked: ${TELEGRAM_NAMES.join(', ')}`)
    .option('--baud <n>', "the wire's pace (default: as the meter leaves the factory, else 9600)", baudRate)
    .option('--format <f>', `data bits, parity, stop bits: ${Object.keys(FORMAT_BITS).join(', ')}`, serialFormat)
    .option('--tcp <[host:]port>', 'serve on TCP instead; 0 for any free port', address)
    .option('--framing <f>', 'rtu, ascii or tcp (default: rtu on a serial device, tcp on TCP)')
    .option('--unit <list>', 'one unit or several on the same line: 1,2,3', units)
    .option('--key <hex>', 'encrypts the telegrams of dsmr or dlms', hexKey)
    .option('--auth-key <hex>', 'their authentication key (default: the one that Luxembourg publishes)', hexKey)
    .option('--serial <s>', 'serial number of the first unit; the others count on')
    .option(
      '--missing <channel>',
      'a value that the meter says it does not have; repeat for several',
      collect(String),
      [],
    )
    .option('--turnaround <ms>', "from a request's end to its answer (default: as the page says)", turnaround)
    .option('--fault <fault>', 'what is wrong with it, as below; repeat for several', collect(fault), [])
    .option('--seed <n>', 'of values and faults', whole('--seed', 0, 999_999_999), 1)
    .option(
      '--power <power>',
      'flows at all times, as in 5kW, or --power=-5kW into the grid (default: as at a home)',
      steady,
    )
    .option('--json', 'JSON lines on stdout: where it is each time it is plugged in, and counts at the end')
    .addHelpText('after', EXAMPLES)
    .action((raw: Raw) => {
      options = optionsOf(raw)
    })
  const exit = await readFlags(command, args, terminal)
  return options === undefined ? { exit: exit ?? EXIT.ok } : { options }
}

/** No connection that a page knows carries more. */
const POWER_MOST_MW = 1_000_000_000

function steady(text: string): Power {
  const size = parsePower(text.replace(/^-/, ''))
  if (size === undefined || size > POWER_MOST_MW)
    throw new UsageError(`--power must be a power up to 1000kW, as in 5kW or -500W, not "${text}"`)
  return milliwatts(text.startsWith('-') ? -size : size)
}

function hexKey(text: string): Uint8Array {
  const key = parseHexKey(text)
  if (key === undefined) throw new UsageError('a key is 32 hexadecimal digits')
  return key
}

function wireOf(meter: TelegramName, { baud, format }: Raw): Pick<MeterOptions, 'baud' | 'format'> {
  const { speed, fixedBaud } = TELEGRAM_KINDS[meter]
  if (fixedBaud && baud !== undefined && baud !== speed.baud)
    throw new UsageError(`${meter} begins at ${speed.baud} baud: leave --baud out`)
  return { baud: baud ?? speed.baud, format: format ?? speed.format }
}

function sealOf(meter: TelegramName, { key, authKey = hexKey(PUBLIC_AUTH_KEY) }: Raw): Pick<MeterOptions, 'seal'> {
  if (key === undefined) return {}
  if (!TELEGRAM_KINDS[meter].sealed) throw new UsageError(`${meter} telegrams are not encrypted`)
  return { seal: { key, authKey } }
}

function optionsOf(raw: Raw): MeterOptions {
  const { serial, seed, power, fault: faults, json = false } = raw
  const common = { serial, seed, faults, json, ...(power === undefined ? {} : { power }) }
  if ((raw.page === undefined) === (raw.telegram === undefined))
    throw new UsageError('give either --page or --telegram; --help shows how')
  if (raw.telegram !== undefined) {
    const meter = choose('telegram', raw.telegram, TELEGRAM_NAMES)
    const asked = (['framing', 'unit', 'turnaround'] as const).find(name => raw[name] !== undefined)
    if (asked !== undefined || raw.missing.length > 0)
      throw new UsageError(`--${asked ?? 'missing'} goes with --page, not with --telegram ${meter}`)
    const strange = faults.find(({ kind }) => !SPEAKING_FAULTS.includes(kind))
    if (strange !== undefined)
      throw new UsageError(
        `a meter of telegrams has no fault ${strange.kind}; it can have ${SPEAKING_FAULTS.join(', ')}`,
      )
    return { ...common, meter, ...wireOf(meter, raw), ...sealOf(meter, raw), tcp: raw.tcp }
  }
  if (raw.key !== undefined || raw.authKey !== undefined) throw new UsageError('--key goes with --telegram')
  const page = PAGES.get(choose('page', raw.page!, [...PAGES.keys()]))!
  const tcp = raw.tcp ?? (page.framing === 'tcp' ? { host: '127.0.0.1', port: 0 } : undefined)
  const framing = choose('framing', raw.framing ?? (tcp === undefined ? 'rtu' : 'tcp'), ['rtu', 'ascii', 'tcp'])
  if (framing === 'tcp' && tcp === undefined) throw new UsageError('--framing tcp goes with --tcp')
  const wanted = raw.unit ?? [page.factory?.unit ?? 1]
  if (framing !== 'tcp' && !wanted.every(unit => unit >= 1 && unit <= 247))
    throw new UsageError(`a unit on a serial line is 1 to 247, not ${wanted.join(',')}`)
  const stranger = faults.find(one => one.kind === 'dead' && !wanted.includes(one.unit))
  if (stranger?.kind === 'dead')
    throw new UsageError(`dead=${stranger.unit}, but there is no such unit: --unit ${wanted.join(',')}`)
  return {
    ...common,
    meter: {
      page,
      framing,
      units: wanted,
      turnaroundMs: raw.turnaround ?? page.turnaroundMs,
      missing: raw.missing.map(name => choose('channel', name, channelsOf(page))),
    },
    baud: raw.baud ?? page.factory?.baud ?? DEFAULT_BAUD,
    format: raw.format ?? page.factory?.format ?? '8N1',
    tcp,
  }
}
