/**
 * What is said to the relay firmware of hw/firmata and what it answers, as the data of Firmata messages of the user's own:
 * every byte has seven bits, and a CRC-16 guards them. hw/firmata/README.md draws the bytes.
 */
import { crc16 } from '../../protocol/modbus/crc.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import type { Level } from './gpio-bank.ts'

/** The Firmata command that carries all of it. */
export const RELAY_COMMAND = 0x0e
/** As the firmware names itself. */
export const RELAY_FIRMWARE = 'TielineRelay'

const ARM = 0x01
const SWITCH = 0x02
const LOOK = 0x03
const REPORT = 0x40
const REPORT_BYTES = 13

export const FIRST_PIN = 2
export const LAST_PIN = 19
export const PINS_AT_MOST = 16
export const DEAD_MAN_MS = { least: 50, most: 5000 } as const
/** Sessions count up to here and begin again. */
export const SESSIONS = 1 << 14

export type PinUse = 'closed-low' | 'closed-high' | 'watched' | 'watched-pulled-up'
const USES: readonly PinUse[] = ['closed-low', 'closed-high', 'watched', 'watched-pulled-up']

const REASONS = ['done', 'not-armed', 'other-session', 'tripped', 'no-such-pin', 'bad-arming'] as const

export interface RelayReport {
  /** Of the message that it answers; 0 answers none. */
  readonly sequence: number
  readonly reason: (typeof REASONS)[number]
  readonly armed: boolean
  readonly tripped: boolean
  /** The board's last reset was its watchdog's. */
  readonly watchdog: boolean
  readonly session: number
  /** What is on the pins, in the order of the arming. */
  readonly levels: readonly Level[]
}

const two = (value: number): readonly number[] => [value & 0x7f, value >> 7]

const checkOf = (data: readonly number[]): readonly number[] => {
  const crc = crc16(Uint8Array.from(data))
  return [crc & 0x7f, (crc >> 7) & 0x7f, crc >> 14]
}

const checked = (...data: readonly number[]): readonly number[] => [RELAY_COMMAND, ...data, ...checkOf(data)]

/** Opens every contact and says what each pin is for from now on; only then can one be closed. */
export function armMessage(
  sequence: number,
  session: number,
  deadManMs: number,
  pins: readonly { readonly pin: number; readonly use: PinUse }[],
): readonly number[] {
  const uses = pins.flatMap(({ pin, use }) => [pin, USES.indexOf(use)])
  return checked(ARM, sequence, ...two(session), ...two(deadManMs), pins.length, ...uses)
}

/** Closes a contact, or renews it, for the dead-man time; or opens it. */
export const switchMessage = (sequence: number, session: number, pin: number, close: boolean): readonly number[] =>
  checked(SWITCH, sequence, ...two(session), pin, close ? 1 : 0)

export const lookMessage = (sequence: number): readonly number[] => checked(LOOK, sequence)

/** What stands between the command and the end of the message. */
export function readReport(data: readonly number[]): Result<RelayReport, Fault> {
  if (data.length !== REPORT_BYTES || data[0] !== REPORT) return fail({ code: 'firmata.report', bytes: data.length })
  const body = data.slice(0, -3)
  if (checkOf(body).some((byte, at) => byte !== data[body.length + at])) return fail({ code: 'firmata.report-crc' })
  const [, sequence, reason, flags, sessionLow, sessionHigh, count, ...levels] = body as [number, ...number[]]
  const known = REASONS[reason!]
  if (known === undefined || count! > PINS_AT_MOST) return fail({ code: 'firmata.report', reason, count })
  return ok({
    sequence: sequence!,
    reason: known,
    armed: (flags! & 1) !== 0,
    tripped: (flags! & 2) !== 0,
    watchdog: (flags! & 4) !== 0,
    session: sessionLow! | (sessionHigh! << 7),
    levels: Array.from({ length: count! }, (_, at) => ((levels[Math.floor(at / 7)]! >> (at % 7)) & 1 ? 1 : 0)),
  })
}
