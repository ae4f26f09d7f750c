/**
 * Relays on a board that runs the firmware of hw/firmata: johnny-five's writes become checked commands of the session that
 * armed the board, each answered with what is on the pins. A closed contact stays so for the dead-man time after its last
 * closing; one that was not renewed trips the board, which then closes nothing until it is armed anew.
 */
import { done, type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Clock, Line, Log, Timers } from '../ports.ts'
import { type FirmataBoard, type FirmataContact, levelOf } from './firmata-contact.ts'
import { createFirmataLink } from './firmata-link.ts'
import { makeSwitches, type Switch } from './johnny-five.ts'
import {
  armMessage,
  lookMessage,
  type PinUse,
  RELAY_FIRMWARE,
  type RelayReport,
  readReport,
  SESSIONS,
  switchMessage,
} from './relay-firmware.ts'

export interface RelayBoardOptions {
  readonly line: Line
  readonly clock: Clock
  readonly timers: Timers
  readonly contacts: readonly FirmataContact[]
  readonly deadManMs: number
  readonly log: Log
}

/** A sequence number has seven bits, and 0 answers nobody. */
const SEQUENCES = 127

export async function relayBoard(options: RelayBoardOptions): Promise<FirmataBoard> {
  const { line, clock, timers, contacts, deadManMs, log } = options
  const pins = contacts.flatMap(({ pin, closedLevel, auxiliary }): readonly { pin: number; use: PinUse }[] => [
    { pin, use: closedLevel === 1 ? 'closed-high' : 'closed-low' },
    ...(auxiliary === undefined ? [] : [{ pin: auxiliary.pin, use: 'watched-pulled-up' as const }]),
  ])
  const placeOf = new Map(pins.map(({ pin }, place) => [pin, place]))
  const drivenBy = new Map(contacts.map(contact => [contact.pin, contact]))
  const waiting = new Map<number, (report: RelayReport) => void>()
  let sequence = 0
  /** Differs from that of an agent that ran here before, whose last words may still be under way. */
  let session = clock.now() % SESSIONS
  /** What comes of johnny-five's last write. */
  let written: Promise<Result<RelayReport>> = Promise.resolve(fail({ code: 'firmata.nothing-written' }))

  const link = createFirmataLink({
    line,
    timers,
    log,
    pin: contacts[0]!.pin,
    prepare,
    write(pin, level) {
      const close = level === drivenBy.get(pin)?.closedLevel
      written = ask('switch', mine => switchMessage(mine, session, pin, close))
    },
    onRelayMessage(data) {
      const report = readReport(data)
      if (!report.ok) return log('warn', 'relays', `${line.name} sent a report that cannot be read`, report.fault)
      if (report.value.sequence === 0) trouble(report.value)
      else waiting.get(report.value.sequence)?.(report.value)
    },
  })
  const switches = new Map<FirmataContact, Switch>()
  for (const [index, made] of (await makeSwitches(link.io, contacts)).entries()) switches.set(contacts[index]!, made)

  function ask(asked: string, message: (sequence: number) => readonly number[]): Promise<Result<RelayReport>> {
    sequence = (sequence % SEQUENCES) + 1
    const mine = sequence
    const heard = new Promise<RelayReport>(resolve => waiting.set(mine, resolve))
    link.io.sysexCommand(message(mine))
    return link.answer(asked, heard)
  }

  async function prepare(firmware: string): Promise<Result<void>> {
    if (firmware !== RELAY_FIRMWARE) {
      const hint = 'flash hw/firmata/relay.hex, or say firmware: standard'
      return fail({ code: 'firmata.other-firmware', line: line.name, firmware, hint })
    }
    waiting.clear()
    session = (session + 1) % SESSIONS
    const answer = await ask('arm', mine => armMessage(mine, session, deadManMs, pins))
    if (!answer.ok) return answer
    const { reason, armed, watchdog, levels } = answer.value
    if (watchdog) log('warn', 'relays', `${line.name}: the board's last reset was its watchdog's`)
    const closed = contacts.find(contact => levels[placeOf.get(contact.pin)!] !== levelOf(contact, 'open'))
    if (reason === 'done' && armed && answer.value.session === session && closed === undefined) return done
    return fail({ code: 'firmata.not-armed', line: line.name, reason, ...(closed && { notOpen: closed.name }) })
  }

  /** Why the board is not as this agent left it; it is then prepared anew. */
  function trouble({ armed, tripped, session: theirs }: RelayReport): Fault | undefined {
    const code = !armed ? 'board-reset' : theirs !== session ? 'other-session' : tripped ? 'tripped' : undefined
    if (code === undefined) return undefined
    const fault: Fault = { code: `firmata.${code}`, line: line.name }
    if (link.fault() === undefined) link.prepareAgain(fault)
    return fault
  }

  return {
    link,
    async command(contact, position) {
      const relay = switches.get(contact)!
      if (position === 'closed') relay.close()
      else relay.open()
      const answer = await written
      if (!answer.ok) return answer
      const fault = trouble(answer.value)
      const level = answer.value.levels[placeOf.get(contact.pin)!]
      if (fault !== undefined) return fail(fault)
      if (level === levelOf(contact, position)) return done
      const { reason } = answer.value
      return fail({ code: 'firmata.not-taken', contact: contact.name, pin: contact.pin, commanded: position, reason })
    },
    async look({ pin, auxiliary }) {
      const answer = await ask('look', lookMessage)
      if (!answer.ok) return answer
      const fault = trouble(answer.value)
      if (fault !== undefined) return fail(fault)
      const level = answer.value.levels[placeOf.get(auxiliary?.pin ?? pin)!]
      return level === undefined ? fail({ code: 'firmata.report', line: line.name, pin }) : ok(level)
    },
  }
}
