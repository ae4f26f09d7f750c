import { scryptSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { makeKeyFile, openFileSigner, openSealingSeed } from '../../../drivers/keys/file-signer.ts'
import { createWrappingKeys } from '../../../drivers/keys/wrapping-keys.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { type Cbor, decode } from '../../../protocol/cbor.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const wrappingKeys = suite('wrapping keys')
/** A derivation takes a quarter of a second, and on a loaded machine ten times that. */
const DEADLINE_MS = 180_000
const test = (name: string, body: () => Promise<void>) => wrappingKeys(name, body, DEADLINE_MS)

const PASSPHRASE = 'correct horse'
const FILES = [
  ['account.key', 'ed25519'],
  ['metering.key', 'p256'],
  ['sealing.key', 'x25519'],
] as const

const folder = mkdtempSync(join(tmpdir(), 'tieline-wrapping-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
let folders = 0
const newFolder = () => join(folder, String(++folders))

/** As the format says it (scrypt: RFC 7914), and a count of it. */
function counted() {
  const derived: { readonly salt: string; readonly key: Uint8Array }[] = []
  const wrapping = createWrappingKeys(async (passphrase, salt) => {
    const costs = { N: 32_768, r: 8, p: 3, maxmem: 1 << 26 }
    const key = new Uint8Array(scryptSync(passphrase.normalize('NFKC'), salt, 32, costs))
    derived.push({ salt: toHex(salt), key })
    return key
  })
  return { derived, wrapping }
}

async function made(shared = createWrappingKeys()) {
  const place = newFolder()
  for (const [name, kind] of FILES) must(await makeKeyFile(join(place, name), kind, PASSPHRASE, systemEntropy, shared))
  return place
}

async function madeApart() {
  const place = newFolder()
  for (const [name, kind] of FILES) must(await makeKeyFile(join(place, name), kind, PASSPHRASE, systemEntropy))
  return place
}

async function open(place: string, shared?: ReturnType<typeof createWrappingKeys>, passphrase = PASSPHRASE) {
  const account = await openFileSigner(join(place, 'account.key'), passphrase, shared)
  const metering = await openFileSigner(join(place, 'metering.key'), passphrase, shared)
  const sealing = await openSealingSeed(join(place, 'sealing.key'), passphrase, shared)
  return [account, metering, sealing] as const
}

const fields = (place: string) =>
  FILES.map(([name]) => (must(decode(readFileSync(join(place, name)))) as Cbor[]).map(one => one as Uint8Array))

test('files that are made together are opened together by one derivation', async () => {
  const place = await made()
  const { derived, wrapping } = counted()
  for (const opened of await open(place, wrapping)) assert.ok(opened.ok)
  assert.is(derived.length, 1)
})

test('they have one salt, and each a nonce of its own', async () => {
  const made3 = fields(await made())
  assert.is(new Set(made3.map(([, , salt]) => toHex(salt!))).size, 1)
  assert.is(new Set(made3.map(([, , , nonce]) => toHex(nonce!))).size, 3)
  const again = fields(await made())
  assert.is.not(toHex(again[0]![2]!), toHex(made3[0]![2]!))
})

test('files of three salts open too, each by its own derivation', async () => {
  const place = await madeApart()
  const { derived, wrapping } = counted()
  for (const opened of await open(place, wrapping)) assert.ok(opened.ok)
  assert.is(new Set(derived.map(({ salt }) => salt)).size, 3)
  assert.is(derived.length, 3)
})

test('what opens together opens alone, to the same keys', async () => {
  const place = await made()
  const [account, metering, sealing] = await open(place, createWrappingKeys())
  const [alone, aloneMetering, aloneSealing] = await open(place)
  assert.equal(must(alone).publicKey, must(account).publicKey)
  assert.equal(must(aloneMetering).publicKey, must(metering).publicKey)
  assert.equal(must(aloneSealing), must(sealing))
})

test('a key that is made beside one that was opened takes its salt, and none from a file that did not open', async () => {
  const place = await madeApart()
  const file = join(place, 'next.key')
  const wrapping = createWrappingKeys()
  const wrong = await openFileSigner(join(place, 'metering.key'), 'open sesame', wrapping)
  assert.not.ok(wrong.ok)
  must(await openFileSigner(join(place, 'account.key'), PASSPHRASE, wrapping))
  must(await makeKeyFile(file, 'ed25519', PASSPHRASE, systemEntropy, wrapping))
  const [, , salt] = must(decode(readFileSync(file))) as Uint8Array[]
  assert.equal(salt, fields(place)[0]![2])
})

test('a wrong passphrase is called so for every file, and does not spoil the right one', async () => {
  const place = await made()
  const { derived, wrapping } = counted()
  for (const refused of await open(place, wrapping, 'open sesame')) {
    assert.is(refused.ok ? 'ok' : refused.fault.code, 'keys.wrong-passphrase')
  }
  for (const opened of await open(place, wrapping)) assert.ok(opened.ok)
  assert.is(derived.length, 2)
})

test('no key that was derived is left once they are wiped, and none is derived afterwards', async () => {
  const place = await made()
  const { derived, wrapping } = counted()
  const [account] = await open(place, wrapping)
  const before = must(account).publicKey
  wrapping.wipe()
  await Promise.resolve()
  assert.equal(
    derived.map(({ key }) => [...key]),
    [Array.from({ length: 32 }, () => 0)],
  )
  // The keys that were opened are not what was wiped.
  assert.equal(must(account).publicKey, before)
  assert.ok((await must(account).sign(new Uint8Array(3))).ok)
  let refused = ''
  await openFileSigner(join(place, 'account.key'), PASSPHRASE, wrapping).catch((error: Error) => {
    refused = error.message
  })
  assert.match(refused, /after they were wiped/)
})

test('a key whose derivation is under way is wiped when it comes', async () => {
  let answer: (key: Uint8Array) => void = () => {}
  const wrapping = createWrappingKeys(
    () =>
      new Promise(resolve => {
        answer = resolve
      }),
  )
  const asked = wrapping.keyOf('x', new Uint8Array(16))
  wrapping.wipe()
  answer(new Uint8Array(32).fill(7))
  const key = await asked
  await Promise.resolve()
  assert.equal(
    [...key],
    Array.from({ length: 32 }, () => 0),
  )
})

test('a derivation that fails is an error for whoever waits, and wiping is none', async () => {
  const wrapping = createWrappingKeys(async () => {
    throw new RangeError('no memory')
  })
  let said = ''
  await wrapping.keyOf('x', new Uint8Array(16)).catch((error: Error) => {
    said = error.message
  })
  assert.is(said, 'no memory')
  wrapping.wipe()
  await new Promise(resolve => setImmediate(resolve))
})

wrappingKeys.run()
