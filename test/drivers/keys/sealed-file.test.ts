import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { openSealedKey, sealKey } from '../../../drivers/keys/sealed-file.ts'
import { createSimDisk } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { faultLine, must, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('sealed key file')

const secret = Uint8Array.from({ length: 32 }, (_, i) => i * 7)
const newSim = () => createSimDisk({ random: seededRandom(2) })
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

async function sealed(passphrase = 'correct horse') {
  const sim = newSim()
  const disk = sim.mount()
  must(await sealKey(disk, 'metering.key', secret, passphrase, systemEntropy))
  return { sim, disk }
}

test('a sealed key opens with its passphrase, however its letters are composed, and with no other', async () => {
  const { disk } = await sealed('Grüße')
  assert.equal(must(await openSealedKey(disk, 'metering.key', 'Grüße')), secret)
  assert.equal(must(await openSealedKey(disk, 'metering.key', 'Gru\u0308ße')), secret)
  for (const wrong of ['grüße', '', 'Grüße ']) {
    assert.is(codeOf(await openSealedKey(disk, 'metering.key', wrong)), 'keys.wrong-passphrase', wrong)
  }
})

test('the secret stands in neither the file nor any fault', async () => {
  const { sim, disk } = await sealed()
  const file = toHex(sim.platter('metering.key')!)
  for (let at = 0; at + 8 <= secret.length; at++) assert.not.ok(file.includes(toHex(secret.subarray(at, at + 8))))
  const wrong = await openSealedKey(disk, 'metering.key', 'open sesame')
  assert.not.ok(wrong.ok)
  if (!wrong.ok) assert.is(faultLine(wrong.fault), 'keys.wrong-passphrase (file=metering.key)')
})

test('two files of one secret and one passphrase have nothing in common', async () => {
  const [a, b] = [await sealed(), await sealed()]
  const [first, second] = [toHex(a.sim.platter('metering.key')!), toHex(b.sim.platter('metering.key')!)]
  assert.is(first.slice(0, 44), second.slice(0, 44))
  assert.is.not(first.slice(44), second.slice(44))
})

test('any flipped bit and any cut of the file is damage, told apart from a wrong passphrase', async () => {
  const { sim } = await sealed()
  const good = sim.platter('metering.key')!.slice()
  for (let at = 0; at < good.length; at++) {
    const bad = good.slice()
    bad[at]! ^= 1 << (at % 8)
    const disk = newSim().mount()
    must(await disk.replace('k', bad))
    assert.is(codeOf(await openSealedKey(disk, 'k', 'correct horse')), 'keys.damaged', `byte ${at}`)
    must(await disk.replace('k', good.subarray(0, at)))
    assert.is(codeOf(await openSealedKey(disk, 'k', 'correct horse')), 'keys.damaged', `cut at ${at}`)
  }
})

test('a key that is there is never replaced, and one that is not there is a fault of its own', async () => {
  const { disk } = await sealed()
  assert.is(codeOf(await sealKey(disk, 'metering.key', new Uint8Array(32), 'x', systemEntropy)), 'keys.exists')
  assert.equal(must(await openSealedKey(disk, 'metering.key', 'correct horse')), secret)
  assert.is(codeOf(await openSealedKey(disk, 'account.key', 'correct horse')), 'keys.missing')
})

test('an empty passphrase is refused, and a disk that fails is named', async () => {
  const disk = newSim().mount()
  assert.is(codeOf(await sealKey(disk, 'k', secret, '', systemEntropy)), 'keys.empty-passphrase')
  const broken = createSimDisk({ random: seededRandom(2), strike: () => 'io' }).mount()
  assert.is(codeOf(await sealKey(broken, 'k', secret, 'x', systemEntropy)), 'keys.disk')
  assert.is(codeOf(await openSealedKey(broken, 'k', 'x')), 'keys.disk')
})

test('power that goes while a key is sealed leaves no file or a whole one', async () => {
  const seen = new Set<string>()
  for (let seed = 0; seed < 8; seed++) {
    const sim = createSimDisk({
      random: seededRandom(seed),
      strike: operation => (operation === 'replace' ? 'cut' : undefined),
    })
    assert.not.ok((await sealKey(sim.mount(), 'k', secret, 'x', systemEntropy)).ok)
    seen.add(codeOf(await openSealedKey(sim.mount(), 'k', 'x')))
  }
  assert.equal([...seen].sort(), ['keys.missing', 'ok'])
})

test.run()
