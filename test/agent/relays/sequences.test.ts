/** Every sequence of inputs through `decide`: no contact is left commanded closed with any condition unmet. */
import type { ControlInput } from '../../../agent/relays/decide.ts'
import { assert, suite } from '../../harness.ts'
import { CORE, explore, inputsOf, PLAIN, play, startsOf } from './sequence-explorer.ts'
import { wrongs } from './sequence-judge.ts'
import { advance, type Blind, type Conditions, type Input, nameOf } from './sequence-model.ts'

const test = suite('agent/relays, every sequence')

const SIDES = ['seller', 'buyer'] as const

for (const side of SIDES) {
  for (const { name, node, closed } of startsOf(side)) {
    test(`${side}, from ${name}: no 3 inputs of all, or 2 of the finer ones, leave a contact closed against a condition`, () => {
      assert.is([...node.world.spots].flatMap(([contact, spot]) => (spot.closed ? [contact] : [])).join('+'), closed)
      const { found, worlds, steps, reached } = explore(side, node, 3, inputsOf(side))
      assert.equal([...found, ...explore(side, node, 2, inputsOf(side, true)).found], [])
      assert.ok(worlds > 250 && steps > 5000 && reached.size > 1, `${worlds} worlds, ${steps} steps`)
    }, 120_000)
  }
  test(`${side}, running: no 6 inputs, one of each kind, leave a contact closed against a condition`, () => {
    const { node } = startsOf(side).find(({ name }) => name === 'a running line')!
    const { found, worlds } = explore(side, node, 6, CORE)
    assert.equal([...found], [])
    assert.ok(worlds > 10_000, `only ${worlds} worlds`)
  }, 240_000)
}

test('seller, idle: six inputs start the line, and none of the sequences around them is wrong', () => {
  const { node } = startsOf('seller').find(({ name }) => name === 'an idle line')!
  const { found, reached } = explore('seller', node, 6, CORE)
  assert.equal([...found], [])
  assert.ok(reached.has('L1.line+L1.upstream'), [...reached].join(', '))
}, 240_000)

/**
 * What the machine is kept from knowing, and which condition it then breaks. Where two rules stand behind one another both
 * are taken away.
 */
const BLIND: readonly (readonly [
  what: string,
  side: 'seller' | 'buyer',
  start: string,
  blind: Blind,
  more?: readonly Input[],
])[] = [
  ['stays closed: manual', 'seller', 'a running line', seeing({ manual: false })],
  ['C.own stays closed: manual', 'buyer', 'an own supply', seeing({ manual: false })],
  ['stays closed: watchdog', 'seller', 'a running line', seeing({ watchdogAge: 0 })],
  ['stays closed: weld', 'seller', 'an isolator that waits for its line contact', seeing({ line: 'follows' })],
  ['stays closed: deal', 'seller', 'a running line', seeing({ deal: 'runs' })],
  ['stays closed: deal over', 'seller', 'a running line', { input: newDealEachTime }],
  ['stays closed: unpaid', 'seller', 'a running line', seeing({ proofAge: 0 })],
  ['stays closed: proof old', 'buyer', 'a running line', seeing({ proofAge: 0 })],
  ['stays closed: proof ahead of the clock', 'seller', 'a running line', seeing({ proofAge: 0 })],
  ['stays closed: light', 'seller', 'a running line', seeing({ light: 'healthy' })],
  ['closes: light', 'seller', 'an isolator that waits for its line contact', seeing({ light: 'healthy' })],
  ['stays closed: own heartbeat', 'seller', 'a running line', seeing({ ownAge: 0 })],
  ['stays closed: peer heartbeat', 'buyer', 'a running line', seeing({ peerAge: 0 })],
  ['stays closed: peer welded', 'buyer', 'a running line', seeing({ peerWelded: false })],
  ['stays closed: buyer position', 'seller', 'a running line', seeing({ peerLine: 'closed' })],
  ['stays closed: seller position', 'buyer', 'a running line', seeing({ peerLine: 'closed' })],
  ['closes: seller position', 'buyer', 'a changeover', seeing({ peerLine: 'open' })],
  [
    'closes: peer heard too early',
    'buyer',
    'a line that was just opened at once',
    { limits: { heartbeatMs: 0, minOffMs: 0, settleMs: 0 }, ...seeing({ ownAge: 0, peerAge: 0, peerLine: 'open' }) },
    [{ what: 'wish', line: 'L1', wish: 'energise' }],
  ],
  ['stays closed: reading', 'seller', 'a running line', seeing({ readingAge: 0 })],
  ['stays closed: reading incomplete', 'seller', 'a running line', seeing({ reading: 'live' })],
  ['closes: line live', 'buyer', 'a changeover', seeing({ reading: 'dead' })],
  ['L1.line closes: line live', 'seller', 'an isolator that waits for its line contact', seeing({ reading: 'dead' })],
  ['closes: read too early', 'seller', 'an isolator that waits for its line contact', { limits: { settleMs: -9999 } }],
  ['stays closed: window', 'seller', 'a running line', seeing({ reading: 'live' })],
  ['stays closed: current', 'buyer', 'a running line', seeing({ reading: 'live' })],
  ['closes: off time', 'seller', 'a line that was just stopped', { limits: { minOffMs: 0 } }],
  ['stays closed: interlock', 'buyer', 'a running line', seeing({ own: 'follows', sibling: 'follows' })],
  ['closes: interlock', 'buyer', 'a changeover', seeing({ own: 'follows', sibling: 'follows' })],
  ['closes: changeover', 'buyer', 'an own supply', { limits: { changeoverMs: 0, settleMs: -9999 } }],
  ['C.own closes: line not seen dead', 'buyer', 'a running line', { limits: { settleMs: -99_999 } }],
  ['stays closed: order', 'seller', 'a running line', seeing({ upstream: 'follows' })],
  ['closes: order', 'seller', 'an idle line', seeing({ line: 'follows' })],
  ['stays closed: not seen closed', 'seller', 'a running line', seeing({ line: 'follows' })],
  [
    'closes: closing not on record',
    'seller',
    'an isolator that waits for its line contact',
    seeing({ recorded: true }),
  ],
]

function seeing(to: Partial<Conditions>): Blind {
  return { sees: conditions => ({ ...conditions, ...to }) }
}

/** A lease that is forgotten at each step does not hold against a clock that is set back. */
function newDealEachTime(input: ControlInput): ControlInput {
  const lines = [...input.lines].map(([line, facts]) => {
    return [line, { ...facts, deal: facts.deal && { ...facts.deal, id: String(input.mono) } }] as const
  })
  return { ...input, lines: new Map(lines) }
}

for (const [what, side, start, blind, first = []] of BLIND) {
  test(`the check sees a ${side} that cannot know its condition, as it ${what}`, () => {
    let { node } = startsOf(side).find(({ name }) => name === start)!
    for (const input of first) node = play(side, node, input, blind).node
    const hits = (depth: number) => {
      const { found } = explore(side, node, depth, inputsOf(side, true), blind)
      return [...found.keys()].some(wrong => wrong.endsWith(what))
    }
    assert.ok(hits(1) || hits(2) || hits(3), `nothing found: ${what}`)
  }, 60_000)
}

test('the check sees a contact that closes, or is kept, although nobody asks', () => {
  const waiting = startsOf('seller').find(({ name }) => name === 'an isolator that waits for its line contact')!.node
  const { node } = play('seller', waiting, { what: 'pass', ms: 250 })
  const nobody = { ...node.memory, asked: [] }
  assert.equal(wrongs('seller', waiting.world, node.world, nobody), [
    'L1.line closes: nobody asked',
    'L1.line closes: nobody asks any more',
    'L1.upstream stays closed: nobody asks any more',
  ])
})

test('while one plain condition is unmet, a second changes no command and no memory', () => {
  let compared = 0
  for (const side of SIDES) {
    for (const { node } of startsOf(side)) {
      for (const input of inputsOf(side)) {
        const { world } = play(side, node, input).node
        for (const first of PLAIN) {
          for (const second of PLAIN) {
            if (first.opens === 'line' && second.opens === 'all') continue
            if (Object.keys(first.unmet)[0] === Object.keys(second.unmet)[0]) continue
            const go = (unmet: Partial<Conditions>) => {
              const after = advance(side, world, { what: 'set', to: unmet })
              return nameOf({ ...after, now: world.now })
            }
            assert.is(go({ ...second.unmet, ...first.unmet }), go(first.unmet))
            compared++
          }
        }
      }
    }
  }
  assert.ok(compared > 10_000, String(compared))
}, 90_000)

test.run()
