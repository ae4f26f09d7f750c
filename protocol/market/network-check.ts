/**
 * The operator's check of a move of energy against the network: which line it would overload or which node's voltage it would
 * push out of the band, in which slot, by how much, and how much of it there is room for.
 *
 * The network is a tree, as on the distribution ledger: a node is named by the line that joins it to its feeder, and what has
 * no feeder hangs from the main grid. Power flows are the linear ones of a radial feeder without losses (LinDistFlow: Baran and
 * Wu, "Optimal capacitor placement on radial distribution systems", 1989) at unity power factor, in the mean over a slot:
 *
 *     flow of a line = what the nodes behind it take less what they give
 *     voltage^2 of a node = voltage^2 of its feeder - 2 * resistance * flow
 *
 * with line-to-line voltage, power of all phases and resistance of one conductor. All in whole numbers: nothing is rounded.
 */
import type { WattHours } from '../quantity.ts'
import { wattHours } from '../quantity.ts'
import { fail, ok, type Result } from '../result.ts'

/** 400 MW over a quarter of an hour: more than a distribution network carries, and every sum below stays under 2^53. */
export const MAX_SLOT_WH = 100_000_000
/** 100 ohms: a cable of hundreds of kilometres. */
const MAX_RESISTANCE = 100_000
/** Of any distribution network. */
const MAX_MILLIVOLTS = 400_000_000
/** Lines between the main grid and a house, as many as on the distribution ledger. */
const MAX_DEPTH = 8
const HOUR_MS = 3_600_000
const MIN_SLOT_MS = 300_000

export interface NetworkLine {
  /** The line that it hangs from; absent: the main grid. */
  readonly feeder?: string
  /** Energy that it carries in a slot, either way. */
  readonly capacity: WattHours
  /** Of one conductor, in milliohms. */
  readonly resistance: number
}

export interface Network {
  /** Divides an hour; five minutes or more. */
  readonly slotMs: number
  readonly lines: ReadonlyMap<string, NetworkLine>
  /** Line to line, in millivolts; absent: nobody asks for a band. */
  readonly voltage?: { readonly source: number; readonly lowest: number; readonly highest: number }
}

/** Energy from a node to a node in a slot; where none is named, the main grid. */
export interface Move {
  readonly slot: number
  readonly from?: string
  readonly to?: string
  readonly energy: WattHours
}

export type NetworkFault =
  | { readonly code: 'network.slot-length'; readonly slotMs: number }
  | { readonly code: 'network.feeder'; readonly line: string; readonly feeder: string }
  | { readonly code: 'network.depth'; readonly line: string; readonly most: number }
  | {
      readonly code: 'network.line-range'
      readonly line: string
      readonly capacity: bigint
      readonly resistance: number
    }
  | {
      readonly code: 'network.band'
      readonly source: number
      readonly lowest: number
      readonly highest: number
    }
  | { readonly code: 'network.unknown-node'; readonly node: string }
  | { readonly code: 'network.move-range'; readonly slot: number; readonly energy: bigint }

/** What a move, or what stands, would break; `by` is what is too much. */
export type Breach =
  | {
      readonly code: 'network.line'
      readonly line: string
      readonly slot: number
      /** Towards the node above zero; with the whole move in it. */
      readonly flow: bigint
      readonly capacity: bigint
      readonly by: bigint
    }
  | {
      readonly code: 'network.voltage'
      readonly node: string
      readonly slot: number
      /** In millivolts, rounded down. */
      readonly voltage: number
      readonly limit: number
      readonly by: number
    }

export type Verdict =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'curtailed'; readonly energy: WattHours; readonly why: Breach }
  | { readonly kind: 'rejected'; readonly why: Breach | NetworkFault }

/** A network with its nodes numbered, feeders before what hangs from them; the main grid is not among them. */
export interface Grid {
  readonly names: readonly string[]
  readonly index: ReadonlyMap<string, number>
  readonly capacity: readonly number[]
  readonly resistance: readonly number[]
  /** The number of the feeder, -1 where it is the main grid. */
  readonly feeder: readonly number[]
  /** A flow of 1 Wh a slot over 1 milliohm lowers voltage^2 by so many thousandths of V^2. */
  readonly perWattHour: number
  /** By how much voltage^2 may be below and above the source's, in thousandths of V^2, rounded down. */
  readonly band: { readonly drop: number; readonly rise: number } | undefined
  readonly voltage: Network['voltage']
}

const within = (value: number, most: number): boolean => Number.isSafeInteger(value) && value >= 0 && value <= most

export function readNetwork({ slotMs, lines, voltage }: Network): Result<Grid, NetworkFault> {
  if (!within(slotMs, HOUR_MS) || slotMs < MIN_SLOT_MS || HOUR_MS % slotMs !== 0) {
    return fail({ code: 'network.slot-length', slotMs })
  }
  const index = new Map<string, number>()
  const names: string[] = []
  const depth: number[] = []
  const waiting = new Map<string | undefined, string[]>()
  for (const [line, { feeder, capacity, resistance }] of lines) {
    if (!within(Number(capacity), MAX_SLOT_WH) || !within(resistance, MAX_RESISTANCE)) {
      return fail({ code: 'network.line-range', line, capacity, resistance })
    }
    const siblings = waiting.get(feeder)
    if (siblings === undefined) waiting.set(feeder, [line])
    else siblings.push(line)
  }
  for (const next: (string | undefined)[] = [undefined]; next.length > 0; ) {
    for (const line of waiting.get(next.pop()) ?? []) {
      index.set(line, names.length)
      names.push(line)
      next.push(line)
      const above = lines.get(line)!.feeder
      depth.push(above === undefined ? 1 : depth[index.get(above)!]! + 1)
      if (depth.at(-1)! > MAX_DEPTH) return fail({ code: 'network.depth', line, most: MAX_DEPTH })
    }
  }
  // What the main grid does not reach hangs from a line that is not there, or from itself.
  for (const [line, { feeder }] of lines)
    if (!index.has(line)) return fail({ code: 'network.feeder', line, feeder: feeder! })
  if (voltage !== undefined) {
    const { source, lowest, highest } = voltage
    if (!within(lowest, source) || !within(source, highest) || !within(highest, MAX_MILLIVOLTS)) {
      return fail({ code: 'network.band', source, lowest, highest })
    }
  }
  const of = names.map(name => lines.get(name)!)
  return ok({
    names,
    index,
    capacity: of.map(line => Number(line.capacity)),
    resistance: of.map(line => line.resistance),
    feeder: of.map(line => (line.feeder === undefined ? -1 : index.get(line.feeder)!)),
    perWattHour: (2 * HOUR_MS) / slotMs,
    band: voltage && {
      drop: between(voltage.lowest, voltage.source),
      rise: between(voltage.source, voltage.highest),
    },
    voltage,
  })
}

const squared = (millivolts: number): bigint => BigInt(millivolts) * BigInt(millivolts)
const between = (low: number, high: number): number => Number((squared(high) - squared(low)) / 1000n)

/** The numbers of a node and its feeders; none for the main grid. */
function pathOf(grid: Grid, node: string | undefined): Result<readonly number[], NetworkFault> {
  const path: number[] = []
  if (node === undefined) return ok(path)
  const first = grid.index.get(node)
  if (first === undefined) return fail({ code: 'network.unknown-node', node })
  for (let at = first; at >= 0; at = grid.feeder[at]!) path.push(at)
  return ok(path)
}

/** One slot of a network: the flow of each line. */
type Flows = number[]

/** How far each node's voltage^2 is below the source's. */
function dropsOf(grid: Grid, flows: readonly number[]): number[] {
  const drops: number[] = []
  for (const [n, flow] of flows.entries()) {
    const above = grid.feeder[n]! < 0 ? 0 : drops[grid.feeder[n]!]!
    drops.push(above + grid.perWattHour * grid.resistance[n]! * flow)
  }
  return drops
}

function lineBreach(grid: Grid, n: number, slot: number, flow: number): Breach {
  const capacity = grid.capacity[n]!
  return {
    code: 'network.line',
    line: grid.names[n]!,
    slot,
    flow: BigInt(flow),
    capacity: BigInt(capacity),
    by: BigInt(Math.abs(flow) - capacity),
  }
}

function voltageBreach(grid: Grid, n: number, slot: number, drop: number): Breach {
  const { source, lowest, highest } = grid.voltage!
  // A square root for people to read; what is judged is the square.
  const voltage = Math.floor(Math.sqrt(Math.max(0, Number(squared(source) - 1000n * BigInt(drop)))))
  const limit = drop > 0 ? lowest : highest
  return { code: 'network.voltage', node: grid.names[n]!, slot, voltage, limit, by: Math.abs(voltage - limit) }
}

/** The slots of a network and what flows in them. What stands may be worse than the limits; what comes may not make it worse. */
export interface NetworkCheck {
  /** How much of a move there is room for. */
  judge(move: Move): Verdict
  /** Books a move, whatever the limits say: it is there. */
  place(move: Move): Result<void, NetworkFault>
  /** Judges, and books what there is room for. */
  take(move: Move): Verdict
  /** What stands beyond the limits, slot by slot. */
  breaches(): readonly Breach[]
}

export function createNetworkCheck(grid: Grid): NetworkCheck {
  const slots = new Map<number, Flows>()

  const flowsOf = (slot: number): Flows => slots.get(slot) ?? grid.names.map(() => 0)

  /** For each line, whether the move adds to its flow (1), takes from it (-1) or leaves it. */
  function signsOf({ slot, from, to, energy }: Move): Result<readonly number[], NetworkFault> {
    if (!within(slot, Number.MAX_SAFE_INTEGER) || !within(Number(energy), MAX_SLOT_WH)) {
      return fail({ code: 'network.move-range', slot, energy })
    }
    const signs = grid.names.map(() => 0)
    for (const [node, sign] of [[to, 1] as const, [from, -1] as const]) {
      const path = pathOf(grid, node)
      if (!path.ok) return path
      for (const n of path.value) signs[n]! += sign
    }
    return ok(signs)
  }

  function judge(move: Move): Verdict {
    const signs = signsOf(move)
    if (!signs.ok) return { kind: 'rejected', why: signs.fault }
    const asked = Number(move.energy)
    const flows = flowsOf(move.slot)
    let most = asked
    let why: Breach | undefined
    /** `was` at the rate `a Wh` must stay at or below `limit`, or where it was beyond before. */
    const hold = (was: number, rate: number, limit: number, breach: () => Breach): void => {
      if (rate <= 0 || was + rate * asked <= limit) return
      const room = Math.max(0, Math.floor((limit - was) / rate))
      if (room < most || why === undefined) {
        most = Math.min(most, room)
        why = breach()
      }
    }
    for (const [n, sign] of signs.value.entries()) {
      const flow = flows[n]!
      hold(sign * flow, Math.abs(sign), grid.capacity[n]!, () => lineBreach(grid, n, move.slot, flow + sign * asked))
    }
    if (grid.band !== undefined) {
      const drops = dropsOf(grid, flows)
      for (const [n, rate] of dropsOf(grid, signs.value).entries()) {
        const breach = () => voltageBreach(grid, n, move.slot, drops[n]! + rate * asked)
        hold(drops[n]!, rate, grid.band.drop, breach)
        hold(-drops[n]!, -rate, grid.band.rise, breach)
      }
    }
    if (why === undefined) return { kind: 'accepted' }
    return most === 0 ? { kind: 'rejected', why } : { kind: 'curtailed', energy: wattHours(BigInt(most)), why }
  }

  function place(move: Move): Result<void, NetworkFault> {
    const signs = signsOf(move)
    if (!signs.ok) return signs
    const flows = flowsOf(move.slot)
    const after = flows.map((flow, n) => flow + signs.value[n]! * Number(move.energy))
    if (after.some(flow => Math.abs(flow) > MAX_SLOT_WH)) {
      return fail({ code: 'network.move-range', slot: move.slot, energy: move.energy })
    }
    slots.set(move.slot, after)
    return ok(undefined)
  }

  return {
    judge,
    place,
    take(move) {
      const verdict = judge(move)
      if (verdict.kind === 'accepted') place(move)
      if (verdict.kind === 'curtailed') place({ ...move, energy: verdict.energy })
      return verdict
    },
    breaches() {
      const found: Breach[] = []
      for (const [slot, flows] of [...slots].sort(([a], [b]) => a - b)) {
        for (const [n, flow] of flows.entries()) {
          if (Math.abs(flow) > grid.capacity[n]!) found.push(lineBreach(grid, n, slot, flow))
        }
        if (grid.band === undefined) continue
        for (const [n, drop] of dropsOf(grid, flows).entries()) {
          if (drop > grid.band.drop || -drop > grid.band.rise) found.push(voltageBreach(grid, n, slot, drop))
        }
      }
      return found
    },
  }
}
