/**
 * A whole line, both ends, played against the permit: after each event every contact that may not stay closed opens, and
 * a controller without any judgement of its own closes whatever the permit lets it. All sequences of events up to a depth
 * are tried; what is checked afterwards is written down independently of the rules.
 */
import type { ContactFacts, EndFacts, LightState, Limits, Role } from '../../../protocol/safety/facts.ts'
import { mayClose, mayStay } from '../../../protocol/safety/permit.ts'
import { instant, mono } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { LIMITS, reading } from './facts.ts'

const test = suite('safety/permit, every sequence')

const DEPTH = 6
/** Time passes in these steps; the limits below are in its multiples so that few moments differ from one another. */
const STEP = 250
const limits: Limits = { ...LIMITS, minOffMs: 1000, readBackMs: 500 }

type Name = 'up' | 'sl' | 'bl' | 'own'
const ROLE: Record<Name, Role> = { up: 'seller.upstream', sl: 'seller.line', bl: 'buyer.line', own: 'buyer.own' }
const NAMES = Object.keys(ROLE) as Name[]

interface Spot {
  closed: boolean
  since: number
}
interface End {
  read: { taken: number; live: boolean }
  deadAt: number | undefined
  /** When the peer's heartbeat came, and what it said. */
  heard: number
  peerClosed: boolean
}
interface World {
  t: number
  deal: boolean
  paid: boolean
  light: LightState
  manual: boolean
  /** Heartbeats get through; the seller's and the buyer's line meter answer. */
  link: boolean
  meter: { seller: boolean; buyer: boolean }
  spots: Record<Name, Spot>
  seller: End
  buyer: End
}

const isClosed = (w: World, ...names: Name[]) => names.every(name => w.spots[name].closed)
const lineLive = (w: World) => isClosed(w, 'up', 'sl') || isClosed(w, 'own', 'bl')

function factsOf(w: World, side: 'seller' | 'buyer'): EndFacts {
  const end = w[side]
  const seen = (name: Name): ContactFacts => {
    const { closed, since } = w.spots[name]
    const position = closed ? 'closed' : 'open'
    // An observation takes one step.
    return { name, commanded: position, since: mono(since), seen: w.t > since ? position : 'unknown' }
  }
  const joined = side === 'seller' ? w.spots.sl : w.spots.bl
  const ought = side === 'seller' ? joined.closed : joined.closed && end.peerClosed
  return {
    now: instant(w.t),
    mono: mono(w.t),
    manual: w.manual,
    watchdogFed: mono(w.t),
    deal: w.deal ? { id: 'd', start: instant(0), end: instant(1e6) } : undefined,
    leaseUntil: mono(1e6),
    proof: w.paid ? { height: 1n, headerTime: instant(w.t) } : undefined,
    light: w.light,
    ownHeartbeat: mono(w.t),
    peer: { heard: mono(end.heard), line: end.peerClosed ? 'closed' : 'open', welded: false },
    reading: reading(end.read.taken, end.read.live ? 230 : 0),
    outsideSince:
      ought && !end.read.live && end.read.taken >= joined.since + limits.settleMs ? mono(end.read.taken) : undefined,
    strayLiveSince: undefined,
    contacts: {
      line: {
        ...seen(side === 'seller' ? 'sl' : 'bl'),
        deadAt: end.deadAt === undefined ? undefined : mono(end.deadAt),
      },
      upstream: side === 'seller' ? seen('up') : undefined,
      own: side === 'buyer' ? seen('own') : undefined,
    },
    siblings: [],
    welds: [],
  }
}

const sideOf = (name: Name) => (name === 'up' || name === 'sl' ? 'seller' : 'buyer')
type Asked = typeof mayClose

/** Opens what may not stay; the line contacts first, since the isolator is judged by them. */
function obey(w: World, ask: Asked): void {
  for (const name of ['sl', 'bl', 'up', 'own'] as const) {
    const spot = w.spots[name]
    if (!spot.closed || ask(ROLE[name], factsOf(w, sideOf(name)), limits).may) continue
    spot.closed = false
    spot.since = w.t
  }
}

function pass(w: World): void {
  w.t += STEP
  const live = lineLive(w)
  for (const side of ['seller', 'buyer'] as const) {
    const end = w[side]
    if (w.meter[side]) {
      end.read = { taken: w.t, live }
      if (!live) end.deadAt = w.t
    }
    if (w.link) {
      end.heard = w.t
      end.peerClosed = w.spots[side === 'seller' ? 'bl' : 'sl'].closed
    }
  }
}

/** What no sequence may bring about, by the words of the design and not by the rules. */
function wrongs(w: World): string[] {
  const out: string[] = []
  for (const name of ['up', 'sl', 'bl'] as const) {
    const spot = w.spots[name]
    if (!spot.closed) continue
    const end = w[sideOf(name)]
    // The isolator outlasts its line contact for at most a settling time and a reading's age.
    if (name === 'up' && !w.spots.sl.closed && w.t - w.spots.sl.since <= 1700) continue
    if (!w.deal) out.push(`${name} closed without a deal`)
    if (!w.paid) out.push(`${name} closed without payment`)
    if (w.light === 'halted') out.push(`${name} closed on a halted ledger`)
    if (w.t - end.heard > 1000) out.push(`${name} closed without a heartbeat`)
    if (w.t - end.read.taken > 1500) out.push(`${name} closed without a reading`)
  }
  if (w.manual && NAMES.some(name => w.spots[name].closed)) out.push('closed in manual')
  if (isClosed(w, 'bl', 'own')) out.push('two supplies on one circuit')
  return out
}

type Event = readonly [string, (w: World, ask: Asked) => string | undefined]

const toggle = (what: string, run: (w: World) => void): Event => [
  what,
  w => {
    run(w)
    return undefined
  },
]
const EVENTS: readonly Event[] = [
  toggle('time', pass),
  toggle('much time', w => {
    for (let n = 0; n < 4; n++) pass(w)
  }),
  toggle('deal', w => {
    w.deal = !w.deal
  }),
  toggle('payment', w => {
    w.paid = !w.paid
  }),
  toggle('light', w => {
    w.light = w.light === 'healthy' ? 'no-witness' : w.light === 'no-witness' ? 'halted' : 'healthy'
  }),
  toggle('manual', w => {
    w.manual = !w.manual
  }),
  toggle('link', w => {
    w.link = !w.link
  }),
  toggle('seller meter', w => {
    w.meter.seller = !w.meter.seller
  }),
  toggle('buyer meter', w => {
    w.meter.buyer = !w.meter.buyer
  }),
  ...NAMES.map(
    (name): Event => [
      `close ${name}`,
      (w, ask) => {
        const spot = w.spots[name]
        if (spot.closed || !ask(ROLE[name], factsOf(w, sideOf(name)), limits).may) return undefined
        const live = lineLive(w)
        spot.closed = true
        spot.since = w.t
        return live && name !== 'own' ? `${name} closed onto a live line` : undefined
      },
    ],
  ),
  ...NAMES.map(
    (name): Event =>
      toggle(`open ${name}`, w => {
        if (w.spots[name].closed) w.spots[name] = { closed: false, since: w.t }
      }),
  ),
]

const T0 = 10_000
function worldWith(closed: readonly Name[], t = T0): World {
  const end = (peer: Name): End => ({
    read: { taken: t, live: closed.includes('up') && closed.includes('sl') },
    deadAt: t - 5000,
    heard: t,
    peerClosed: closed.includes(peer),
  })
  const spot = (name: Name): Spot => ({ closed: closed.includes(name), since: t - 6000 })
  return {
    t,
    deal: true,
    paid: true,
    light: 'healthy',
    manual: false,
    link: true,
    meter: { seller: true, buyer: true },
    spots: { up: spot('up'), sl: spot('sl'), bl: spot('bl'), own: spot('own') },
    seller: end('bl'),
    buyer: end('sl'),
  }
}

/** Two worlds that differ only by a shift in time, or by ages that no rule tells apart, are one. */
function key(w: World): string {
  const age = (at: number | undefined) => (at === undefined ? 'x' : Math.min(w.t - at, 2500))
  const end = (e: End) => [age(e.read.taken), e.read.live, age(e.deadAt), age(e.heard), e.peerClosed]
  const spots = NAMES.map(name => [w.spots[name].closed, age(w.spots[name].since)])
  const dead = (e: End, spot: Spot) => e.deadAt !== undefined && e.deadAt >= spot.since + limits.settleMs
  return JSON.stringify([
    [w.deal, w.paid, w.light, w.manual, w.link, w.meter.seller, w.meter.buyer, spots, end(w.seller), end(w.buyer)],
    [dead(w.seller, w.spots.sl), dead(w.buyer, w.spots.bl)],
  ])
}

/** All wrongs within `depth` events of `start`, each with the shortest way there, and how many worlds were seen. */
function explore(start: World, depth: number, askClose: Asked, askStay: Asked) {
  const seen = new Set([key(start)])
  const found: string[] = []
  const reached = new Set<string>()
  let level: { world: World; path: string }[] = [{ world: start, path: '' }]
  for (let n = 0; n < depth; n++) {
    const next: typeof level = []
    for (const { world, path } of level) {
      for (const [what, run] of EVENTS) {
        const w = structuredCloneOf(world)
        const wrongClose = run(w, askClose)
        obey(w, askStay)
        const way = `${path} > ${what}`
        for (const wrong of [...(wrongClose === undefined ? [] : [wrongClose]), ...wrongs(w)]) {
          if (found.length < 5) found.push(`${wrong}:${way}`)
        }
        reached.add(NAMES.filter(name => w.spots[name].closed).join('+'))
        const k = key(w)
        if (seen.has(k)) continue
        seen.add(k)
        next.push({ world: w, path: way })
      }
    }
    level = next
  }
  return { found, worlds: seen.size, reached }
}

/** structuredClone takes ten times as long. */
const structuredCloneOf = (w: World): World => ({
  ...w,
  meter: { ...w.meter },
  spots: { up: { ...w.spots.up }, sl: { ...w.spots.sl }, bl: { ...w.spots.bl }, own: { ...w.spots.own } },
  seller: { ...w.seller, read: { ...w.seller.read } },
  buyer: { ...w.buyer, read: { ...w.buyer.read } },
})

const STARTS: readonly (readonly [string, readonly Name[]])[] = [
  ['an idle line', ['own']],
  ['a buyer that waits for its seller', ['bl']],
  ['an isolator that waits for its line contact', ['bl', 'up']],
  ['a running line', ['bl', 'up', 'sl']],
]

for (const [name, closed] of STARTS) {
  test(`from ${name}, no sequence of ${DEPTH} events leaves a contact closed against a condition`, () => {
    const { found, worlds } = explore(worldWith(closed), DEPTH, mayClose, mayStay)
    assert.equal(found, [])
    assert.ok(worlds > 3000, `only ${worlds} worlds were reached`)
  }, 120_000)
}

test('a line can be started, from the own supply to a flow, by the permit alone', () => {
  const path = ['open own', 'time', 'close bl', 'time', 'close up', 'time', 'close sl', 'much time', 'much time']
  const w = worldWith(['own'])
  for (const step of path) {
    const [, run] = EVENTS.find(([what]) => what === step)!
    assert.is(run(w, mayClose), undefined)
    obey(w, mayStay)
  }
  assert.equal(
    NAMES.filter(name => w.spots[name].closed),
    ['up', 'sl', 'bl'],
  )
})

test('the check sees a permit that closes on anything', () => {
  const { found } = explore(worldWith(['bl', 'up', 'sl']), 3, () => ({ may: true }), mayStay)
  assert.ok(found.some(wrong => wrong.startsWith('bl closed onto a live line')))
})

test('the check sees a permit that keeps anything', () => {
  const { found } = explore(worldWith(['bl', 'up', 'sl']), 3, mayClose, () => ({ may: true }))
  assert.ok(found.some(wrong => wrong.includes('without payment')))
})

test.run()
