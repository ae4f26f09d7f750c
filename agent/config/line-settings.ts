/** How a line is set where nobody says, and how requests are framed on it: both follow from what is on it. */
import type { RelayBankConfig } from './relay-config.ts'
import { type Framing, type LineConfig, type MeterConfig, PAGE_FRAMINGS, type SerialFormat } from './site-config.ts'

export interface LineSpeed {
  readonly baud: number
  readonly format: SerialFormat
}

/** Modbus slaves: most of their makers' choice. */
const USUAL_SPEED: LineSpeed = { baud: 9_600, format: '8N1' }

const FIRMATA_SPEED: LineSpeed = { baud: 57_600, format: '8N1' }

/** An infrared eye, a P1 port, a DLMS push over an M-Bus or H1 adapter; IEC 62056-21, 4.1 and 6.4.5; EN 13757-2. */
const SPEEDS: Readonly<Record<string, LineSpeed>> = {
  sml: { baud: 9_600, format: '8N1' },
  dsmr: { baud: 115_200, format: '8N1' },
  dlms: { baud: 2_400, format: '8N1' },
  'dlms-raw': { baud: 9_600, format: '8N1' },
  iec62056: { baud: 300, format: '7E1' },
  'iec62056 pushed': { baud: 2_400, format: '7E1' },
  mbus: { baud: 2_400, format: '8E1' },
}

/** Of a line with this meter on it. */
export const usualSpeed = (meter: Pick<MeterConfig, 'protocol'> & { readonly mode?: 'pushed' }): LineSpeed =>
  SPEEDS[`${meter.protocol}${meter.mode === undefined ? '' : ` ${meter.mode}`}`] ?? USUAL_SPEED

/** Seven bits and even parity, dealt with by the line's driver or handed over in the eighth bit. */
export const IEC_FORMATS: readonly SerialFormat[] = ['7E1', '8N1']

/** How requests are framed on a line: as its meters say, else as is usual on a line of its kind. */
export function framingOf(line: LineConfig, meters: readonly MeterConfig[]): Framing {
  for (const meter of meters) {
    const said = saidFraming(meter)
    if (said !== undefined) return said
  }
  return line.kind === 'tcp' ? 'tcp' : 'rtu'
}

/** undefined of a meter that goes with the others of its line, and of one that is no Modbus slave. */
export const saidFraming = (meter: MeterConfig): Framing | undefined =>
  'page' in meter ? PAGE_FRAMINGS[meter.protocol] : meter.protocol === 'sunspec' ? meter.framing : undefined

/** A line that does not say how it is set is set as the first meter on it leaves its factory, or as the relay board that has it. */
export function withSpeeds(
  lines: Readonly<Record<string, UnsetLine>>,
  meters: Readonly<Record<string, MeterConfig>>,
  relays: Readonly<Record<string, RelayBankConfig>>,
): Readonly<Record<string, LineConfig>> {
  const usual = new Map<string, ReturnType<typeof usualSpeed>>()
  for (const meter of Object.values(meters)) if (!usual.has(meter.line)) usual.set(meter.line, usualSpeed(meter))
  for (const bank of Object.values(relays))
    if (bank.driver === 'firmata' && !usual.has(bank.line)) usual.set(bank.line, FIRMATA_SPEED)
  return Object.fromEntries(
    Object.entries(lines).map(([name, line]): [string, LineConfig] => [
      name,
      line.kind === 'tcp' ? line : { ...(usual.get(name) ?? USUAL_SPEED), ...line },
    ]),
  )
}

type SerialLine = Extract<LineConfig, { kind: 'serial' }>
type UnsetLine = TcpLine | (Omit<SerialLine, 'baud' | 'format'> & Partial<Pick<SerialLine, 'baud' | 'format'>>)
type TcpLine = Extract<LineConfig, { kind: 'tcp' }>
