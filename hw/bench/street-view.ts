/**
 * The whole street as the page shows it. Each site tells of itself through its agent; what no agent can know of the others
 * comes from the wires: generation, batteries, what flows on a line, and where its contacts really are.
 */
import type { Agent } from '../../agent/compose.ts'
import { absentSite, gridMeter, joinViews, type LogTail, viewAgent } from '../../agent/web/agent-view.ts'
import { type CurveRing, createCurveRing } from '../../agent/web/curve-ring.ts'
import type { LineView, SiteView, Snapshot } from '../../agent/web/snapshot.ts'
import type { Cancel } from '../../drivers/ports.ts'
import { faultLine } from '../../protocol/result.ts'
import type { Street, StreetLine, StreetSite } from '../sim/street.ts'
import { ORIGIN_MS, type RunningStreet } from '../sim/street-run.ts'

/** Two hours of virtual time, fine enough that a deal of a minute shows. */
const CURVE_STEP_MS = 20_000
const CURVE_POINTS = 360
/** As often as the grid meters are read. */
const SAMPLE_MS = 2_000

export interface StreetView {
  /** Shows this street until it is cancelled; before and after, one whose sites do not answer. */
  follow(running: RunningStreet): Cancel
  snapshot(): Snapshot
}

export function createStreetView(street: Street, speed: number, log: LogTail['lines']): StreetView {
  const curves = new Map(street.sites.map(({ name }) => [name, createCurveRing(CURVE_POINTS, CURVE_STEP_MS)]))
  let running: RunningStreet | undefined
  return {
    follow(opened) {
      running = opened
      const cancel = opened.timers.every(SAMPLE_MS, () => {
        for (const site of street.sites) sample(opened, site, curves.get(site.name)!)
      })
      return () => {
        cancel()
        running = undefined
      }
    },
    snapshot() {
      const now = running
      const sites = street.sites.map(site => ({
        site,
        agent: now?.agents.get(site.name),
        curve: curves.get(site.name)!,
      }))
      const joined = joinViews(
        sites.flatMap(({ site, agent, curve }) =>
          now === undefined || agent === undefined ? [] : [viewAgent(agent, now.clock, curve, site.kind)],
        ),
        {
          title: 'Street of five',
          time: now?.clock.now() ?? ORIGIN_MS,
          speed,
          violations: now === undefined ? [] : violationsOf(now),
          log: log(),
        },
        sites.flatMap(({ site, agent, curve }) =>
          agent === undefined ? [absentSite(site.name, site.kind, curve)] : [],
        ),
        street.sites.map(({ name }) => name),
      )
      return {
        ...joined,
        sites: joined.sites.map((view, index) =>
          now === undefined ? view : withWires(view, street.sites[index]!, now),
        ),
        lines: street.lines.map(line => viewLine(line, now)),
      }
    },
  }
}

function sample({ agents, clock, wires }: RunningStreet, site: StreetSite, curve: CurveRing): void {
  const solar = site.solarPeakW > 0 ? wires.flows(site.name).generationMw : null
  curve.add(clock.now(), gridPower(agents.get(site.name)), solar)
}

function gridPower(agent: Agent | undefined): number | null {
  const meter = agent === undefined ? undefined : gridMeter(agent.config)
  return meter === undefined ? null : (agent!.metering.latest(meter)?.power ?? null)
}

function withWires(view: SiteView, site: StreetSite, { wires }: RunningStreet): SiteView {
  const charge = wires.charge(site.name)
  return {
    ...view,
    solarMw: site.solarPeakW > 0 ? wires.flows(site.name).generationMw : null,
    chargePermille:
      charge === undefined || site.battery === undefined ? null : Number(charge / BigInt(site.battery.capacityWh)),
  }
}

function viewLine({ id, seller, buyer, limitMa }: StreetLine, running: RunningStreet | undefined): LineView {
  const line = { id, seller, buyer, limitMa }
  if (running === undefined) {
    return { ...line, powerMw: null, energised: false, sellerContact: 'unknown', buyerContact: 'unknown' }
  }
  const { wires } = running
  const meter = wires.lineMeter(id, 'seller')
  return {
    ...line,
    // Out into the line counts as export.
    powerMw: Math.max(0, -meter.powerMw),
    energised: meter.voltageMv > 0,
    sellerContact: wires.position({ kind: 'seller', of: id }),
    buyerContact: wires.position({ kind: 'buyer', of: id }),
  }
}

/** What the wires saw and what the ledger's own audit found. */
function violationsOf({ violations, producer, clock }: RunningStreet): Snapshot['violations'] {
  return [
    ...violations.map(({ kind, place, at, detail }) => ({
      at,
      text: `${kind.replaceAll('-', ' ')}, ${place}: ${detail}`,
    })),
    ...producer.audit().problems.map(fault => ({ at: clock.now(), text: `the ledger's audit: ${faultLine(fault)}` })),
  ]
}
