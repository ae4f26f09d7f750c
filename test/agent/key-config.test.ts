import { readKeyPlace } from '../../agent/config/key-schema.ts'
import { loadConfig } from '../../agent/config/load.ts'
import { configLine } from '../../agent/config/read-form.ts'
import { createP256Signer } from '../../drivers/crypto/signer.ts'
import { toHex } from '../../protocol/bytes.ts'
import { must } from '../../protocol/result.ts'
import { assert, suite } from '../harness.ts'
import { smallSite } from './small-site.ts'

const test = suite('configuration of keys')

const KEY = 'ab'.repeat(32)
const P256 = toHex(createP256Signer(new Uint8Array(32).fill(3)).publicKey)
const site = (
  keys: string,
  metering = KEY,
) => `${smallSite(keys)}peers: {cedar: {account: ${KEY}, sealing: ${KEY}, metering: ${metering}}}
`
function keysOf(keys: string) {
  const loaded = loadConfig(site(keys), 'site.yaml')
  if (!loaded.ok) throw new Error(loaded.faults.map(configLine).join('\n'))
  return loaded.value.keys
}
function mistakes(text: string): string[] {
  const loaded = loadConfig(text, 'site.yaml')
  return loaded.ok ? [] : loaded.faults.map(configLine)
}

test('a key is a file, or stands in a token or a TPM', () => {
  assert.equal(keysOf('{account: a.key, metering: m.key, sealing: s.key}'), {
    kind: 'kept',
    account: 'a.key',
    metering: { kind: 'file', file: 'm.key' },
    sealing: 's.key',
  })
  const token = '{pkcs11: {module: /usr/lib/x.so, token: grid, key: metering, pin_file: pin}}'
  const tpm = '{tpm: {handle: 0x81020001, auth_file: o.auth}}'
  assert.equal(keysOf(`{account: a, metering: ${token}, sealing: s, ocmf: ${tpm}, passphrase_file: p}`), {
    kind: 'kept',
    account: 'a',
    metering: { kind: 'pkcs11', module: '/usr/lib/x.so', token: 'grid', key: 'metering', pinFile: 'pin' },
    sealing: 's',
    ocmf: { kind: 'tpm', device: '/dev/tpmrm0', handle: 0x81020001, authFile: 'o.auth' },
    passphraseFile: 'p',
  })
})

for (const [keys, what] of [
  ['{account: a, sealing: s}', /keys must name three keys/],
  ['{account: a, metering: {}, sealing: s}', /keys\.metering must name one store: pkcs11 or tpm/],
  ['{account: a, metering: {tpn: {handle: 0x81020001}}, sealing: s}', /unknown key "tpn" \(did you mean "tpm"\?\)/],
  [
    '{account: a, metering: {tpm: {handle: 0x81820001, auth_file: o}}, sealing: s}',
    /a handle from 0x81000000 to 0x817fffff/,
  ],
  ['{account: a, metering: {tpm: {handle: 0x81020001}}, sealing: s}', /"auth_file" is missing in keys\.metering\.tpm/],
  ['{account: a, metering: {pkcs11: {module: m, token: t, key: k}}, sealing: s}', /"pin_file" is missing/],
  [
    `{account: a, metering: {pkcs11: {module: m, token: ${'t'.repeat(33)}, key: k, pin_file: p}}, sealing: s}`,
    /at most 32/,
  ],
  [`{seed: ${KEY}, ocmf: o.key}`, /come from the seed alone/],
] as const) {
  test(`a mistake is named: ${keys.slice(0, 60)}`, () => {
    const found = mistakes(site(keys))
    assert.ok(
      found.some(line => what.test(line)),
      found.join('\n'),
    )
  })
}

test("a neighbour's metering key may be of P-256, and is then a point on it", () => {
  const files = '{account: a, metering: m, sealing: s}'
  assert.equal(mistakes(site(files, P256)), [])
  // x of no point on the curve, an uncompressed head, a wrong length.
  for (const bad of [`02${'ff'.repeat(32)}`, `04${P256.slice(2)}`, `${KEY}abab`]) {
    assert.match(
      mistakes(site(files, bad))[0]!,
      /peers\.cedar\.metering must be a public key: 64 .* or 66 of a P-256 key/,
    )
  }
})

test('a place on the command line is written as in the configuration', () => {
  assert.equal(must(readKeyPlace('keys/m-2.key')), { kind: 'file', file: 'keys/m-2.key' })
  assert.equal(must(readKeyPlace('{tpm: {device: "unix:/run/tpm", handle: 0x81020002, auth_file: a}}')), {
    kind: 'tpm',
    device: 'unix:/run/tpm',
    handle: 0x81020002,
    authFile: 'a',
  })
  for (const bad of ['', '[a]', '{file: x}', '{tpm: {handle: 1, auth_file: a}}', '{a: 1, a: 2}', '"unclosed']) {
    const read = readKeyPlace(bad)
    assert.not.ok(read.ok, bad)
    if (!read.ok) assert.is(read.fault.code, 'usage.key-place')
  }
})

test.run()
