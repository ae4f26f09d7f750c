import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { createSystemTime } from '../../../../drivers/clock.ts'
import { createVerifier } from '../../../../drivers/crypto/verifier.ts'
import { loadModule } from '../../../../drivers/keys/pkcs11/module.ts'
import { makeTokenKey, openTokenKey } from '../../../../drivers/keys/pkcs11/signer.ts'
import type { Timers } from '../../../../drivers/ports.ts'
import { concat, hex } from '../../../../protocol/bytes.ts'
import { faultLine, must, type Result } from '../../../../protocol/result.ts'
import { signerCases } from '../../../contracts/signer.ts'
import { assert, suite } from '../../../harness.ts'
import { noOpenssl, without } from '../../../programs.ts'
import { noSoftHsm, openSoftHsm, PIN, SOFTHSM_MODULE, type SoftHsm } from './softhsm.ts'

const test = suite('PKCS#11')
const noOpensc = without('no-opensc', 'pkcs11-tool', '--help')

const hsm = noSoftHsm === undefined ? openSoftHsm('tieline test', 'locked') : (undefined as unknown as SoftHsm)
process.once('exit', () => hsm?.end())
const verifier = createVerifier()
const { timers } = createSystemTime()
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)
const on = (name: string, body: () => Promise<void>) => test.skipIf(noSoftHsm, name, body)
const write = (name: string, text: string) => {
  const file = join(hsm.folder, name)
  writeFileSync(file, text, { mode: 0o600 })
  return file
}
const freshKey = () =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' }) as string
/** Ends every session that this process has, as pulling the token out does. */
async function pullOut(): Promise<void> {
  const module = must(await loadModule(SOFTHSM_MODULE!))
  const memory = module.memory()
  const count = memory.words(8)
  const slots = memory.room(8 * module.wordBytes)
  assert.is(await module.call('getSlotList', 1, slots.address, count.address), 0)
  for (let n = 0; n < count.word(); n++) await module.call('closeAllSessions', slots.word(n))
  memory.wipe()
}

for (const alg of ['ES256', 'EdDSA'] as const) {
  let made: Promise<unknown> | undefined
  signerCases(test, `${alg} in a token`, { alg, trust: 'token', skip: noSoftHsm }, async () => {
    const place = hsm.place(`contract ${alg}`)
    made ??= makeTokenKey(place, alg)
    await made
    const opened = must(await openTokenKey(place, verifier, timers))
    return { signer: opened.signer, secrets: [PIN], end: opened.close }
  })
}

test.skipIf(noSoftHsm ?? noOpenssl, 'openssl on the command line accepts what a token signed', async () => {
  const place = hsm.place('for openssl')
  must(await makeTokenKey(place, 'ES256'))
  const { signer, close } = must(await openTokenKey(place, verifier, timers))
  const signature = must(await signer.sign(Uint8Array.of(1, 2, 3)))
  await close()
  const spki = concat(hex('3039 3013 0607 2a8648ce3d0201 0608 2a8648ce3d030107 0322 00'), signer.publicKey)
  const pem = `-----BEGIN PUBLIC KEY-----\n${Buffer.from(spki).toString('base64')}\n-----END PUBLIC KEY-----\n`
  // DER of r and s (RFC 3279 section 2.2.3): each an INTEGER without leading zeros, positive.
  const integer = (bytes: Uint8Array) => {
    const from = bytes.findIndex(byte => byte !== 0)
    const bare = bytes.subarray(from)
    const positive = bare[0]! >= 0x80 ? concat(Uint8Array.of(0), bare) : bare
    return concat(Uint8Array.of(2, positive.length), positive)
  }
  const both = concat(integer(signature.subarray(0, 32)), integer(signature.subarray(32)))
  writeFileSync(join(hsm.folder, 'sig.der'), concat(Uint8Array.of(0x30, both.length), both))
  writeFileSync(join(hsm.folder, 'message'), Uint8Array.of(1, 2, 3))
  const key = write('key.pem', pem)
  const run = spawnSync(
    'openssl',
    ['dgst', '-sha256', '-verify', key, '-signature', join(hsm.folder, 'sig.der'), join(hsm.folder, 'message')],
    { encoding: 'utf8' },
  )
  assert.match(run.stdout, /Verified OK/)
})

on('a key that the token says was made inside and never left is trusted as such, by a claim and no proof', async () => {
  const place = hsm.place('made inside')
  must(await makeTokenKey(place, 'ES256'))
  const { attestation, close } = must(await openTokenKey(place, verifier, timers))
  await close()
  assert.is(attestation.trust, 'token')
  assert.is(attestation.kind, 'pkcs11-attributes')
  assert.is(attestation.verified, false)
  const shown = Buffer.from(attestation.evidence).toString('latin1')
  for (const text of ['tieline test', 'SoftHSM']) assert.ok(shown.includes(text), text)
})

on('a key that was put in from outside, or can be taken out, is worth no more than software', async () => {
  const pem = write('outside.pem', freshKey())
  hsm.util('--import', pem, '--token', 'tieline test', '--label', 'imported', '--id', 'a1', '--pin', PIN)
  const imported = must(await openTokenKey(hsm.place('imported'), verifier, timers))
  assert.is(imported.signer.trust, 'software')
  assert.match(imported.attestation.rule, /CKA_NEVER_EXTRACTABLE is false, CKA_LOCAL is false/)
  await imported.close()
})

on('a second key of one label is never made, and one that is not there is named', async () => {
  const place = hsm.place('only once')
  must(await makeTokenKey(place, 'ES256'))
  const before = must(await openTokenKey(place, verifier, timers))
  await before.close()
  assert.is(codeOf(await makeTokenKey(place, 'ES256')), 'keys.exists')
  assert.is(codeOf(await makeTokenKey(place, 'EdDSA')), 'keys.exists')
  const after = must(await openTokenKey(place, verifier, timers))
  await after.close()
  assert.equal(after.signer.publicKey, before.signer.publicKey)
  const none = await openTokenKey(hsm.place('nowhere'), verifier, timers)
  assert.is(codeOf(none), 'keys.no-key')
})

on('two keys of one label are none: nobody can say which is meant', async () => {
  for (const id of ['b1', 'b2']) {
    const pem = write(`${id}.pem`, freshKey())
    hsm.util('--import', pem, '--token', 'tieline test', '--label', 'twins', '--id', id, '--pin', PIN)
  }
  assert.is(codeOf(await openTokenKey(hsm.place('twins'), verifier, timers)), 'keys.two-keys')
})

on('a token that was pulled out is a fault once, and is opened anew at the next call', async () => {
  const place = hsm.place('pulled out')
  must(await makeTokenKey(place, 'ES256'))
  const { signer, close } = must(await openTokenKey(place, verifier, timers))
  must(await signer.sign(Uint8Array.of(1)))
  await pullOut()
  const lost = await signer.sign(Uint8Array.of(2))
  assert.is(codeOf(lost), 'keys.token-lost')
  const again = must(await signer.sign(Uint8Array.of(3)))
  assert.ok(verifier.verify('ES256', signer.publicKey, Uint8Array.of(3), again))
  await close()
  assert.is(codeOf(await signer.sign(Uint8Array.of(4))), 'keys.closed')
})

test.skipIf(
  noSoftHsm ?? noOpensc,
  'a token that comes back with another key of that label is not signed with',
  async () => {
    const place = hsm.place('swapped')
    must(await makeTokenKey(place, 'ES256'))
    const { signer, close } = must(await openTokenKey(place, verifier, timers))
    // softhsm2-util deletes no single key; OpenSC's tool does.
    const removed = (type: string) =>
      spawnSync('pkcs11-tool', [
        ...['--module', SOFTHSM_MODULE!, '--token-label', 'tieline test', '--login', '--pin', PIN],
        ...['--delete-object', '--type', type, '--label', 'swapped'],
      ]).status
    assert.is(removed('privkey'), 0)
    removed('pubkey')
    must(await makeTokenKey(place, 'ES256'))
    await pullOut()
    assert.not.ok((await signer.sign(Uint8Array.of(1))).ok)
    assert.is(codeOf(await signer.sign(Uint8Array.of(2))), 'keys.other-key')
    await close()
  },
)

on('a signature that is not of the public half is given to nobody, at the start and later', async () => {
  const place = hsm.place('erring')
  must(await makeTokenKey(place, 'ES256'))
  let right = false
  const judge = { verify: (...asked: Parameters<typeof verifier.verify>) => right && verifier.verify(...asked) }
  assert.is(codeOf(await openTokenKey(place, judge, timers)), 'keys.not-a-pair')
  right = true
  const { signer, close } = must(await openTokenKey(place, judge, timers))
  must(await signer.sign(Uint8Array.of(1)))
  right = false
  assert.is(codeOf(await signer.sign(Uint8Array.of(2))), 'keys.bad-signature')
  await close()
})

on('no module, a file that is no library, and a library that is no module are told apart from keys', async () => {
  for (const module of ['/nowhere/libnothing.so', write('text.so', 'not a library'), 'libc.so.6']) {
    const refused = await openTokenKey(hsm.place('x', { module }), verifier, timers)
    assert.is(codeOf(refused), 'keys.module', module)
    if (!refused.ok) assert.not.match(faultLine(refused.fault), /\n/)
  }
})

on('a token that is not there is named with those that are', async () => {
  const refused = await openTokenKey(hsm.place('x', { token: 'another' }), verifier, timers)
  assert.is(codeOf(refused), 'keys.no-token')
  if (!refused.ok) assert.ok((refused.fault['found'] as string[]).includes('tieline test'))
})

on('a PIN file that others can read, or that is empty, is not used', async () => {
  writeFileSync(join(hsm.folder, 'open-pin'), PIN, { mode: 0o644 })
  assert.is(
    codeOf(await openTokenKey(hsm.place('x', { pinFile: join(hsm.folder, 'open-pin') }), verifier, timers)),
    'keys.exposed',
  )
  assert.is(
    codeOf(await openTokenKey(hsm.place('x', { pinFile: write('empty-pin', '\n') }), verifier, timers)),
    'keys.empty',
  )
})

on('a wrong PIN is given once: not again by itself, nor by a service that starts again', async () => {
  const wrong = hsm.place('x', { token: 'locked', pinFile: write('wrong-pin', '00000000') })
  const right = hsm.place('x', { token: 'locked' })
  const first = await openTokenKey(wrong, verifier, timers)
  assert.is(codeOf(first), 'keys.pin-wrong')
  assert.not.match(inspect(first), /00000000/)
  // From here on the token warns; each start would be a step towards the lock.
  for (let n = 0; n < 3; n++) assert.is(codeOf(await openTokenKey(wrong, verifier, timers)), 'keys.pin-doubtful')
  assert.is(codeOf(await openTokenKey(right, verifier, timers)), 'keys.pin-doubtful')
  // A person insists, with the right one: it is opened, and the warning is gone.
  assert.is(codeOf(await openTokenKey(right, verifier, timers, { insist: true })), 'keys.no-key')
  assert.is(codeOf(await openTokenKey(right, verifier, timers)), 'keys.no-key')
})

on('the control loop goes on while a token works', async () => {
  const place = hsm.place('slow')
  let turns = 0
  const timer = setInterval(() => void turns++, 1)
  must(await makeTokenKey(place, 'ES256'))
  const { signer, close } = must(await openTokenKey(place, verifier, timers))
  for (let n = 0; n < 200; n++) must(await signer.sign(Uint8Array.of(n)))
  clearInterval(timer)
  await close()
  // Calls that held the loop would leave it none at all: promises alone do not let a timer run.
  assert.ok(turns >= 10, `${turns} turns`)
})

on('a token that hangs is given up, asked nothing meanwhile, and used again once it has come back', async () => {
  const place = hsm.place('hanging')
  must(await makeTokenKey(place, 'ES256'))
  /** To whoever cannot wait, every token hangs. */
  let patient = true
  const waits: (() => void)[] = []
  const hasty: Timers = {
    ...timers,
    after: (ms, run) => {
      assert.is(ms, 20_000)
      if (!patient) waits.push(run)
      return () => {}
    },
  }
  const { signer, close } = must(await openTokenKey(place, verifier, hasty))
  patient = false
  const message = Uint8Array.of(1)
  const given = signer.sign(message)
  waits.shift()!()
  assert.is(codeOf(await given), 'keys.token-hangs')
  assert.is(codeOf(await signer.sign(message)), 'keys.token-hangs')
  assert.is(waits.length, 0, 'it was not asked')
  for (let n = 0; n < 1_500 && codeOf(await signer.sign(message)) !== 'ok'; n++) await timers.sleep(10)
  assert.is(codeOf(await signer.sign(message)), 'ok')
  await close()
})

test.run()
