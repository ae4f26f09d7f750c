/** From the maker's certificate to a key that nobody need believe: all of it with swtpm, and OpenSSL as the maker. */
import { execFileSync } from 'node:child_process'
import { createPublicKey, X509Certificate } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemEntropy } from '../../../../drivers/crypto/entropy.ts'
import { attestTpmKey } from '../../../../drivers/keys/tpm/attest-key.ts'
import { endorsementKeyOf, readEndorsementCertificate } from '../../../../drivers/keys/tpm/certificate.ts'
import { answerChallenge, challengeTpm } from '../../../../drivers/keys/tpm/challenge.ts'
import { makeTpmKey } from '../../../../drivers/keys/tpm/make-key.ts'
import { withPrimary } from '../../../../drivers/keys/tpm/primary.ts'
import type { Tpm } from '../../../../drivers/keys/tpm/tpm.ts'
import { concat, hex } from '../../../../protocol/bytes.ts'
import { nobleVerifier } from '../../../../protocol/crypto/verify.ts'
import { must, ok, type Result } from '../../../../protocol/result.ts'
import { verifyTpmEvidence } from '../../../../protocol/tpm/attest.ts'
import { getHandles, HIERARCHY } from '../../../../protocol/tpm/commands.ts'
import { nvRead } from '../../../../protocol/tpm/endorsement.ts'
import { tpm2b, u16, u32 } from '../../../../protocol/tpm/marshal.ts'
import { readPublicArea, TEMPLATE } from '../../../../protocol/tpm/public-area.ts'
import { assert, suite } from '../../../harness.ts'
import { noOpenssl } from '../../../programs.ts'
import { noSwtpm, type Swtpm, startSwtpm } from './swtpm.ts'

const test = suite('tpm endorsement')

const place = { handle: 0x8102_0001, auth: systemEntropy.bytes(16) }
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

function withSwtpm(title: string, body: (sw: Swtpm) => Promise<void>): void {
  test.skipIf(noSwtpm ?? noOpenssl, title, async () => {
    const sw = await startSwtpm()
    try {
      await body(sw)
    } finally {
      await sw.end()
    }
  })
}

const primary = async (tpm: Tpm, template: Uint8Array) =>
  readPublicArea(must(await withPrimary(tpm, HIERARCHY.endorsement, template, async (_, area) => ok(area))))!

/** The maker writes his certificate to where the profile wants it, as the owner of the platform. */
async function putCertificate(tpm: Tpm, der: Uint8Array): Promise<void> {
  const index = 0x01c0_000a
  const platform = 0x4000_000c
  const open = { handles: [platform], auths: [new Uint8Array(0)], withinMs: 5_000, read: () => true as const }
  // PPWRITE 0, PPREAD 16, OWNERREAD 17, AUTHREAD 18, NO_DA 25, PLATFORMCREATE 30.
  const space = concat(u32(index), u16(0x000b), u32(0x4207_0001), tpm2b(new Uint8Array(0)), u16(der.length))
  const parameters = concat(tpm2b(new Uint8Array(0)), tpm2b(space))
  must(await tpm.run({ ...open, name: 'NV_DefineSpace', code: 0x12a, parameters }))
  for (let at = 0; at < der.length; at += 400) {
    const data = concat(tpm2b(der.subarray(at, at + 400)), u16(at))
    must(await tpm.run({ ...open, name: 'NV_Write', code: 0x137, handles: [platform, index], parameters: data }))
  }
}

interface Maker {
  readonly root: string
  readonly between: string
  certify(publicKey: Uint8Array, extensions?: string): Uint8Array
}

/** A maker with a root, an authority below it, and certificates from that one. */
function withMaker<T>(body: (maker: Maker) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-maker-'))
  const at = (name: string) => join(folder, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const authority = ['-addext', 'basicConstraints=critical,CA:TRUE', '-days', '9']
  openssl('req', '-x509', ...key, '-keyout', at('root.key'), '-out', at('root.pem'), '-subj', '/CN=Root', ...authority)
  const byRoot = ['-CA', at('root.pem'), '-CAkey', at('root.key')]
  openssl('req', '-new', ...key, '-keyout', at('sub.key'), '-out', at('sub.csr'), '-subj', '/CN=Sub')
  writeFileSync(at('ca.ext'), 'basicConstraints=critical,CA:TRUE\n')
  openssl(
    'x509',
    '-req',
    '-in',
    at('sub.csr'),
    ...byRoot,
    '-extfile',
    at('ca.ext'),
    '-days',
    '9',
    '-out',
    at('sub.pem'),
  )
  const maker: Maker = {
    root: readFileSync(at('root.pem'), 'utf8'),
    between: readFileSync(at('sub.pem'), 'utf8'),
    certify: (publicKey, extensions = 'extendedKeyUsage=2.23.133.8.1\nbasicConstraints=critical,CA:FALSE\n') => {
      const der = Buffer.from(concat(hex('3039 3013 0607 2a8648ce3d0201 0608 2a8648ce3d030107 0322 00'), publicKey))
      const pem = createPublicKey({ key: der, format: 'der', type: 'spki' }).export({ format: 'pem', type: 'spki' })
      writeFileSync(at('ek.pem'), pem)
      writeFileSync(at('ek.ext'), extensions)
      const by = ['-CA', at('sub.pem'), '-CAkey', at('sub.key'), '-extfile', at('ek.ext'), '-days', '9']
      openssl('x509', '-new', '-force_pubkey', at('ek.pem'), '-subj', '/CN=EK', ...by, '-out', at('ek.crt'))
      return new Uint8Array(new X509Certificate(readFileSync(at('ek.crt'))).raw)
    },
  }
  return body(maker).finally(() => rmSync(folder, { recursive: true }))
}

withSwtpm('from the certificate in the TPM to a metering key of which nothing is left to believe', async sw => {
  await withMaker(async maker => {
    assert.is(codeOf(await readEndorsementCertificate(sw.tpm)), 'tpm.no-certificate')
    await putCertificate(sw.tpm, maker.certify((await primary(sw.tpm, TEMPLATE.endorsement)).publicKey))
    const publicKey = must(await makeTpmKey(sw.tpm, place))
    // What follows is the verifier's part; of the board he has the certificate, the evidence and the answer.
    const certificate = must(await readEndorsementCertificate(sw.tpm))
    const endorsementKey = must(endorsementKeyOf(certificate, [maker.root], [maker.between]))
    const nonce = systemEntropy.bytes(32)
    const evidence = must(await attestTpmKey(sw.tpm, place, nonce))
    const claimed = must(verifyTpmEvidence(evidence, { nonce, publicKey }, nobleVerifier))
    assert.is(claimed.unproven.length, 1)
    const secret = systemEntropy.bytes(32)
    const challenge = must(challengeTpm(endorsementKey, claimed.attestationKeyName, secret))
    assert.equal(must(await answerChallenge(sw.tpm, challenge)), secret)
    const knownAttestationKeys = [claimed.attestationKeyName]
    const proven = must(verifyTpmEvidence(evidence, { nonce, publicKey, knownAttestationKeys }, nobleVerifier))
    assert.equal(proven.unproven, [])
  })
})

withSwtpm(
  'a challenge for another TPM or another attestation key is not answered, and leaves nothing behind',
  async sw => {
    const [endorsement, attestation] = [
      await primary(sw.tpm, TEMPLATE.endorsement),
      await primary(sw.tpm, TEMPLATE.attestation),
    ]
    const secret = systemEntropy.bytes(32)
    const answer = async (key: Uint8Array, name: Uint8Array) =>
      codeOf(await answerChallenge(sw.tpm, must(challengeTpm(key, name, secret))))
    assert.is(await answer(endorsement.publicKey, attestation.name), 'ok')
    assert.is(await answer(attestation.publicKey, attestation.name), 'tpm.refused')
    const other = attestation.name.slice()
    other[33]! ^= 1
    assert.is(await answer(endorsement.publicKey, other), 'tpm.refused')
    assert.is(codeOf(challengeTpm(new Uint8Array(33), attestation.name, secret)), 'key.not-admissible')
    for (const type of [0x8000_0000, 0x0200_0000, 0x0300_0000]) {
      assert.equal(must(await sw.tpm.run(getHandles(type, 8))), [], type.toString(16))
    }
  },
)

test.skipIf(
  noSwtpm,
  'a certificate of somebody else, for something else, or that is none is refused by name',
  async () => {
    await withMaker(async maker => {
      const key = hex('03 1189252ce17452f87500421970fead379ad60a4f9b4299c81aaebc7af5ac1c6c')
      const good = maker.certify(key)
      assert.equal(must(endorsementKeyOf(good, [maker.root], [maker.between])), key)
      assert.equal(must(endorsementKeyOf(good, [maker.between])), key)
      assert.is(codeOf(endorsementKeyOf(good, [maker.root])), 'tpm.untrusted-maker')
      assert.is(codeOf(endorsementKeyOf(good, [], [maker.root, maker.between])), 'tpm.untrusted-maker')
      await withMaker(async other =>
        assert.is(codeOf(endorsementKeyOf(good, [other.root], [other.between])), 'tpm.untrusted-maker'),
      )
      for (const extensions of ['extendedKeyUsage=serverAuth\n', 'basicConstraints=critical,CA:TRUE\n']) {
        const wrong = maker.certify(key, extensions)
        assert.is(codeOf(endorsementKeyOf(wrong, [maker.root], [maker.between])), 'tpm.certificate')
      }
      // An authority that is none: an endorsement key's owner cannot certify others.
      const pem = new X509Certificate(good).toString()
      assert.is(codeOf(endorsementKeyOf(good, [pem])), 'tpm.untrusted-maker')
      assert.is(codeOf(endorsementKeyOf(hex('3000'), [maker.root])), 'tpm.certificate')
      for (let at = 0; at < good.length; at++) {
        const bad = good.slice()
        bad[at]! ^= 1
        assert.not.ok(endorsementKeyOf(bad, [maker.root], [maker.between]).ok, `byte ${at}`)
      }
    })
  },
  90_000,
)

withSwtpm('an index of the non-volatile storage that holds nothing is named', async sw => {
  assert.is(codeOf(await sw.tpm.run(nvRead(0x01c0_000a, 0, 16))), 'tpm.no-handle')
})

test.run()
