/**
 * Relays on an Arduino-class board, by johnny-five over Firmata on any line. With the firmware of hw/firmata a contact opens by
 * itself when this agent dies; with StandardFirmata it does not.
 */
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Clock, Line, Log, Observed, OnAgentDeath, Relay, Timers } from '../ports.ts'
import { type FirmataBoard, type FirmataContact, pinTrouble } from './firmata-contact.ts'
import { relayBoard } from './relay-board.ts'
import { DEAD_MAN_MS } from './relay-firmware.ts'
import { standardBoard } from './standard-board.ts'

export interface FirmataRelayOptions {
  /** 57,600 baud, 8N1. */
  readonly line: Line
  readonly clock: Clock
  readonly timers: Timers
  readonly contacts: readonly FirmataContact[]
  /** `tieline`: that of hw/firmata; `standard`: StandardFirmata, or what behaves as it does. */
  readonly firmware: 'tieline' | 'standard'
  /** Of Tieline's firmware: a contact opens this long after its last closing. */
  readonly deadManMs?: number
  /** StandardFirmata leaves contacts closed when the agent dies: usable only when that is said here. */
  readonly allowUnsupervised?: boolean
  readonly log: Log
}

/** The agent renews every 250 ms then, which leaves time for one lost command. */
const DEAD_MAN_DEFAULT_MS = 500
/** The firmware looks every 2 ms, and an Uno's resonator is off by 0.5 % at the most. */
const CHECK_MS = 2
const RESONATOR = 1.005
/** A closing takes 12 characters: it has arrived this much after it was sent. */
const CLOSING_CHARACTERS = 12

/** How long after its last closing was sent a contact is open at the latest, on a line of this pace. */
export const firmataOpensWithin = (deadManMs: number, { characterMs }: Pick<Line, 'characterMs'>): number =>
  Math.ceil(deadManMs * RESONATOR + CHECK_MS + CLOSING_CHARACTERS * characterMs)

/**
 * All contacts of one board, in the order given. A board that does not answer is no fault here: its relays answer with one
 * until it does.
 */
export async function openFirmataRelays(options: FirmataRelayOptions): Promise<Result<readonly Relay[]>> {
  const { line, contacts, firmware, deadManMs = DEAD_MAN_DEFAULT_MS } = options
  const refused = pinTrouble(line.name, contacts) ?? firmwareTrouble(options, deadManMs)
  if (refused !== undefined) return fail(refused)
  const board = await (firmware === 'tieline' ? relayBoard({ ...options, deadManMs }) : standardBoard(options))
  const withinMs = firmataOpensWithin(deadManMs, line)
  const onAgentDeath: OnAgentDeath =
    firmware === 'tieline'
      ? { kind: 'opens', withinMs, by: `dead-man of the board on ${line.name}` }
      : { kind: 'stays', allowUnsupervised: true }
  await board.link.open()
  const inUse = new Set(contacts)
  return ok(contacts.map(contact => portOf(contact, board, onAgentDeath, inUse)))
}

function firmwareTrouble(options: FirmataRelayOptions, deadManMs: number): Fault | undefined {
  const { line, contacts, firmware, allowUnsupervised } = options
  if (firmware === 'tieline') {
    const { least, most } = DEAD_MAN_MS
    return Number.isInteger(deadManMs) && deadManMs >= least && deadManMs <= most
      ? undefined
      : { code: 'firmata.dead-man', line: line.name, deadManMs, least, most }
  }
  const activeLow = contacts.find(({ closedLevel }) => closedLevel === 0)
  if (activeLow !== undefined) {
    return {
      code: 'firmata.closes-at-start',
      line: line.name,
      contact: activeLow.name,
      hint: 'StandardFirmata drives every pin low when the board starts, which closes this contact: flash hw/firmata/relay.hex, or use a relay that closes at the high level',
    }
  }
  if (allowUnsupervised === true) return undefined
  return {
    code: 'firmata.unsupervised',
    line: line.name,
    hint: 'with StandardFirmata contacts stay closed when the agent dies: flash hw/firmata/relay.hex, or say allowUnsupervised to accept that',
  }
}

function portOf(
  contact: FirmataContact,
  board: FirmataBoard,
  onAgentDeath: OnAgentDeath,
  inUse: Set<FirmataContact>,
): Relay {
  const { link } = board
  const watched = contact.auxiliary ?? contact
  return {
    name: contact.name,
    onAgentDeath,
    async command(position) {
      const fault = link.fault()
      return fault === undefined ? board.command(contact, position) : fail(fault)
    },
    async observe(): Promise<Observed> {
      const fault = link.fault()
      const level = fault === undefined ? await board.look(contact) : fail(fault)
      if (!level.ok) return { seen: 'unknown', why: level.fault }
      return { seen: level.value === watched.closedLevel ? 'closed' : 'open' }
    },
    async close() {
      if (!inUse.has(contact)) return
      if (link.fault() === undefined) await board.command(contact, 'open')
      inUse.delete(contact)
      if (inUse.size === 0) await link.close()
    },
  }
}
