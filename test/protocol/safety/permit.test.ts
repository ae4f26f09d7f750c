import { milliamps, millivolts } from '../../../protocol/quantity.ts'
import type { EndFacts, Role } from '../../../protocol/safety/facts.ts'
import { mayClose, mayStay, outsideWindow, type Permit, type ReasonCode } from '../../../protocol/safety/permit.ts'
import { instant, mono } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { contact, feed, LIMITS, NOW, reading, readyToClose, running } from './facts.ts'

const test = suite('safety/permit')

const ROLES: readonly Role[] = ['seller.upstream', 'seller.line', 'buyer.line', 'buyer.own']
const JOINING: readonly Role[] = ['seller.upstream', 'seller.line', 'buyer.line']

const codes = (permit: Permit): readonly ReasonCode[] => (permit.may ? [] : permit.because.map(reason => reason.code))

type Spoil = (facts: EndFacts) => EndFacts
const late = (ms: number) => mono(NOW - ms)

interface Case {
  readonly what: string
  readonly roles: readonly Role[]
  readonly spoil: Spoil
  readonly code: ReasonCode
}

/** What holds back a closing and opens a closed contact alike. */
const BOTH: readonly Case[] = [
  { what: 'manual', roles: ROLES, spoil: f => ({ ...f, manual: true }), code: 'permit.manual' },
  { what: 'a hungry watchdog', roles: ROLES, spoil: f => ({ ...f, watchdogFed: late(1001) }), code: 'permit.watchdog' },
  {
    what: 'an unknown watchdog',
    roles: ROLES,
    spoil: f => ({ ...f, watchdogFed: undefined }),
    code: 'permit.watchdog',
  },
  {
    what: 'a feeding from the future',
    roles: ROLES,
    spoil: f => ({ ...f, watchdogFed: late(-1) }),
    code: 'permit.watchdog',
  },
  { what: 'a latched weld', roles: ROLES, spoil: f => ({ ...f, welds: ['L1.line'] }), code: 'permit.weld' },
  {
    what: "the peer's weld",
    roles: JOINING,
    spoil: f => ({ ...f, peer: { ...f.peer!, welded: true } }),
    code: 'permit.peer-weld',
  },
  { what: 'no deal', roles: JOINING, spoil: f => ({ ...f, deal: undefined }), code: 'permit.no-deal' },
  {
    what: 'a deal that has not started',
    roles: JOINING,
    spoil: f => ({ ...f, deal: { ...f.deal!, start: instant(f.now + 1) } }),
    code: 'permit.not-started',
  },
  {
    what: 'a deal that ends now',
    roles: JOINING,
    spoil: f => ({ ...f, deal: { ...f.deal!, end: f.now } }),
    code: 'permit.expired',
  },
  {
    what: 'a lease that is over',
    roles: JOINING,
    spoil: f => ({ ...f, leaseUntil: mono(NOW) }),
    code: 'permit.lease-over',
  },
  {
    what: 'an unknown lease',
    roles: JOINING,
    spoil: f => ({ ...f, leaseUntil: undefined }),
    code: 'permit.lease-over',
  },
  {
    what: 'no proof of payment',
    roles: JOINING,
    spoil: f => ({ ...f, proof: undefined }),
    code: 'permit.payment-unproven',
  },
  {
    what: 'a wall clock behind the verified header',
    roles: JOINING,
    spoil: f => ({ ...f, proof: { height: 7n, headerTime: instant(f.now + 10_001) } }),
    code: 'permit.clock-behind-header',
  },
  {
    what: 'a proof that is too old',
    roles: JOINING,
    spoil: f => ({ ...f, proof: { height: 7n, headerTime: instant(f.now - 60_001) } }),
    code: 'permit.proof-old',
  },
  { what: 'a halted light client', roles: JOINING, spoil: f => ({ ...f, light: 'halted' }), code: 'permit.light' },
  { what: 'an unknown light client', roles: JOINING, spoil: f => ({ ...f, light: undefined }), code: 'permit.light' },
  {
    what: 'our late heartbeat',
    roles: JOINING,
    spoil: f => ({ ...f, ownHeartbeat: late(1001) }),
    code: 'permit.own-heartbeat',
  },
  {
    what: "the peer's late heartbeat",
    roles: JOINING,
    spoil: f => ({ ...f, peer: { ...f.peer!, heard: late(1001) } }),
    code: 'permit.peer-heartbeat',
  },
  {
    what: 'a peer that does not know its position',
    roles: JOINING,
    spoil: f => ({ ...f, peer: { ...f.peer!, line: 'unknown' } }),
    code: 'permit.peer-position',
  },
  {
    what: 'a buyer that is open, to its seller',
    roles: ['seller.upstream', 'seller.line'],
    spoil: f => ({ ...f, peer: { ...f.peer!, line: 'open' } }),
    code: 'permit.peer-position',
  },
  { what: 'no reading', roles: JOINING, spoil: f => ({ ...f, reading: undefined }), code: 'permit.reading' },
  {
    what: 'a stale reading',
    roles: JOINING,
    spoil: f => ({ ...f, reading: { ...f.reading!, taken: late(1501) } }),
    code: 'permit.reading',
  },
  {
    what: 'a reading without its voltage',
    roles: JOINING,
    spoil: f => ({ ...f, reading: { ...f.reading!, voltages: [], missing: ['1-0:32.7.0'] } }),
    code: 'permit.reading-incomplete',
  },
  {
    what: 'current above the limit',
    roles: JOINING,
    spoil: f => ({ ...f, reading: { ...f.reading!, currents: [milliamps(16_001)] } }),
    code: 'permit.current',
  },
  {
    what: 'a sibling line that is closed',
    roles: ['buyer.line', 'buyer.own'],
    spoil: f => ({ ...f, siblings: [{ ...feed('L2.line', 'closed'), deadAt: late(10) }] }),
    code: 'permit.interlock',
  },
  {
    what: 'a sibling line that nobody sees',
    roles: ['buyer.line', 'buyer.own'],
    spoil: f => ({ ...f, siblings: [{ ...feed('L2.line', 'open'), seen: 'unknown' }] }),
    code: 'permit.interlock',
  },
  {
    what: 'an own supply that is seen closed against its command',
    roles: ['buyer.line'],
    spoil: f => ({ ...f, contacts: { ...f.contacts, own: { ...f.contacts.own!, seen: 'closed' } } }),
    code: 'permit.interlock',
  },
  {
    what: 'an isolator that is not seen closed',
    roles: ['seller.line'],
    spoil: f => ({ ...f, contacts: { ...f.contacts, upstream: { ...f.contacts.upstream!, seen: 'unknown' } } }),
    code: 'permit.order',
  },
]

const CLOSING: readonly Case[] = [
  { what: 'missing witnesses', roles: JOINING, spoil: f => ({ ...f, light: 'no-witness' }), code: 'permit.light' },
  {
    what: 'a live line',
    roles: JOINING,
    spoil: f => ({ ...f, reading: reading(f.reading!.taken, 50) }),
    code: 'permit.line-live',
  },
  {
    what: 'a seller that is closed already, to its buyer',
    roles: ['buyer.line'],
    spoil: f => ({ ...f, peer: { ...f.peer!, line: 'closed' } }),
    code: 'permit.peer-position',
  },
  {
    what: 'too short a pause',
    roles: JOINING,
    spoil: f => {
      const { line, upstream } = f.contacts
      const young = { since: late(2999) }
      const upstreamNow = upstream?.commanded === 'open' ? { ...upstream, ...young } : upstream
      return { ...f, contacts: { ...f.contacts, line: { ...line, ...young }, upstream: upstreamNow } }
    },
    code: 'permit.off-time',
  },
  {
    what: 'a reading from before the isolator closed',
    roles: ['seller.line'],
    spoil: f => ({ ...f, contacts: { ...f.contacts, upstream: contact('L1.upstream', 'closed', NOW - 500) } }),
    code: 'permit.reading-too-early',
  },
  {
    what: 'a reading from before the own supply opened',
    roles: ['buyer.line'],
    spoil: f => ({ ...f, contacts: { ...f.contacts, own: contact('C.own', 'open', NOW - 500) } }),
    code: 'permit.reading-too-early',
  },
  {
    what: 'a line contact that is not seen open',
    roles: ['seller.upstream'],
    spoil: f => ({ ...f, contacts: { ...f.contacts, line: { ...f.contacts.line, seen: 'unknown' } } }),
    code: 'permit.order',
  },
  {
    what: 'a changeover that has just broken',
    roles: ['buyer.own'],
    spoil: f => ({ ...f, siblings: [{ ...feed('L2.line', 'open', NOW - 99), deadAt: mono(NOW + 200) }] }),
    code: 'permit.changeover',
  },
  {
    what: 'a line that was not seen dead since it opened',
    roles: ['buyer.own'],
    spoil: f => ({ ...f, siblings: [{ ...feed('L2.line', 'open'), deadAt: late(20_001) }] }),
    code: 'permit.not-seen-dead',
  },
]

const STAYING: readonly Case[] = [
  {
    what: 'a second outside the window',
    roles: JOINING,
    spoil: f => ({ ...f, outsideSince: late(1000) }),
    code: 'permit.window',
  },
  {
    what: 'a line kept live from here',
    roles: ['buyer.line'],
    spoil: f => ({ ...f, strayLiveSince: late(1000) }),
    code: 'permit.backfeed',
  },
  {
    what: 'a contact that is not seen closed in time',
    roles: ['seller.line', 'buyer.line'],
    spoil: f => ({ ...f, contacts: { ...f.contacts, line: { ...f.contacts.line, seen: 'unknown' } } }),
    code: 'permit.not-seen-closed',
  },
  {
    what: 'an isolator that is seen open',
    roles: ['seller.upstream'],
    spoil: f => ({ ...f, contacts: { ...f.contacts, upstream: { ...f.contacts.upstream!, seen: 'open' } } }),
    code: 'permit.not-seen-closed',
  },
  {
    what: 'an own supply that is not seen closed',
    roles: ['buyer.own'],
    spoil: f => ({ ...f, contacts: { ...f.contacts, own: { ...f.contacts.own!, seen: 'open' } } }),
    code: 'permit.not-seen-closed',
  },
]

for (const role of ROLES) {
  test(`${role} may close when every condition is met`, () => {
    assert.equal(mayClose(role, readyToClose(role), LIMITS), { may: true })
  })
  test(`${role} may stay closed while every condition is met`, () => {
    assert.equal(mayStay(role, running(role), LIMITS), { may: true })
  })
}

for (const { what, roles, spoil, code } of [...BOTH, ...CLOSING]) {
  test(`${what} alone holds back ${roles.join(', ')}`, () => {
    for (const role of roles) assert.equal(codes(mayClose(role, spoil(readyToClose(role)), LIMITS)), [code], role)
  })
}

for (const { what, roles, spoil, code } of [...BOTH, ...STAYING]) {
  test(`${what} alone opens ${roles.join(', ')}`, () => {
    for (const role of roles) assert.equal(codes(mayStay(role, spoil(running(role)), LIMITS)), [code], role)
  })
}

test('missing witnesses let a running deal finish, whatever the age of its proof', () => {
  for (const role of JOINING) {
    const facts = running(role)
    const alone: EndFacts = {
      ...facts,
      light: 'no-witness',
      proof: { height: 7n, headerTime: instant(facts.now - 3.6e6) },
    }
    assert.equal(mayStay(role, alone, LIMITS), { may: true })
    assert.equal(codes(mayStay(role, { ...alone, light: 'healthy' }, LIMITS)), ['permit.proof-old'])
  }
})

test("the own supply asks for no deal, no peer and, once on, no meter; the neighbour's weld is not its business", () => {
  const facts = { ...running('buyer.own'), peer: { heard: late(0), line: 'closed', welded: true } as const }
  assert.equal(mayStay('buyer.own', facts, LIMITS), { may: true })
})

test('the isolator outlasts its line contact until a reading can have shown the line dead, and no longer', () => {
  const facts = running('seller.upstream')
  const opened = (ago: number, deadAt?: number): EndFacts => ({
    ...facts,
    deal: undefined,
    peer: undefined,
    contacts: {
      ...facts.contacts,
      line: { ...feed('L1.line', 'open', NOW - ago), deadAt: deadAt === undefined ? undefined : mono(deadAt) },
    },
  })
  assert.equal(mayStay('seller.upstream', opened(1700), LIMITS), { may: true })
  assert.ok(!mayStay('seller.upstream', opened(1701), LIMITS).may)
  // seen dead 200 ms after the opening: verified, so nothing keeps it
  assert.ok(!mayStay('seller.upstream', opened(1000, NOW - 800), LIMITS).may)
  // a reading 199 ms after the opening may show the past
  assert.ok(mayStay('seller.upstream', opened(1000, NOW - 801), LIMITS).may)
  // a weld opens it at once
  assert.equal(codes(mayStay('seller.upstream', { ...opened(1000), welds: ['L1.line'] }, LIMITS)), ['permit.weld'])
})

test('three phases: one live phase is live, one phase out of the window is out, one overloaded is too much', () => {
  const three = { ...LIMITS, phases: 3 as const }
  const [live, dead] = [millivolts(230_000), millivolts(0)]
  const closing = readyToClose('seller.line')
  const stray = { ...closing.reading!, voltages: [dead, dead, live] }
  assert.equal(codes(mayClose('seller.line', { ...closing, reading: stray }, three)), ['permit.line-live'])
  const kept = running('seller.line')
  const heavy = { ...kept.reading!, currents: [milliamps(1), milliamps(16_001), milliamps(1)] }
  assert.equal(codes(mayStay('seller.line', { ...kept, reading: heavy }, three)), ['permit.current'])
  assert.ok(outsideWindow({ ...kept.reading!, voltages: [live, millivolts(100_000), live] }, three))
})

test('with no minimum pause, a buyer that just opened waits until its seller cannot act on an older word', () => {
  const eager = { ...LIMITS, minOffMs: 0 }
  const facts = readyToClose('buyer.line')
  const openedAt = (since: number, heard: number, taken: number): EndFacts => ({
    ...facts,
    peer: { ...facts.peer!, heard: mono(heard) },
    reading: reading(taken, 0),
    contacts: { ...facts.contacts, line: feed('L1.line', 'open', since) },
  })
  const since = NOW - 1500
  assert.equal(mayClose('buyer.line', openedAt(since, since + 1000, since + 1200), eager), { may: true })
  assert.equal(codes(mayClose('buyer.line', openedAt(since, since + 999, since + 1200), eager)), [
    'permit.peer-too-early',
  ])
  assert.equal(codes(mayClose('buyer.line', openedAt(since, since + 1000, since + 1199), eager)), [
    'permit.reading-too-early',
  ])
})

test('a seller stays closed exactly while every number lies within its bound', () => {
  const around = (bound: number) => fc.constantFrom(bound - 1, bound, bound + 1)
  const numbers = fc.record({
    fed: around(1000),
    heard: around(1000),
    sent: around(1000),
    read: around(1500),
    ma: around(16_000),
    headerAge: fc.oneof(around(60_000), around(-10_000)),
    left: around(0),
    lease: around(0),
    outside: around(1000),
  })
  assertProperty(
    fc.property(numbers, n => {
      const good = running('seller.line')
      const facts: EndFacts = {
        ...good,
        watchdogFed: late(n.fed),
        ownHeartbeat: late(n.sent),
        peer: { ...good.peer!, heard: late(n.heard) },
        reading: reading(NOW - n.read, 230, n.ma),
        proof: { height: 7n, headerTime: instant(good.now - n.headerAge) },
        deal: { ...good.deal!, end: instant(good.now + n.left) },
        leaseUntil: late(-n.lease),
        outsideSince: late(n.outside),
      }
      const sound =
        Math.max(n.fed, n.heard, n.sent) <= 1000 &&
        n.read <= 1500 &&
        n.ma <= 16_000 &&
        n.headerAge <= 60_000 &&
        n.headerAge >= -10_000 &&
        Math.min(n.left, n.lease) > 0 &&
        n.outside < 1000
      return mayStay('seller.line', facts, LIMITS).may === sound
    }),
    3000,
  )
})

test.run()
