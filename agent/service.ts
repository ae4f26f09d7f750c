/** What a service manager is told of the agent, and how long it is told that the agent lives. */
import type { Log, Timers } from '../drivers/ports.ts'
import type { ServiceManager } from '../drivers/process/service-manager.ts'

export interface ServiceOptions {
  readonly manager: ServiceManager
  /** How often each control loop has come round, by its name. */
  readonly loops: Readonly<Record<string, () => number>>
  readonly timers: Timers
  readonly log: Log
}

export interface Service {
  /** Ends in order now: no longer fed, which its own deadline is for. */
  stopping(): void
}

/**
 * Says that the agent is up; from then on feeds the watchdog at half of its time, as long as every control loop came round since. A loop
 * that stands still or fails is thereby killed and started anew; contacts open and chargers fall back as their boards declare.
 */
export function startService({ manager, loops, timers, log }: ServiceOptions): Service {
  const { watchdogMs } = manager
  const tell = (state: string) => {
    const told = manager.tell(state)
    if (!told.ok) log('warn', 'service', `the service manager does not hear ${state}`, told.fault)
  }
  tell('READY=1')
  const named = Object.entries(loops)
  let seen = named.map(([, rounds]) => rounds())
  const feed = () => {
    const now = named.map(([, rounds]) => rounds())
    const still = named.flatMap(([name], n) => (now[n] === seen[n] ? [name] : []))
    seen = now
    if (still.length > 0)
      return log(
        'error',
        'service',
        `the control loop of the ${still.join(' and the ')} stands still: the watchdog is not fed`,
      )
    tell('WATCHDOG=1')
  }
  const cancel = watchdogMs === undefined ? () => {} : timers.every(watchdogMs / 2, feed)
  return {
    stopping() {
      cancel()
      tell('STOPPING=1')
    },
  }
}
