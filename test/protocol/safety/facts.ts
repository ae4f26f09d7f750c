/** Facts of a line end at which nothing is wrong: each test spoils what it is about. */

import { milliamps, millihertz, millivolts } from '../../../protocol/quantity.ts'
import type { ContactFacts, EndFacts, FeedFacts, Limits, Role } from '../../../protocol/safety/facts.ts'
import { DEFAULT_LIMITS } from '../../../protocol/safety/facts.ts'
import type { LineReading } from '../../../protocol/safety/line-reading.ts'
import { instant, mono } from '../../../protocol/time.ts'

export const LIMITS: Limits = { ...DEFAULT_LIMITS, limitMa: 16_000 }

/** The moment of all facts here, on the monotonic clock. */
export const NOW = 100_000
const WALL = 1_700_000_000_000

export const reading = (taken: number, volts: number, ma = 0): LineReading => ({
  taken: mono(taken),
  voltages: [millivolts(volts * 1000)],
  currents: [milliamps(ma)],
  frequency: volts === 0 ? undefined : millihertz(50_000),
  missing: [],
})

export const contact = (name: string, position: 'open' | 'closed', since = NOW - 20_000): ContactFacts => ({
  name,
  commanded: position,
  since: mono(since),
  seen: position,
})

export const feed = (name: string, position: 'open' | 'closed', since = NOW - 20_000): FeedFacts => ({
  ...contact(name, position, since),
  deadAt: position === 'open' ? mono(since + 1000) : undefined,
})

const base: EndFacts = {
  now: instant(WALL),
  mono: mono(NOW),
  manual: false,
  watchdogFed: mono(NOW - 100),
  deal: { id: 'd1', start: instant(WALL - 60_000), end: instant(WALL + 60_000) },
  leaseUntil: mono(NOW + 60_000),
  proof: { height: 7n, headerTime: instant(WALL - 4000) },
  light: 'healthy',
  ownHeartbeat: mono(NOW - 200),
  peer: { heard: mono(NOW - 300), line: 'open', welded: false },
  reading: reading(NOW - 400, 0),
  outsideSince: undefined,
  strayLiveSince: undefined,
  contacts: { line: feed('L1.line', 'open'), upstream: undefined, own: undefined },
  siblings: [],
  welds: [],
}

const peerClosed = { heard: mono(NOW - 300), line: 'closed', welded: false } as const

/** Facts under which the contact in `role` may be closed. */
export function readyToClose(role: Role): EndFacts {
  switch (role) {
    case 'seller.upstream':
      return {
        ...base,
        peer: peerClosed,
        contacts: { ...base.contacts, upstream: contact('L1.upstream', 'open') },
      }
    case 'seller.line':
      return {
        ...base,
        peer: peerClosed,
        contacts: { ...base.contacts, upstream: contact('L1.upstream', 'closed', NOW - 1000) },
      }
    case 'buyer.line':
      return {
        ...base,
        contacts: { ...base.contacts, own: contact('C.own', 'open', NOW - 1000) },
        siblings: [feed('L2.line', 'open')],
      }
    case 'buyer.own':
      return {
        ...base,
        deal: undefined,
        proof: undefined,
        peer: undefined,
        reading: undefined,
        contacts: { ...base.contacts, own: contact('C.own', 'open') },
        siblings: [feed('L2.line', 'open')],
      }
  }
}

/** Facts under which the contact in `role`, closed a while ago, may stay closed. */
export function running(role: Role): EndFacts {
  if (role === 'buyer.own') {
    const ready = readyToClose(role)
    return { ...ready, contacts: { ...ready.contacts, own: contact('C.own', 'closed') } }
  }
  const buyer = role === 'buyer.line'
  return {
    ...base,
    peer: peerClosed,
    reading: reading(NOW - 400, 230, 8000),
    contacts: {
      line: feed('L1.line', 'closed'),
      upstream: buyer ? undefined : contact('L1.upstream', 'closed'),
      own: buyer ? contact('C.own', 'open') : undefined,
    },
    siblings: buyer ? [feed('L2.line', 'open')] : [],
  }
}
