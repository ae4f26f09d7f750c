/** What one run of the street says of itself: the JSON of `--once` and of the simulator. */

export const FAULT_NAMES = [
  'forged-header',
  'payment-not-locked',
  'tampered-reading',
  'no-witness',
  'late-modbus-answer',
  'meter-unplugged',
  'peer-silent',
  'broker-down',
  'withheld-receipt',
  'relay-welded',
  'agent-killed',
] as const
export type FaultName = (typeof FAULT_NAMES)[number]

export interface FaultOutcome {
  readonly name: FaultName
  /** One sentence: what was struck, what followed, when. */
  readonly outcome: string
  readonly as_expected: boolean
}

/** Energy and money come from the wires and the ledger's audit, never from what an agent believes. */
export interface StreetResult {
  /** Every invariant held and every requested fault went as its row says. */
  readonly ok: boolean
  readonly virtual_s: number
  readonly wall_s: number
  readonly sites: number
  readonly readings: { readonly signed: number; readonly verified: number; readonly chains_ok: boolean }
  readonly ledger: {
    readonly height: number
    readonly headers_verified: number
    readonly proofs_verified: number
    readonly tx: number
  }
  readonly deals: {
    readonly proposed: number
    readonly settled: number
    readonly refunded: number
    readonly disputed: number
  }
  readonly energy_wh: {
    readonly contracted: number
    readonly seller_metered: number
    readonly buyer_metered: number
    readonly settled: number
  }
  readonly money: { readonly paid: number; readonly residue: number }
  readonly relays: { readonly closes: number; readonly opens: number; readonly violations: number }
  readonly latency_ms: {
    /** Wall time; null where nothing was signed. */
    readonly request_to_signed_p50: number | null
    readonly signed_to_closed_p50: number | null
    /** Virtual time from the strike to the last contact of the struck deals open; null without such a fault. */
    readonly fault_to_open_max: number | null
  }
  readonly faults: readonly FaultOutcome[]
  /** Settled watt-hours of each site, bought or sold. */
  readonly settled_by_site: Readonly<Record<string, number>>
  /** Why `ok` is false, one sentence each. */
  readonly problems: readonly string[]
}

/** The middle value of a sample, null of none. */
export function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null
}
