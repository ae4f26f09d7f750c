/** Loads that stand still when their site's agent says so, and take afterwards what they went without: twice as much, as long. */
import type { World } from '../../agent/world.ts'
import type { Clock } from '../../drivers/ports.ts'
import type { Profile } from '../sim/profile.ts'
import type { Wires } from '../sim/wires.ts'

type Dispatch = NonNullable<World['dispatch']>

export interface FlexibleLoads {
  /** Beside what the site uses anyway. */
  readonly load: Profile
  readonly standStill: Dispatch['standStill']
  /** The wires are brought up to a moment before anything changes at it. */
  attach(wires: Pick<Wires, 'advance'>, clock: Clock): void
}

/** Watts by name. */
export function createFlexible(base: Profile, loads: Readonly<Record<string, number>>): FlexibleLoads {
  const since = new Map<string, number>()
  const stood: { readonly name: string; readonly from: number; readonly to: number }[] = []
  let attached: { readonly wires: Pick<Wires, 'advance'>; readonly clock: Clock } | undefined
  return {
    load: at =>
      Object.entries(loads).reduce((sum, [name, watts]) => {
        if (since.has(name)) return sum
        const behind = stood.some(one => one.name === name && at >= one.to && at < one.to + (one.to - one.from))
        return sum + (behind ? 2 : 1) * watts * 1000
      }, base(at)),
    standStill(names) {
      if (attached === undefined) return
      attached.wires.advance()
      const now = attached.clock.now()
      for (const name of Object.keys(loads)) {
        const from = since.get(name)
        if (names.includes(name)) since.set(name, from ?? now)
        else if (from !== undefined) {
          since.delete(name)
          stood.push({ name, from, to: now })
        }
      }
    },
    attach(wires, clock) {
      attached = { wires, clock }
    },
  }
}
