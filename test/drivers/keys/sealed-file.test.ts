import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { sealKey, unsealKey } from '../../../drivers/keys/sealed-file.ts'
import type { Disk } from '../../../drivers/ports.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { type Cbor, decode, encode } from '../../../protocol/cbor.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { faultLine, must, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const inner = suite('sealed key file')
/** Each scrypt is a second of work, and many on a busy machine. */
const test = Object.assign((name: string, body: () => void | Promise<void>) => inner(name, body, 180_000), inner)

const bytes = Uint8Array.from({ length: 32 }, (_, i) => i * 7)
const secret = { kind: 'ed25519', bytes } as const
const newSim = () => createSimDisk({ random: seededRandom(2) })
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

const opened = async (disk: Disk, name: string, passphrase: string) => {
  const read = await disk.read(name)
  return read.ok ? unsealKey(name, read.value, passphrase) : read
}

async function sealed(passphrase = 'correct horse') {
  const sim = newSim()
  const disk = sim.mount()
  must(await sealKey(disk, 'metering.key', secret, passphrase, systemEntropy))
  return { sim, disk }
}

test('a sealed key opens with its passphrase, however its letters are composed, and with no other', async () => {
  const { disk } = await sealed('Grüße')
  assert.equal(must(await opened(disk, 'metering.key', 'Grüße')), secret)
  assert.equal(must(await opened(disk, 'metering.key', 'Gru\u0308ße')), secret)
  for (const wrong of ['grüße', '', 'Grüße ']) {
    assert.is(codeOf(await opened(disk, 'metering.key', wrong)), 'keys.wrong-passphrase', wrong)
  }
})

test('the secret stands in neither the file nor any fault', async () => {
  const { sim, disk } = await sealed()
  const file = toHex(sim.platter('metering.key')!)
  for (let at = 0; at + 8 <= bytes.length; at++) assert.not.ok(file.includes(toHex(bytes.subarray(at, at + 8))))
  const wrong = await opened(disk, 'metering.key', 'open sesame')
  assert.not.ok(wrong.ok)
  if (!wrong.ok)
    assert.is(
      faultLine(wrong.fault),
      'keys.wrong-passphrase (file=metering.key): the file is whole: another passphrase opens it',
    )
})

test('two files of one secret and one passphrase have nothing in common', async () => {
  const [a, b] = [await sealed(), await sealed()]
  const [first, second] = [toHex(a.sim.platter('metering.key')!), toHex(b.sim.platter('metering.key')!)]
  // The format, the kind, and the head of the salt.
  assert.is(first.slice(0, 62), second.slice(0, 62))
  assert.is.not(first.slice(62), second.slice(62))
})

test('any flipped bit and any cut of the file is damage, told apart from a wrong passphrase', async () => {
  const { sim } = await sealed()
  const good = sim.platter('metering.key')!.slice()
  for (let at = 0; at < good.length; at++) {
    const bad = good.slice()
    bad[at]! ^= 1 << (at % 8)
    const disk = newSim().mount()
    must(await disk.replace('k', bad))
    assert.is(codeOf(await opened(disk, 'k', 'correct horse')), 'keys.damaged', `byte ${at}`)
    must(await disk.replace('k', good.subarray(0, at)))
    assert.is(codeOf(await opened(disk, 'k', 'correct horse')), 'keys.damaged', `cut at ${at}`)
  }
})

test('the kind is part of what is sealed: 32 bytes are never read as the secret of another curve', async () => {
  for (const kind of ['ed25519', 'p256', 'x25519'] as const) {
    const disk = newSim().mount()
    must(await sealKey(disk, 'k', { kind, bytes }, 'x', systemEntropy))
    assert.equal(must(await opened(disk, 'k', 'x')), { kind, bytes })
  }
  const { sim } = await sealed()
  const item = must(decode(sim.platter('metering.key')!)) as Cbor[]
  const fields = item.with(1, 'p256').slice(0, -1)
  // Somebody who may write the file mends its checksum too.
  const forged = encode([...fields, sha256(encode(fields)).subarray(0, 8)])
  assert.is(codeOf(await unsealKey('k', forged, 'correct horse')), 'keys.wrong-passphrase')
})

test('a file of another format number is named, not guessed at', async () => {
  const fields = ['tieline sealed key 1', new Uint8Array(16), new Uint8Array(12), new Uint8Array(48)]
  const old = encode([...fields, sha256(encode(fields)).subarray(0, 8)])
  const refused = await unsealKey('k', old, 'x')
  assert.equal(refused, {
    ok: false,
    fault: {
      code: 'keys.format',
      file: 'k',
      expected: 'tieline sealed key 2',
      received: 'tieline sealed key 1',
    },
  })
})

test('a key that is there is never replaced', async () => {
  const { disk } = await sealed()
  assert.is(
    codeOf(await sealKey(disk, 'metering.key', { ...secret, bytes: new Uint8Array(32) }, 'x', systemEntropy)),
    'keys.exists',
  )
  assert.equal(must(await opened(disk, 'metering.key', 'correct horse')), secret)
})

test('an empty passphrase is refused, and a disk that fails is named', async () => {
  const disk = newSim().mount()
  assert.is(codeOf(await sealKey(disk, 'k', secret, '', systemEntropy)), 'keys.empty-passphrase')
  const broken = createSimDisk({ random: seededRandom(2), strike: () => 'io' }).mount()
  assert.is(codeOf(await sealKey(broken, 'k', secret, 'x', systemEntropy)), 'keys.disk')
})

test('power that goes while a key is sealed leaves no file or a whole one', async () => {
  const seen = new Set<string>()
  for (let seed = 0; seed < 8; seed++) {
    const sim = createSimDisk({
      random: seededRandom(seed),
      strike: operation => (operation === 'replace' ? 'cut' : undefined),
    })
    assert.not.ok((await sealKey(sim.mount(), 'k', secret, 'x', systemEntropy)).ok)
    seen.add(codeOf(await opened(sim.mount(), 'k', 'x')))
  }
  assert.equal([...seen].sort(), ['disk.missing', 'ok'])
})

test.run()
