/**
 * How Tieline answers when something outside our own code can be wrong.
 *
 * A wire, a peer, a disk or a relay that misbehaves yields a `Fault` in a `Result`; only a bug of our own throws. A fault
 * carries a code (`room.what`) and the values that were compared, so that nobody has to parse a message.
 */

/** What a fault may carry besides its code: the plain values that were compared. */
export type FaultDetail = string | number | bigint | boolean | readonly string[] | undefined

/** One thing that went wrong outside our own code. `code` is `room.what`, as in `modbus.crc`. Rooms narrow it to a union. */
export interface Fault {
  readonly code: string
  /** What a person should do about it, where that is known. */
  readonly hint?: string
  readonly [detail: string]: FaultDetail
}

export type Result<T, F extends Fault = Fault> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly fault: F }

export const ok = <T>(value: T): { readonly ok: true; readonly value: T } => ({ ok: true, value })

export const fail = <F extends Fault>(fault: F): { readonly ok: false; readonly fault: F } => ({ ok: false, fault })

/** Success that carries nothing. */
export const done: { readonly ok: true; readonly value: undefined } = { ok: true, value: undefined }

/**
 * A decoder's three answers. `need` asks for at least `bytes` more; `frame` used `used` bytes; `junk` says how many
 * bytes to drop before trying again, and why.
 */
export type Pull<T, F extends Fault = Fault> =
  | { readonly kind: 'need'; readonly bytes: number }
  | { readonly kind: 'frame'; readonly value: T; readonly used: number }
  | { readonly kind: 'junk'; readonly skip: number; readonly fault: F }

/** A fault as one line: its code, the values compared, and what to do. */
export function faultLine(fault: Fault): string {
  const details = Object.entries(fault)
    .filter(([key, value]) => key !== 'code' && key !== 'hint' && value !== undefined)
    .map(([key, value]) => `${key}=${Array.isArray(value) ? value.join(',') : String(value)}`)
  return `${fault.code}${details.length > 0 ? ` (${details.join(' ')})` : ''}${fault.hint ? `: ${fault.hint}` : ''}`
}

/** The value of a result that our own code has already made sure of; a fault here is our bug, so it throws. */
export function must<T>(result: Result<T>): T {
  if (result.ok) return result.value
  throw new Error(`a result that cannot fail did: ${faultLine(result.fault)}`)
}
