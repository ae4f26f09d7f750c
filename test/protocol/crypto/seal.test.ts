import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import { concat, hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { type Bucket, fullBucket, takeTokens } from '../../../protocol/crypto/bucket.ts'
import { assemble, kidOf, protectedHeader, toBeSigned } from '../../../protocol/crypto/cose.ts'
import { addressOf } from '../../../protocol/crypto/hash.ts'
import {
  MESSAGE_CONTEXT,
  newReception,
  OWN_BUCKET,
  pairKeys,
  type Receiver,
  type Reception,
  seal,
  sealedLength,
  sealingKey,
  unseal,
} from '../../../protocol/crypto/seal.ts'
import { stampNonce } from '../../../protocol/crypto/stamp.ts'
import { nobleVerifier, type Verifier } from '../../../protocol/crypto/verify.ts'
import { must } from '../../../protocol/result.ts'
import { mono } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('seal')

const agent = (fill: number) => {
  const secret = new Uint8Array(32).fill(fill)
  const publicKey = ed25519.getPublicKey(secret)
  return { secret, publicKey, address: addressOf(publicKey), sealing: sealingKey(secret) }
}
const ada = agent(1)
const bob = agent(2)
const topic = `tieline/1/${toHex(bob.address)}`
const now = mono(0)

const signBy = (who: typeof ada, payload: Uint8Array, context = MESSAGE_CONTEXT) => {
  const header = protectedHeader('EdDSA', kidOf('EdDSA', who.publicKey))
  return assemble(header, payload, ed25519.sign(toBeSigned(header, payload, context), who.secret))
}
const toBob = must(pairKeys(ada.sealing, bob.sealing.publicKey))
const fromAda = must(pairKeys(bob.sealing, ada.sealing.publicKey))
const fresh = newReception(now)
const receiver = (verifier: Verifier = nobleVerifier, reception = fresh): Receiver => ({
  topic,
  verifier,
  peerOf: from =>
    from === toHex(ada.address) ? { publicKey: ada.publicKey, keys: fromAda.receive, reception } : undefined,
})
const stamp = (number: number, epoch = 1) => stampNonce(toBob.send.stamp, { epoch, number }, new Uint8Array(8).fill(9))
const nonce = stamp(1)
const payload = utf8('a message')
const sealed = seal(toBob.send.seal, ada.address, topic, nonce, signBy(ada, payload))
const code = (bytes: Uint8Array, to = receiver()) => {
  const { result } = unseal(bytes, to, now)
  return result.ok ? 'ok' : result.fault.code
}

test('both ends derive the same keys, two a direction, and the keys of another pair differ', () => {
  assert.equal(toBob.send, fromAda.receive)
  assert.equal(toBob.receive, fromAda.send)
  const all = [toBob.send.seal, toBob.send.stamp, toBob.receive.seal, toBob.receive.stamp].map(toHex)
  assert.is(new Set(all).size, 4)
  const toCleo = must(pairKeys(ada.sealing, agent(3).sealing.publicKey))
  assert.not.equal(toBob.send, toCleo.send)
})

test('a peer key of small order or of a wrong length is refused', () => {
  const bad = (key: Uint8Array) => {
    const pair = pairKeys(ada.sealing, key)
    return pair.ok ? 'ok' : pair.fault.code
  }
  assert.is(bad(new Uint8Array(32)), 'seal.key')
  assert.is(bad(hex('e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800')), 'seal.key')
  assert.is(bad(new Uint8Array(31).fill(4)), 'seal.key')
  assert.is(bad(x25519.getPublicKey(new Uint8Array(32).fill(4))), 'ok')
})

test('sealed bytes are version, sender, nonce and ciphertext, and open to the signed payload', () => {
  // 01 <20 sender> <24 nonce> <ciphertext> <16 tag>
  assert.is(toHex(sealed.subarray(0, 21)), `01${toHex(ada.address)}`)
  assert.equal(sealed.slice(21, 45), nonce)
  assert.is(sealed.length, 1 + 20 + 24 + signBy(ada, payload).length + 16)
  assert.is(sealed.length, sealedLength(signBy(ada, payload)))
  const { result, after } = unseal(sealed, receiver(), now)
  assert.equal(must(result), { from: toHex(ada.address), payload })
  assert.is(after?.reception.own.level, (OWN_BUCKET.burst - 11) * 1000)
})

test('each refusal has its name', () => {
  assert.is(code(new Uint8Array(60)), 'seal.length')
  assert.is(code(concat(sealed, new Uint8Array(4096))), 'seal.length')
  assert.is(code(concat(Uint8Array.of(2), sealed.subarray(1))), 'seal.version')
  assert.is(code(seal(toBob.send.seal, bob.address, topic, nonce, signBy(ada, payload))), 'seal.stranger')
  assert.is(code(seal(toBob.send.seal, ada.address, 'tieline/1/other', nonce, signBy(ada, payload))), 'seal.forged')
  assert.is(code(seal(toBob.receive.seal, ada.address, topic, nonce, signBy(ada, payload))), 'seal.forged', 'reflected')
  assert.is(code(seal(toBob.send.seal, ada.address, topic, nonce, signBy(bob, payload))), 'cose.signature')
  assert.is(
    code(seal(toBob.send.seal, ada.address, topic, nonce, signBy(ada, payload, utf8('tieline/tx/1')))),
    'cose.signature',
  )
  assert.is(code(seal(toBob.send.seal, ada.address, topic, nonce, payload)), 'cose.shape')
})

const left = (tokens: number) => ({ level: tokens * 1000, at: now })
const spoil = (bytes: Uint8Array) => {
  const copy = Uint8Array.from(bytes)
  copy[50]! ^= 1
  return copy
}

test('what cannot be paid for is refused before it is opened, and a signature costs more than an opening', () => {
  let checks = 0
  const counting: Verifier = {
    verify: (...args) => {
      checks++
      return nobleVerifier.verify(...args)
    },
  }
  const own = (tokens: number): Reception => ({ ...fresh, own: left(tokens) })
  assert.is(code(sealed, receiver(counting, own(0))), 'seal.rate')
  assert.is(code(sealed, receiver(counting, own(10))), 'seal.rate')
  assert.is(checks, 0)
  assert.is(code(sealed, receiver(counting, own(11))), 'ok')
  assert.is(checks, 1)
})

test('each kind of message is charged to its own bucket, and nobody but the peer to that of the peer', () => {
  const plain = seal(toBob.send.seal, ada.address, topic, new Uint8Array(24).fill(9), signBy(ada, payload))
  const older = seal(toBob.send.seal, ada.address, topic, stamp(9, 0), signBy(ada, payload))
  const heard = unseal(sealed, receiver(), now).after!.reception
  /** Tokens that were taken from each. */
  const taken = (bytes: Uint8Array, before: Reception) => {
    const { result, after } = unseal(bytes, receiver(nobleVerifier, before), now)
    const of = (bucketOf: (reception: Reception) => Bucket) =>
      (bucketOf(before).level - bucketOf(after?.reception ?? before).level) / 1000
    const [own, stray, spoilt] = [of(({ own }) => own), of(({ stray }) => stray), of(({ spoilt }) => spoilt[0]!)]
    return { code: result.ok ? 'ok' : result.fault.code, own, stray, spoilt }
  }
  assert.equal(taken(sealed, fresh), { code: 'ok', own: 11, stray: 0, spoilt: 0 })
  assert.equal(taken(sealed, heard), { code: 'seal.repeated', own: 0, stray: 0, spoilt: 0 })
  assert.equal(taken(spoil(sealed), heard), { code: 'seal.repeated', own: 0, stray: 0, spoilt: 0 })
  assert.equal(taken(spoil(sealed), fresh), { code: 'seal.forged', own: 0, stray: 0, spoilt: 1 })
  assert.equal(taken(older, heard), { code: 'ok', own: 0, stray: 11, spoilt: 0 }, 'whether it is new is not said here')
  assert.equal(taken(plain, heard), { code: 'ok', own: 0, stray: 11, spoilt: 0 }, 'a sender that makes no stamps')
  assert.equal(taken(spoil(plain), heard), { code: 'seal.forged', own: 0, stray: 1, spoilt: 0 })
  const starved: Reception = { ...heard, stray: left(10) }
  assert.equal(taken(plain, starved), { code: 'seal.rate', own: 0, stray: 1, spoilt: 0 })
  assert.equal(taken(plain, { ...heard, stray: left(0) }), { code: 'seal.rate', own: 0, stray: 0, spoilt: 0 })
})

test('a spoilt copy that comes first leaves its number for the true one; what is late leaves the newest its part', () => {
  const at = (number: number) => seal(toBob.send.seal, ada.address, topic, stamp(number), signBy(ada, payload))
  const after = (bytes: Uint8Array, reception: Reception) =>
    unseal(bytes, receiver(nobleVerifier, reception), now).after!.reception
  const spoilt = after(spoil(at(7)), fresh)
  assert.is(code(at(7), receiver(nobleVerifier, spoilt)), 'ok')
  // Known from a stamp alone: what was kept back is late from then on.
  assert.is(code(at(6), receiver(nobleVerifier, { ...spoilt, own: left(1010) })), 'seal.rate')
  assert.is(code(at(6), receiver(nobleVerifier, { ...spoilt, own: left(1011) })), 'ok')
  assert.is(code(at(8), receiver(nobleVerifier, { ...spoilt, own: left(11) })), 'ok')
  // Refused for its cost, a message has still told how far its sender has come.
  const refused = after(at(9), { ...fresh, own: left(0) })
  assert.is(code(at(8), receiver(nobleVerifier, { ...refused, own: left(500) })), 'seal.rate')
  assert.is(code(at(10), receiver(nobleVerifier, { ...refused, own: left(500) })), 'ok')
})

test('of twenty thousand spoilt copies a second of a message that has not come one in four is opened, and the peer pays for none', () => {
  let reception = fresh
  const codes: Record<string, number> = {}
  const copy = spoil(sealed)
  for (let n = 0; n < 40_000; n++) {
    const { result, after } = unseal(copy, receiver(nobleVerifier, reception), mono(Math.floor(n / 20)))
    const code = result.ok ? 'ok' : result.fault.code
    codes[code] = (codes[code] ?? 0) + 1
    reception = after?.reception ?? reception
  }
  // The burst, and five more in each millisecond but the first.
  assert.equal(codes, { 'seal.forged': 5000 + 1999 * 5, 'seal.rate': 40_000 - 5000 - 1999 * 5 })
  assert.equal(reception.own, fresh.own)
})

test('a bucket refills by time, never beyond its size, and nothing while the clock stands or goes back', () => {
  const size = { burst: 3, perSecond: 2 }
  assert.is(takeTokens(fullBucket(size, mono(0)), size, 2, mono(0), 1)?.level, 1000)
  assert.is(takeTokens(fullBucket(size, mono(0)), size, 2, mono(0), 2), undefined)
  const empty = takeTokens(fullBucket(size, mono(1000)), size, 3, mono(1000))!
  assert.is(takeTokens(empty, size, 1, mono(1499)), undefined)
  assert.is(takeTokens(empty, size, 1, mono(1500))?.level, 0)
  assert.is(takeTokens(empty, size, 1, mono(0)), undefined)
  assert.is(takeTokens(empty, size, 3, mono(60_000))?.level, 0)
  assert.is(takeTokens(empty, size, 4, mono(60_000)), undefined)
})

test('no mutant of a sealed message opens, and none throws', () => {
  const mutate = fc.tuple(fc.nat(sealed.length - 1), fc.integer({ min: 1, max: 255 }), fc.nat(3))
  assertProperty(
    fc.property(mutate, ([at, flip, how]) => {
      const mutant = Uint8Array.from(sealed)
      mutant[at]! ^= flip
      const cut = how === 0 ? mutant.subarray(0, at) : how === 1 ? concat(sealed, mutant.subarray(at)) : mutant
      assert.is.not(code(cut), 'ok')
    }),
    2000,
  )
})

test.run()
