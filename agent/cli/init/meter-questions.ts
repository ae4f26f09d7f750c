/** The questions about meters: each ends as what `tieline read` would be told, typed out or found by a search. */
import { PAGES } from '../../../drivers/meters/catalogue.ts'
import { usualSpeed } from '../../config/line-settings.ts'
import type { MeterConfig } from '../../config/site-config.ts'
import { lineOf, type ReadOptions, type ReadTarget, readTarget } from '../meters/read-target.ts'
import { unknownName } from '../usage.ts'
import type { Settings } from './draft.ts'
import { because, choose, line, parsed, type Walk, yes } from './question.ts'
import { type Drafting, lineTo, settle, TWO_SPEEDS } from './settle.ts'

/** Of a house with more something is to be written by hand. */
const METERS_MOST = 16

/** What is read by no page of registers: which options of `tieline read` say so, and what a person calls it. */
const OTHERS: Readonly<Record<string, { readonly label: string; readonly options: ReadOptions }>> = {
  'sunspec-meter': { label: 'a SunSpec meter: says itself what it is', options: { page: 'sunspec-meter' } },
  'sunspec-inverter': { label: 'a SunSpec inverter', options: { page: 'sunspec-inverter' } },
  'sunspec-battery': { label: 'a SunSpec battery', options: { page: 'sunspec-battery' } },
  sml: { label: 'SML: German meters, infrared eye', options: { telegram: 'sml' } },
  dsmr: { label: 'P1 port: Dutch, Belgian, Luxembourgish meters', options: { telegram: 'dsmr' } },
  dlms: { label: 'DLMS push over HDLC or M-Bus', options: { telegram: 'dlms' } },
  'dlms-raw': { label: 'DLMS push, bare', options: { telegram: 'dlms-raw' } },
  iec62056: { label: 'IEC 62056-21, asked through an optical head', options: { page: 'iec62056' } },
  'iec62056-pushed': { label: 'IEC 62056-21, speaks unasked', options: { telegram: 'iec62056' } },
  mbus: { label: 'wired M-Bus', options: { page: 'mbus' } },
}
const TYPED = 'typed'
const KEYED = new Set(['dsmr', 'dlms', 'dlms-raw'])

/** Flags of `tieline read` that say which meter; its keys stand in files. */
const FLAGS: Readonly<Record<string, keyof ReadOptions>> = {
  '--page': 'page',
  '--telegram': 'telegram',
  '--line': 'line',
  '--tcp': 'tcp',
  '--framing': 'framing',
  '--baud': 'baud',
  '--format': 'format',
  '--unit': 'unit',
  '--address': 'address',
  '--id': 'id',
  '--nth': 'nth',
  '--max-registers': 'maxRegisters',
  '--positive': 'positive',
  '--key-file': 'keyFile',
  '--auth-key-file': 'authKeyFile',
}

/** `--page eastron-sdm630 --line /dev/ttyUSB0 --unit 1`, or what is wrong with it. */
export function optionsOf(flags: string): ReadOptions | string {
  const words = flags.trim().split(/ +/)
  const options: Record<string, string> = {}
  for (let n = 0; n < words.length; n += 2) {
    const [flag = '', value] = [words[n], words[n + 1]]
    const key = Object.hasOwn(FLAGS, flag) ? FLAGS[flag] : undefined
    if (key === undefined) return unknownName('option', flag, Object.keys(FLAGS))
    if (value === undefined || Object.hasOwn(options, key)) return `${flag} needs one value`
    options[key] = value
  }
  return options
}

function targetOf(options: ReadOptions): ReadTarget | string {
  const target = readTarget(options)
  return target.ok ? target.value : String(target.fault['what'])
}

const foundTarget = (answer: string): ReadTarget | string => {
  const options = optionsOf(answer)
  return typeof options === 'string' ? options : targetOf(options)
}

/** Asks for one after the other; where none is needed, whether there is any. */
export function* askMeters(draft: Drafting, needed: boolean): Walk<void> {
  for (let n = 1; n <= METERS_MOST; n++) {
    const prefix = `meter${n}.`
    if (n > 1 || !needed) {
      const more = yield* yes(
        `${prefix}add`,
        n > 1 ? 'Is there another meter?' : 'Has this site a meter of its own?',
        'no',
        ...(n > 1 ? ['For example that of a charger, a solar roof, or a line to a neighbour.'] : []),
      )
      if (!more) return
    }
    const options = yield* askOne(prefix)
    const target = targetOf(options)
    if (typeof target === 'string') {
      yield { kind: 'refusal', prefix, why: target }
      return
    }
    const name = yield parsed(
      `${prefix}name`,
      'What is it called here? Settings and the page name it so',
      text =>
        /^[A-Za-z][A-Za-z0-9_-]{0,31}$/.test(text) && !draft.meters.some(one => one.name === text) ? text : undefined,
      'a name of its own: a letter, then at most 31 letters, digits, - or _',
      n === 1 ? 'grid' : `meter${n}`,
    )
    const wire = lineTo(draft, target.line)
    if (wire === undefined) {
      yield { kind: 'refusal', prefix, why: TWO_SPEEDS }
      return
    }
    draft.meters = [...draft.meters, { name, line: wire, target, settings: settingsOf(wire, target.meter, options) }]
    yield* settle(prefix, draft)
  }
}

function* askOne(prefix: string): Walk<ReadOptions> {
  const how = yield because(
    prefix === 'meter1.'
      ? 'First the one at the connection to the grid.'
      : 'Its readings are signed, each with its serial.',
    choose(
      `${prefix}how`,
      'Which meter is it?',
      [
        { value: 'search', label: 'look for it: nothing but reads is sent' },
        { value: TYPED, label: 'I know what it is and where' },
      ],
      'search',
    ),
  )
  if (how === 'search') {
    const where = yield line(
      `${prefix}where`,
      'Where is it to be looked for? `all`, or one place such as /dev/ttyUSB0 or 192.168.1.40:502',
      text => (text === 'all' || placeOf(text) !== undefined ? undefined : PLACE),
      'all',
    )
    const found = yield {
      kind: 'question',
      id: `${prefix}found`,
      text: 'Which of these?',
      search: { place: where === 'all' ? undefined : where },
      check: answer => {
        if (answer === TYPED) return undefined
        const target = foundTarget(answer)
        return typeof target === 'string' ? target : undefined
      },
    }
    if (found !== TYPED) return optionsOf(found) as ReadOptions
  }
  return yield* askTyped(prefix)
}

function* askTyped(prefix: string): Walk<ReadOptions> {
  const page = yield choose(`${prefix}page`, 'Which product, or which protocol? Type a part of its name', [
    ...[...PAGES.values()].map(({ name, products }) => ({ value: name, label: name, hint: products[0] ?? '' })),
    ...Object.entries(OTHERS).map(([value, { label }]) => ({ value, label: value, hint: label })),
  ])
  const base: ReadOptions = OTHERS[page]?.options ?? { page }
  const place = yield line(
    `${prefix}place`,
    'Where is it? A serial device such as /dev/ttyUSB0 (better its name under /dev/serial/by-id), or 192.168.1.40:502',
    text => (placeOf(text) === undefined ? PLACE : undefined),
  )
  const there = placeOf(place)!
  const speed = there.line === undefined ? {} : yield* askSpeed(prefix, base)
  const isModbus = base.telegram === undefined && page !== 'iec62056' && page !== 'mbus'
  const framing =
    there.tcp !== undefined && isModbus
      ? yield choose(
          `${prefix}framing`,
          'What is at that address?',
          [
            { value: 'tcp', label: 'a meter or gateway that speaks Modbus TCP' },
            { value: 'rtu', label: 'a serial server that hands on Modbus RTU' },
            { value: 'ascii', label: 'a serial server that hands on Modbus ASCII' },
          ],
          'tcp',
        )
      : undefined
  const so = { ...base, ...there, ...speed, ...(framing === undefined ? {} : { framing }) }
  /** The last setting of all decides. */
  const good = (more: ReadOptions) => {
    const target = targetOf({ ...so, ...more })
    return typeof target === 'string' ? target : undefined
  }
  if (isModbus) {
    const factory = String(PAGES.get(page)?.factory?.unit ?? 1)
    const unit = yield line(
      `${prefix}unit`,
      'Which Modbus unit (address) has it? Its display or menu shows it',
      text => good({ unit: text }),
      factory,
    )
    const positive =
      page === 'sunspec-battery'
        ? yield choose(`${prefix}positive`, 'What flows when its power is positive?', ['import', 'export'])
        : undefined
    const id = yield* askSerial(prefix, page)
    return { ...so, unit, ...(positive === undefined ? {} : { positive }), ...id }
  }
  if (page === 'mbus') {
    const address = yield line(
      `${prefix}address`,
      'Which M-Bus address has it? 254 is the only meter of a line',
      text => good({ address: text }),
      '254',
    )
    return { ...so, address }
  }
  if (!KEYED.has(page)) return so
  const keyFile = yield line(
    `${prefix}key_file`,
    'Are its telegrams encrypted? Then the file that holds the key (32 hex digits); empty if not',
    () => undefined,
    '',
  )
  return { ...so, ...(keyFile.trim() === '' ? {} : { keyFile }) }
}

function* askSpeed(prefix: string, { page, telegram }: ReadOptions): Walk<ReadOptions> {
  const spoken = {
    protocol: (page ?? telegram) as 'sml',
    ...(telegram === 'iec62056' ? { mode: 'pushed' as const } : {}),
  }
  const usual = PAGES.get(page ?? '')?.factory ?? usualSpeed(spoken)
  const answer = yield line(
    `${prefix}speed`,
    'At which speed and form of a character does it speak?',
    text => {
      const found = speedOf(text)
      if (found === undefined) return 'must be baud and form, as in 9600 8N1'
      const at = lineOf({ line: '/dev/null', ...found }, usual)
      return at.ok ? undefined : String(at.fault['what'])
    },
    `${usual.baud} ${usual.format}`,
  )
  return speedOf(answer)!
}

/** A product that does not tell its serial number has to be told it: readings are signed with it. */
function* askSerial(prefix: string, page: string): Walk<ReadOptions> {
  if (PAGES.get(page)?.identity.as !== 'none') return {}
  const id = yield parsed(
    `${prefix}serial`,
    'This product does not tell its serial number. Which one is printed on it?',
    text => (/^[\x21-\x7e]{1,64}$/.test(text) ? text : undefined),
    "a meter's serial, without blanks",
  )
  return { id }
}

const PLACE = 'must be a device such as /dev/ttyUSB0, or host:port as in meter.local:502'

function placeOf(text: string): Pick<ReadOptions, 'line' | 'tcp'> | undefined {
  // Blanks would be two words of a command.
  if (/^\/[^\s]+$/.test(text)) return { line: text }
  if (/\s/.test(text) || text === '') return undefined
  return lineOf({ tcp: text }, { baud: 0, format: '8N1' }).ok ? { tcp: text } : undefined
}

function speedOf(text: string): { readonly baud: string; readonly format: string } | undefined {
  const match = /^(\d+)\s+([78][NEO][12])$/i.exec(text.trim())
  return match === null ? undefined : { baud: match[1]!, format: match[2]!.toUpperCase() }
}

/** As the configuration writes it. */
function settingsOf(wire: string, meter: MeterConfig, options: ReadOptions): Settings {
  return {
    line: wire,
    protocol: meter.protocol,
    ...('page' in meter ? { page: meter.page } : {}),
    ...('unit' in meter ? { unit: String(meter.unit) } : {}),
    ...(meter.protocol === 'sunspec'
      ? {
          model: meter.model,
          nth: options.nth,
          positive: options.positive,
          max_registers: options.maxRegisters,
          framing: options.framing,
        }
      : {}),
    ...(meter.protocol === 'mbus' ? { address: options.address ?? '254' } : {}),
    ...(meter.protocol === 'iec62056' ? { address: options.address, mode: meter.mode } : {}),
    every: meter.protocol === 'iec62056' || meter.protocol === 'mbus' ? '10s' : '1s',
    id: options.id,
    key_file: options.keyFile,
    auth_key_file: options.authKeyFile,
  }
}
