/** Faults of a simulated meter as a person writes them: `late=0.02:150ms`. */
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { LineFaults, ModbusUnit } from './modbus-slave.ts'

export type MeterFault =
  | { readonly kind: 'late'; readonly share: number; readonly ms: number; readonly queued: boolean }
  | { readonly kind: 'lost' | 'extra' | 'parity' | 'noise' | 'wrong-unit'; readonly share: number }
  | { readonly kind: 'dead'; readonly unit: number }
  | { readonly kind: 'unplug' | 'second-master'; readonly everyMs: number }
  | { readonly kind: 'echo' | 'frozen' | 'garbled' }

/** Every form, an example of it and what it does: the only list. */
export const FAULT_FORMS: readonly (readonly [form: string, example: string, what: string])[] = [
  ['late=SHARE:TIME', 'late=0.02:150ms', 'this share of answers comes so late, overtaken by others'],
  ['late=SHARE:TIME:queued', 'late=0.02:450ms:queued', 'the same, but each holds up those behind it'],
  ['lost=SHARE', 'lost=0.01', 'this share of bytes never arrives'],
  ['extra=SHARE', 'extra=0.01', 'after this share of bytes one comes that nobody sent'],
  ['noise=SHARE', 'noise=1e-5', 'this share of bits arrives flipped'],
  ['parity=SHARE', 'parity=0.01', 'this share of bytes has a parity error and arrives as 0'],
  ['garbled', 'garbled', 'as at another baud rate: no byte arrives as it was'],
  ['echo', 'echo', 'requests come back, as through an adapter that hears itself'],
  ['wrong-unit=SHARE', 'wrong-unit=0.01', "this share of answers carries the next unit's number"],
  ['dead=UNIT', 'dead=3', 'this unit says nothing; repeat for several'],
  ['frozen', 'frozen', 'values stand still from the first read on'],
  ['unplug=TIME', 'unplug=30s', 'the device goes away so often and comes back two seconds later'],
  ['second-master=TIME', 'second-master=5s', 'so often another master asks, and is answered, on the same line'],
]

/** Faults that a meter which speaks unasked can have. */
export const SPEAKING_FAULTS: readonly MeterFault['kind'][] = [
  ...(['lost', 'extra', 'noise', 'parity', 'garbled', 'frozen', 'unplug'] as const),
]

const shareOf = (text: string): number | undefined => {
  const share = /^(\d+(\.\d*)?|\.\d+)(e-?\d+)?$/i.test(text) ? Number(text) : Number.NaN
  return share >= 0 && share <= 1 ? share : undefined
}

/** Milliseconds of `150ms` or `1.5s`; a day at most. */
const timeOf = (text: string): number | undefined => {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)(ms|s)$/.exec(text) ?? []
  const ms = Number(digits) * (unit === 's' ? 1000 : 1)
  return ms > 0 && ms <= 86_400_000 ? ms : undefined
}

const ALLOWED = 'a share is 0 to 1 as 0.02 or 1e-5, a time 150ms or 30s, a unit 1 to 247'

/** Reads one fault; what is wrong with it names the form that was meant, or all there are. */
export function readMeterFault(text: string): Result<MeterFault> {
  const [kind = '', rest] = text.split('=', 2)
  const found = faultOf(kind, rest)
  if (found !== undefined) return ok(found)
  const forms = FAULT_FORMS.filter(([form]) => form.split('=')[0] === kind).map(([form]) => form)
  const hint =
    forms.length > 0
      ? `it is written ${forms.join(' or ')}; ${ALLOWED}`
      : `there are ${FAULT_FORMS.map(([form]) => form).join(', ')}`
  return fail({ code: 'meter-fault.form', text, hint })
}

function faultOf(kind: string, rest: string | undefined): MeterFault | undefined {
  switch (kind) {
    case 'echo':
    case 'frozen':
    case 'garbled':
      return rest === undefined ? { kind } : undefined
    case 'lost':
    case 'extra':
    case 'parity':
    case 'noise':
    case 'wrong-unit': {
      const share = shareOf(rest ?? '')
      return share === undefined ? undefined : { kind, share }
    }
    case 'late': {
      const [first = '', second = '', third, ...more] = (rest ?? '').split(':')
      const share = shareOf(first)
      const ms = timeOf(second)
      if (share === undefined || ms === undefined || more.length > 0) return undefined
      return third === undefined || third === 'queued' ? { kind, share, ms, queued: third === 'queued' } : undefined
    }
    case 'dead': {
      const unit = /^\d{1,3}$/.test(rest ?? '') ? Number(rest) : 0
      return unit >= 1 && unit <= 247 ? { kind, unit } : undefined
    }
    case 'unplug':
    case 'second-master': {
      const everyMs = timeOf(rest ?? '')
      return everyMs === undefined ? undefined : { kind, everyMs }
    }
    default:
      return undefined
  }
}

/** What a fault of the wire changes in whatever suffers it. */
export function noiseOf(fault: MeterFault): {
  readonly flippedBits?: number
  readonly lostBytes?: number
  readonly extraBytes?: number
  readonly parityErrors?: number
  readonly garbled?: boolean
} {
  switch (fault.kind) {
    case 'noise':
      return { flippedBits: fault.share }
    case 'lost':
      return { lostBytes: fault.share }
    case 'extra':
      return { extraBytes: fault.share }
    case 'parity':
      return { parityErrors: fault.share }
    case 'garbled':
      return { garbled: true }
    default:
      return {}
  }
}

/** Sets a fault on all units or on the line; `unplug` is the affair of whoever holds the plug. */
export function strike(fault: MeterFault, units: ReadonlyMap<number, ModbusUnit>, line: LineFaults): void {
  if (fault.kind === 'echo') line.echo = true
  if (fault.kind === 'second-master') line.secondMasterMs = fault.everyMs
  for (const [number, { faults }] of units) {
    Object.assign(faults, noiseOf(fault))
    if (fault.kind === 'late')
      Object.assign(faults, { lateShare: fault.share, lateMs: fault.ms, lateQueued: fault.queued })
    if (fault.kind === 'wrong-unit') faults.wrongUnitShare = fault.share
    if (fault.kind === 'frozen') faults.frozen = true
    if (fault.kind === 'dead' && fault.unit === number) faults.dead = true
  }
}
