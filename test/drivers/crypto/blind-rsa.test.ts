import { constants, generateKeyPairSync, sign } from 'node:crypto'
import { blindMessage, createBlindIssuer, openBlindIssuer } from '../../../drivers/crypto/blind-rsa.ts'
import { createPssVerifier } from '../../../drivers/crypto/pss-verifier.ts'
import { equalBytes, utf8 } from '../../../protocol/bytes.ts'
import { isBlindSignature, verifyPss } from '../../../protocol/crypto/rsa-pss.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const inner = suite('blind RSA')
const t = Object.assign((name: string, body: () => void | Promise<void>) => inner(name, body, 90_000), inner)
const fast = createPssVerifier()
const issuer = await createBlindIssuer()
const message = utf8('an order of nobody in particular')

const signed = async (text: Uint8Array) => {
  const asked = must(await blindMessage(issuer.modulus, text))
  return { asked, signature: must(await asked.unblind(must(await issuer.sign(asked.blinded)))) }
}

t('what was signed blind is an ordinary RSA-PSS signature, for OpenSSL and for the pure verifier', async () => {
  const { signature } = await signed(message)
  assert.ok(verifyPss(issuer.modulus, message, signature))
  assert.ok(fast(issuer.modulus, message, signature))
})

t('the issuer sees another number each time, and never the signature', async () => {
  const [one, two] = [await signed(message), await signed(message)]
  assert.not.ok(equalBytes(one.asked.blinded, two.asked.blinded))
  assert.not.ok(equalBytes(one.asked.blinded, one.signature))
})

t('both verifiers refuse every flipped byte of a signature, and another message, alike', async () => {
  const { signature } = await signed(message)
  for (let at = 0; at < signature.length; at += 5) {
    const changed = signature.slice()
    changed[at] = changed[at]! ^ (1 << (at % 8))
    assert.is(verifyPss(issuer.modulus, message, changed), false, `byte ${at}`)
    assert.is(fast(issuer.modulus, message, changed), false, `byte ${at}`)
  }
  assert.is(verifyPss(issuer.modulus, utf8('another order'), signature), false)
  assert.is(fast(issuer.modulus, utf8('another order'), signature), false)
})

t('the pure verifier takes what OpenSSL signs with salts of 48 bytes, and refuses salts of 32', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 3072 })
  const modulus = new Uint8Array(Buffer.from(publicKey.export({ format: 'jwk' }).n!, 'base64url'))
  for (const [saltLength, valid] of [
    [48, true],
    [32, false],
  ] as const) {
    const key = { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }
    const signature = new Uint8Array(sign('sha384', message, key))
    assert.is(verifyPss(modulus, message, signature), valid)
    assert.is(fast(modulus, message, signature), valid)
  }
})

t('keys, signatures and blinded messages of the wrong shape are refused and nothing is thrown', async () => {
  const { signature } = await signed(message)
  for (const modulus of [
    new Uint8Array(0),
    issuer.modulus.subarray(1),
    new Uint8Array(256),
    issuer.modulus.map(b => b & 0xfe),
  ]) {
    assert.is(verifyPss(modulus, message, signature), false)
    assert.is(fast(modulus, message, signature), false)
  }
  assert.is(verifyPss(issuer.modulus, message, issuer.modulus), false)
  assert.is(fast(issuer.modulus, message, issuer.modulus), false)
  const short = await issuer.sign(new Uint8Array(255))
  assert.is(short.ok ? '' : short.fault.code, 'blind-rsa.length')
  const beyond = await issuer.sign(new Uint8Array(256).fill(0xff))
  assert.is(beyond.ok ? '' : beyond.fault.code, 'blind-rsa.message')
})

t('an issuer that signs something else is found before its answer is used', async () => {
  const asked = must(await blindMessage(issuer.modulus, message))
  const other = must(await blindMessage(issuer.modulus, utf8('something else')))
  const answer = await asked.unblind(must(await issuer.sign(other.blinded)))
  assert.is(answer.ok ? '' : answer.fault.code, 'blind-rsa.answer')
})

t('a signature has one form: with the modulus added, where that fits its bytes, it is refused', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const modulus = new Uint8Array(Buffer.from(publicKey.export({ format: 'jwk' }).n!, 'base64url'))
  const n = BigInt(`0x${Buffer.from(modulus).toString('hex')}`)
  const key = { key: privateKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 }
  let tried = 0
  for (let s = n; s + n >= 1n << 2048n && tried < 2_000; tried++) {
    const signature = new Uint8Array(sign('sha384', message, key))
    s = BigInt(`0x${Buffer.from(signature).toString('hex')}`)
    if (s + n >= 1n << 2048n) continue
    const other = new Uint8Array(Buffer.from((s + n).toString(16).padStart(512, '0'), 'hex'))
    assert.ok(verifyPss(modulus, message, signature))
    assert.is(verifyPss(modulus, message, other), false)
    assert.is(fast(modulus, message, other), false)
    return
  }
  // A modulus so near to 2^2048 has no second form of any signature that was made here.
  assert.ok(n > (1n << 2048n) - (1n << 2040n), `no small signature in ${tried}`)
})

t('a key that was kept signs as before, and bytes that are no such key are refused', async () => {
  const kept = must(openBlindIssuer(issuer.secret()))
  assert.ok(equalBytes(kept.modulus, issuer.modulus))
  const asked = must(await blindMessage(issuer.modulus, message))
  const signature = must(await asked.unblind(must(await kept.sign(asked.blinded))))
  assert.ok(verifyPss(issuer.modulus, message, signature))
  const der = (modulusLength: number, publicExponent: number) => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent })
    return new Uint8Array(privateKey.export({ format: 'der', type: 'pkcs8' }))
  }
  const curve = generateKeyPairSync('ed25519').privateKey.export({ format: 'der', type: 'pkcs8' })
  const secret = issuer.secret()
  for (const wrong of [new Uint8Array(0), secret.subarray(0, 900), curve, der(1024, 65_537), der(2048, 3)]) {
    const opened = openBlindIssuer(new Uint8Array(wrong))
    assert.equal(opened.ok ? undefined : opened.fault, { code: 'blind-rsa.secret', bytes: wrong.length })
  }
})

t('numbers that sign themselves are signed or refused, and no number beyond the modulus is', async () => {
  const number = (last: number) => Uint8Array.from({ length: 256 }, (_, at) => (at === 255 ? last : 0))
  const below = issuer.modulus.with(255, issuer.modulus[255]! - 1)
  for (const blinded of [number(0), number(1), below]) {
    const answer = await issuer.sign(blinded)
    if (answer.ok) assert.ok(isBlindSignature(issuer.modulus, blinded, answer.value))
    else assert.is(answer.fault.code, 'blind-rsa.message')
  }
  for (const blinded of [issuer.modulus, new Uint8Array(256).fill(255)]) {
    const answer = await issuer.sign(blinded)
    assert.is(answer.ok ? undefined : answer.fault.code, 'blind-rsa.message')
  }
})

t.run()
