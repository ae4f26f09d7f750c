import { toHex } from '../../../protocol/bytes.ts'
import type { Verifier } from '../../../protocol/crypto/verify.ts'
import { micros, milliwattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant, later, mono } from '../../../protocol/time.ts'
import { encodeContract, type Party } from '../../../protocol/trade/contract.ts'
import { openDeal, step } from '../../../protocol/trade/deal.ts'
import { decodeDeal, encodeDeal } from '../../../protocol/trade/deal-codec.ts'
import {
  type Deal,
  type Input,
  NO_FACTS,
  type Now,
  STATES,
  type State,
  wishOf,
} from '../../../protocol/trade/deal-state.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, fc } from '../../property.ts'
import { anyInputOf, SIGNED } from './deal-inputs.ts'
import { EPOCH, KEYS, signHalf, TERMS } from './deal-street.ts'

const test = suite('trade deal, any inputs')

const bytes = encodeContract(TERMS)
const halves = { seller: signHalf(bytes, 'seller'), buyer: signHalf(bytes, 'buyer') }
/** A stub that knows the two good signatures, each under its key, so that a million checks take no time. */
const signed = (key: Uint8Array, signature: Uint8Array) => `${toHex(key)} ${toHex(signature)}`
const good = new Set((['seller', 'buyer'] as const).map(party => signed(KEYS[party], halves[party].subarray(-64))))
const stub: Verifier = { verify: (_alg, key, _message, signature) => good.has(signed(key, signature)) }

const begun = (role: Party): Deal =>
  must(
    openDeal(
      { role, bytes, sellerKey: KEYS.seller, buyerKey: KEYS.buyer },
      { wall: instant(EPOCH), mono: mono(0) },
      stub,
    ),
  ).deal
const HASH = begun('seller').hash
const reading = (register: bigint) => ({
  envelope: new Uint8Array(240),
  context: new Uint8Array(250),
  register: milliwattHours(register),
})

/** The input that takes this deal one step further along its good path. */
function helpful(deal: Deal): Input {
  const { role, state, phase } = deal
  const peer = role === 'seller' ? 'buyer' : 'seller'
  const facts = (contact: 'open' | 'closed', own: 'open' | 'closed', line: 'dead' | 'live'): Input => ({
    kind: 'facts',
    facts: { contact, own, line },
  })
  if (state === 'proposed') {
    return deal.ownHalf === undefined
      ? { kind: 'half', sign1: halves[role] }
      : { kind: 'message', body: { kind: 'countersign', hash: HASH, half: halves[peer] } }
  }
  if (state === 'signed') {
    return role === 'buyer'
      ? { kind: 'handed-in', tx: 'commit', hash: new Uint8Array(32) }
      : { kind: 'message', body: { kind: 'committed', hash: HASH, tx: new Uint8Array(32) } }
  }
  if (state === 'escrowed')
    return { kind: 'lock', hash: HASH, record: { state: 'locked', escrow: micros(100_000n) }, height: 9n }
  if (state === 'armed') {
    if (phase === 'reading') return { kind: 'signed-reading', which: 'begin', reading: reading(1000n) }
    if (phase === 'ready') return { kind: 'message', body: { kind: 'started', hash: HASH, begin: SIGNED } }
    if (phase === 'closing') return facts('closed', 'open', 'dead')
    if (phase === 'isolating') return facts('open', 'open', 'dead')
    if (role === 'seller' && !deal.peerReady)
      return { kind: 'message', body: { kind: 'ready', hash: HASH, begin: SIGNED } }
    return facts('open', 'closed', 'dead')
  }
  if (state === 'started') return { kind: 'timer', name: 'end' }
  if (phase === 'unloading') return facts('closed', 'open', 'dead')
  if (phase === 'opening') return facts('open', 'open', 'dead')
  if (phase === 'reading') return { kind: 'signed-reading', which: 'end', reading: reading(5000n) }
  if (phase === 'receipt') return { kind: 'handed-in', tx: 'receipt', hash: new Uint8Array(32) }
  return { kind: 'settlement', outcome: { kind: 'settled', paid: micros(0n), disputed: false, height: 20n } }
}

const anyInput = anyInputOf(bytes, halves, reading)
/** Mostly helpful inputs, so that the deals get somewhere; time passes between them. */
const turn = fc.record({
  input: anyInput,
  advance: fc.constantFrom(0, 50, 1000, 9000),
})
const late = fc.constant({ input: { kind: 'timer', name: 'settle-by' } as const, advance: 0 })
const journey = fc.array(
  fc.oneof(
    { weight: 14, arbitrary: fc.constant({ input: undefined, advance: 900 }) },
    { weight: 2, arbitrary: turn },
    { weight: 1, arbitrary: late },
  ),
  { maxLength: 60, size: 'max' },
)
const role = fc.constantFrom('seller' as const, 'buyer' as const)

const FAULTS = new Set<Input['kind']>([
  'heartbeat-lost',
  'meter-stale',
  'broker-down',
  'fault',
  'lock-refused',
  'settlement',
  'restored',
])

const reached = new Set<State>()

test('whatever comes: no wish to close without both signatures and a proven lock, every fault opens, and nothing throws', () => {
  assertCovering(
    fc.property(role, journey, (role, turns) => {
      let deal = begun(role)
      let now: Now = { wall: instant(EPOCH), mono: mono(0) }
      let proven = false
      for (const { input: given, advance } of turns) {
        now = { wall: later(now.wall, advance), mono: later(now.mono, advance) }
        const input = given ?? helpful(deal)
        const before = deal
        const after = step(before, input, now, stub)
        deal = after.deal
        reached.add(deal.state)
        if (input.kind === 'lock' && before.state === 'escrowed')
          proven ||= deal.state === 'armed' || deal.state === 'expired'
        const signed = deal.ownHalf !== undefined && deal.peerHalf !== undefined
        const kinds = after.outputs.map(output => output.kind)
        const closesLine = after.outputs.some(output => output.kind === 'close' && output.contact === 'line')
        if (closesLine || wishOf(deal).line === 'closed') {
          assert.ok(signed && proven && deal.lockHeight !== undefined, `${before.state} ${input.kind}`)
          assert.is(deal.ownHalf, halves[role])
          // A circuit is never wished onto two supplies.
          if (role === 'buyer') assert.is(wishOf(deal).own, 'open')
        }
        if (after.outputs.some(output => output.kind === 'close' && output.contact === 'own')) {
          assert.is(deal.facts.contact, 'open')
          assert.is(wishOf(deal).line, 'open')
        }
        if (before.state === 'started' && FAULTS.has(input.kind)) {
          assert.equal(after.outputs[0], { kind: 'open', contact: 'line' })
          assert.is(wishOf(deal).line, 'open')
        }
        // Openings stand first, the journal before everything else, and a changed deal is never left unrecorded.
        const record = kinds.indexOf('record')
        assert.ok(kinds.lastIndexOf('open') < (record < 0 ? kinds.length : record))
        assert.ok(record < 0 || kinds.slice(0, record).every(kind => kind === 'open'))
        if (deal.state !== before.state || deal.phase !== before.phase) assert.ok(record >= 0)
        // What the journal keeps is what there was.
        const stored = encodeDeal(deal)
        const back = must(decodeDeal(stored))
        assert.is(toHex(encodeDeal(back)), toHex(stored))
        assert.is(back.facts, NO_FACTS)
        assert.is(back.state, deal.state)
      }
    }),
    1500,
    // One under which the fixed half goes through every state.
    2,
  )
})

test('the random journeys above went through every state of a line', () => {
  assert.equal([...reached].sort(), STATES.filter(state => state !== 'reserved').sort())
})

test('a journal entry with a flipped bit is never another deal of the same contract without being told', () => {
  const stored = encodeDeal(begun('buyer'))
  for (let bit = 0; bit < stored.length * 8; bit++) {
    const mutant = Uint8Array.from(stored)
    mutant[bit >> 3]! ^= 1 << (bit & 7)
    const read = decodeDeal(mutant)
    if (read.ok) assert.is.not(toHex(encodeDeal(read.value)), toHex(stored))
  }
})

test.run()
