import { createPublicKey } from 'node:crypto'
import { Sign1 } from '@auth0/cose'
import { signEnvelope } from '../../../drivers/crypto/sign-envelope.ts'
import { createP256Signer, createSigner } from '../../../drivers/crypto/signer.ts'
import type { Signer } from '../../../drivers/ports.ts'
import { concat, hex, toHex } from '../../../protocol/bytes.ts'
import { assemble, parseSign1 } from '../../../protocol/crypto/cose.ts'
import { nobleVerifier } from '../../../protocol/crypto/verify.ts'
import { ueidOf } from '../../../protocol/identity/key.ts'
import {
  encodeKeyStatement,
  encodeRevocation,
  judgeKey,
  KEY_PROOF_PURPOSE,
  KEY_PURPOSE,
  type KeyRoot,
  type KeyStatement,
  keyAt,
  parseKeyRecord,
  REVOCATION_PURPOSE,
  type Revocation,
  readKeyHistory,
} from '../../../protocol/identity/rotation.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('rotation of keys')

const account = createSigner(new Uint8Array(32).fill(9))
const [one, two, three] = [
  createSigner(new Uint8Array(32).fill(1)),
  createP256Signer(new Uint8Array(32).fill(2)),
  createSigner(new Uint8Array(32).fill(3)),
] as const
const stranger = createSigner(new Uint8Array(32).fill(66))
const device = ueidOf(account.publicKey)
const root: KeyRoot = { device, use: 'metering', first: one.publicKey, account: account.publicKey }
const DAY = 86_400_000
const T = 1_800_000_000_000
const at = (day: number) => instant(T + day * DAY)

const statement = (number: number, before: Signer, after: Signer, more: Partial<KeyStatement> = {}): KeyStatement => ({
  device,
  use: 'metering',
  number,
  before: before.publicKey,
  key: after.publicKey,
  trust: 'sealed-file',
  boot: number * 10,
  time: at(number * 10),
  reason: 'planned',
  quality: 'synchronised',
  ...more,
})

async function handOver(said: KeyStatement, before: Signer, after: Signer): Promise<Uint8Array> {
  const proof = must(await signEnvelope(after, encodeKeyStatement(said), KEY_PROOF_PURPOSE))
  return must(await signEnvelope(before, proof.envelope, KEY_PURPOSE)).envelope
}
const toTwo = await handOver(statement(2, one, two), one, two)
const toThree = await handOver(statement(3, two, three), two, three)

const revocation = (key: Signer, more: Partial<Revocation> = {}): Revocation => ({
  device,
  use: 'metering',
  key: key.publicKey,
  since: at(25),
  time: at(26),
  reason: 'stolen',
  ...more,
})
const revoke = async (said: Revocation, by: Signer) =>
  must(await signEnvelope(by, encodeRevocation(said), REVOCATION_PURPOSE)).envelope

const read = (...records: Uint8Array[]) => readKeyHistory(root, records, nobleVerifier)
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

test("a statement is a map of ten inside the new key's envelope inside the old key's, byte for byte", () => {
  const outer = must(parseSign1(toTwo))
  const inner = must(parseSign1(outer.payload))
  assert.is(outer.alg, 'EdDSA')
  assert.is(inner.alg, 'ES256')
  assert.is(
    toHex(inner.payload),
    [
      'aa', // a map of ten
      `0151${toHex(device)}`, // the device
      '0201', // metering
      '0302', // the second key
      `045820${toHex(one.publicKey)}`,
      `055821${toHex(two.publicKey)}`,
      '0601', // sealed-file
      '0714', // from boot 20 on
      `081b${(T + 20 * DAY).toString(16).padStart(16, '0')}`,
      '0900', // planned
      '0a02', // synchronised
    ].join(''),
  )
  assert.ok(toTwo.length < 400, `${toTwo.length} bytes`)
})

test('another implementation of COSE accepts both signatures, each by its own key and for its own purpose only', async () => {
  const heads = {
    EdDSA: hex('302a300506032b6570032100'),
    ES256: hex('3039301306072a8648ce3d020106082a8648ce3d030107032200'),
  }
  const accepts = async (envelope: Uint8Array, { alg, publicKey }: Signer, externalAAD: Uint8Array) => {
    const key = createPublicKey({ key: Buffer.from(concat(heads[alg], publicKey)), format: 'der', type: 'spki' })
    try {
      await Sign1.decode(envelope).verify(key, { externalAAD })
      return true
    } catch {
      return false
    }
  }
  const inner = must(parseSign1(toTwo)).payload
  assert.ok(await accepts(toTwo, one, KEY_PURPOSE))
  assert.ok(await accepts(inner, two, KEY_PROOF_PURPOSE))
  assert.not.ok(await accepts(toTwo, one, KEY_PROOF_PURPOSE))
  assert.not.ok(await accepts(inner, two, KEY_PURPOSE))
  assert.not.ok(await accepts(toTwo, two, KEY_PURPOSE))
  assert.ok(await accepts(await revoke(revocation(one), account), account, REVOCATION_PURPOSE))
})

test('the key in force is told by the boot, in whatever order the statements come', () => {
  for (const records of [
    [toTwo, toThree],
    [toThree, toTwo],
    [toThree, toTwo, toThree],
  ]) {
    const history = must(read(...records))
    assert.equal(
      history.periods.map(({ number, key }) => [number, toHex(key)]),
      [one, two, three].map((signer, i) => [i + 1, toHex(signer.publicKey)]),
    )
    // A board whose clock woke up in 1970 says its boot all the same.
    for (const [boot, number] of [
      [1, 1],
      [19, 1],
      [20, 2],
      [29, 2],
      [30, 3],
      [1000, 3],
    ] as const) {
      assert.is(keyAt(history, { boot, time: instant(0) }).number, number, `boot ${boot}`)
    }
    // A head knows no boot, only the time.
    for (const [day, number] of [
      [0, 1],
      [19, 1],
      [20, 2],
      [30, 3],
    ] as const) {
      assert.is(keyAt(history, { time: at(day) }).number, number, `day ${day}`)
    }
  }
})

test('an envelope is believed of the key in force alone', () => {
  const history = must(read(toTwo, toThree))
  const judged = (key: Signer, boot: number) => codeOf(judgeKey(history, key.publicKey, { boot, time: at(boot) }))
  assert.equal([judged(one, 19), judged(two, 20), judged(three, 30)], ['ok', 'ok', 'ok'])
  assert.equal([judged(one, 20), judged(two, 30)], ['key.superseded', 'key.superseded'])
  assert.equal([judged(two, 19), judged(three, 29)], ['key.not-yet', 'key.not-yet'])
  assert.is(judged(stranger, 20), 'key.unknown')
})

test("a statement without the old key's signature, or without proof of the new key, is refused", async () => {
  const said = statement(2, one, two)
  assert.is(codeOf(read(await handOver(said, stranger, two))), 'key.kid')
  assert.is(codeOf(read(await handOver(said, one, stranger))), 'key.kid')
  // The header names the right key, and another one signed.
  const proof = must(await signEnvelope(two, encodeKeyStatement(said), KEY_PROOF_PURPOSE)).envelope
  const liar: Signer = { ...stranger, publicKey: one.publicKey }
  assert.is(codeOf(read(must(await signEnvelope(liar, proof, KEY_PURPOSE)).envelope)), 'cose.signature')
  const borrowed: Signer = { ...createP256Signer(new Uint8Array(32).fill(5)), publicKey: two.publicKey }
  assert.is(codeOf(read(await handOver(said, one, borrowed))), 'cose.signature')
})

test('for a key that is lost or stolen, and for no other, the account may say which one follows', async () => {
  const spoken = async (reason: KeyStatement['reason'], by: Signer) =>
    handOver(statement(2, one, two, { reason }), by, two)
  assert.equal(
    [codeOf(read(await spoken('lost', account))), codeOf(read(await spoken('stolen', account)))],
    ['ok', 'ok'],
  )
  assert.is(codeOf(read(await spoken('lost', one))), 'ok')
  assert.is(codeOf(read(await spoken('lost', stranger))), 'key.kid')
  for (const reason of ['planned', 'moved'] as const) {
    assert.is(codeOf(read(await spoken(reason, account))), 'key.kid')
  }
  const { account: _, ...withoutAccount } = root
  assert.is(codeOf(readKeyHistory(withoutAccount, [await spoken('lost', account)], nobleVerifier)), 'key.kid')
})

test('a signature made for something else is none: not one of a reading, nor the two of a statement for each other', async () => {
  const said = encodeKeyStatement(statement(2, one, two))
  const proofElsewhere = must(await signEnvelope(two, said, KEY_PURPOSE)).envelope
  assert.is(codeOf(read(must(await signEnvelope(one, proofElsewhere, KEY_PURPOSE)).envelope)), 'cose.signature')
  const proof = must(await signEnvelope(two, said, KEY_PROOF_PURPOSE)).envelope
  assert.is(codeOf(read(must(await signEnvelope(one, proof, KEY_PROOF_PURPOSE)).envelope)), 'cose.signature')
})

test('two statements of one number are a fork, and the same words signed twice are not', async () => {
  const other = await handOver(statement(2, one, three), one, three)
  const forked = read(toTwo, other)
  assert.is(codeOf(forked), 'key.fork')
  if (!forked.ok)
    assert.equal(
      { ...forked.fault },
      {
        code: 'key.fork',
        number: 2,
        one: toHex(two.publicKey),
        other: toHex(three.publicKey),
      },
    )
  // ES256 signs the same words differently each time.
  const again = await handOver(statement(2, one, two), one, two)
  assert.not.equal(again, toTwo)
  assert.is(must(read(toTwo, again)).periods.length, 2)
  // What nobody entitled said is no fork but a wrong signature.
  assert.is(codeOf(read(toTwo, await handOver(statement(2, one, three), stranger, three))), 'key.kid')
})

test('missing, foreign, unlinked, repeated and backward statements are named', async () => {
  assert.is(codeOf(read(toThree)), 'key.gap')
  const elsewhere = { device: ueidOf(stranger.publicKey) }
  assert.is(codeOf(read(await handOver(statement(2, one, two, elsewhere), one, two))), 'key.other-device')
  assert.is(codeOf(read(await handOver(statement(2, stranger, two), stranger, two))), 'key.not-linked')
  assert.is(codeOf(read(toTwo, await handOver(statement(3, two, one), two, one))), 'key.reused')
  const back = await handOver(statement(3, two, three, { boot: 19 }), two, three)
  assert.is(codeOf(read(toTwo, back)), 'key.boot-fell')
  assert.is(codeOf(read(Uint8Array.of(1))), 'cose.shape')
})

test('statements of another use are passed over', async () => {
  const ocmf = await handOver(statement(2, one, three, { use: 'ocmf' }), one, three)
  assert.is(must(read(toTwo, ocmf)).periods.length, 2)
  assert.is(must(readKeyHistory({ ...root, use: 'ocmf' }, [toTwo, ocmf], nobleVerifier)).periods.length, 2)
})

test('from its revocation on nothing of a key is believed, and before it all that was', async () => {
  const history = must(read(toTwo, await revoke(revocation(two), account)))
  const judged = (day: number) => codeOf(judgeKey(history, two.publicKey, { boot: 22, time: at(day) }))
  assert.equal([judged(22), judged(24), judged(25), judged(26)], ['ok', 'ok', 'key.revoked', 'key.revoked'])
  const fault = judgeKey(history, two.publicKey, { boot: 22, time: at(26) })
  assert.not.ok(fault.ok)
  if (!fault.ok)
    assert.equal(
      { ...fault.fault },
      {
        code: 'key.revoked',
        key: toHex(two.publicKey),
        since: at(25),
        time: at(26),
      },
    )
  // Without the revocation the same envelope is believed.
  assert.is(codeOf(judgeKey(must(read(toTwo)), two.publicKey, { boot: 22, time: at(26) })), 'ok')
})

test('a revocation by boot holds for a board that never knew the time', async () => {
  const history = must(read(toTwo, await revoke(revocation(two, { boot: 25 }), account)))
  const judged = (boot: number) => codeOf(judgeKey(history, two.publicKey, { boot, time: instant(0) }))
  assert.equal([judged(24), judged(25)], ['ok', 'key.revoked'])
})

test('of two revocations the one that reaches further back holds, in either order', async () => {
  const [early, late] = [
    await revoke(revocation(two, { since: at(22) }), account),
    await revoke(revocation(two), account),
  ]
  for (const records of [
    [early, late],
    [late, early],
  ]) {
    assert.is(must(read(toTwo, ...records)).periods[1]!.revoked?.since, at(22))
  }
})

test('the account alone may revoke: a thief of the key of today takes nothing from those before it', async () => {
  const of = async (key: Signer, by: Signer) => codeOf(read(toTwo, toThree, await revoke(revocation(key), by)))
  assert.equal([await of(one, account), await of(three, account)], ['ok', 'ok'])
  for (const by of [two, three, one, stranger]) {
    for (const key of [one, two, three]) assert.is(await of(key, by), 'key.not-entitled')
  }
  // Whatever time he writes into it, and although the account has revoked his key.
  const stolen = await revoke(revocation(two, { since: at(24) }), account)
  const byThief = await revoke(revocation(one, { since: at(1), time: at(23) }), two)
  assert.is(codeOf(read(toTwo, stolen, byThief)), 'key.not-entitled')
  assert.is(codeOf(read(await revoke(revocation(stranger), account))), 'key.unknown')
  const liar: Signer = { ...stranger, publicKey: account.publicKey }
  assert.is(codeOf(read(await revoke(revocation(one), liar))), 'cose.signature')
  const { account: _, ...withoutAccount } = root
  const unknown = readKeyHistory(withoutAccount, [await revoke(revocation(one), account)], nobleVerifier)
  assert.is(codeOf(unknown), 'key.not-entitled')
})

test('a statement or revocation with any byte changed or cut off has no effect', async () => {
  const uses = ['account', 'metering', 'ocmf'] as const
  for (const record of [toTwo, await revoke(revocation(one), account)]) {
    const effects = (input: Uint8Array) =>
      uses.filter(use => {
        const history = readKeyHistory({ ...root, use }, [input], nobleVerifier)
        return history.ok && (history.value.periods.length > 1 || history.value.periods[0]!.revoked !== undefined)
      })
    assert.equal(effects(record), ['metering'])
    for (let byte = 0; byte < record.length; byte++) {
      for (const bit of [1, 0x80]) {
        const bad = record.slice()
        bad[byte]! ^= bit
        assert.equal(effects(bad), [], `byte ${byte}`)
      }
      assert.equal(effects(record.subarray(0, byte)), [], `cut at ${byte}`)
    }
  }
})

test('any bytes are taken apart or refused, never thrown over', () => {
  assertProperty(
    fc.property(fc.uint8Array({ maxLength: 700 }), fc.boolean(), (junk, framed) => {
      const input = framed ? assemble(hex('a201270448 0001020304050607'), junk, new Uint8Array(64)) : junk
      const parsed = parseKeyRecord(input)
      assert.type(parsed.ok, 'boolean')
      assert.not.ok(read(input).ok)
    }),
    2000,
  )
})

test.run()
