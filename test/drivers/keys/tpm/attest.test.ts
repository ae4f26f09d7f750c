/** swtpm certifies its keys; a verifier who never saw it judges. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemEntropy } from '../../../../drivers/crypto/entropy.ts'
import { attestTpmKey } from '../../../../drivers/keys/tpm/attest-key.ts'
import { makeTpmAuth } from '../../../../drivers/keys/tpm/auth-file.ts'
import { makeTpmKey } from '../../../../drivers/keys/tpm/make-key.ts'
import { openTpmKey } from '../../../../drivers/keys/tpm/open-key.ts'
import { concat, equalBytes, hex } from '../../../../protocol/bytes.ts'
import { nobleVerifier } from '../../../../protocol/crypto/verify.ts'
import { must, type Result } from '../../../../protocol/result.ts'
import { decodeTpmEvidence, verifyTpmEvidence } from '../../../../protocol/tpm/attest.ts'
import { getHandles, HIERARCHY } from '../../../../protocol/tpm/commands.ts'
import { tpm2b } from '../../../../protocol/tpm/marshal.ts'
import { assert, suite } from '../../../harness.ts'
import { noSwtpm, type Swtpm, startSwtpm, time } from './swtpm.ts'

const test = suite('tpm attestation by swtpm')

const place = { handle: 0x8102_0001, auth: systemEntropy.bytes(16) }
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

function withSwtpm(title: string, body: (sw: Swtpm) => Promise<void>): void {
  test.skipIf(noSwtpm, title, async () => {
    const sw = await startSwtpm()
    try {
      await body(sw)
    } finally {
      await sw.end()
    }
  })
}

withSwtpm('a key is certified for a nonce of any length, and for that nonce alone', async sw => {
  const publicKey = must(await makeTpmKey(sw.tpm, place))
  for (const length of [16, 32, 64]) {
    const nonce = systemEntropy.bytes(length)
    const evidence = must(await attestTpmKey(sw.tpm, place, nonce))
    must(verifyTpmEvidence(evidence, { nonce, publicKey }, nobleVerifier))
    const later = { nonce: systemEntropy.bytes(length), publicKey }
    assert.is(codeOf(verifyTpmEvidence(evidence, later, nobleVerifier)), 'tpm.evidence-nonce')
  }
  // HR_TRANSIENT is 80: the attestation key is not left behind.
  assert.equal(must(await sw.tpm.run(getHandles(0x8000_0000, 8))), [])
})

withSwtpm('the attestation key is the same for the life of a TPM, and its starts are counted', async sw => {
  const publicKey = must(await makeTpmKey(sw.tpm, place))
  const nonce = systemEntropy.bytes(32)
  const ask = async () =>
    must(verifyTpmEvidence(must(await attestTpmKey(sw.tpm, place, nonce)), { nonce, publicKey }, nobleVerifier))
  const before = await ask()
  await sw.kill()
  await sw.start()
  const after = await ask()
  assert.equal(after.attestationKeyName, before.attestationKeyName)
  assert.is(after.resets, before.resets + 1)
  const other = await startSwtpm()
  try {
    must(await makeTpmKey(other.tpm, place))
    const foreign = must(await attestTpmKey(other.tpm, place, nonce))
    assert.is(codeOf(verifyTpmEvidence(foreign, { nonce, publicKey }, nobleVerifier)), 'tpm.evidence-key')
  } finally {
    await other.end()
  }
})

withSwtpm('a key opened from its place shows what its TPM says of it, until it is closed', async sw => {
  const authFile = join(sw.folder, 'metering.auth')
  const auth = must(await makeTpmAuth(authFile, systemEntropy))
  const source = { device: sw.where, handle: place.handle, authFile }
  // The emulator serves one connection at a time.
  const publicKey = must(await makeTpmKey(sw.tpm, { handle: place.handle, auth }))
  await sw.tpm.close()
  const key = must(await openTpmKey({ ...source, publicKey }, time, systemEntropy))
  assert.equal([key.attestation.trust, key.attestation.kind], ['tpm', 'tpm2-certify'])
  assert.not.ok(key.attestation.verified)
  assert.ok(equalBytes(must(decodeTpmEvidence(key.attestation.evidence)).key.subarray(22, 54), publicKey.subarray(1)))
  must(await key.signer.sign(hex('01')))
  await key.close()
  assert.is(codeOf(await key.signer.sign(hex('01'))), 'tpm.closed')
  writeFileSync(authFile, `${'00'.repeat(16)}\n`)
  assert.is(codeOf(await openTpmKey(source, time, systemEntropy)), 'tpm.auth')
  assert.is(codeOf(await openTpmKey({ ...source, authFile: 'no-such-file' }, time, systemEntropy)), 'file.missing')
  assert.is(codeOf(await openTpmKey({ ...source, device: 'tpm' }, time, systemEntropy)), 'tpm.address')
})

withSwtpm('an endorsement hierarchy with a password of its own costs the certificate, and not the key', async sw => {
  const authFile = join(sw.folder, 'metering.auth')
  const auth = must(await makeTpmAuth(authFile, systemEntropy))
  must(await makeTpmKey(sw.tpm, { handle: place.handle, auth }))
  // 24.8 TPM2_HierarchyChangeAuth.
  const changed = await sw.tpm.run({
    name: 'HierarchyChangeAuth',
    code: 0x129,
    handles: [HIERARCHY.endorsement],
    auths: [new Uint8Array(0)],
    parameters: tpm2b(concat(hex('0102'))),
    withinMs: 5_000,
    read: () => true,
  })
  must(changed)
  await sw.tpm.close()
  const key = must(await openTpmKey({ device: sw.where, handle: place.handle, authFile }, time, systemEntropy))
  assert.equal([key.attestation.kind, key.attestation.evidence.length], ['none', 0])
  assert.match(key.attestation.rule, /certifies nothing: tpm\.auth/)
  must(await key.signer.sign(hex('01')))
  await key.close()
})

test.run()
