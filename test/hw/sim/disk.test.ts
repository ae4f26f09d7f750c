import { createSimDisk } from '../../../hw/sim/disk.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { must } from '../../../protocol/result.ts'
import { diskCases } from '../../contracts/disk.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('simulated disk')

diskCases(test, 'simulated', async () => {
  const sim = createSimDisk({ random: seededRandom(1) })
  const disk = sim.mount()
  // A new process, and after a power cut: what the contract promises holds even then.
  return {
    disk,
    reopen: async () => {
      sim.cut()
      return sim.mount()
    },
    end: async () => {},
  }
})

const page = (byte: number) => new Uint8Array(4096).fill(byte)

test('a cut drops, keeps or garbles what was not synced, and never touches what was', async () => {
  const seen = { zero: 0, kept: 0, garbage: 0 }
  for (let seed = 0; seed < 40; seed++) {
    const sim = createSimDisk({ random: seededRandom(seed) })
    const disk = sim.mount()
    must(await disk.create('a', 8192))
    must(await disk.write('a', 0, page(1)))
    must(await disk.sync('a'))
    must(await disk.write('a', 4096, page(2)))
    sim.cut()
    const left = must(await sim.mount().read('a'))
    assert.equal(left.subarray(0, 4096), page(1))
    for (let at = 4096; at < 8192; at += 512) {
      const sector = left.subarray(at, at + 512)
      if (sector.every(byte => byte === 0)) seen.zero++
      else if (sector.every(byte => byte === 2)) seen.kept++
      else seen.garbage++
    }
  }
  for (const [what, count] of Object.entries(seen)) assert.ok(count > 50, `${what}: ${count}`)
})

test('a synced page written again and cut may be lost: whoever rewrites acknowledged bytes loses them', async () => {
  let lost = 0
  for (let seed = 0; seed < 20; seed++) {
    const sim = createSimDisk({ random: seededRandom(seed) })
    const disk = sim.mount()
    must(await disk.create('a', 4096))
    must(await disk.write('a', 0, page(1)))
    must(await disk.sync('a'))
    must(await disk.write('a', 0, page(1)))
    sim.cut()
    if (!must(await sim.mount().read('a')).every(byte => byte === 1)) lost++
  }
  assert.ok(lost > 10, `${lost}`)
})

test('after a failed sync the next one says well, and a cut loses the bytes that readers still saw', async () => {
  const sim = createSimDisk({
    random: seededRandom(3),
    strike: (operation, _, count) => (operation === 'sync' && count === 2 ? 'io' : undefined),
  })
  const disk = sim.mount()
  must(await disk.create('a', 4096))
  must(await disk.write('a', 0, page(1)))
  assert.not.ok((await disk.sync('a')).ok)
  assert.ok((await disk.sync('a')).ok)
  assert.equal(must(await disk.read('a')), page(1))
  sim.cut()
  assert.equal(must(await sim.mount().read('a')), page(0))
})

test('a lying sync loses what it acknowledged', async () => {
  const sim = createSimDisk({ random: () => 0, lyingSync: true })
  const disk = sim.mount()
  must(await disk.create('a', 4096))
  must(await disk.write('a', 0, page(1)))
  must(await disk.sync('a'))
  sim.cut()
  assert.equal(must(await sim.mount().read('a')), page(0))
})

test('replace is the old file or the new one when the power goes during it', async () => {
  const seen = new Set<number>()
  for (let seed = 0; seed < 20; seed++) {
    const sim = createSimDisk({
      random: seededRandom(seed),
      strike: (_, __, count) => (count === 1 ? 'cut' : undefined),
    })
    const disk = sim.mount()
    must(await disk.replace('a', page(1)))
    assert.not.ok((await disk.replace('a', page(2))).ok)
    const left = must(await sim.mount().read('a'))
    assert.ok(left.every(byte => byte === left[0]))
    seen.add(left[0]!)
  }
  assert.equal([...seen].sort(), [1, 2])
})

test('a process of before the cut is answered that the disk is off, and changes nothing', async () => {
  const sim = createSimDisk({ random: seededRandom(5) })
  const before = sim.mount()
  must(await before.create('a', 4))
  const now = sim.mount()
  const answer = await before.write('a', 0, Uint8Array.of(1))
  assert.is(answer.ok ? 'ok' : answer.fault.code, 'disk.off')
  assert.equal(must(await now.read('a')), new Uint8Array(4))
})

test('a full disk refuses a new file and keeps the old ones', async () => {
  const sim = createSimDisk({ random: seededRandom(5), capacityBytes: 6000 })
  const disk = sim.mount()
  must(await disk.create('a', 4096))
  const answer = await disk.create('b', 4096)
  assert.is(answer.ok ? 'ok' : answer.fault.code, 'disk.full')
  assert.equal(must(await disk.list()), ['a'])
})

test('a write that finds the disk full after half of it leaves that half, which a sync makes durable', async () => {
  const sim = createSimDisk({
    random: () => 0.5,
    strike: (operation, _, count) => (operation === 'write' && count === 1 ? 'short' : undefined),
  })
  const disk = sim.mount()
  must(await disk.create('a', 4096))
  const answer = await disk.write('a', 0, page(1))
  assert.is(answer.ok ? 'ok' : answer.fault.code, 'disk.full')
  must(await disk.sync('a'))
  sim.cut()
  const left = must(await sim.mount().read('a'))
  assert.equal([left.subarray(0, 2048), left.subarray(2048)], [page(1).subarray(0, 2048), new Uint8Array(2048)])
})

test.run()
