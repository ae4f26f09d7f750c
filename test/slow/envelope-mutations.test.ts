/** A hundred thousand damaged envelopes, and every byte of every kind set to all other values, judged by the complete verifier. */
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { assert, suite } from '../harness.ts'
import { everyKind } from '../protocol/reading/every-kind.ts'
import { attack } from '../protocol/reading/mutations.ts'

const test = suite('damaged envelopes, by the complete verifier')

const kinds = await everyKind()
const complete = createVerifier()
/** The pure verifier has the last word on each that OpenSSL refuses, and takes a millisecond or two for it. */
const DEADLINE_MS = 20 * 60_000

test(
  'of 100,000 damaged envelopes none is taken and none throws',
  () => {
    const seed = Number(process.env['TIELINE_SEED'] ?? Date.now() % 2 ** 31)
    process.stdout.write(`seed ${seed}\n`)
    const { tried, taken } = attack(kinds, 100_000, seed, complete)
    assert.is(tried, 100_000)
    assert.equal(taken, [])
  },
  DEADLINE_MS,
)

for (const { name, envelope, verify } of kinds.filter(kind => kind.name.endsWith('reading'))) {
  test(
    `${name}: every byte set to each of its 255 other values is refused`,
    () => {
      const bad = envelope.slice()
      for (let at = 0; at < bad.length; at++) {
        for (let change = 1; change < 256; change++) {
          bad[at]! ^= change
          assert.not.ok(verify(bad, complete).ok, `byte ${at} ^ ${change}`)
          bad[at]! ^= change
        }
      }
      assert.ok(verify(bad, complete).ok)
    },
    DEADLINE_MS,
  )
}

test.run()
