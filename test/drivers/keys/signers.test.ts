import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { createP256Signer, createSigner } from '../../../drivers/crypto/signer.ts'
import { makeKeyFile, openFileSigner, openSealingSeed } from '../../../drivers/keys/file-signer.ts'
import { exposureOf, readSecretLine } from '../../../drivers/keys/guarded-file.ts'
import type { Entropy } from '../../../drivers/ports.ts'
import { faultLine, must, type Result } from '../../../protocol/result.ts'
import { signerCases } from '../../contracts/signer.ts'
import { assert, suite } from '../../harness.ts'

const inner = suite('signers in memory and in sealed files')
/** Each scrypt is a second of work, and many on a busy machine. */
const test = Object.assign((name: string, body: () => void | Promise<void>) => inner(name, body, 180_000), inner)

const folder = mkdtempSync(join(tmpdir(), 'tieline-keys-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const PASSPHRASE = 'correct horse battery staple'
let files = 0
const newFile = () => join(folder, `${files++}.key`)
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)
const secret = Uint8Array.from({ length: 32 }, (_, i) => i * 7 + 1)
/** Randomness whose first 32 bytes the test knows. */
const known: Entropy = { bytes: count => (count === 32 ? secret.slice() : systemEntropy.bytes(count)) }
const end = async () => {}

signerCases(test, 'EdDSA in memory', { alg: 'EdDSA', trust: 'software' }, async () => {
  return { signer: createSigner(secret), secrets: [secret], end }
})
signerCases(test, 'ES256 in memory', { alg: 'ES256', trust: 'software' }, async () => {
  return { signer: createP256Signer(secret), secrets: [secret], end }
})
for (const [kind, alg] of [
  ['ed25519', 'EdDSA'],
  ['p256', 'ES256'],
] as const) {
  const file = newFile()
  let made: Promise<unknown> | undefined
  signerCases(test, `${kind} in a sealed file`, { alg, trust: 'sealed-file' }, async () => {
    made ??= makeKeyFile(file, kind, PASSPHRASE, known)
    await made
    const signer = must(await openFileSigner(file, PASSPHRASE))
    return { signer, secrets: [secret, PASSPHRASE], end }
  })
}

test('a made key file is for its owner alone, and is never made twice', async () => {
  const file = newFile()
  must(await makeKeyFile(file, 'ed25519', 'x', systemEntropy))
  assert.is(statSync(file).mode & 0o777, 0o600)
  const before = readFileSync(file)
  assert.is(codeOf(await makeKeyFile(file, 'ed25519', 'x', systemEntropy)), 'keys.exists')
  assert.equal(readFileSync(file), before)
})

test('of several that make one key at once exactly one does', async () => {
  const file = newFile()
  const made = await Promise.all([1, 2, 3].map(() => makeKeyFile(file, 'ed25519', 'x', systemEntropy)))
  assert.ok(made.filter(result => result.ok).length <= 1)
  assert.ok(made.every(result => result.ok || /^(keys\.exists|disk\.held)$/.test(result.fault.code)))
})

test('a key file that others could have read or changed is refused by name, with what to do', async () => {
  const file = newFile()
  must(await makeKeyFile(file, 'ed25519', 'x', systemEntropy))
  for (const mode of [0o640, 0o604, 0o620, 0o602, 0o610, 0o777]) {
    chmodSync(file, mode)
    const refused = await openFileSigner(file, 'x')
    assert.is(codeOf(refused), 'keys.exposed', mode.toString(8))
    if (!refused.ok) assert.match(faultLine(refused.fault), /why=its mode is \d{3}\): .*chmod 600$/)
  }
  chmodSync(file, 0o400)
  assert.is(codeOf(await openFileSigner(file, 'x')), 'ok')
})

test('a file of another user is refused, whatever its mode', async () => {
  const file = newFile()
  must(await makeKeyFile(file, 'ed25519', 'x', systemEntropy))
  const user = process.getuid!()
  // Only root can give a file away; for another user what root owns is somebody else's only by its mode.
  if (user === 0) chownSync(file, 65_534, 65_534)
  assert.is((await exposureOf(file))?.why, user === 0 ? 'it belongs to user 65534, not to 0' : undefined)
})

test('a seed is never opened as a sealing seed, nor a P-256 scalar as anything but a P-256 key', async () => {
  const [signing, sealing, p256] = [newFile(), newFile(), newFile()]
  must(await makeKeyFile(signing, 'ed25519', 'x', systemEntropy))
  must(await makeKeyFile(sealing, 'x25519', 'x', systemEntropy))
  must(await makeKeyFile(p256, 'p256', 'x', systemEntropy))
  assert.is(codeOf(await openSealingSeed(signing, 'x')), 'keys.other-kind')
  assert.is(codeOf(await openFileSigner(sealing, 'x')), 'keys.other-kind')
  assert.is(must(await openFileSigner(p256, 'x')).alg, 'ES256')
  assert.is(must(await openSealingSeed(sealing, 'x')).length, 32)
})

test('a file that is missing, is no key, or has another passphrase is a fault of its own', async () => {
  assert.is(codeOf(await openFileSigner(join(folder, 'none.key'), 'x')), 'keys.missing')
  const file = newFile()
  writeFileSync(file, 'not a key', { mode: 0o600 })
  assert.is(codeOf(await openFileSigner(file, 'x')), 'keys.damaged')
  const sealed = newFile()
  must(await makeKeyFile(sealed, 'ed25519', 'x', systemEntropy))
  assert.is(codeOf(await openFileSigner(sealed, 'y')), 'keys.wrong-passphrase')
  assert.is(codeOf(await makeKeyFile(join(folder, 'Upper.key'), 'ed25519', 'x', systemEntropy)), 'keys.file-name')
})

test('a passphrase is the first line of a guarded file, and no fault repeats it', async () => {
  const file = newFile()
  writeFileSync(file, 'correct horse\r\nsecond line\n', { mode: 0o600 })
  assert.is(must(await readSecretLine(file)), 'correct horse')
  chmodSync(file, 0o644)
  const refused = await readSecretLine(file)
  assert.not.ok(refused.ok)
  if (!refused.ok) assert.not.match(faultLine(refused.fault), /horse/)
  const empty = newFile()
  writeFileSync(empty, '\n', { mode: 0o600 })
  assert.is(codeOf(await readSecretLine(empty)), 'keys.empty')
})

test('where not a byte can be written, nothing is left of what was to be made', () => {
  const full = join(folder, 'full')
  const module = (path: string) => JSON.stringify(new URL(`../../../drivers/${path}`, import.meta.url).href)
  const program = `
    const { makeTpmAuth } = await import(${module('keys/tpm/auth-file.ts')})
    const { makeKeyFile } = await import(${module('keys/file-signer.ts')})
    const { systemEntropy } = await import(${module('crypto/entropy.ts')})
    const made = [
      await makeTpmAuth('${full}/key.auth', systemEntropy),
      await makeKeyFile('${full}/sealed.key', 'ed25519', 'x', systemEntropy),
    ]
    console.log(made.map(one => one.fault.code).join())`
  // No file of this process may grow; without the trap the system would end it.
  const limited = 'trap "" XFSZ; ulimit -f 0; exec "$0" --import tsx --input-type=module -e "$1"'
  assert.is(
    execFileSync('bash', ['-c', limited, process.execPath, program], { encoding: 'utf8' }),
    'disk.io,keys.disk\n',
  )
  assert.equal(readdirSync(full), [])
})

test('what is no small plain file is refused at once: a pipe that nobody writes to, a folder, a gigabyte', async () => {
  const pipe = newFile()
  execFileSync('mkfifo', ['-m', '600', pipe])
  const huge = newFile()
  writeFileSync(huge, '', { mode: 0o600 })
  truncateSync(huge, 2 ** 30)
  const before = process.memoryUsage().arrayBuffers
  for (const file of [pipe, huge, folder]) {
    assert.is(codeOf(await openFileSigner(file, 'x')), 'file.unreadable')
    assert.is(codeOf(await readSecretLine(file)), 'file.unreadable')
  }
  assert.ok(process.memoryUsage().arrayBuffers - before < 1e6)
})

test.run()
