/** Every kind of envelope, judged by programs that know nothing of ours: @auth0/cose, cbor2 and the openssl command. */
import { spawnSync } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Sign1 } from '@auth0/cose'
import { decode as decode2, encode as encode2, type Tag } from 'cbor2'
import { signEnvelope } from '../../../drivers/crypto/sign-envelope.ts'
import { createP256Signer, createSigner } from '../../../drivers/crypto/signer.ts'
import { equalBytes, hex, toHex, utf8 } from '../../../protocol/bytes.ts'
import { type Cbor, decode, encode } from '../../../protocol/cbor.ts'
import { assemble, protectedHeader } from '../../../protocol/crypto/cose.ts'
import { encodeReading, READING_PURPOSE, type Reading } from '../../../protocol/reading/reading.ts'
import { verifyContext, verifyReading } from '../../../protocol/reading/verify.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { noOpenssl } from '../../programs.ts'
import { fc } from '../../property.ts'
import { anyReading } from '../ocmf/sample.ts'
import { everyKind, type Kind } from './every-kind.ts'
import { verifier } from './sample.ts'

const test = suite('every kind of envelope')

const kinds = await everyKind()

const codeOf = ({ verify }: Kind, bytes: Uint8Array): string => {
  const found = verify(bytes, verifier)
  return found.ok ? 'accepted' : found.fault.code
}

/** SubjectPublicKeyInfo up to the raw key (RFC 8410 section 4; RFC 5480 section 2). */
const SPKI_HEAD = { EdDSA: '302a300506032b6570032100', ES256: '3039301306072a8648ce3d020106082a8648ce3d030107032200' }
const keyOf = ({ signer: { alg, publicKey } }: Pick<Kind, 'signer'>) =>
  createPublicKey({ key: Buffer.from(SPKI_HEAD[alg] + toHex(publicKey), 'hex'), format: 'der', type: 'spki' })

/** Header, payload and signature, and what was signed (RFC 9052 section 4.4), taken apart and put together by cbor2. */
function taken(envelope: Uint8Array, purpose: Uint8Array) {
  const { tag, contents } = decode2(envelope) as Tag
  assert.is(tag, 18)
  const [header, , payload, signature] = contents as [Uint8Array, unknown, Uint8Array, Uint8Array]
  return { payload, signature, message: encode2(['Signature1', header, purpose, payload], { cde: true }) }
}

/** Whether @auth0/cose takes it. It refuses by throwing, a text that is no COSE_Sign1 as well as a wrong signature. */
async function peerTakes(by: Pick<Kind, 'signer'>, envelope: Uint8Array, externalAAD: Uint8Array): Promise<boolean> {
  try {
    await Sign1.decode(envelope).verify(keyOf(by), { externalAAD })
    return true
  } catch {
    return false
  }
}

test('each is verified by ours and by @auth0/cose, and by neither for another purpose', async () => {
  for (const kind of kinds) {
    assert.is(codeOf(kind, kind.envelope), 'accepted', kind.name)
    assert.ok(await peerTakes(kind, kind.envelope, kind.purpose), kind.name)
    assert.not.ok(await peerTakes(kind, kind.envelope, utf8('tieline/other/1')), kind.name)
  }
})

test('@auth0/cose refuses a reading with a bit changed anywhere', async () => {
  for (const kind of kinds.filter(({ name }) => name.endsWith(' reading'))) {
    for (let at = 0; at < kind.envelope.length; at++) {
      const bad = kind.envelope.slice()
      bad[at]! ^= 0x01
      assert.not.ok(await peerTakes(kind, bad, kind.purpose), `${kind.name}, byte ${at}`)
    }
  }
})

test('any reading is verified by both, by its own key only', async () => {
  const contexts = kinds.filter(({ name }) => name.endsWith(' context'))
  assert.is(contexts.length, 2)
  for (const context of contexts) {
    const seed = new Uint8Array(32).fill(8)
    const stranger = context.signer.alg === 'EdDSA' ? createSigner(seed) : createP256Signer(seed)
    const { hash } = must(verifyContext(context.envelope, context.signer.publicKey, verifier))
    for (const any of fc.sample(anyReading, { numRuns: 20, seed: 9052 })) {
      const reading: Reading = { ...any, context: hash.subarray(0, 8), previous: new Uint8Array(32) }
      const { envelope } = must(await signEnvelope(context.signer, encodeReading(reading), READING_PURPOSE))
      assert.ok(await peerTakes(context, envelope, READING_PURPOSE))
      assert.not.ok(await peerTakes({ signer: stranger }, envelope, READING_PURPOSE))
      const found = must(verifyReading(envelope, context.envelope, context.signer.publicKey, verifier))
      assert.is(found.reading.sequence, any.sequence)
    }
  }
})

/** DER of r || s (RFC 3279 section 2.2.3). */
function der(signature: Uint8Array): Uint8Array {
  const integer = (half: Uint8Array) => {
    const digits = toHex(half).replace(/^(00)+(?=..)/, '')
    const positive = Number.parseInt(digits.slice(0, 2), 16) >= 0x80 ? `00${digits}` : digits
    return `02${(positive.length / 2).toString(16).padStart(2, '0')}${positive}`
  }
  const both = integer(signature.subarray(0, 32)) + integer(signature.subarray(32))
  return hex(`30${(both.length / 2).toString(16)}${both}`)
}

test.skipIf(noOpenssl, 'the openssl command verifies each, and refuses it with a bit changed', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-envelopes-'))
  const file = (name: string, bytes: Uint8Array | string) => {
    writeFileSync(join(folder, name), bytes)
    return join(folder, name)
  }
  try {
    for (const kind of kinds) {
      const { message, signature } = taken(kind.envelope, kind.purpose)
      const key = file('key', keyOf(kind).export({ format: 'pem', type: 'spki' }))
      const says = (bytes: Uint8Array): boolean => {
        const text = file('message', bytes)
        const { status, stderr } =
          kind.signer.alg === 'EdDSA'
            ? spawnSync('openssl', [
                ...['pkeyutl', '-verify', '-pubin', '-inkey', key, '-rawin'],
                ...['-in', text, '-sigfile', file('signature', signature)],
              ])
            : spawnSync('openssl', [
                ...['dgst', '-sha256', '-verify', key],
                ...['-signature', file('signature', der(signature)), text],
              ])
        assert.ok(status === 0 || status === 1, `${kind.name}: ${stderr}`)
        return status === 0
      }
      assert.ok(says(message), kind.name)
      const bad = message.slice()
      bad[bad.length - 3]! ^= 0x01
      assert.not.ok(says(bad), kind.name)
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('cbor2 reads the same payload in each, and writes it the same', () => {
  for (const kind of kinds) {
    const { payload } = taken(kind.envelope, kind.purpose)
    assert.ok(equalBytes(payload, kind.payload), kind.name)
    const options = { cde: true, preferMap: true, rejectFloats: true, rejectStreaming: true } as const
    assert.ok(equalBytes(encode2(decode2(payload, options), { cde: true }), payload), kind.name)
  }
})

/** Another value of the same kind: what a forger would write there. */
function changed(value: Cbor): Cbor {
  if (typeof value === 'number' || typeof value === 'bigint') return value === 0 ? 1 : Number(value) - 1
  if (typeof value === 'string') return `${value.slice(0, -1)}${value.endsWith('1') ? '2' : '1'}`
  if (typeof value === 'boolean') return !value
  if (value instanceof Uint8Array)
    return Uint8Array.from(value, (byte, i) => (i === value.length - 1 ? byte ^ 1 : byte))
  throw new TypeError('an array or map is changed in its parts')
}

/** Every payload that differs in one value, however deep, or lacks one field. */
function* forgeries(value: Cbor): Generator<Cbor> {
  if (value instanceof Map) {
    for (const [key, item] of value) {
      for (const other of forgeries(item)) yield new Map(value).set(key, other)
      yield new Map([...value].filter(([one]) => one !== key))
    }
  } else if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) for (const other of forgeries(item)) yield value.with(i, other)
  } else yield changed(value)
}

test('any one field changed or left out is refused, with the old signature on it', () => {
  for (const kind of kinds) {
    const { signature } = taken(kind.envelope, kind.purpose)
    const header = must(decode(kind.envelope.subarray(1))) as readonly Cbor[]
    let forged = 0
    for (const other of forgeries(must(decode(kind.payload)))) {
      const bytes = assemble(header[0] as Uint8Array, encode(other), signature)
      assert.is.not(codeOf(kind, bytes), 'accepted', `${kind.name} ${forged}`)
      forged++
    }
    assert.ok(forged >= 12, `${forged}`)
  }
})

test('the higher s of an ES256 signature is a second text of the same signature, and is not taken', () => {
  const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n
  for (const kind of kinds.filter(({ signer }) => signer.alg === 'ES256')) {
    const twin = kind.envelope.slice()
    const s = N - BigInt(`0x${toHex(twin.subarray(-32))}`)
    twin.set(hex(s.toString(16).padStart(64, '0')), twin.length - 32)
    assert.ok(verifier.verify('ES256', kind.signer.publicKey, taken(twin, kind.purpose).message, twin.subarray(-64)))
    assert.is(codeOf(kind, twin), 'cose.shape', kind.name)
  }
})

test('the same words under another key’s name, or under the number of the other algorithm, are refused', () => {
  for (const kind of kinds) {
    const { payload, signature } = taken(kind.envelope, kind.purpose)
    const { alg } = kind.signer
    const other = protectedHeader(alg, new Uint8Array(8))
    assert.is(codeOf(kind, assemble(other, payload, signature)), 'reading.kid', kind.name)
    const crossed = protectedHeader(alg === 'EdDSA' ? 'ES256' : 'EdDSA', new Uint8Array(8))
    assert.is(codeOf(kind, assemble(crossed, payload, signature)), 'cose.alg', kind.name)
  }
})

test.run()
