/** What may be lost, repeated, reordered, spoilt and forged, and who may start anew, without one message of a peer being refused for its cost. */
import { ed25519 } from '@noble/curves/ed25519.js'
import { concat, toHex, utf8 } from '../../../protocol/bytes.ts'
import { assemble, kidOf, protectedHeader, toBeSigned } from '../../../protocol/crypto/cose.ts'
import { addressOf } from '../../../protocol/crypto/hash.ts'
import {
  LATE,
  MESSAGE_CONTEXT,
  newReception,
  pairKeys,
  type Reception,
  seal,
  sealingKey,
  unseal,
} from '../../../protocol/crypto/seal.ts'
import { stampNonce } from '../../../protocol/crypto/stamp.ts'
import { must } from '../../../protocol/result.ts'
import { mono } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertCovering, fc } from '../../property.ts'

const test = suite('seal under a flood')

const secret = new Uint8Array(32).fill(1)
const publicKey = ed25519.getPublicKey(secret)
const address = addressOf(publicKey)
const topic = 'tieline/1/bob'
const bob = sealingKey(new Uint8Array(32).fill(2))
const keys = must(pairKeys(sealingKey(secret), bob.publicKey)).send
const header = protectedHeader('EdDSA', kidOf('EdDSA', publicKey))
const envelope = assemble(
  header,
  utf8('a message'),
  ed25519.sign(toBeSigned(header, utf8('a message'), MESSAGE_CONTEXT), secret),
)
const forged = concat(Uint8Array.of(1), address, new Uint8Array(150).fill(3))

type Act = 'send' | 'deliver' | 'spoil' | 'flood' | 'peer-restarts' | 'we-restart'
/** `which` counts back from the newest that was sent. */
type Step = readonly [act: Act, which: number]

const step: fc.Arbitrary<Step> = fc.tuple(
  fc.oneof(
    { weight: 10, arbitrary: fc.constant<Act>('send') },
    { weight: 14, arbitrary: fc.constant<Act>('deliver') },
    { weight: 4, arbitrary: fc.constant<Act>('spoil') },
    { weight: 4, arbitrary: fc.constant<Act>('flood') },
    { weight: 1, arbitrary: fc.constantFrom<Act>('peer-restarts', 'we-restart') },
  ),
  fc.oneof(fc.nat(3), fc.nat(2 * LATE)),
)

test('what is new of a peer is opened whatever else comes, and what was opened is not opened again', () => {
  const met: Record<string, number> = {}
  const count = (what: string) => {
    met[what] = (met[what] ?? 0) + 1
  }
  assertCovering(
    fc.property(fc.array(step, { minLength: 60, maxLength: 300 }), steps => {
      let now = 0
      let epoch = 1
      let number = 0
      const starved = (): Reception => ({ ...newReception(mono(now)), stray: { level: 0, at: mono(now) } })
      let reception = starved()
      /** Since we started: the newest stamp that came, and what was opened. */
      let newest: { epoch: number; number: number } | undefined
      let opened = new Set<Uint8Array>()
      const sent: { sealed: Uint8Array; epoch: number; number: number }[] = []
      const hear = (sealed: Uint8Array) => {
        const from = toHex(address)
        const receiver = { topic, verifier: { verify: () => true }, peerOf: () => ({ publicKey, keys, reception }) }
        const { result, after } = unseal(sealed, receiver, mono(now))
        if (after !== undefined) {
          assert.is(after.from, from)
          reception = after.reception
        }
        return result.ok ? 'ok' : result.fault.code
      }
      for (const [act, which] of steps) {
        // Fifty messages a second, of which each may be judged.
        now += 20
        const one = sent.at(-1 - which)
        if (act === 'send') {
          const nonce = stampNonce(keys.stamp, { epoch, number: ++number }, new Uint8Array(8).fill(sent.length))
          sent.push({ sealed: seal(keys.seal, address, topic, nonce, envelope), epoch, number })
        } else if (act === 'flood') {
          for (let n = 0; n < 30; n++) assert.is.not(hear(forged), 'ok')
        } else if (act === 'peer-restarts') {
          epoch++
          number = 0
        } else if (act === 'we-restart') {
          reception = starved()
          newest = undefined
          opened = new Set()
        } else if (one !== undefined) {
          const older = newest !== undefined && one.epoch < newest.epoch
          const same = newest !== undefined && one.epoch === newest.epoch
          const below = older || (same && newest!.number - one.number >= LATE)
          const place = below ? 'below' : opened.has(one.sealed) ? 'opened' : 'new'
          if (!older && !(same && newest!.number >= one.number)) newest = one
          const spoilt = Uint8Array.from(one.sealed)
          if (act === 'spoil') spoilt[60]! ^= 1
          const code = hear(spoilt)
          count(`${act} ${place}`)
          if (place === 'opened') assert.is(code, 'seal.repeated')
          else if (place === 'below') assert.ok(['ok', 'seal.forged', 'seal.rate'].includes(code), code)
          else assert.is(code, act === 'spoil' ? 'seal.forged' : 'ok')
          if (code === 'ok') opened.add(one.sealed)
        }
      }
    }),
    120,
  )
  for (const act of ['deliver', 'spoil'])
    for (const place of ['new', 'opened', 'below'])
      assert.ok((met[`${act} ${place}`] ?? 0) > 20, `${act} ${place}: ${met[`${act} ${place}`]}`)
})

test.run()
