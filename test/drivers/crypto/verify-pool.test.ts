import { createSigner } from '../../../drivers/crypto/signer.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { createVerifyPool } from '../../../drivers/crypto/verify-pool.ts'
import { hex, utf8 } from '../../../protocol/bytes.ts'
import { questionName } from '../../../protocol/crypto/question.ts'
import { type Alg, nobleVerifier, type Verifier } from '../../../protocol/crypto/verify.ts'
import { noSharedData, sharedText } from '../../data.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('verify pool')

type Question = readonly [alg: Alg, publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array]

const signers = [1, 2, 3].map(n => createSigner(new Uint8Array(32).fill(n)))

/** `count` good questions; every `badEach`th has a changed signature. */
const questions = (count: number, badEach = Number.POSITIVE_INFINITY): Promise<readonly Question[]> =>
  Promise.all(
    Array.from({ length: count }, async (_, i): Promise<Question> => {
      const signer = signers[i % signers.length]!
      const message = utf8(`message ${i}`)
      const signature = signer.signNow(message)
      if (i % badEach === badEach - 1) signature[5]! ^= 1
      return ['EdDSA', signer.publicKey, message, signature]
    }),
  )

const ask = (verifier: Verifier, all: readonly Question[]): readonly boolean[] =>
  all.map(question => verifier.verify(...question))

test('every yes was right: one pass is enough', async () => {
  const batch = createVerifyPool(createVerifier()).begin()
  assert.ok(ask(batch.hopeful, await questions(300)).every(answer => answer))
  assert.is((await batch.settle()).allValid, true)
})

test('a batch that was asked nothing settles', async () => {
  assert.is((await createVerifyPool(createVerifier()).begin().settle()).allValid, true)
})

test('where one was wrong, the verifier that knows gives the plain one’s verdicts, also on what was never asked', async () => {
  const all = await questions(200, 7)
  const plain = createVerifier()
  const batch = createVerifyPool(createVerifier()).begin()
  assert.ok(
    ask(batch.hopeful, all).every(answer => answer),
    'taken for valid until it settles',
  )
  const { allValid, known } = await batch.settle()
  assert.is(allValid, false)
  assert.equal(ask(known, all), ask(plain, all))
  const others = await questions(230, 11)
  assert.equal(ask(known, others), ask(plain, others))
})

test('what has not the shape of a key or signature is a plain no at settling, and never an exception', async () => {
  const [[alg, key, message, signature]] = (await questions(1)) as [Question]
  const shapeless: readonly Question[] = [
    [alg, key.subarray(1), message, signature],
    [alg, key, message, signature.subarray(1)],
    ['ES256', key, message, signature],
    ['ES256', new Uint8Array(33).fill(2), message, signature],
    ['ES256', new Uint8Array(33), message, signature],
  ]
  for (const question of shapeless) {
    const batch = createVerifyPool(createVerifier()).begin()
    batch.hopeful.verify(...question)
    const { allValid, known } = await batch.settle()
    assert.is(allValid, false)
    assert.is(known.verify(...question), false)
  }
})

test('one wrong signature does not have those checked again that were known before', async () => {
  const plain = createVerifier()
  let checked = 0
  const counting = {
    ...plain,
    verify: (...question: Question) => {
      checked++
      return plain.verify(...question)
    },
  }
  const all = await questions(50, 50)
  const remembered = new Set(all.slice(0, 49).map(question => questionName(...question)!))
  const memory = { has: (name: string) => remembered.has(name), add: (name: string) => void remembered.add(name) }
  const batch = createVerifyPool(counting).begin(memory)
  ask(batch.hopeful, all)
  const { allValid, known } = await batch.settle()
  assert.is(allValid, false)
  assert.equal(ask(known, all), ask(plain, all))
  assert.is(checked, 0)
})

test('a message that its owner alters after asking is checked as it was', async () => {
  const [[alg, key, message, signature]] = (await questions(1)) as [Question]
  const batch = createVerifyPool(createVerifier()).begin()
  batch.hopeful.verify(alg, key, message, signature)
  message.fill(0)
  assert.is((await batch.settle()).allValid, true)
})

test('beyond the cap the answer is given on the spot, and is the true one', async () => {
  const all = await questions(12, 3)
  const batch = createVerifyPool(createVerifier(), 4).begin()
  assert.equal(
    ask(batch.hopeful, all),
    all.map((_, i) => i < 4 || i % 3 !== 2),
  )
  assert.is((await batch.settle()).allValid, false, 'the third was bad')
})

test('what is remembered as valid is not checked again, and only what was found valid is remembered', async () => {
  let checked = 0
  const inner = createVerifier()
  const counting: typeof inner = {
    ...inner,
    verifyAside: (...all) => {
      checked++
      inner.verifyAside(...all)
    },
  }
  const memory = new Set<string>()
  const pool = createVerifyPool(counting)
  const all = await questions(10, 5)
  const first = pool.begin(memory)
  ask(first.hopeful, all)
  await first.settle()
  assert.is(checked, 10)
  assert.equal(
    all.map(question => memory.has(questionName(...question)!)),
    all.map((_, i) => i % 5 !== 4),
  )
  const second = pool.begin(memory)
  ask(second.hopeful, all)
  assert.is((await second.settle()).allValid, false)
  assert.is(checked, 12, 'the two bad ones again')
})

interface Case {
  readonly message: string
  readonly pub_key: string
  readonly signature: string
  readonly zip215: boolean
}

test.skipIf(noSharedData, 'twelve crafted signatures: ZIP-215’s verdicts on other threads too', async () => {
  const cases = JSON.parse(sharedText('ed25519/speccheck.json')) as Case[]
  let yes = 0
  for (const one of cases) {
    const question: Question = ['EdDSA', hex(one.pub_key), hex(one.message), hex(one.signature)]
    const batch = createVerifyPool(createVerifier()).begin()
    batch.hopeful.verify(...question)
    assert.is((await batch.settle()).allValid, one.zip215)
    if (one.zip215) yes++
  }
  assert.ok(yes > 0 && yes < cases.length)
})

test.skipIf(noSharedData, 'without the second opinion the pool would say what OpenSSL says', async () => {
  const cases = JSON.parse(sharedText('ed25519/speccheck.json')) as (Case & { readonly openssl: boolean })[]
  let differ = 0
  for (const one of cases) {
    const batch = createVerifyPool(createVerifier({ verify: () => false })).begin()
    batch.hopeful.verify('EdDSA', hex(one.pub_key), hex(one.message), hex(one.signature))
    const { allValid } = await batch.settle()
    assert.is(allValid, one.openssl)
    if (allValid !== nobleVerifier.verify('EdDSA', hex(one.pub_key), hex(one.message), hex(one.signature))) differ++
  }
  assert.ok(differ > 0)
})

test.run()
