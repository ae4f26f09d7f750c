/** A meter with an IEC 62056-21 interface, modes A, B and C, at the far end of a line, with the faults that such lines have. */
import type { DeviceEnd } from '../../drivers/line/device-end.ts'
import type { Cancel, Timers } from '../../drivers/ports.ts'
import { concat } from '../../protocol/bytes.ts'
import { type Parity, withEvenParity } from '../../protocol/telegram/iec62056.ts'
import { acknowledgeText, dataMessageText, onWire } from '../../protocol/telegram/iec62056-write.ts'
import { type Noise, noise, type Random } from './noise.ts'
import { sendPaced } from './pace.ts'

export interface IecMeterSimOptions {
  readonly end: DeviceEnd
  /** `XXXZ` and the model: the baud character Z decides the mode. */
  readonly identification: string
  /** Answers only to this address, and to a request without one. */
  readonly address?: string
  /** The data lines of a readout that begins now. */
  readonly lines: () => readonly string[]
  readonly parity: Parity
  /** Whether to keep the pace of the wire, where the end keeps none of its own. */
  readonly paced: boolean
  readonly reactionMs?: number
  readonly timers: Timers
  readonly random: Random
}

/** What is wrong with the meter or its line; set at any time. */
export interface IecFaults extends Noise {
  silent: boolean
  /** Added to the reaction time. */
  lateMs: number
  /** The optical head hears what it sends. */
  echo: boolean
  /** Says nothing after its identification. */
  mute: boolean
  flippedBits: number
  lostBytes: number
}

export interface IecMeterSim {
  readonly faults: IecFaults
  /** Baud rate of the data message that was sent last. */
  dataBaud(): number
  stop(): void
}

const BAUD: Readonly<Record<string, number>> = {
  '0': 300,
  '1': 600,
  '2': 1200,
  '3': 2400,
  '4': 4800,
  '5': 9600,
  '6': 19_200,
  A: 600,
  B: 1200,
  C: 2400,
  D: 4800,
  E: 9600,
  F: 19_200,
}
const BITS = 10
const REACTION_MS = 200
/** After so long without the reader's choice a meter of mode C is back at the start. */
const FORGET_MS = 2_000

export function startIecMeter(options: IecMeterSimOptions): IecMeterSim {
  const { end, identification, address, lines, parity, paced, reactionMs = REACTION_MS, timers, random } = options
  const faults: IecFaults = { silent: false, lateMs: 0, echo: false, mute: false, flippedBits: 0, lostBytes: 0 }
  const baudCharacter = identification[3]!
  let live = true
  let heard = ''
  let waiting = false
  let dataBaud = 300
  let forget: Cancel = () => {}

  /** `asked`: characters of the request, which has come at once where the end keeps no pace. */
  function say(text: string, baud: number, asked = 0): void {
    if (faults.silent) return
    const bytes = noise(onWire(text, parity), faults, random)
    const characterMs = paced ? (BITS * 1000) / baud : 0
    const afterMs = reactionMs + faults.lateMs + (paced ? (asked * BITS * 1000) / 300 : 0)
    sendPaced({ write: slice => live && end.write(slice) }, bytes, { afterMs, characterMs }, timers)
  }

  const sayData = (baud: number, asked: number): void => {
    dataBaud = baud
    if (!faults.mute) say(dataMessageText(lines()), baud, asked)
  }

  function identify(asked: number): void {
    say(`/${identification}\r\n`, 300, asked)
    if (/[0-9]/.test(baudCharacter)) {
      waiting = true
      forget()
      forget = timers.after(FORGET_MS + reactionMs + faults.lateMs + (asked + identification.length + 3) * 34, () => {
        waiting = false
      })
    } else if (!faults.mute) {
      // Modes A and B go on with the data message by themselves, after the identification has left.
      const text = dataMessageText(lines())
      const baud = BAUD[baudCharacter] ?? 300
      dataBaud = baud
      const gone = paced ? ((asked + identification.length + 3) * BITS * 1000) / 300 : 0
      timers.after(gone + 1, () => live && say(text, baud))
    }
  }

  end.onBytes(chunk => {
    if (!live) return
    if (faults.echo) end.write(chunk)
    for (const byte of chunk) heard += String.fromCharCode(parity === 'none' ? byte : strip(byte))
    heard = heard.slice(-64)
    if (!heard.endsWith('\r\n')) return
    const line = heard
    heard = ''
    if (line.endsWith('/?!\r\n') || (address !== undefined && line.endsWith(`/?${address}!\r\n`))) identify(line.length)
    else if (waiting && line.includes('\x060')) {
      waiting = false
      forget()
      // A choice other than the meter's own means that the rate stays as it is.
      const agreed = line.endsWith(acknowledgeText(baudCharacter))
      sayData(agreed ? BAUD[baudCharacter]! : 300, line.length)
    }
  })

  return {
    faults,
    dataBaud: () => dataBaud,
    stop: () => {
      live = false
      forget()
    },
  }
}

/** A byte whose parity is wrong is no character of this line. */
const strip = (byte: number): number => (withEvenParity(byte & 0x7f) === byte ? byte & 0x7f : 0x7f)

/** A capture of one whole readout as a line monitor sees it: request, identification, choice, data message. */
export function iecCapture(identification: string, lines: readonly string[], parity: Parity): Uint8Array {
  const choice = /^...[0-9]/.test(identification) ? acknowledgeText(identification[3]!) : ''
  return concat(...[`/${identification}\r\n`, choice, dataMessageText(lines)].map(text => onWire(text, parity)))
}
