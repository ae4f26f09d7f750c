import { utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { sealingKey } from '../../../protocol/crypto/seal.ts'
import { isMeetingOf, meetingToSign, openMeeting, sealMeeting } from '../../../protocol/privacy/meeting.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { partyOf, verifier } from '../ledger/parties.ts'

const test = suite('meeting of a pair')

const [offer, other] = [partyOf('offer'), partyOf('other')]
const [bid, stranger, once] = ['bid', 'stranger', 'once'].map(name => sealingKey(sha256(utf8(name)))) as [
  ReturnType<typeof sealingKey>,
  ReturnType<typeof sealingKey>,
  ReturnType<typeof sealingKey>,
]
const open = { pair: new Uint8Array(16).fill(1), seller: offer.address, token: new Uint8Array(16).fill(2) }
const meeting = { ...open, signature: offer.sign(meetingToSign(open, bid.publicKey)) }
const sealed = must(sealMeeting(meeting, bid.publicKey, { key: once, nonce: new Uint8Array(24) }))

test('the bid’s maker opens it, and nobody else does', () => {
  assert.equal(must(openMeeting(sealed, bid)), meeting)
  assert.equal(openMeeting(sealed, stranger), { ok: false, fault: { code: 'meeting.not-ours' } })
})

test('no byte of it can be changed, and nothing of any length throws', () => {
  for (let at = 0; at < sealed.length; at++) assert.not(openMeeting(sealed.with(at, sealed[at]! ^ 1), bid).ok)
  for (let length = 0; length < sealed.length; length++) assert.not(openMeeting(sealed.slice(0, length), bid).ok)
})

test('it counts as the offer’s maker’s, written to this bid', () => {
  assert.ok(isMeetingOf(meeting, offer.publicKey, bid.publicKey, verifier))
  assert.not(isMeetingOf(meeting, other.publicKey, bid.publicKey, verifier))
  assert.not(isMeetingOf(meeting, offer.publicKey, stranger.publicKey, verifier))
  assert.not(isMeetingOf({ ...meeting, seller: other.address }, offer.publicKey, bid.publicKey, verifier))
})

test.run()
