/** The lines between a store, its customers and the main grid, as they are proven of the distribution ledger. */
import { LINES, type Line, MAX_PATH } from '../../protocol/ledger/network-tables.ts'
import { SLOT_MS } from '../../protocol/ledger/rules/lines.ts'
import type { Network, NetworkLine } from '../../protocol/market/network-check.ts'
import { ok, type Result } from '../../protocol/result.ts'
import type { LightAgent } from '../light/run.ts'
import { proveRecord } from './prove-record.ts'

/** Of a line that is announced its capacity is known; its resistance is nobody's word there, so no voltage is judged. */
const NO_RESISTANCE = 0

/** A node that no line leads to is left out. */
export async function proveNetwork(
  light: Pick<LightAgent, 'prove'>,
  nodes: readonly string[],
): Promise<Result<Network>> {
  const lines = new Map<string, NetworkLine>()
  for (const node of nodes) {
    let at: string | undefined = node
    for (let depth = 0; at !== undefined && depth <= MAX_PATH && !lines.has(at); depth++) {
      const proven: Result<Line | undefined> = await proveRecord(light, LINES, at)
      if (!proven.ok) return proven
      if (proven.value === undefined) break
      const { capacity, feeder }: Line = proven.value
      lines.set(at, { capacity, resistance: NO_RESISTANCE, ...(feeder === undefined ? {} : { feeder }) })
      at = feeder
    }
  }
  return ok({ slotMs: SLOT_MS, lines })
}
