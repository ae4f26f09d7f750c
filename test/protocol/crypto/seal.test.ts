import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import { concat, hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { fullBucket, takeTokens } from '../../../protocol/crypto/bucket.ts'
import { assemble, kidOf, protectedHeader, toBeSigned } from '../../../protocol/crypto/cose.ts'
import { addressOf } from '../../../protocol/crypto/hash.ts'
import {
  MESSAGE_CONTEXT,
  PEER_BUCKET,
  pairKeys,
  type Receiver,
  seal,
  sealingKey,
  unseal,
} from '../../../protocol/crypto/seal.ts'
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
const nonce = new Uint8Array(24).fill(9)
const now = mono(0)

const signBy = (who: typeof ada, payload: Uint8Array, context = MESSAGE_CONTEXT) => {
  const header = protectedHeader('EdDSA', kidOf('EdDSA', who.publicKey))
  return assemble(header, payload, ed25519.sign(toBeSigned(header, payload, context), who.secret))
}
const toBob = must(pairKeys(ada.sealing, bob.sealing.publicKey))
const fromAda = must(pairKeys(bob.sealing, ada.sealing.publicKey))
const receiver = (verifier: Verifier = nobleVerifier, bucket = fullBucket(PEER_BUCKET, now)): Receiver => ({
  topic,
  verifier,
  peerOf: from =>
    from === toHex(ada.address) ? { publicKey: ada.publicKey, receiveKey: fromAda.receive, bucket } : undefined,
})
const payload = utf8('a message')
const sealed = seal(toBob.send, ada.address, topic, nonce, signBy(ada, payload))
const code = (bytes: Uint8Array, to = receiver()) => {
  const { result } = unseal(bytes, to, now)
  return result.ok ? 'ok' : result.fault.code
}

test('both ends derive the same two keys, one a direction, and the keys of another pair differ', () => {
  assert.equal(toBob.send, fromAda.receive)
  assert.equal(toBob.receive, fromAda.send)
  assert.not.equal(toBob.send, toBob.receive)
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
  const { result, charged } = unseal(sealed, receiver(), now)
  assert.equal(must(result), { from: toHex(ada.address), payload })
  assert.is(charged?.bucket.level, (PEER_BUCKET.burst - 11) * 1000)
})

test('each refusal has its name', () => {
  assert.is(code(new Uint8Array(60)), 'seal.length')
  assert.is(code(concat(sealed, new Uint8Array(4096))), 'seal.length')
  assert.is(code(concat(Uint8Array.of(2), sealed.subarray(1))), 'seal.version')
  assert.is(code(seal(toBob.send, bob.address, topic, nonce, signBy(ada, payload))), 'seal.stranger')
  assert.is(code(seal(toBob.send, ada.address, 'tieline/1/other', nonce, signBy(ada, payload))), 'seal.forged')
  assert.is(code(seal(toBob.receive, ada.address, topic, nonce, signBy(ada, payload))), 'seal.forged', 'reflected')
  assert.is(code(seal(toBob.send, ada.address, topic, nonce, signBy(bob, payload))), 'cose.signature')
  assert.is(
    code(seal(toBob.send, ada.address, topic, nonce, signBy(ada, payload, utf8('tieline/tx/1')))),
    'cose.signature',
  )
  assert.is(code(seal(toBob.send, ada.address, topic, nonce, payload)), 'cose.shape')
})

test('a flood in the name of a peer is refused before any crypto, and a signature costs more than an opening', () => {
  let checks = 0
  const counting: Verifier = {
    verify: (...args) => {
      checks++
      return nobleVerifier.verify(...args)
    },
  }
  const left = (tokens: number) => ({ level: tokens * 1000, at: now })
  assert.is(code(sealed, receiver(counting, left(0))), 'seal.rate')
  assert.is(code(sealed, receiver(counting, left(10))), 'seal.rate')
  assert.is(checks, 0)
  assert.is(code(sealed, receiver(counting, left(11))), 'ok')
  assert.is(checks, 1)
})

test('a bucket refills by time, never beyond its size, and nothing while the clock stands or goes back', () => {
  const size = { burst: 3, perSecond: 2 }
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
