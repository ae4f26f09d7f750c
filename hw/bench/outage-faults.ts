/** Faults of things: a meter, a peer, a broker or a contact fails while energy flows. */
import type { World } from '../../agent/world.ts'
import { toHex } from '../../protocol/bytes.ts'
import { done } from '../../protocol/result.ts'
import {
  closedDeal,
  dealsOf,
  disturbed,
  flowingDeal,
  healthOf,
  type MakeFault,
  NEVER_MS,
  notFlowing,
  OUTAGE_MS,
  opensAndSettles,
  othersText,
  seconds,
  settledText,
  VICTIM,
  waitFor,
} from './fault-tools.ts'

const { line: LINE, seller: SELLER, buyer: BUYER } = VICTIM
/** A lease that outlasts any outage here; for ever it may not be, since a buyer also waits that long before it closes anew. */
const LONG_LEASE_MS = 10_000
/** A weld is seen this long after its contact was told to open: one second by the rule, and a round of the loop. */
const WELD_SEEN_WITHIN_MS = 1_000 + 500

/** The serial line of maple's meters is pulled. The defence is that a stale reading opens. */
export const meterUnplugged: MakeFault = (off, street) => ({
  seamsOf: site =>
    off && (site === SELLER || site === BUYER)
      ? { limits: limits => ({ ...limits, readingMs: NEVER_MS, persistMs: NEVER_MS }) }
      : undefined,
  strike: () => opensAndSettles(street(), () => street().running.lines.get(`${SELLER} meters`)!.unplug()),
})

/** Nothing of cedar's reaches a broker any more. The defence is the lease that only heartbeats renew. */
export const peerSilent: MakeFault = (off, street) => ({
  seamsOf: site =>
    off && (site === SELLER || site === BUYER)
      ? { limits: limits => ({ ...limits, heartbeatMs: LONG_LEASE_MS }) }
      : undefined,
  strike() {
    const struck = street().struck(BUYER)
    return opensAndSettles(
      street(),
      () => {
        struck.mute = true
      },
      () => {
        struck.mute = false
      },
    )
  },
})

/** A broker dies. Alone, the defence is the same lease; with a second one nothing stops, and the second is the defence. */
export const brokerDown: MakeFault = (off, street) => ({
  seamsOf: () =>
    off ? { limits: limits => ({ ...limits, heartbeatMs: LONG_LEASE_MS }), world: deafToOutages } : undefined,
  async strike() {
    const bench = street()
    const [broker, second] = bench.brokers
    if (broker === undefined) return { outcome: 'a broker of yours is not stopped by this bench', asExpected: false }
    if (second === undefined || off) {
      return opensAndSettles(
        bench,
        async () => {
          await broker.stop()
          if (off) await second?.stop()
        },
        async () => {
          await broker.restart()
          if (off) await second?.restart()
        },
        true,
      )
    }
    const target = await flowingDeal(bench, LINE)
    if (target === undefined) return notFlowing(LINE)
    await broker.stop()
    await bench.running.timers.sleep(OUTAGE_MS)
    const own = dealsOf(bench.running).filter(({ runner }) => toHex(runner.deal().hash) === target.hash)
    const trouble = disturbed({ ...target, others: [...target.others, ...own] })
    await broker.restart()
    const deal = await closedDeal(bench, target.hash)
    return {
      outcome: `${trouble === undefined ? 'nothing stopped' : `a deal was stopped by ${trouble.code}`}, ${settledText(deal)}`,
      asExpected: trouble === undefined && deal?.state === 'settled',
    }
  },
})

/** An agent that does not notice that no broker is up. */
const deafToOutages = (world: World): World => ({
  ...world,
  openBus: async (urls, how) => {
    const bus = await world.openBus(urls, how)
    if (!bus.ok) return bus
    return {
      ok: true,
      value: {
        ...bus.value,
        health: () => ({ up: urls.length, of: urls.length }),
        publish: async (...message) => {
          await bus.value.publish(...message)
          return done
        },
      },
    }
  },
})

/** maple's line contact welds while it carries current. The defence is the weld rule. */
export const relayWelded: MakeFault = (off, street) => ({
  seamsOf: site =>
    off && (site === SELLER || site === BUYER) ? { limits: limits => ({ ...limits, weldMs: NEVER_MS }) } : undefined,
  async strike() {
    const bench = street()
    const { running } = bench
    const target = await flowingDeal(bench, LINE)
    if (target === undefined) return notFlowing(LINE)
    running.wires.weld({ kind: 'seller', of: LINE }, true)
    const stuck = running.agents.get(SELLER)!
    for (const { runner } of stuck.trading.deals()) {
      if (toHex(runner.deal().hash) === target.hash) runner.feed({ kind: 'stop' })
    }
    const at = running.clock.mono()
    const seen = await waitFor(bench, () => healthOf(stuck, 'relay.welded') !== undefined, WELD_SEEN_WITHIN_MS)
    const seenMs = running.clock.mono() - at
    const isOpen = (kind: 'buyer' | 'upstream') => running.wires.position({ kind, of: LINE }) === 'open'
    const safe = await waitFor(bench, () => isOpen('buyer') && isOpen('upstream'), 2_000)
    const openMs = running.clock.mono() - at
    const deals = () => dealsOf(running).filter(({ runner }) => runner.deal().contract.line === LINE).length
    const before = deals()
    await running.timers.sleep(2 * OUTAGE_MS)
    const again = deals() > before
    const trouble = disturbed(target)
    const deal = await closedDeal(bench, target.hash)
    running.wires.weld({ kind: 'seller', of: LINE }, false)
    return {
      outcome: `${seen ? `seen after ${seconds(seenMs)}` : 'not seen'}, the other end and the upstream contact ${safe ? 'open' : 'not both open'}, ${again ? 'the line was traded again' : 'latched, not traded again'}, ${settledText(deal)}, ${othersText(trouble)}`,
      asExpected: seen && safe && !again && trouble === undefined,
      openMs,
    }
  },
})
