/**
 * Why a meter could not be read, in one line: what a wire's silence may mean is found out by asking a few neighbours of the
 * question. Reads only; every question is one that any slave may be asked.
 */
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import type { Clock, Line, Timers } from '../../../drivers/ports.ts'
import { type Fault, faultLine } from '../../../protocol/result.ts'
import type { Framing } from '../../config/site-config.ts'
import { oneLine } from '../../log.ts'

export interface Asked {
  readonly unit: number
  readonly framing: Framing
  readonly page: string
  /** Other units that may well be the one, as that of the factory. */
  readonly alsoUnits: readonly number[]
}

export interface DiagnosisParts {
  /** A line like the one that was read on, which is closed by now. */
  readonly openLine: () => Line
  readonly clock: Clock
  readonly timers: Timers
  /** undefined of a meter that is not asked through Modbus. */
  readonly asked: Asked | undefined
  /** The line had been open: what is not there now has gone. */
  readonly wasOpen: boolean
}

/** A slave that is there answers within this; slow ones were given longer when they were read. */
const PROBE_MS = 200
/** Factories give one of the first numbers, installers the next. */
const NEIGHBOURS = [1, 2, 3, 4, 5, 247]
const SILENT: ReadonlySet<string> = new Set(['modbus.timeout', 'modbus.silent', 'modbus.tainted', 'modbus.deadline'])

export async function diagnose(fault: Fault, parts: DiagnosisParts): Promise<Fault> {
  const { asked, wasOpen } = parts
  const { code } = fault
  if (/^(serial|tcp|line)\./.test(code)) return wasOpen ? { ...fault, code: 'meter.vanished', cause: code } : fault
  if (code === 'meter.silent')
    return fault['lastJunk'] === undefined ? { ...fault, code: 'meter.no-answer' } : { ...fault, code: 'meter.garbled' }
  if (code === 'modbus.early') return { ...fault, code: 'meter.garbled', cause: code }
  if (code === 'modbus.other-unit') return { code: 'meter.wrong-unit', unit: fault['unit'], answers: fault['received'] }
  if (asked === undefined || !SILENT.has(code)) {
    // Of the protocols that are asked otherwise: what their silence means has to be looked for on the spot.
    if (/^(mbus|iec62056)\.(silent|deadline)$/.test(code)) return { ...fault, code: 'meter.no-answer' }
    return code.endsWith('.garbled') ? { ...fault, code: 'meter.garbled', cause: code } : fault
  }
  return (await askOtherwise(asked, parts)) ?? { code: 'meter.no-answer', unit: asked.unit }
}

/** The first thing that answers where this meter did not. */
async function askOtherwise(asked: Asked, parts: DiagnosisParts): Promise<Fault | undefined> {
  const { unit, framing } = asked
  const others = [...new Set([...asked.alsoUnits, ...NEIGHBOURS])].filter(one => one !== unit)
  const isTcp = parts.openLine().characterMs === 0
  const framings: readonly Framing[] = isTcp ? ['tcp', 'rtu', 'ascii'] : ['rtu', 'ascii']
  for (const other of framings.filter(one => one !== framing)) {
    const found = await firstThatAnswers(other, [unit], parts)
    if (found === 'garbled') continue
    if (found !== undefined) return { code: 'meter.wrong-framing', unit, asked: framing, answers: other }
  }
  const found = await firstThatAnswers(framing, others, parts)
  if (found === 'garbled') return { code: 'meter.garbled', unit }
  return found === undefined ? undefined : { code: 'meter.wrong-unit', unit, answers: found }
}

async function firstThatAnswers(
  framing: Framing,
  units: readonly number[],
  { openLine, clock, timers }: DiagnosisParts,
): Promise<number | 'garbled' | undefined> {
  const answers = { initialMs: PROBE_MS, floorMs: PROBE_MS, ceilingMs: PROBE_MS, marginMs: 0 }
  const master = createModbusMaster({ line: openLine(), clock, timers, framing, answers })
  let garbled = false
  try {
    const opened = await master.open()
    if (!opened.ok) return undefined
    for (const unit of units) {
      const answer = await master.readRegisters(unit, 'holding', 0, 1)
      if (answer.ok || answer.fault.code === 'modbus.exception') return unit
      garbled ||= answer.fault.code === 'modbus.garbled'
    }
    return garbled ? 'garbled' : undefined
  } finally {
    await master.close()
  }
}

/** The fault as one line for whoever stands before the meter. */
export function sayFault(fault: Fault, at: { readonly line: string; readonly baud: string }): string {
  const { line, baud } = at
  const unit = fault['unit']
  switch (fault.code) {
    case 'meter.no-answer':
      return unit === undefined
        ? `${line}: nothing is heard${baud}: check wires, polarity and the reading head, and whether the meter's output is switched on`
        : `${line}: unit ${unit} does not answer${baud}: check the unit, baud rate and parity, the wires, and that A and B are not swapped`
    case 'meter.wrong-unit':
      return `${line}: unit ${unit} does not answer, unit ${fault['answers']} does`
    case 'meter.wrong-framing':
      return `${line}: unit ${unit} does not answer ${fault['asked']} frames, but ${fault['answers']} ones: use --framing ${fault['answers']}`
    case 'meter.garbled':
      return `${line}: bytes are heard${baud} that make no frame: wrong baud rate or parity, or noise on the wires`
    case 'meter.vanished':
      return `${line}: the device vanished while it was read (${fault['cause']})`
    case 'serial.missing':
      return `${line}: no such device: ${fault.hint}`
    case 'serial.no-serial-device':
    case 'serial.permission':
    case 'serial.busy':
    case 'tcp.no-answer':
      return `${line}: ${fault.hint}`
    case 'tcp.gone':
      return `${line}: ${fault.hint ?? oneLine(faultLine(fault))}`
    case 'modbus.exception':
      return `${line}: unit ${unit} answers, but refuses what this page reads (exception ${fault['exception']}, ${fault['name']}): is it another product?`
    case 'meter.no-identity':
      return `${line}: it answers, but has no serial number where this page has it: is it another product?`
    default:
      return `${line}: ${oneLine(faultLine(fault))}`
  }
}
