/** Contacts on the pins of a Firmata board, and what must hold of their pins before anything is sent. */
import type { Fault, Result } from '../../protocol/result.ts'
import type { Position } from '../ports.ts'
import type { FirmataLink } from './firmata-link.ts'
import type { Level } from './gpio-bank.ts'
import { FIRST_PIN, LAST_PIN, PINS_AT_MOST } from './relay-firmware.ts'

export interface FirmataContact {
  readonly name: string
  /** As the Uno numbers them: 2 to 13 as printed, 14 to 19 for A0 to A5. */
  readonly pin: number
  /** The level that closes the contact; boards with optocouplers are mostly 0. */
  readonly closedLevel: Level
  /** An auxiliary contact between a pin and ground (0 when closed) or to the supply; the pin is pulled up. */
  readonly auxiliary?: { readonly pin: number; readonly closedLevel: Level }
}

/** A board as its firmware has it. */
export interface FirmataBoard {
  readonly link: FirmataLink
  /** Commands a contact, and has the board say that its pin took it. */
  command(contact: FirmataContact, position: Position): Promise<Result<void>>
  /** The level that shows where the contact is: of its auxiliary input, or, where none is wired, of the pin that drives it. */
  look(contact: FirmataContact): Promise<Result<Level>>
}

export const levelOf = ({ closedLevel }: FirmataContact, position: Position): Level =>
  (closedLevel === 1) === (position === 'closed') ? 1 : 0

const pinsOf = ({ pin, auxiliary }: FirmataContact): readonly number[] =>
  auxiliary === undefined ? [pin] : [pin, auxiliary.pin]

export function pinTrouble(line: string, contacts: readonly FirmataContact[]): Fault | undefined {
  const pins = contacts.flatMap(pinsOf)
  if (contacts.length === 0 || pins.length > PINS_AT_MOST)
    return { code: 'firmata.pins', line, pins: pins.length, most: PINS_AT_MOST }
  const wrong = pins.find(pin => !(Number.isInteger(pin) && pin >= FIRST_PIN && pin <= LAST_PIN))
  if (wrong !== undefined)
    return {
      code: 'firmata.no-such-pin',
      line,
      pin: wrong,
      first: FIRST_PIN,
      last: LAST_PIN,
      hint: 'pins 0 and 1 are the serial line',
    }
  const twice = pins.find((pin, at) => pins.indexOf(pin) !== at)
  return twice === undefined ? undefined : { code: 'firmata.pin-twice', line, pin: twice }
}
