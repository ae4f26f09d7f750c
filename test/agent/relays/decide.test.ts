import { type ControlInput, decide, spokenPosition } from '../../../agent/relays/decide.ts'
import { type ControlState, type EndConfig, openState, weldCleared, wished } from '../../../agent/relays/state.ts'
import type { LineFacts, Position, Seen } from '../../../protocol/safety/facts.ts'
import type { LineReading } from '../../../protocol/safety/line-reading.ts'
import { instant, mono } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { LIMITS, reading } from '../../protocol/safety/facts.ts'

const test = suite('agent/relays/decide')

const WALL = 1_700_000_000_000
const seller: EndConfig = { line: 'L1', side: 'seller', limits: LIMITS, upstream: true, circuit: undefined }
const buyer: EndConfig = {
  line: 'L1',
  side: 'buyer',
  limits: LIMITS,
  upstream: false,
  circuit: { name: 'C', own: true },
}

interface Now {
  readonly t: number
  readonly seen?: Readonly<Record<string, Seen>>
  readonly intended?: readonly string[]
  readonly facts?: Partial<LineFacts>
  readonly reading?: LineReading
  readonly wall?: number
}

/** What an end knows at `t` when nothing is wrong and its peer is open. */
function inputAt({
  t,
  seen = {},
  intended = [],
  facts = {},
  reading: taken = reading(t, 0),
  wall = WALL + t,
}: Now): ControlInput {
  return {
    now: instant(wall),
    mono: mono(t),
    manual: false,
    watchdogFed: mono(t),
    lines: new Map([
      [
        'L1',
        {
          deal: { id: 'd', start: instant(WALL), end: instant(WALL + 100_000) },
          proof: { height: 7n, headerTime: instant(wall) },
          light: 'healthy',
          ownHeartbeat: mono(t),
          peer: { heard: mono(t), line: 'open', welded: false },
          reading: taken,
          ...facts,
        },
      ],
    ]),
    seen: new Map(Object.entries(seen).map(([contact, position]) => [contact, { seen: position, at: mono(t) }])),
    intended: new Set(intended),
  }
}

const allOpen = { 'L1.line': 'open', 'L1.upstream': 'open', 'C.own': 'open' } as const

test('a step changes nothing that it was given and answers the same to the same', () => {
  const before = wished(openState([buyer], mono(0), []), 'L1', 'energise', mono(0))
  const copy = structuredClone(before)
  const input = inputAt({ t: 5000, seen: allOpen, intended: ['L1.line'] })
  const [first, second] = [decide([buyer], before, input), decide([buyer], before, input)]
  assert.equal(before, copy)
  assert.equal(first, second)
  assert.equal(first.actions, [{ kind: 'command', contact: 'L1.line', to: 'closed' }])
})

test('a closing is put on record first and then asks the permit again', () => {
  const before = wished(openState([buyer], mono(0), []), 'L1', 'energise', mono(0))
  const asked = decide([buyer], before, inputAt({ t: 5000, seen: allOpen }))
  assert.equal(asked.actions, [{ kind: 'intend', contact: 'L1.line' }])
  const late = inputAt({ t: 5100, seen: allOpen, intended: ['L1.line'], facts: { proof: undefined } })
  const { actions, state } = decide([buyer], asked.state, late)
  assert.equal(actions, [])
  assert.equal(
    state.ends.get('L1')!.because.map(({ code }) => code),
    ['permit.payment-unproven'],
  )
})

test('without a wish no line closes, and the circuit gets its own supply', () => {
  const intended = ['L1.line', 'C.own']
  const { actions } = decide([buyer], openState([buyer], mono(0), []), inputAt({ t: 5000, seen: allOpen, intended }))
  assert.equal(actions, [{ kind: 'command', contact: 'C.own', to: 'closed' }])
})

/** The state after the contacts in `closed` were commanded closed at 5000. */
function closedAt5000(ends: readonly EndConfig[], closed: readonly string[]): ControlState {
  const state = wished(openState(ends, mono(0), []), 'L1', 'energise', mono(0))
  const contacts = new Map(state.contacts)
  for (const contact of closed) contacts.set(contact, { commanded: 'closed', since: mono(5000), arrived: true })
  return { ...state, contacts }
}

test('the own supply is left only when nothing else keeps the line from closing', () => {
  const state = closedAt5000([buyer], ['C.own'])
  const seen = { ...allOpen, 'C.own': 'closed' } as const
  assert.equal(decide([buyer], state, inputAt({ t: 9000, seen })).actions, [
    { kind: 'command', contact: 'C.own', to: 'open' },
  ])
  const unpaid = inputAt({ t: 9000, seen, facts: { proof: undefined } })
  assert.equal(decide([buyer], state, unpaid).actions, [])
})

test('a changeover whose line does not close within five seconds goes back', () => {
  const state: ControlState = {
    ...closedAt5000([buyer], []),
    claims: new Map([['C', { line: 'L1', since: mono(6000) }]]),
  }
  const blocked = (t: number) => inputAt({ t, seen: allOpen, facts: { proof: undefined }, intended: ['C.own'] })
  assert.equal(decide([buyer], state, blocked(11_000)).actions, [])
  const { actions, events } = decide([buyer], state, blocked(11_001))
  assert.equal(actions, [{ kind: 'command', contact: 'C.own', to: 'closed' }])
  assert.is(events[0]?.kind === 'gave-up' && events[0].because[0]?.code, 'control.changeover-timeout')
})

test('an isolator whose line contact does not close within ten seconds opens again', () => {
  const state = closedAt5000([seller], ['L1.upstream'])
  const seen = { 'L1.line': 'open', 'L1.upstream': 'closed' } as const
  const peer = (t: number) => ({ heard: mono(t), line: 'closed', welded: false }) as const
  const at = (t: number) => inputAt({ t, seen, facts: { peer: peer(t) } })
  const waiting = decide([seller], state, at(15_000))
  assert.equal(waiting.actions, [{ kind: 'intend', contact: 'L1.line' }])
  const over = decide([seller], waiting.state, at(15_001))
  assert.is(over.events[0]?.kind === 'gave-up' && over.events[0].because[0]?.code, 'control.start-timeout')
  assert.equal(decide([seller], over.state, at(15_100)).actions, [
    { kind: 'command', contact: 'L1.upstream', to: 'open' },
  ])
})

test('a trip ends the wish: nothing closes when all is well again', () => {
  const state = closedAt5000([buyer], ['L1.line'])
  const seen = { 'L1.line': 'closed', 'C.own': 'open' } as const
  const tripped = decide([buyer], state, inputAt({ t: 9000, seen, facts: { deal: undefined } }))
  assert.equal(tripped.actions, [{ kind: 'command', contact: 'L1.line', to: 'open' }])
  const better = inputAt({ t: 20_000, seen: allOpen, intended: ['L1.line'] })
  assert.equal(
    decide([buyer], tripped.state, better).actions.filter(action => action.contact === 'L1.line'),
    [],
  )
})

test('the lease shrinks with a clock set forward and does not grow with one set back', () => {
  const first = decide([seller], openState([seller], mono(0), []), inputAt({ t: 1000 }))
  const leaseOf = (state: ControlState) => state.ends.get('L1')!.lease!.until
  assert.is(leaseOf(first.state), 100_000)
  const back = decide([seller], first.state, inputAt({ t: 2000, wall: WALL - 50_000 }))
  assert.is(leaseOf(back.state), 100_000)
  const forth = decide([seller], back.state, inputAt({ t: 3000, wall: WALL + 90_000 }))
  assert.is(leaseOf(forth.state), 13_000)
  assert.is(leaseOf(decide([seller], forth.state, inputAt({ t: 4000 })).state), 13_000)
})

test('a seller under way is not open yet, a buyer under way is not closed yet', () => {
  const spoken = (end: EndConfig, commanded: Position, seen: Seen, forMs: number): Seen => {
    const state: ControlState = {
      ...openState([end], mono(0), []),
      contacts: new Map([
        ['L1.line', { commanded, since: mono(5000), arrived: false }],
        ['L1.upstream', { commanded: 'open', since: mono(0), arrived: true }],
        ['C.own', { commanded: 'open', since: mono(0), arrived: true }],
      ]),
    }
    return spokenPosition(end, state, inputAt({ t: 5000 + forMs, seen: { 'L1.line': seen } }))
  }
  assert.equal([spoken(seller, 'closed', 'closed', 100), spoken(seller, 'open', 'open', 100)], ['closed', 'open'])
  assert.equal([spoken(seller, 'closed', 'unknown', 100), spoken(seller, 'open', 'unknown', 100)], ['closed', 'closed'])
  assert.equal(
    [spoken(seller, 'open', 'closed', 1001), spoken(seller, 'closed', 'unknown', 1001)],
    ['unknown', 'unknown'],
  )
  assert.equal([spoken(buyer, 'closed', 'closed', 100), spoken(buyer, 'open', 'open', 100)], ['closed', 'open'])
  assert.equal([spoken(buyer, 'closed', 'unknown', 100), spoken(buyer, 'closed', 'open', 100)], ['unknown', 'open'])
  assert.is(spoken(buyer, 'open', 'closed', 100), 'unknown')
})

test('a wish for a line that is not there, and the same wish again, change nothing', () => {
  const state = openState([seller], mono(0), [])
  assert.is(wished(state, 'L9', 'energise', mono(1)), state)
  assert.is(wished(state, 'L1', 'de-energise', mono(1)), state)
  assert.is(weldCleared(state, 'L1.line'), state)
})

test.run()
