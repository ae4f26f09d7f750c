/**
 * What a board has: its GPIO lines and what each does while the board boots, serial ports, watchdog, clock and lamps, and hats
 * that are plugged on it. Boards are data (hw/boards) that is read at run time and handed down as a value.
 *
 * Between power-on and the agent's first request a line is whatever the board makes of it, for seconds. A relay that such a
 * line would energise is refused here, before anything is wired to it.
 */
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import * as literals from './literals.ts'
import { type Form, type Read, type ReferenceIssue, readForm } from './read-form.ts'
import { issueOf } from './schema-issue.ts'
import { filled, group, named, oneOf, scalar, set, v } from './schema-words.ts'
import type { Path } from './yaml.ts'

/** `pulses`: driven by the boot itself; `high` and `low`: driven to one level by it, as by a power stage of the board. */
const BOOT = ['float', 'pull-up', 'pull-down', 'pulses', 'high', 'low'] as const
export type BootState = (typeof BOOT)[number]

export interface BoardLine {
  /** As the board's maker calls it: GPIO17, P9_12. */
  readonly name: string
  /** Label of the GPIO chip, as the kernel tells it. */
  readonly chip: string
  readonly offset: number
  /** What kernels call the line; other kernels call it otherwise or not at all, and then the offset tells it. */
  readonly kernelNames: readonly string[]
  /** On the header. */
  readonly pin?: string
  readonly boot: BootState
  /** Why no relay may hang on it. */
  readonly unsafe?: string
}

export interface SerialPort {
  readonly device: string
  readonly tx?: string
  readonly rx?: string
  /** Whether the console talks on it while the board boots, unless it is turned off. */
  readonly console: boolean
  readonly bluetooth: boolean
  /** What turns it on, as a line of the board's own configuration. */
  readonly enable?: string
}

export interface Hat {
  readonly title: string
  readonly header: string
  readonly source: string
  readonly relays?: {
    /** The level that energises the coil. */
    readonly active: 'high' | 'low'
    /** Whether the hat keeps its contacts open against the board's weak pull (about 50 kOhm) where nothing drives the input. */
    readonly undrivenOpen: boolean
    /** Header pins by channel, from 1. */
    readonly pins: readonly string[]
  }
  readonly rs485: readonly string[]
  /** Every header pin it takes, the relays' among them. */
  readonly pins: readonly string[]
}

export interface Board {
  readonly name: string
  readonly title: string
  /** What hats fit: those with the same. */
  readonly header?: string
  readonly sources: readonly string[]
  readonly lines: readonly BoardLine[]
  readonly serial: Readonly<Record<string, SerialPort>>
  readonly watchdog?: { readonly device: string; readonly mostMs: number; readonly by: string }
  readonly rtc?: { readonly device: string; readonly kept: string }
  readonly leds: Readonly<Record<string, string>>
  readonly hats: Readonly<Record<string, Hat>>
}

/** What a relay driver needs of one contact: the line, and the level that closes it. */
export interface HatContact {
  /** From 1, as the configuration counts a bank's channels. */
  readonly channel: number
  readonly line: BoardLine
  readonly closedLevel: 0 | 1
}

const lineName = scalar(
  text => (/^[A-Za-z][A-Za-z0-9_]{0,31}$/.test(text) ? text : undefined),
  'the name of a line: a letter, then at most 31 letters, digits or _',
)
const chipLabel = scalar(
  text => (/^[A-Za-z0-9][A-Za-z0-9._:-]{0,31}$/.test(text) ? text : undefined),
  'the label of a GPIO chip, as gpiodetect shows it',
)
const kebab = scalar(
  text => (/^[a-z0-9]+(-[a-z0-9]+)*$/.test(text) && text.length <= 48 ? text : undefined),
  'a name of lower-case letters, digits and hyphens',
)
const pin = scalar(text => (/^(P\d+\.)?\d{1,2}$/.test(text) ? text : undefined), 'a header pin, as in 37 or P9.12')
const device = scalar(text => (/^\/dev\/[\w./-]+$/.test(text) ? text : undefined), 'a device, as in /dev/ttyAMA0')
const text = filled('some words')
const yes = v.optional(scalar(literals.parseBoolean, 'true or false'), 'false')
const texts = v.array(text, 'must be a list')
const pins = v.array(pin, 'must be a list of header pins')

const lineForm = v.pipe(
  group({
    // The GPIO v2 interface of Linux asks for lines by 32 bits, but no chip has as many.
    offset: scalar(literals.within(literals.parseWhole, 0, 1023), 'a whole number from 0 to 1023'),
    pin: v.optional(pin),
    names: v.optional(texts),
    boot: oneOf(...BOOT),
    unsafe: v.optional(text),
  }),
  v.transform(({ names, ...rest }) => ({ ...set(rest), offset: rest.offset, boot: rest.boot, names: names ?? [] })),
)

const serialForm = v.pipe(
  group({
    device,
    tx: v.optional(lineName),
    rx: v.optional(lineName),
    console: yes,
    bluetooth: yes,
    enable: v.optional(text),
  }),
  v.transform(({ device, console, bluetooth, ...rest }) => ({ device, console, bluetooth, ...set(rest) })),
)

const hatForm = v.pipe(
  group({
    title: text,
    header: kebab,
    source: text,
    relays: v.optional(
      v.pipe(
        group({ active: oneOf('high', 'low'), undriven: v.optional(oneOf('open', 'unknown'), 'unknown'), pins }),
        v.transform(({ active, undriven, pins }) => ({ active, pins, undrivenOpen: undriven === 'open' })),
      ),
    ),
    rs485: v.optional(v.array(device, 'must be a list of devices'), []),
    uses: v.optional(pins, []),
  }),
  v.transform(
    ({ relays, uses, ...rest }): Hat => ({
      ...rest,
      ...set({ relays }),
      pins: [...(relays?.pins ?? []), ...uses],
    }),
  ),
)

const boardForm = v.pipe(
  group({
    board: kebab,
    title: text,
    header: v.optional(kebab),
    sources: v.pipe(texts, v.minLength(1, 'must name where this is from')),
    gpio: v.optional(named(named(lineForm, lineName), chipLabel), {}),
    serial: v.optional(named(serialForm, kebab), {}),
    watchdog: v.optional(
      v.pipe(
        group({ device, most: scalar(literals.parseDuration, 'a duration, as in 15s'), by: text }),
        v.transform(({ most, ...rest }) => ({ ...rest, mostMs: most })),
      ),
    ),
    rtc: v.optional(group({ device, kept: text })),
    leds: v.optional(named(text, kebab), {}),
    hats: v.optional(named(hatForm, kebab), {}),
  }),
  v.transform(({ board, gpio, header, watchdog, rtc, ...rest }): Board => {
    const lines = Object.entries(gpio).flatMap(([chip, of]) =>
      Object.entries(of).map(([name, { names, ...line }]) => ({ name, chip, kernelNames: names, ...line })),
    )
    return { ...rest, name: board, lines, ...set({ header, watchdog, rtc }) }
  }),
)

/** One board from the text of its file; a hat that stands in the file itself must fit it. */
export const readBoard = (text: string, file: string): Read<Board> =>
  readForm(text, file, formOf('a board', boardForm, boardIssues))

/** Hats that are sold for a header, by their names. Whether one fits a board is asked of `contactsOfHat`. */
export const readHats = (text: string, file: string): Read<Readonly<Record<string, Hat>>> =>
  readForm(
    text,
    file,
    formOf('a list of hats', named(hatForm, kebab), hats => pinsTwice(hats, [])),
  )

function formOf<T>(
  called: string,
  schema: v.GenericSchema<unknown, T>,
  check: (value: T) => readonly ReferenceIssue[],
): Form<T> {
  return {
    called,
    check,
    read: value => {
      const parsed = v.safeParse(schema, value)
      return parsed.success ? { value: parsed.output, issues: [] } : { issues: parsed.issues.map(issueOf) }
    },
  }
}

type Report = (path: Path, what: string, hint?: string) => void

const issuesOf = (find: (report: Report) => void): readonly ReferenceIssue[] => {
  const issues: ReferenceIssue[] = []
  find((path, what, hint) => issues.push({ kind: 'reference', path, what, ...set({ hint }) }))
  return issues
}

function boardIssues(board: Board): readonly ReferenceIssue[] {
  const own = issuesOf(report => {
    const places = new Map<string, string>()
    for (const { name, chip, offset, pin } of board.lines) {
      const at = ['gpio', chip, name]
      const claim = (path: Path, place: string, what: string) => {
        const other = places.get(place)
        if (other !== undefined) report(path, `is already ${what} of ${other}`)
        else places.set(place, `${name} on ${chip}`)
      }
      claim(at, `name ${name}`, 'the name')
      claim([...at, 'offset'], `${chip} ${offset}`, 'the offset')
      if (pin !== undefined) claim([...at, 'pin'], `pin ${pin}`, 'the pin')
    }
    for (const [name, port] of Object.entries(board.serial)) {
      for (const key of ['tx', 'rx'] as const) {
        const line = port[key]
        if (line === undefined) continue
        const found = board.lines.find(one => one.name === line)
        if (found === undefined)
          report(['serial', name, key], `names the line "${line}", which the board does not have`)
        else if (key === 'tx' && port.console && found.unsafe === undefined)
          report(
            ['gpio', found.chip, line],
            'is where the console talks during boot, and is not marked unsafe',
            'unsafe: console',
          )
      }
    }
    for (const [name, hat] of Object.entries(board.hats)) {
      for (const [index] of (hat.relays?.pins ?? []).entries()) {
        const contact = contactOf(board, hat, index)
        if (!contact.ok) report(['hats', name, 'relays', 'pins', index], contact.fault.why)
      }
      if (hat.header !== board.header) report(['hats', name, 'header'], `is not that of the board, ${board.header}`)
    }
  })
  return [...own, ...pinsTwice(board.hats, ['hats'])]
}

const pinsTwice = (hats: Readonly<Record<string, Hat>>, path: Path): readonly ReferenceIssue[] =>
  issuesOf(report => {
    for (const [name, { pins, relays }] of Object.entries(hats)) {
      for (const [index, pin] of pins.entries()) {
        if (pins.indexOf(pin) === index) continue
        const of = relays?.pins.length ?? 0
        const at = index < of ? ['relays', 'pins', index] : ['uses', index - of]
        report([...path, name, ...at], `is the pin ${pin}, which this hat takes already`)
      }
    }
  })

/** Why a board and a hat do not go together; `why` is a sentence's end about the pin or the hat. */
export type HatFault = Fault & {
  readonly code: 'board.hat'
  readonly board: string
  readonly hat: string
  readonly pin?: string
  readonly line?: string
  readonly why: string
  readonly hint?: string
}

/** The contacts of a relay hat on this board, or why one of them would not be safe there. */
export function contactsOfHat(board: Board, hat: Hat): Result<readonly HatContact[], HatFault> {
  const refuse = (why: string) => fail<HatFault>({ code: 'board.hat', board: board.name, hat: hat.title, why })
  if (hat.header !== board.header) return refuse(`fits ${hat.header}, and the board has ${board.header ?? 'no header'}`)
  if (hat.relays === undefined) return refuse('has no relays')
  const contacts: HatContact[] = []
  for (const index of hat.relays.pins.keys()) {
    const contact = contactOf(board, hat, index)
    if (!contact.ok) return contact
    contacts.push(contact.value)
  }
  return ok(contacts)
}

function contactOf(board: Board, hat: Hat, index: number): Result<HatContact, HatFault> {
  const { active, pins, undrivenOpen } = hat.relays!
  const pin = pins[index]!
  const line = board.lines.find(one => one.pin === pin)
  const refuse = (why: string, hint?: string) =>
    fail<HatFault>({
      code: 'board.hat',
      board: board.name,
      hat: hat.title,
      pin,
      why,
      ...set({ line: line?.name, hint }),
    })
  if (line === undefined) return refuse(`is pin ${pin}, which is no line of ${board.name}`)
  const what = `is pin ${pin}, ${line.name}`
  if (line.unsafe !== undefined) return refuse(`${what}: unsafe for a relay, ${line.unsafe}`)
  if (line.boot === 'pulses') return refuse(`${what}: it pulses at boot, and the relay with it`)
  if (line.boot === active) return refuse(`${what}: it is driven ${active} at boot, which closes the contact`)
  const pulled = line.boot === (active === 'high' ? 'pull-up' : 'pull-down')
  if (!undrivenOpen && (pulled || line.boot === 'float')) {
    const state = pulled ? `is pulled ${active === 'high' ? 'up' : 'down'} at boot` : 'floats at boot'
    return refuse(
      `${what}: it ${state}, and the relay closes on ${active}`,
      'fit a resistor that pulls to open and say undriven: open, or take another line',
    )
  }
  return ok({ channel: index + 1, line, closedLevel: active === 'high' ? 1 : 0 })
}

/** The first pin that two hats on one board both take. */
export function sharedPin(board: Board, hats: readonly Hat[]): HatFault | undefined {
  const taken = new Map<string, string>()
  for (const hat of hats) {
    for (const pin of hat.pins) {
      const other = taken.get(pin)
      const why = `takes pin ${pin}, and so does ${other}`
      if (other !== undefined) return { code: 'board.hat', board: board.name, hat: hat.title, pin, why }
      taken.set(pin, hat.title)
    }
  }
  return undefined
}
