/** The ledger's store under power cuts, kills, failing disks and damaged bytes. */
import { seededRandom } from '../../../hw/sim/random.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { heightIn, makeHistory, newDisk, open, time, write } from './ledger-history.ts'

const test = suite('ledger store under power cuts')

for (const strike of ['cut', 'kill', 'io', 'full'] as const) {
  test(`every operation in turn meets ${strike}: the state is that of the last acknowledged block, or the next; then it goes on`, async () => {
    let [images, ahead, struck] = [0, 0, 0]
    for (const seed of [1, 2]) {
      const history = makeHistory(26, seed)
      const calm = newDisk()
      assert.is(await write(calm, history), 26)
      const operations = calm.operations()
      for (let at = 0; at < operations; at++) {
        const sim = newDisk({ random: seededRandom(at), strike: (_, __, count) => (count === at ? strike : undefined) })
        const acknowledged = await write(sim, history)
        if (strike !== 'kill') sim.cut()
        const store = must(await open(sim))
        const height = await heightIn(store, history)
        const where = `seed ${seed}, ${strike} at ${at}: ${acknowledged} acknowledged, ${height} there`
        assert.ok(height === acknowledged || height === acknowledged + 1, where)
        if (height > acknowledged) ahead++
        if (acknowledged < 26) struck++
        await store.close()
        assert.is(await write(sim, history), 26, where)
        const end = must(await open(sim))
        assert.is(await heightIn(end, history), 26)
        images += must(await sim.mount().list()).filter(name => name.startsWith('piece-')).length
      }
    }
    // Every strike stopped some blocks, images were under way, and what no image needs was removed.
    assert.ok(struck > 10, `${struck} struck`)
    if (strike === 'cut' || strike === 'kill') assert.ok(ahead > 0, 'no block was there before it was acknowledged')
    assert.ok(images > 0)
  }, 300_000)
}

test('struck at two operations, the second while it recovers', async () => {
  const history = makeHistory(20, 3)
  const calm = newDisk()
  await write(calm, history)
  const operations = calm.operations()
  for (let at = 0; at < operations; at += 2) {
    for (let then = at + 1; then < at + 16; then += 3) {
      const struck = new Set([at, then])
      const sim = newDisk({
        random: seededRandom(then),
        strike: (_, __, count) => (struck.has(count) ? 'cut' : undefined),
      })
      const acknowledged = Math.max(await write(sim, history), await write(sim, history))
      sim.cut()
      struck.clear()
      const height = await heightIn(must(await open(sim)), history)
      assert.ok(height >= acknowledged, `${at} and ${then}: ${acknowledged} acknowledged, ${height} there`)
    }
  }
}, 120_000)

test('long random histories on a disk that fails now and then, with cuts at random moments', async () => {
  for (let seed = 0; seed < 30; seed++) {
    const random = seededRandom(seed + 500)
    const history = makeHistory(120, seed, 40, 300)
    let trouble = true
    let cutAt = 40 + Math.floor(random() * 200)
    const sim = newDisk({
      random,
      strike: (_, __, count) =>
        !trouble
          ? undefined
          : count === cutAt
            ? 'cut'
            : random() < 1 / 30
              ? random() < 0.5
                ? 'io'
                : 'full'
              : undefined,
    })
    let acknowledged = -1
    for (let life = 0; life < 12; life++) {
      acknowledged = Math.max(acknowledged, await write(sim, history))
      cutAt = sim.operations() + Math.floor(random() * 150)
      sim.cut()
      trouble = false
      const store = must(await open(sim))
      const height = await heightIn(store, history)
      assert.ok(height >= acknowledged, `seed ${seed}: ${acknowledged} acknowledged, ${height} there`)
      await store.close()
      trouble = true
    }
    trouble = false
    await time.advance(60_000)
    assert.is(await write(sim, history), 120)
  }
}, 300_000)

test('control: on a disk that lies about its sync acknowledged blocks are lost', async () => {
  let lost = 0
  for (let seed = 0; seed < 10; seed++) {
    const history = makeHistory(20, seed)
    const sim = newDisk({ lyingSync: true, random: seededRandom(seed) })
    const acknowledged = await write(sim, history)
    sim.cut()
    const store = await open(sim)
    const saved = store.ok ? await store.value.load() : store
    if (!saved.ok || Number(saved.value?.height) < acknowledged) lost++
  }
  assert.ok(lost > 5, `${lost} of 10`)
})

test('any byte of any file damaged: a fault that says where, or a whole older state; never another one', async () => {
  const history = makeHistory(30, 5)
  const sim = newDisk()
  await write(sim, { ...history, blocks: history.blocks.slice(0, 28) })
  await write(sim, history)
  const names = must(await sim.mount().list())
  let [faults, older, unseen] = [0, 0, 0]
  for (const name of names) {
    const good = sim.platter(name)!.slice()
    for (let at = 0; at < good.length; at++) {
      // Every byte where something stands, every hundredth of the zeros between.
      if (good[at] === 0 && at % 100 > 0) continue
      sim.platter(name)![at]! ^= 1 << (at % 8)
      sim.cut()
      const store = await open(sim)
      const saved = store.ok ? await store.value.load() : store
      if (!saved.ok) {
        faults++
        assert.match(saved.fault.code, /^(log|pieces|ledger)\./)
      } else if (store.ok) {
        const height = await heightIn(store.value, history)
        assert.ok(height === 29 || height === 30, `${name} byte ${at}: height ${height}`)
        if (height === 29) older++
        else unseen++
        // Damage that loses nothing: in changes that an image has already, or where nothing stands.
        assert.ok(height === 29 || name.startsWith('changes-'))
      }
      if (store.ok) await store.value.close()
      sim.mount()
      must(await sim.mount().replace(name, good))
    }
  }
  assert.ok(faults > 1000 && older > 50, `${faults} faults, ${older} older, ${unseen} unseen`)
}, 300_000)

test.run()
