/** The form of `relays`: a bank of contacts for each driver. */
import { COIL_BOARD_KINDS } from '../../drivers/relays/coil-boards.ts'
import * as forms from './literal-forms.ts'
import * as literals from './literals.ts'
import type { RelayBankConfig } from './relay-config.ts'
import {
  about,
  among,
  brokerUrl,
  duration,
  filled,
  flag,
  group,
  name,
  oneOf,
  scalar,
  set,
  spelt,
  v,
  whole,
} from './schema-words.ts'

/** Unit 0 is broadcast, 248 to 255 are reserved (Modbus over serial line V1.02, 2.2), but TCP gateways answer at 255. */
export const unit = about(
  'Its address on the line.',
  scalar(
    text => (text === '255' ? 255 : literals.within(literals.parseWhole, 1, 247)(text)),
    'a Modbus unit from 1 to 247, or 255',
    forms.whole(1, 255),
  ),
)

const DRIVER = 'What kind of bank it is.'
const DRIVERS = ['modbus-coils', 'johnny-five', 'gpio', 'firmata', 'lcus', 'shelly'] as const
/** A renewal comes in half of it, by a loop of ten rounds a second; no contact stays closed longer without its agent. */
const timed = about(
  'A contact opens by itself this long after its last close command, as the board’s own timer counts.',
  v.optional(duration(250, 10_000, 'a duration from 250ms to 10s')),
)
/** Renewed every 250 ms then, which leaves time for one lost command. */
const DEAD_MAN_MS = 500
const allowed = about('Accepts that contacts may stay closed when the agent dies.', v.optional(flag, 'false'))
const level = about(
  'The level at which it is closed.',
  v.pipe(
    v.optional(oneOf('high', 'low'), 'high'),
    v.transform(closed => (closed === 'high' ? 1 : 0)),
  ),
)
const topic = spelt(
  /^[^\s#+$][^\s#+]{0,127}$/,
  'an MQTT topic prefix without blanks, # and +, as in shellypro1-a8032abcdef0',
)
const gpioLine = spelt(/^[\x21-\x7e]{1,31}$/, "a GPIO line's name, as in GPIO17")
/** 0 and 1 are the serial line of an Arduino-class board. */
const pin = about('The pin.', whole(2, 127, 'a pin from 2'))

const gpioContact = v.pipe(
  group({
    output: about('The line that drives the relay.', gpioLine),
    closed: level,
    undriven: about(
      'A resistor keeps the contact open where nothing drives the line.',
      v.optional(v.literal('open', 'must be open, or left out')),
    ),
    auxiliary: about(
      'The auxiliary contact, which shows where the contact really is.',
      v.optional(group({ line: about('The line that it is on.', gpioLine), closed: level })),
    ),
  }),
  v.transform(({ output, closed, undriven, auxiliary: aux }) => ({
    output,
    closedLevel: closed,
    ...set({
      undrivenOpen: undriven && (true as const),
      auxiliary: aux && { line: aux.line, closedLevel: aux.closed },
    }),
  })),
)
const firmataContact = v.pipe(
  group({
    pin,
    closed: level,
    auxiliary: about(
      'The auxiliary contact, which shows where the contact really is.',
      v.optional(group({ pin, closed: level })),
    ),
  }),
  v.transform(({ pin, closed, auxiliary: aux }) => ({
    pin,
    closedLevel: closed,
    ...set({ auxiliary: aux && { pin: aux.pin, closedLevel: aux.closed } }),
  })),
)
const listOf = <const S extends v.GenericSchema>(contact: S) =>
  v.pipe(v.array(contact, 'must be a list of contacts'), v.minLength(1, 'must name at least one contact'))

export const relayBank = v.pipe(
  v.variant(
    'driver',
    [
      group({
        driver: about(DRIVER, v.literal('modbus-coils')),
        line: about('The line that it is on.', name),
        unit,
        board: about(
          'How this kind of board is told to open by itself.',
          v.optional(oneOf(...COIL_BOARD_KINDS), 'register-ms'),
        ),
        timed,
        allow_unsupervised: allowed,
      }),
      group({ driver: about(DRIVER, v.literal('johnny-five')), bank: about('A bank of the bench.', name) }),
      group({
        driver: about(DRIVER, v.literal('gpio')),
        chip: about(
          'The GPIO chip; without it, the one that has the lines.',
          v.optional(filled('a GPIO chip, as in gpiochip0')),
        ),
        contacts: about('The contacts, by channel from 1.', v.optional(listOf(gpioContact))),
        hat: about('A relay hat, which knows its own contacts.', v.optional(filled('a relay hat, by its name'))),
        allow_unsupervised: allowed,
      }),
      group({
        driver: about(DRIVER, v.literal('firmata')),
        line: about('The line that it is on.', name),
        firmware: about('What runs on the board.', v.optional(oneOf('tieline', 'standard'), 'tieline')),
        // The firmware takes 50 ms to 5 s.
        dead_man: about(
          'The firmware opens all contacts when it has heard nothing for so long; 500ms where it can.',
          v.optional(duration(250, 5_000, 'a duration from 250ms to 5s')),
        ),
        contacts: about('The contacts, by channel from 1.', listOf(firmataContact)),
        allow_unsupervised: allowed,
      }),
      group({
        driver: about(DRIVER, v.literal('lcus')),
        line: about('The line that it is on.', name),
        channels: about('How many contacts it has.', whole(1, 8, 'a whole number from 1 to 8')),
        allow_unsupervised: allowed,
      }),
      group({
        driver: about(DRIVER, v.literal('shelly')),
        device: about('Its topic prefix, by default its id.', topic),
        broker: about('The broker that it is connected to, where that is none of the site’s.', v.optional(brokerUrl)),
        timed,
        allow_unsupervised: allowed,
      }),
    ],
    among(DRIVERS),
  ),
  v.transform((it): RelayBankConfig => {
    if (it.driver === 'johnny-five') return it
    // What is left out has no key at all.
    const { allow_unsupervised: allowUnsupervised, ...rest } = it
    switch (rest.driver) {
      case 'modbus-coils': {
        const { timed: timedMs, ...others } = rest
        return { ...others, allowUnsupervised, ...set({ timedMs }) }
      }
      case 'gpio': {
        const { chip, contacts, hat, driver } = rest
        return { driver, allowUnsupervised, ...set({ chip, contacts, hat }) }
      }
      case 'firmata': {
        const { dead_man, ...others } = rest
        const deadManMs = others.firmware === 'tieline' ? (dead_man ?? DEAD_MAN_MS) : dead_man
        return { ...others, allowUnsupervised, ...set({ deadManMs }) }
      }
      case 'lcus':
        return { ...rest, allowUnsupervised }
      case 'shelly': {
        const { timed: timedMs, broker, ...others } = rest
        return { ...others, allowUnsupervised, ...set({ timedMs, broker }) }
      }
    }
  }),
)
