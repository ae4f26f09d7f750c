/** Keys in swtpm: made, used for signatures, lost, found again; judged by OpenSSL. */
import { execFileSync } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { systemEntropy } from '../../../../drivers/crypto/entropy.ts'
import { makeTpmAuth, readTpmAuth } from '../../../../drivers/keys/tpm/auth-file.ts'
import { identifyTpm } from '../../../../drivers/keys/tpm/identify.ts'
import { makeTpmKey } from '../../../../drivers/keys/tpm/make-key.ts'
import { withPrimary } from '../../../../drivers/keys/tpm/primary.ts'
import { openTpmSigner } from '../../../../drivers/keys/tpm/signer.ts'
import { openTpm, type Tpm } from '../../../../drivers/keys/tpm/tpm.ts'
import { concat, equalBytes, hex, toHex, utf8 } from '../../../../protocol/bytes.ts'
import { faultLine, must, type Result } from '../../../../protocol/result.ts'
import {
  create,
  flushContext,
  getHandles,
  getRandom,
  HIERARCHY,
  load,
  makePersistent,
} from '../../../../protocol/tpm/commands.ts'
import { u32 } from '../../../../protocol/tpm/marshal.ts'
import { ALG, nameOf, TEMPLATE } from '../../../../protocol/tpm/public-area.ts'
import { signerCases } from '../../../contracts/signer.ts'
import { freePort } from '../../../free-port.ts'
import { assert, type SkipReason, suite } from '../../../harness.ts'
import { noOpenssl } from '../../../programs.ts'
import { noSwtpm, type Swtpm, startSwtpm, time } from './swtpm.ts'

const test = suite('tpm signer')

const place = { handle: 0x8102_0001, auth: systemEntropy.bytes(16) }
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

function withSwtpm(title: string, body: (sw: Swtpm) => Promise<void>, also?: SkipReason): void {
  test.skipIf(noSwtpm ?? also, title, async () => {
    const sw = await startSwtpm()
    try {
      await body(sw)
    } finally {
      await sw.end()
    }
  })
}

async function withKey(sw: Swtpm) {
  const publicKey = must(await makeTpmKey(sw.tpm, place))
  return { publicKey, signer: must(await openTpmSigner(sw.tpm, place, publicKey)) }
}

signerCases(test, 'swtpm', { alg: 'ES256', trust: 'tpm', skip: noSwtpm }, async () => {
  const sw = await startSwtpm()
  const { signer } = await withKey(sw)
  return { signer, secrets: [place.auth], lose: () => sw.kill(), end: () => sw.end() }
})

withSwtpm(
  'openssl on the command line accepts what the TPM signed',
  async sw => {
    const { publicKey, signer } = await withKey(sw)
    const message = utf8('1.8.0*255(000123.456*kWh)')
    const signature = must(await signer.sign(message))
    const der = concat(hex('3039 3013 0607 2a8648ce3d0201 0608 2a8648ce3d030107 0322 00'), publicKey)
    const key = createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' })
    const file = (name: string, bytes: Uint8Array | string) => {
      writeFileSync(join(sw.folder, name), bytes)
      return join(sw.folder, name)
    }
    // DER as openssl wants it: SEQUENCE of two INTEGERs, each with a zero before a high bit.
    const integer = (bytes: Uint8Array) => {
      const short = bytes.subarray(bytes.findIndex(byte => byte !== 0))
      const body = short[0]! >= 0x80 ? concat(Uint8Array.of(0), short) : short
      return concat(Uint8Array.of(2, body.length), body)
    }
    const pair = concat(integer(signature.subarray(0, 32)), integer(signature.subarray(32)))
    const args = [
      ...['dgst', '-sha256', '-verify', file('key.pem', key.export({ format: 'pem', type: 'spki' }))],
      ...['-signature', file('signature', concat(Uint8Array.of(0x30, pair.length), pair)), file('message', message)],
    ]
    assert.is(execFileSync('openssl', args, { encoding: 'utf8' }).trim(), 'Verified OK')
    file('message', utf8('1.8.0*255(000123.457*kWh)'))
    assert.throws(() => execFileSync('openssl', args, { stdio: 'pipe' }))
  },
  noOpenssl,
)

withSwtpm('a key is made once: what stands at a handle is never overwritten', async sw => {
  const { publicKey } = await withKey(sw)
  assert.is(codeOf(await makeTpmKey(sw.tpm, place)), 'tpm.handle-taken')
  assert.equal(must(await openTpmSigner(sw.tpm, place)).publicKey, publicKey)
  const other = must(await makeTpmKey(sw.tpm, { ...place, handle: place.handle + 1 }))
  assert.not.ok(equalBytes(other, publicKey))
  // Nothing that was loaded on the way is left behind: HR_TRANSIENT is 80.
  assert.equal(must(await sw.tpm.run(getHandles(0x8000_0000, 8))), [])
})

withSwtpm('the TPM itself refuses a second key at a handle, should two programs make one at once', async sw => {
  await withKey(sw)
  const forced = await withPrimary(sw.tpm, HIERARCHY.owner, TEMPLATE.metering, handle =>
    sw.tpm.run(makePersistent(handle, place.handle)),
  )
  assert.is(codeOf(forced), 'tpm.handle-taken')
})

withSwtpm('a handle with nothing, or with another kind of key, is named', async sw => {
  assert.is(codeOf(await openTpmSigner(sw.tpm, place)), 'tpm.no-handle')
  for (const handle of [0, 0x8000_0000, 0x8180_0000, 1.5, Number.NaN]) {
    assert.is(codeOf(await openTpmSigner(sw.tpm, { ...place, handle })), 'tpm.handle')
    assert.is(codeOf(await makeTpmKey(sw.tpm, { ...place, handle })), 'tpm.handle')
  }
  const kept = await withPrimary(sw.tpm, HIERARCHY.owner, TEMPLATE.storage, handle =>
    sw.tpm.run(makePersistent(handle, place.handle)),
  )
  must(kept)
  const refused = await openTpmSigner(sw.tpm, place)
  assert.is(codeOf(refused), 'tpm.key-attributes')
  if (!refused.ok) {
    assert.equal(refused.fault['missing'], ['sign', 'ecdsaSha256'])
    assert.equal(refused.fault['unwanted'], ['decrypt', 'restricted'])
  }
  assert.is(codeOf(await makeTpmKey(sw.tpm, place)), 'tpm.handle-taken')
})

/** Attribute bits of a template, at bytes 4 to 7 (Part 2, 8.3). */
const withBits = (template: Uint8Array, bits: number): Uint8Array =>
  concat(template.subarray(0, 4), u32(bits), template.subarray(8))

withSwtpm('a key that could leave the TPM signs, and is still no key of a TPM', async sw => {
  // userWithAuth, noDA, sign and sensitiveDataOrigin: fixedTPM and fixedParent are missing, so it may be duplicated.
  const mobile = withBits(TEMPLATE.metering, (1 << 6) | (1 << 10) | (1 << 18) | (1 << 5))
  const kept = await withPrimary(sw.tpm, HIERARCHY.owner, TEMPLATE.storage, async (parent, area) => {
    const opened = { handle: parent, name: nameOf(area), auth: new Uint8Array(0) }
    const made = must(await sw.tpm.run(create(opened, mobile, place.auth)))
    const loaded = must(await sw.tpm.run(load(parent, made)))
    const stays = await sw.tpm.run(makePersistent(loaded, place.handle))
    must(await sw.tpm.run(flushContext(loaded)))
    return stays
  })
  must(kept)
  const refused = await openTpmSigner(sw.tpm, place)
  assert.is(codeOf(refused), 'tpm.key-attributes')
  if (!refused.ok) assert.equal(refused.fault['missing'], ['fixedTPM', 'fixedParent'])
})

withSwtpm('the key outlives the TPM being restarted, and the signer goes on by itself', async sw => {
  const { publicKey, signer } = await withKey(sw)
  must(await signer.sign(Uint8Array.of(1)))
  await sw.kill()
  assert.is(codeOf(await signer.sign(Uint8Array.of(2))), 'tpm.absent')
  await sw.start()
  // Nobody but the signer's own transport sends the emulator TPM2_Startup.
  must(await signer.sign(Uint8Array.of(3)))
  assert.equal(must(await openTpmSigner(sw.tpm, place)).publicKey, publicKey)
})

withSwtpm('a TPM that is killed while it signs is a fault, and the next signature works once it is back', async sw => {
  const { signer } = await withKey(sw)
  sw.freeze(true)
  const pending = [signer.sign(Uint8Array.of(1)), signer.sign(Uint8Array.of(2))]
  await new Promise(resolve => setTimeout(resolve, 50))
  await sw.kill()
  for (const answer of await Promise.all(pending)) assert.match(codeOf(answer), /^tpm\.(gone|absent)$/)
  await sw.start()
  must(await signer.sign(Uint8Array.of(3)))
})

withSwtpm('a TPM that hangs is given up in its time, and its late answer is taken for nothing else', async sw => {
  const { signer } = await withKey(sw)
  const impatient = <T>(command: T): T => ({ ...command, withinMs: 100 })
  sw.freeze(true)
  const began = performance.now()
  assert.is(codeOf(await sw.tpm.run(impatient(getRandom(8)))), 'tpm.no-answer')
  assert.ok(performance.now() - began < 10_000, 'given up, if late on a busy machine')
  sw.freeze(false)
  for (let n = 0; n < 5; n++) must(await signer.sign(Uint8Array.of(n)))
})

test.skipIf(noSwtpm, 'another TPM with a key at the same handle is told apart, at the start and later', async () => {
  const [one, other] = [await startSwtpm(), await startSwtpm()]
  try {
    const { publicKey, signer } = await withKey(one)
    const { publicKey: foreign } = await withKey(other)
    const refused = await openTpmSigner(other.tpm, place, publicKey)
    assert.is(codeOf(refused), 'tpm.other-key')
    if (!refused.ok)
      assert.equal([refused.fault['expected'], refused.fault['found']], [toHex(publicKey), toHex(foreign)])
    // The same socket, while the signer is open, with the other TPM's state behind it.
    await one.kill()
    await other.kill()
    writeFileSync(join(one.folder, 'tpm2-00.permall'), readFileSync(join(other.folder, 'tpm2-00.permall')))
    await one.start()
    assert.is(codeOf(await signer.sign(Uint8Array.of(1))), 'tpm.other-key')
  } finally {
    await one.end()
    await other.end()
  }
})

withSwtpm('a wrong authorization value is asked once and no more, and locks nothing', async sw => {
  const { publicKey } = await withKey(sw)
  const wrong = { ...place, auth: new Uint8Array(16) }
  for (let n = 0; n < 40; n++) assert.is(codeOf(await openTpmSigner(sw.tpm, wrong)), 'tpm.auth')
  assert.equal(must(await openTpmSigner(sw.tpm, place)).publicKey, publicKey)
})

withSwtpm('the authorization value is made once, in a file for its owner alone', async sw => {
  const file = join(sw.folder, 'keys', 'metering.auth')
  const auth = must(await makeTpmAuth(file, systemEntropy))
  assert.is(auth.length, 16)
  assert.is(statSync(file).mode & 0o777, 0o600)
  assert.equal(must(await makeTpmAuth(file, systemEntropy)), auth)
  assert.equal(must(await readTpmAuth(file)), auth)
  chmodSync(file, 0o644)
  const exposed = await readTpmAuth(file)
  assert.is(codeOf(exposed), 'keys.exposed')
  if (!exposed.ok) assert.not.ok(faultLine(exposed.fault).includes(toHex(auth)))
  assert.is(codeOf(await makeTpmAuth(file, systemEntropy)), 'keys.exposed')
  chmodSync(file, 0o600)
  writeFileSync(file, 'hunter2')
  assert.is(codeOf(await readTpmAuth(file)), 'keys.malformed')
  assert.is(codeOf(await makeTpmAuth(join(file, 'below'), systemEntropy)), 'disk.exists')
  assert.ok(existsSync(file))
})

withSwtpm('it says who made it, and one that lacks something is not asked for a key', async sw => {
  assert.equal(must(await identifyTpm(sw.tpm)), { family: '2.0', maker: 'IBM' })
  assert.is(must(await sw.tpm.run(getRandom(32))).length, 32)
  const seen: string[] = []
  const without = (curve: number, algorithm: number): Tpm => ({
    ...sw.tpm,
    run: async command => {
      seen.push(command.name)
      const answer = await sw.tpm.run(command)
      if (!answer.ok || command.name !== 'GetCapability' || !Array.isArray(answer.value)) return answer
      const kept = answer.value.filter(it => it !== curve && it !== algorithm)
      return { ok: true, value: kept as typeof answer.value }
    },
  })
  for (const [tpm, missing] of [
    [without(0x0003, ALG.ecdsa), ['ECDSA', 'P-256']],
    [without(0x0003, 0xffff), ['P-256']],
  ] as const) {
    const refused = await makeTpmKey(tpm, place)
    assert.is(codeOf(refused), 'tpm.unsupported')
    if (!refused.ok) assert.equal([refused.fault['maker'], refused.fault['missing']], ['IBM', missing])
  }
  assert.not.ok(seen.includes('Create'))
})

test.skipIf(noSwtpm, 'it is reached by TCP as well', async () => {
  const sw = await startSwtpm({ tcp: await freePort() })
  try {
    await withKey(sw)
  } finally {
    await sw.end()
  }
})

test('a place that is no TPM is told at once, and one that is not there at the first command', async () => {
  for (const where of ['', '/tmp/tpm', 'unix:tpm', 'tcp:localhost', 'tcp:localhost:70000', 'http://localhost:1']) {
    assert.is(codeOf(openTpm(where, time)), 'tpm.address', where)
  }
  for (const [where, code] of [
    ['/dev/no-such-tpm', 'tpm.absent'],
    ['unix:/no/such/socket', 'tpm.absent'],
    ['tcp:127.0.0.1:1', 'tpm.absent'],
  ] as const) {
    const tpm = must(openTpm(where, time))
    assert.is(codeOf(await openTpmSigner(tpm, place)), code, where)
    await tpm.close()
  }
})

test.run()
