/** The registers of one controller: commands go first, and looks keep the master's whole defence against late answers. */
import { fail, ok, type Result } from '../../protocol/result.ts'
import type { CallOptions, ModbusMaster } from '../modbus/master.ts'

/** Where a charging point on Modbus is found. */
export interface StationOptions {
  readonly master: ModbusMaster
  readonly unit: number
}

/** Registers that are wanted, within those that the controller lets be read together with them. */
export interface Span {
  readonly table: 'holding' | 'input'
  readonly address: number
  readonly count: number
  readonly from?: number
  /** The first register after them. */
  readonly to?: number
}

/** A limit must not wait behind meters; within this the master has tried, or never will. */
export const COMMAND = { priority: 'relay', deadlineMs: 2_000 } as const
/** By the master's own deadline, as meters are read: who asks first is first, so that many chargers do not starve a fuse's meter. */
export const LOOK = { priority: 'read' } as const
/** What a limit needs to have read, it needs now: before every look and meter that has not yet waited for half a second. */
export const READ_BACK = { priority: 'read', deadlineMs: 1_500 } as const

/** Reads of a look that gives way when `signal` is aborted. */
export const lookUntil = (signal: AbortSignal | undefined): CallOptions => ({ ...LOOK, signal })

/**
 * Reads a span. While the answer to an earlier read of that length is owed, a wider one is asked for: the length of an
 * answer is all that tells two of them apart on a serial line.
 */
export async function readSpan(
  { master, unit }: StationOptions,
  span: Span,
  how: CallOptions,
): Promise<Result<DataView>> {
  const { table, address, count, from = address, to = address + count } = span
  const fn = table === 'holding' ? 3 : 4
  const forms = Array.from({ length: to - from - count + 1 }, (_, more) => {
    const wide = count + more
    return { address: Math.max(from, Math.min(address, to - wide)), count: wide }
  })
  const clear = forms.find(form => !master.isMistakable(unit, { fn, ...form })) ?? forms[0]!
  const read = await master.readRegisters(unit, table, clear.address, clear.count, how)
  if (!read.ok) return read
  const { buffer, byteOffset } = read.value.bytes
  return ok(new DataView(buffer, byteOffset + 2 * (address - clear.address), 2 * count))
}

/** Text in registers, two characters each, up to its first zero; undefined where it is not printable. */
export function textIn(view: DataView): string | undefined {
  let text = ''
  for (let at = 0; at < view.byteLength; at++) {
    const code = view.getUint8(at)
    if (code === 0) break
    if (code < 0x20 || code > 0x7e) return undefined
    text += String.fromCharCode(code)
  }
  return text.trim()
}

/** A state that the manual does not know. */
export const unknownState = (charger: string, controller: string, raw: number | string) =>
  fail({ code: 'charger.state', charger, controller, raw })

/** What answers is no such controller. */
export const stranger = (charger: string, controller: string, received: string) =>
  fail({ code: 'charger.identity', charger, expected: controller, received })
