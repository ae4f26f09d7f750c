/**
 * What goes wrong in a simulated run, drawn from a seed: a schedule that is plain data, so that a run that fails can be repeated with
 * fewer of its faults until only those that matter are left. Every fault ends by itself, and all before `untilMs`.
 */
import type { Random } from './noise.ts'
import type { SimPorts } from './sim-ports.ts'
import type { Street } from './street.ts'
import type { RunningStreet } from './street-run.ts'

/** Times in virtual milliseconds: `at` since all agents started, `forMs` from then on. */
export type SimFault = { readonly at: number; readonly forMs: number } & (
  | {
      readonly kind: 'bus'
      readonly drop: number
      readonly duplicate: number
      readonly delayMs: readonly [number, number]
    }
  | { readonly kind: 'broker-down' }
  /** Its power goes; `in-sync` waits for the disk's next sync and tears what was written. It starts again at the end. */
  | { readonly kind: 'crash'; readonly site: string; readonly when: 'now' | 'in-sync' }
  | { readonly kind: 'clock-step'; readonly site: string; readonly stepMs: number }
  | {
      readonly kind: 'late-answers'
      readonly site: string
      readonly line: string
      readonly lateMs: number
      readonly share: number
    }
  | { readonly kind: 'meters-unplugged'; readonly site: string }
  | {
      readonly kind: 'node'
      readonly site: string
      readonly which: 'primary' | 'witnesses'
      readonly how: 'down' | 'silent'
    }
  /** The node that the site follows lies; it is never asked again, so this does not heal before the site's next start. */
  | { readonly kind: 'forgery'; readonly site: string; readonly of: 'app-hash' | 'signature' | 'state' }
)

const SHORTEST_MS = 2_000
const LONGEST_MS = 20_000
const FEWEST = 3
const MOST = 8

/** Faults between `fromMs` and `untilMs`. */
export function drawFaults(random: Random, street: Street, fromMs: number, untilMs: number): readonly SimFault[] {
  const whole = (least: number, most: number) => least + Math.floor(random() * (most - least + 1))
  const one = <T>(of: readonly T[]): T => of[whole(0, of.length - 1)]!
  const draw = (): SimFault => {
    const forMs = whole(SHORTEST_MS, LONGEST_MS)
    const when = { at: whole(fromMs, untilMs - forMs), forMs }
    const site = one(street.sites).name
    const kind = one([
      'bus',
      'bus',
      'broker-down',
      'crash',
      'crash',
      'clock-step',
      'late-answers',
      'meters-unplugged',
      'node',
      'forgery',
    ] as const)
    switch (kind) {
      case 'bus':
        return { ...when, kind, drop: 0.4 * random(), duplicate: 0.4 * random(), delayMs: [1, one([50, 500, 4_000])] }
      case 'broker-down':
        return { ...when, kind }
      case 'crash':
        return { ...when, kind, site, when: one(['now', 'in-sync']) }
      case 'clock-step':
        return { ...when, kind, site, stepMs: one([-600_000, -5_000, 5_000, 600_000]) + whole(-999, 999) }
      case 'late-answers': {
        const { id } = one(street.lines.filter(({ seller, buyer }) => seller === site || buyer === site))
        return { ...when, kind, site, line: id, lateMs: one([300, 1_500, 6_000]), share: 0.2 + 0.8 * random() }
      }
      case 'meters-unplugged':
        return { ...when, kind, site }
      case 'node':
        return { ...when, kind, site, which: one(['primary', 'witnesses']), how: one(['down', 'silent']) }
      case 'forgery':
        return { ...when, kind, site, of: one(['app-hash', 'signature', 'state']) }
    }
  }
  return Array.from({ length: whole(FEWEST, MOST) }, draw).sort((a, b) => a.at - b.at)
}

/** Strikes each fault at its time and takes it back at its end. */
export function strikeFaults(
  faults: readonly SimFault[],
  ports: SimPorts,
  running: RunningStreet,
  restart: (site: string) => void,
): void {
  const { timers } = ports
  for (const fault of faults) {
    timers.after(fault.at, () => {
      ports.transcript.note(`fault ${JSON.stringify(fault)}`)
      const heal = strike(fault, ports, running, restart)
      timers.after(fault.forMs, () => {
        ports.transcript.note(`heal ${fault.kind}`)
        heal()
      })
    })
  }
}

function strike(fault: SimFault, ports: SimPorts, running: RunningStreet, restart: (site: string) => void): () => void {
  switch (fault.kind) {
    case 'bus':
      for (const broker of ports.simBrokers) broker.setFaults(fault)
      return () => {
        for (const broker of ports.simBrokers) broker.setFaults({ drop: 0, duplicate: 0, delayMs: [1, 1] })
      }
    case 'broker-down':
      for (const broker of ports.simBrokers) broker.setUp(false)
      return () => {
        for (const broker of ports.simBrokers) broker.setUp(true)
      }
    case 'crash': {
      const { site } = fault
      // A second crash while it is down finds nothing to stop.
      if (!running.agents.has(site)) return () => {}
      ports.sites.get(site)!.crash(fault.when, () => running.forget(site))
      return () => {
        // No sync came by: then it dies now, so that every crash is one.
        if (running.agents.has(site)) ports.sites.get(site)!.crash('now', () => running.forget(site))
        restart(site)
      }
    }
    case 'clock-step': {
      const site = ports.sites.get(fault.site)!
      site.stepWall(fault.stepMs)
      const life = site.lives()
      return () => {
        // A restart has set the clock right already.
        if (site.lives() === life) site.stepWall(-fault.stepMs)
      }
    }
    case 'late-answers': {
      const { faults } = running.devices.get(fault.site)!.lineMeters.get(fault.line)!
      Object.assign(faults, { lateMs: fault.lateMs, lateShare: fault.share })
      return () => Object.assign(faults, { lateMs: 0, lateShare: 0 })
    }
    case 'meters-unplugged': {
      const { device } = ports.lineOf(fault.site, 'meters')
      device.unplug()
      return () => device.plug()
    }
    case 'node': {
      const node = ports.sites.get(fault.site)![fault.which]
      node[fault.how] = true
      return () => {
        node[fault.how] = false
      }
    }
    case 'forgery': {
      const node = ports.sites.get(fault.site)!.primary
      if (fault.of === 'state') node.forgeState = value => value?.map((byte, at) => (at === 0 ? byte ^ 1 : byte))
      else node.forge = fault.of
      return () => {
        node.forge = undefined
        node.forgeState = undefined
      }
    }
  }
}
