/**
 * johnny-five's relays, on whatever drives their pins; and with them relays on lines of a GPIO bank. The library's own belief
 * about a relay is never asked: a contact is observed on its auxiliary input, or, where none is wired, on the level of the pin
 * that drives it.
 */
import Board from 'johnny-five/lib/board.js'
import J5Relay from 'johnny-five/lib/relay.js'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Observed, OnAgentDeath, Position, Relay } from '../ports.ts'
import type { GpioBank, Level } from './gpio-bank.ts'
import { GpioIo } from './io-plugin.ts'

export interface GpioContact {
  readonly name: string
  /** The line that drives the relay, and the level that closes the contact; boards with optocouplers are mostly 0. */
  readonly output: string
  readonly closedLevel: Level
  /** An auxiliary contact on a line of its own, and the level that it shows when closed. */
  readonly auxiliary?: { readonly line: string; readonly closedLevel: Level }
}

export interface GpioRelayOptions {
  readonly bank: GpioBank
  readonly contacts: readonly GpioContact[]
  /** A bank without a hardware watchdog leaves contacts closed when the agent dies: usable only when that is said here. */
  readonly allowUnsupervised?: boolean
}

/** The library's command of one relay: it writes the level and returns, whatever came of it. */
export interface Switch {
  open(): void
  close(): void
}

/** The library's relays on pins of an IO plugin. Making one sends nothing and sets no direction. */
export async function makeSwitches(
  io: object,
  pins: readonly { readonly pin: string | number; readonly closedLevel: Level }[],
): Promise<readonly Switch[]> {
  // The library's terminal prompt, signal handler and chatter would take the process over.
  const board = new Board({ io, repl: false, sigint: false, debug: false })
  await new Promise<void>(resolve => board.once('ready', resolve))
  // 'NC' is the library's word for a relay whose contact closes at the low level.
  return pins.map(({ pin, closedLevel }) => new J5Relay({ board, pin, type: closedLevel === 1 ? 'NO' : 'NC' }))
}

/** All contacts of one bank, open, in the order given. */
export async function openGpioRelays(options: GpioRelayOptions): Promise<Result<readonly Relay[]>> {
  const { bank, contacts } = options
  const onAgentDeath = deathOf(options)
  if (!onAgentDeath.ok) return onAgentDeath
  const unknown = contacts.flatMap(linesOf).find(line => !bank.lines.includes(line))
  if (unknown !== undefined) return fail({ code: 'gpio.no-such-line', bank: bank.name, line: unknown })

  const openLevel = ({ closedLevel }: GpioContact): Level => (closedLevel === 1 ? 0 : 1)
  const io = new GpioIo(bank, new Map(contacts.map(contact => [contact.output, openLevel(contact)])))
  const switches = await makeSwitches(
    io,
    contacts.map(({ output, closedLevel }) => ({ pin: output, closedLevel })),
  )

  const relays: Relay[] = []
  for (const [index, contact] of contacts.entries()) {
    if (contact.auxiliary !== undefined) io.pinMode(contact.auxiliary.line, io.MODES.INPUT)
    io.pinMode(contact.output, io.MODES.OUTPUT)
    for (const line of linesOf(contact)) {
      const made = io.outcome(line)
      if (!made.ok) return fail(made.fault)
    }
    relays.push(portOf(contact, switches[index]!, io, bank, onAgentDeath.value))
  }
  return ok(relays)
}

const linesOf = ({ output, auxiliary }: GpioContact): readonly string[] =>
  auxiliary === undefined ? [output] : [output, auxiliary.line]

function deathOf({ bank, allowUnsupervised }: GpioRelayOptions): Result<OnAgentDeath> {
  if (bank.watchdogMs !== undefined) {
    return ok({ kind: 'opens', withinMs: bank.watchdogMs, by: `hardware watchdog of ${bank.name}` })
  }
  if (allowUnsupervised === true) return ok({ kind: 'stays', allowUnsupervised: true })
  return fail({
    code: 'gpio.unsupervised',
    bank: bank.name,
    hint: 'contacts on this bank stay closed when the agent dies; say allowUnsupervised to accept that',
  })
}

function portOf(contact: GpioContact, relay: Switch, io: GpioIo, bank: GpioBank, onAgentDeath: OnAgentDeath): Relay {
  const { name, output, closedLevel, auxiliary } = contact
  const watched = auxiliary ?? { line: output, closedLevel }
  return {
    name,
    onAgentDeath,
    async command(position: Position): Promise<Result<void, Fault>> {
      if (position === 'closed') relay.close()
      else relay.open()
      return io.outcome(output)
    },
    async observe(): Promise<Observed> {
      const level = bank.read(watched.line)
      if (!level.ok) return { seen: 'unknown', why: level.fault }
      return { seen: level.value === watched.closedLevel ? 'closed' : 'open' }
    },
    async close() {
      relay.open()
    },
  }
}
