import type { EndFacts } from '../../../protocol/safety/facts.ts'
import { weldSign } from '../../../protocol/safety/weld.ts'
import { mono } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { contact, feed, LIMITS, NOW, reading, readyToClose, running } from './facts.ts'

const test = suite('safety/weld')

/** A seller whose line contact was commanded open `ago` ms ago; nothing was seen of it since. */
const openedSeller = (ago: number): EndFacts => {
  const facts = running('seller.line')
  return { ...facts, contacts: { ...facts.contacts, line: { ...feed('L1.line', 'open', NOW - ago), seen: 'open' } } }
}

test('a dead line behind an opened contact is no weld', () => {
  assert.is(weldSign('seller.line', { ...openedSeller(1000), reading: reading(NOW - 100, 0) }, LIMITS), undefined)
})

test('voltage at the seller, one second after open was commanded, is a weld; before that it is not', () => {
  const live = { reading: reading(NOW - 100, 230) }
  assert.is(weldSign('seller.line', { ...openedSeller(999), ...live }, LIMITS), undefined)
  assert.equal(weldSign('seller.line', { ...openedSeller(1000), ...live }, LIMITS), {
    code: 'weld.voltage',
    contact: 'L1.line',
    mv: 230_000,
    limitMv: 50_000,
    forMs: 1000,
  })
})

test('a reading taken within the settling time shows the past and proves no weld', () => {
  const at = (taken: number) => weldSign('seller.line', { ...openedSeller(1000), reading: reading(taken, 230) }, LIMITS)
  assert.is(at(NOW - 801), undefined)
  assert.is(at(NOW - 800)?.code, 'weld.voltage')
})

test('a stale reading proves nothing', () => {
  assert.is(weldSign('seller.line', { ...openedSeller(5000), reading: reading(NOW - 1501, 230) }, LIMITS), undefined)
})

test('current above the threshold is a weld at either end', () => {
  const heavy = { reading: reading(NOW - 100, 230, 101) }
  assert.is(weldSign('seller.line', { ...openedSeller(1000), ...heavy }, LIMITS)?.code, 'weld.current')
  const buyer = { ...readyToClose('buyer.line'), ...heavy }
  assert.is(weldSign('buyer.line', buyer, LIMITS)?.code, 'weld.current')
  assert.is(weldSign('buyer.line', { ...buyer, reading: reading(NOW - 100, 230, 100) }, LIMITS), undefined)
})

test('an auxiliary input that still shows closed is a weld in every role', () => {
  for (const role of ['seller.upstream', 'seller.line', 'buyer.line', 'buyer.own'] as const) {
    const facts = readyToClose(role)
    const stuck = { ...contact('X', 'open', NOW - 1000), seen: 'closed' } as const
    const contacts =
      role === 'seller.upstream'
        ? { ...facts.contacts, upstream: stuck }
        : role === 'buyer.own'
          ? { ...facts.contacts, own: stuck }
          : { ...facts.contacts, line: { ...stuck, deadAt: undefined } }
    assert.equal(weldSign(role, { ...facts, contacts }, LIMITS), { code: 'weld.auxiliary', contact: 'X', forMs: 1000 })
  }
})

test("a buyer's line that its seller keeps live is not the buyer's weld; one that came alive with the circuit is", () => {
  const idle = readyToClose('buyer.line')
  const live = reading(NOW - 100, 230)
  const ownClosed = contact('C.own', 'closed', NOW - 5000)
  const facts = (own: typeof ownClosed, deadAt: number | undefined): EndFacts => ({
    ...idle,
    reading: live,
    contacts: {
      line: { ...idle.contacts.line, deadAt: deadAt === undefined ? undefined : mono(deadAt) },
      upstream: undefined,
      own,
    },
  })
  const seen = NOW - 6000
  assert.is(weldSign('buyer.line', facts(contact('C.own', 'open'), seen), LIMITS), undefined)
  assert.is(weldSign('buyer.line', facts(ownClosed, undefined), LIMITS), undefined)
  assert.is(weldSign('buyer.line', facts(ownClosed, seen), LIMITS)?.code, 'weld.voltage')
  // fed through the contact of another line onto the same circuit
  const sibling = { ...facts(contact('C.own', 'open'), seen), siblings: [feed('L2.line', 'closed', NOW - 5000)] }
  assert.is(weldSign('buyer.line', sibling, LIMITS)?.code, 'weld.voltage')
})

test('an own supply that still feeds the line after it was commanded open is welded', () => {
  const facts = running('buyer.line')
  assert.is(weldSign('buyer.own', facts, LIMITS), undefined)
  assert.is(weldSign('buyer.own', { ...facts, strayLiveSince: mono(NOW - 1000) }, LIMITS)?.code, 'weld.voltage')
})

test('a contact that is not fitted, or is commanded closed, has no weld', () => {
  assert.is(weldSign('seller.upstream', readyToClose('buyer.line'), LIMITS), undefined)
  assert.is(weldSign('seller.line', running('seller.line'), LIMITS), undefined)
})

test.run()
