/**
 * Counters as others are told of them: they never go down, whatever becomes of the meter.
 *
 * What is told is the meter's own register plus a base that belongs to its serial number, 0 for the first meter of a name. A
 * meter that was exchanged goes on where the old one ended: its base is what was told last less its first register, so that its
 * own total adds nothing. What flowed in between, and what a meter counted while another stood under its name, is nobody's to
 * say and is told by none. A register that falls, by rolling over too, is not told until it has caught up.
 *
 * Only what is signed and in the journal is told, and a base only once it stands there too: a restart finds all of it, and no
 * power cut takes back what was told. There is no file beside the journal that could be lost, torn, or older than it.
 */

export interface Risen {
  readonly meterId: string
  /** What is told beyond the meter's own register. */
  readonly base: bigint
  /** The register when it was last told. */
  readonly last: bigint
}

/** What to tell of a register now, and what to remember of it; undefined while the same meter shows less than it did. */
export function rise(
  known: Risen | undefined,
  meterId: string,
  register: bigint,
): { readonly told: bigint; readonly risen: Risen } | undefined {
  if (known === undefined) return { told: register, risen: { meterId, base: 0n, last: register } }
  if (known.meterId !== meterId) {
    const base = known.base + known.last - register
    return { told: base + register, risen: { meterId, base, last: register } }
  }
  if (register < known.last) return undefined
  return { told: known.base + register, risen: { ...known, last: register } }
}

/** By meter and register. */
export type RisenByName = Readonly<Record<string, Risen>>

/** What of this is in the journal: whole numbers as decimal texts. */
export const risenText = (risen: RisenByName): string =>
  JSON.stringify(risen, (_key, value) => (typeof value === 'bigint' ? String(value) : value))

const WHOLE = /^-?\d{1,40}$/

/** Undefined where it is no such text. */
export function readRisen(text: string): RisenByName | undefined {
  try {
    const entries: [string, Risen][] = []
    for (const [name, one] of Object.entries(JSON.parse(text) as object)) {
      const { meterId, base, last } = (one ?? {}) as Record<string, unknown>
      if (typeof meterId !== 'string' || !WHOLE.test(String(base)) || !WHOLE.test(String(last))) return undefined
      entries.push([name, { meterId, base: BigInt(String(base)), last: BigInt(String(last)) }])
    }
    return Object.fromEntries(entries)
  } catch {
    return undefined
  }
}
