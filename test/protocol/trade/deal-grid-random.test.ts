import { equalBytes, toHex } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { instant, later, mono } from '../../../protocol/time.ts'
import { step } from '../../../protocol/trade/deal.ts'
import { decodeDeal, encodeDeal } from '../../../protocol/trade/deal-codec.ts'
import {
  type Deal,
  heartbeatsDue,
  holdsLine,
  type Input,
  isDispatched,
  NO_FACTS,
  type Now,
  type Output,
  STATES,
  type State,
  wishOf,
} from '../../../protocol/trade/deal-state.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, fc } from '../../property.ts'
import { anyInputOf } from './deal-inputs.ts'
import { EPOCH } from './deal-street.ts'
import {
  begun,
  GRID_BYTES,
  GRID_TERMS,
  HALVES,
  HASH,
  helpful,
  INPUTS,
  MARGIN_MS,
  reading,
  SETTLE_BY,
  Side,
  stub,
} from './grid-deal.ts'

const test = suite('trade deal over the grid, any inputs')

const anyInput = anyInputOf(GRID_BYTES, HALVES, reading)
/** Mostly helpful inputs, so that the deals get somewhere; time passes between them. */
const journey = fc.array(
  fc.oneof(
    { weight: 14, arbitrary: fc.constant({ input: undefined, advance: 900 }) },
    {
      weight: 2,
      arbitrary: fc.record({ input: anyInput, advance: fc.constantFrom(0, 50, 1000, 9000) }),
    },
    { weight: 1, arbitrary: fc.constant({ input: { kind: 'timer', name: 'settle-by' } as const, advance: 0 }) },
  ),
  { maxLength: 60, size: 'max' },
)
const role = fc.constantFrom('seller' as const, 'buyer' as const)
const reserve = fc.constantFrom({ relayMarginMs: MARGIN_MS }, { relayMarginMs: MARGIN_MS }, false as const)

/** What a commitment needs, in words of this test. */
const holds = (input: Input): boolean =>
  input.kind === 'reservation' &&
  equalBytes(input.hash, HASH) &&
  input.record.state === 'held' &&
  input.record.chainId === GRID_TERMS.chainId &&
  input.record.start <= GRID_TERMS.start &&
  input.record.end >= GRID_TERMS.end &&
  input.record.energy >= 500n &&
  input.record.expires >= SETTLE_BY + MARGIN_MS

const reached = new Set<State>()

test('whatever comes: no contact, no commitment without a proven reservation, no dispatch without a lock, no receipt without both readings', () => {
  assertCovering(
    fc.property(role, reserve, journey, (role, reserve, turns) => {
      let deal = begun(role, reserve)
      let now: Now = { wall: instant(EPOCH), mono: mono(0) }
      let proven = false
      let commits = 0
      let dispatched = false
      for (const { input: given, advance } of turns) {
        now = { wall: later(now.wall, advance), mono: later(now.mono, advance) }
        const input = given ?? helpful(deal)
        const before = deal
        const after = step(before, input, now, stub)
        deal = after.deal
        reached.add(deal.state)
        const where = `${before.state} ${input.kind}`
        if (input.kind === 'lock' && deal.state === 'armed') proven ||= before.state !== 'armed'
        for (const output of after.outputs) {
          assert.ok(output.kind !== 'open' && output.kind !== 'close', where)
          if (output.kind === 'submit') judgeSubmit(output, deal, input, where)
          if (output.kind === 'submit' && output.tx === 'commit') commits++
          if (output.kind === 'dispatch') dispatched = judgeDispatch(output.on, deal, proven, where)
        }
        assert.ok(commits <= 1, 'a commitment is handed in once')
        // After a restart what was switched is said again; until then a dispatch ends with its deal's window, or before.
        if (input.kind === 'restored') dispatched &&= isDispatched(deal)
        assert.is(dispatched, isDispatched(deal), where)
        assert.equal(wishOf(deal), { line: 'open', own: 'closed' })
        assert.not.ok(holdsLine(deal) || heartbeatsDue(deal, now.wall))
        // From the lock on nothing but time keeps a party from its receipt.
        if (before.state === 'armed' || before.state === 'started') assert.is.not(deal.state, 'aborted', where)
        if (deal.state === 'started' || deal.state === 'stopped' || deal.state === 'receipted') {
          assert.ok(deal.lockHeight !== undefined && deal.begin !== undefined, where)
        }
        // The journal comes before everything, and a changed deal is never left unrecorded.
        const record = after.outputs.findIndex(({ kind }) => kind === 'record')
        assert.ok(record <= 0, where)
        if (deal.state !== before.state || deal.phase !== before.phase || deal.cause !== before.cause) {
          assert.is(record, 0, where)
        }
        const stored = encodeDeal(deal)
        const back = must(decodeDeal(stored))
        assert.is(toHex(encodeDeal(back)), toHex(stored))
        assert.is(back.facts, NO_FACTS)
        assert.is(back.state, deal.state)
        assert.is(back.fee, deal.fee)
      }
    }),
    1200,
  )
})

function judgeSubmit(output: Output & { kind: 'submit' }, deal: Deal, input: Input, where: string): void {
  if (output.tx === 'commit') {
    assert.is(deal.role, 'buyer')
    assert.ok(deal.ownHalf !== undefined && deal.peerHalf !== undefined && deal.escrow, where)
    assert.ok(deal.reserve === undefined || holds(input), where)
    assert.is(output.reservation === undefined, deal.reserve === undefined)
  } else if (output.tx === 'receipt') {
    assert.ok(deal.begin !== undefined && deal.end !== undefined, where)
    assert.ok(deal.end!.register >= deal.begin!.register, where)
  } else {
    assert.is(deal.role, 'seller')
    assert.ok(deal.reserve !== undefined && deal.fee, where)
    if (output.tx === 'reserve') assert.is(deal.state, 'signed')
    else assert.ok(input.kind === 'settlement' && input.outcome.kind === 'absent', where)
  }
}

function judgeDispatch(on: boolean, deal: Deal, proven: boolean, where: string): boolean {
  if (on) {
    assert.is(deal.state, 'started', where)
    assert.ok(proven && deal.begin !== undefined && deal.cause === undefined, where)
    assert.ok(deal.reserve === undefined || deal.role === 'seller' || deal.reservedHeight !== undefined, where)
  }
  return on
}

test('the random journeys above went through every state', () => {
  assert.equal([...reached].sort(), [...STATES].sort())
})

test('every message twice, out of turn and of another deal changes nothing of what is handed in and signed', () => {
  const asked = (side: Side, noise: boolean): string[] => {
    const wants: string[] = []
    const keep = (outputs: readonly Output[]) => {
      for (const output of outputs) {
        if (output.kind === 'submit') wants.push(`submit ${output.tx}`)
        if (output.kind === 'sign-reading') wants.push(`sign ${output.which}`)
        if (output.kind === 'dispatch') wants.push(`dispatch ${output.on}`)
      }
    }
    const early = [INPUTS.committed, INPUTS.countersign(side.deal.role === 'seller' ? 'buyer' : 'seller')] as const
    for (let turns = 0; side.deal.state !== 'settled'; turns++) {
      assert.ok(turns < 30, side.deal.state)
      const input = helpful(side.deal)
      const at = input === INPUTS.start ? GRID_TERMS.start : input === INPUTS.end ? GRID_TERMS.end : side.wall
      if (noise) {
        for (const one of [INPUTS.reserved, ...early]) {
          if (one.kind !== 'message' || !('hash' in one.body)) continue
          const other = { ...one, body: { ...one.body, hash: new Uint8Array(32) } } as Input
          assert.equal(
            side.give(other, at).map(({ kind }) => kind),
            ['refused'],
          )
        }
        // Of this deal, but out of turn: no proposed or signed buyer has use for `committed`, no seller for `reserved`.
        keep(side.give(side.deal.role === 'buyer' ? INPUTS.committed : INPUTS.reserved, at))
      }
      keep(side.give(input, at))
      if (noise && input.kind === 'message') keep(side.give(input))
    }
    return wants
  }
  for (const role of ['seller', 'buyer'] as const) {
    assert.equal(asked(new Side(role), true), asked(new Side(role), false))
  }
})

test.run()
