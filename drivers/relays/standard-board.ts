/**
 * Relays on a board that runs StandardFirmata. It has no dead-man, it drives every pin low when it starts, and it sets all
 * pins of a port at once: after a reset the next write to one pin would close its neighbours as they were before. No check
 * guards its bytes: what a bad line makes of them is done, and believed.
 */
import { done, fail, type Result } from '../../protocol/result.ts'
import type { Line, Log, Position, Timers } from '../ports.ts'
import { type FirmataBoard, type FirmataContact, levelOf } from './firmata-contact.ts'
import { createFirmataLink } from './firmata-link.ts'
import { makeSwitches, type Switch } from './johnny-five.ts'
import { RELAY_FIRMWARE } from './relay-firmware.ts'

export interface StandardBoardOptions {
  readonly line: Line
  readonly timers: Timers
  readonly contacts: readonly FirmataContact[]
  readonly log: Log
}

export async function standardBoard({ line, timers, contacts, log }: StandardBoardOptions): Promise<FirmataBoard> {
  const link = createFirmataLink({ line, timers, log, pin: contacts[0]!.pin, prepare })
  const { io } = link
  const switches = new Map<FirmataContact, Switch>()
  for (const [index, made] of (await makeSwitches(io, contacts)).entries()) switches.set(contacts[index]!, made)

  /** The open level on every pin, then the direction, then a look. */
  async function prepare(firmware: string): Promise<Result<void>> {
    if (firmware === RELAY_FIRMWARE) {
      const hint = "this board has Tieline's own firmware: say firmware: tieline"
      return fail({ code: 'firmata.other-firmware', line: line.name, firmware, hint })
    }
    for (const contact of contacts) switches.get(contact)!.open()
    for (const { pin, auxiliary } of contacts) {
      io.pinMode(pin, io.MODES.OUTPUT)
      if (auxiliary === undefined) continue
      io.pinMode(auxiliary.pin, io.MODES.INPUT)
      // Written to an input, a 1 pulls it up, with this firmware's versions before 2.5 and after.
      io.digitalWrite(auxiliary.pin, 1)
    }
    const answers = await Promise.all(contacts.map(contact => taken(contact, 'open')))
    return answers.find(answer => !answer.ok) ?? done
  }

  async function taken(contact: FirmataContact, position: Position): Promise<Result<void>> {
    const answer = await link.pinState(contact.pin)
    if (!answer.ok) return answer
    const { mode, state } = answer.value
    if (mode === io.MODES.OUTPUT && state === levelOf(contact, position)) return done
    return fail({
      code: 'firmata.not-taken',
      contact: contact.name,
      pin: contact.pin,
      commanded: position,
      mode,
      state,
    })
  }

  return {
    link,
    command(contact, position) {
      const relay = switches.get(contact)!
      if (position === 'closed') relay.close()
      else relay.open()
      return taken(contact, position)
    },
    async look({ pin, auxiliary }) {
      if (auxiliary !== undefined) return link.level(auxiliary.pin)
      const answer = await link.pinState(pin)
      if (!answer.ok) return answer
      const { mode, state } = answer.value
      if (mode === io.MODES.OUTPUT && (state === 0 || state === 1)) return { ok: true, value: state }
      return fail({ code: 'firmata.no-output', line: line.name, pin, mode, state })
    },
  }
}
