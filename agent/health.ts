/** What is wrong at this site now: raised and cleared by name, so that what recovers needs no restart. */
import type { Clock, Log } from '../drivers/ports.ts'
import type { Fault } from '../protocol/result.ts'
import type { Instant } from '../protocol/time.ts'

export interface HealthItem {
  /** Who raised it, as in `meter.stale.L1`. */
  readonly name: string
  readonly fault: Fault
  readonly since: Instant
}

export interface Health {
  /** Raises with a fault, clears without. */
  set(name: string, fault: Fault | undefined): void
  items(): readonly HealthItem[]
}

export function createHealth(clock: Clock, log: Log): Health {
  const items = new Map<string, HealthItem>()
  return {
    set(name, fault) {
      const known = items.get(name)
      if (fault === undefined) {
        if (items.delete(name)) log('info', 'health', `${name} is cleared`)
        return
      }
      if (known?.fault.code !== fault.code) log('warn', 'health', `${name} is raised`, fault)
      items.set(name, { name, fault, since: known?.fault.code === fault.code ? known.since : clock.now() })
    },
    items: () => [...items.values()],
  }
}
