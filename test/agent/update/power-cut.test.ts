/**
 * An update under power cuts, kills, full and failing disks at each operation. Judged by what the launcher would start next, and by
 * the bytes that then lie in its folder, held against the bodies that the test itself made.
 */

import { installUpdate } from '../../../agent/update/install.ts'
import { changeState, raiseFloor, readState, removeStale } from '../../../agent/update/releases.ts'
import { type Chosen, chooseStart } from '../../../agent/update/start.ts'
import type { Tree } from '../../../drivers/store/tree.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { createSimTree, type SimTree, type TreeStrike } from '../../../hw/sim/tree.ts'
import { equalBytes } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { ok } from '../../../protocol/result.ts'
import { decideConfirm } from '../../../protocol/update/decide.ts'
import { TRIES_MAX } from '../../../protocol/update/state.ts'
import { assert, suite } from '../../harness.ts'
import { bodiesOf, KEYS, noWait, sourceOf, updateOf, verifier } from './update-bench.ts'

const PACKAGED = 10
const options = (tree: Tree) => ({
  ...({ tree, timers: noWait, verifier, packaged: PACKAGED, architecture: 'amd64', keys: KEYS } as const),
})
const start = (tree: Tree): Promise<Chosen> =>
  chooseStart({ tree, timers: noWait, verifier, packaged: PACKAGED, keys: ok(KEYS), onFault: () => {} })

const files = new Map<number, Uint8Array>()
for (const release of [11, 12, 13]) files.set(release, await updateOf(release))

const install = (tree: Tree, release: number) => installUpdate(sourceOf(files.get(release)!), options(tree))

/** What the agent does when it finds itself good. */
async function confirm(tree: Tree, name: string): Promise<void> {
  const confirmed = await changeState(tree, noWait, state => ok({ next: decideConfirm(state, name) }))
  if (!confirmed.ok || confirmed.value.next === undefined) return
  await raiseFloor(tree, name)
  await removeStale(tree, confirmed.value.next)
}

/** Whether what starts is whole, by the bytes that the test made; the package always is. */
function soundness(disk: SimTree, chosen: Chosen): string | undefined {
  if (chosen.start === 'packaged') return undefined
  const release = Number(chosen.name.split('-')[0])
  for (const [path, body] of bodiesOf(`release ${release}`)) {
    const there = disk.file(`${chosen.folder}/files/${path}`)
    if (there === undefined || !equalBytes(there, body)) return `${chosen.name} lacks ${path}`
  }
  return undefined
}

/** A gateway on which 11 was found good, then 12 is installed, tried and found good, with one blow at one operation. */
async function live(blow: TreeStrike, at: number, seed: number, lyingSync = false) {
  const random = seededRandom(seed)
  let armed = false
  let from = 0
  const disk = createSimTree({
    random,
    lyingSync,
    strike: (_, __, count) => (armed && count - from === at ? blow : undefined),
  })
  let tree = disk.mount()
  await install(tree, 11)
  const first = await start(tree)
  if (first.start === 'candidate') await confirm(tree, first.name)
  if (lyingSync) disk.cut()
  else if ((await start(tree)).start !== 'good') throw new Error('the setting is wrong')
  tree = disk.mount()
  armed = true
  from = disk.operations()
  const installed = await install(tree, 12)
  const tried = await start(tree)
  if (tried.start === 'candidate') await confirm(tree, tried.name)
  const steps = disk.operations() - from
  armed = false
  if (blow === 'cut' && at === steps) disk.cut()
  const found: string[] = []
  // Three starts, none of which is confirmed, and then what is left.
  const starts: Chosen[] = []
  for (let n = 0; n < TRIES_MAX + 2; n++) {
    tree = disk.mount()
    const chosen = await start(tree)
    starts.push(chosen)
    const bad = soundness(disk, chosen)
    if (bad !== undefined) found.push(bad)
  }
  const last = starts.at(-1)!
  if (last.start === 'candidate') found.push('an unproven release starts for ever')
  // What was found good once is never lost.
  if (last.start === 'packaged') found.push('what was good is lost')
  return { found, steps, installed: installed.ok, last }
}

const test = suite('update under power cuts')

test('undisturbed, the update is tried, found good, and starts from then on', async () => {
  const { found, installed, last } = await live('io', Number.POSITIVE_INFINITY, 1)
  assert.equal(found, [])
  assert.ok(installed)
  assert.match(last.start === 'packaged' ? '' : last.name, /^12-/)
})

for (const blow of ['cut', 'kill', 'full', 'io'] as const) {
  test(`${blow} at each operation: what starts is whole, and what was good is never lost`, async () => {
    const { steps } = await live('io', Number.POSITIVE_INFINITY, 1)
    assert.ok(steps > 40, `${steps} operations`)
    const ends = new Set<string>()
    for (let at = 0; at <= steps; at++) {
      for (let seed = 0; seed < (blow === 'cut' ? 12 : 1); seed++) {
        const { found, last } = await live(blow, at, seed * 1000 + at)
        assert.equal(found, [], `${blow} at operation ${at}, seed ${seed}`)
        ends.add(last.start === 'packaged' ? 'packaged' : last.name.slice(0, 2))
      }
    }
    // Early blows leave the old one, late ones the new one.
    assert.equal([...ends].sort(), ['11', '12'])
  }, 240_000)
}

test('on a disk that lies about syncing, what was good is lost: the cuts are real', async () => {
  const losses = new Set<string>()
  for (let seed = 0; seed < 60; seed++) {
    for (const bad of (await live('cut', 30, seed, true)).found) losses.add(bad)
  }
  assert.ok(losses.has('what was good is lost'), [...losses].join())
  // Not one byte of it is started all the same: the launcher looks at all of them.
  assert.not.ok([...losses].some(loss => /lacks/.test(loss)))
})

test('renamed before its folders were synced, a release is lost by a cut in the moment after', async () => {
  const survivals = async (sync: Tree['sync'] | undefined) => {
    let kept = 0
    for (let seed = 0; seed < 40; seed++) {
      const disk = createSimTree({ random: seededRandom(seed) })
      const tree = disk.mount()
      await install(
        sync === undefined
          ? tree
          : { ...tree, sync: folder => (/incoming/.test(folder) ? sync(folder) : tree.sync(folder)) },
        11,
      )
      disk.cut()
      if ((await start(disk.mount())).start === 'candidate') kept++
    }
    return kept
  }
  assert.is(await survivals(undefined), 40)
  assert.ok((await survivals(async () => ok(undefined))) < 40)
})

test('a try is counted before it is one: a candidate that never lives long enough to say anything is left after three starts', async () => {
  const starts = async (tree: Tree, disk: SimTree) => {
    await install(disk.mount(), 11)
    const seen: string[] = []
    for (let n = 0; n < 6; n++) seen.push((await start({ ...disk.mount(), ...tree })).start)
    return seen.join()
  }
  const disk = () => createSimTree({ random: seededRandom(1) })
  assert.is(await starts({} as Tree, disk()), 'candidate,candidate,candidate,packaged,packaged,packaged')
  // A state that is written nowhere, and says that it is: the defence that is off.
  const forgets = { rename: async () => ok(undefined) } as unknown as Tree
  assert.is(await starts(forgets, disk()), 'candidate,candidate,candidate,candidate,candidate,candidate')
})

test('where nothing can be written, nothing unproven starts', async () => {
  const disk = createSimTree({ random: seededRandom(1) })
  const tree = disk.mount()
  await install(tree, 11)
  const first = await start(tree)
  if (first.start === 'candidate') await confirm(tree, first.name)
  await install(tree, 12)
  const faults: string[] = []
  const full = async () => ({ ok: false, fault: { code: 'disk.full' } }) as const
  const chosen = await chooseStart({
    ...{ timers: noWait, verifier, packaged: PACKAGED, keys: ok(KEYS) },
    tree: { ...tree, write: full },
    onFault: (_, fault) => void faults.push(fault.code),
  })
  assert.is(chosen.start, 'good')
  assert.match(chosen.start === 'packaged' ? '' : chosen.name, /^11-/)
  assert.equal(faults, ['disk.full'])
})

test('one changed byte anywhere in a release keeps it from starting, and one file more', async () => {
  const disk = createSimTree({ random: seededRandom(1) })
  await install(disk.mount(), 11)
  const fresh = await start(disk.mount())
  if (fresh.start !== 'candidate') return assert.unreachable('it is tried')
  await confirm(disk.mount(), fresh.name)
  assert.is((await start(disk.mount())).start, 'good')
  for (const path of ['head', ...[...bodiesOf('').keys()].map(file => `files/${file}`)]) {
    const bytes = disk.file(`${fresh.folder}/${path}`)!
    for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
      if (bytes.length === 0) continue
      bytes[at]! ^= 1
      assert.is((await start(disk.mount())).start, 'packaged', `${path} at ${at}`)
      bytes[at]! ^= 1
    }
  }
  assert.is((await start(disk.mount())).start, 'good')
  const tree = disk.mount()
  await tree.write(`${fresh.folder}/files/agent/package.json`, sourceOf(new Uint8Array(1)).pieces(0, 1))
  assert.is((await start(tree)).start, 'packaged')
})

test('with hashes that are answered from memory, a changed release starts: the launcher looks at the bytes', async () => {
  const disk = createSimTree({ random: seededRandom(1) })
  await install(disk.mount(), 11)
  const name = (await start(disk.mount())) as { folder: string; start: string }
  disk.file(`${name.folder}/files/agent/tieline.js`)![0]! ^= 1
  const tree = disk.mount()
  const original = bodiesOf('release 11')
  const believing: Tree = {
    ...tree,
    hash: async path => {
      const body = original.get(path.replace(/^.*\/files\//, ''))!
      return ok({ sha256: sha256(body), size: body.length })
    },
  }
  assert.is((await start(believing)).start, 'candidate')
  assert.is((await start(tree)).start, 'packaged')
})

test('a damaged or older state starts something whole, and never lets an older release in again', async () => {
  const disk = createSimTree({ random: seededRandom(1) })
  for (const release of [11, 12]) {
    if (release === 12) {
      const old = disk.file('releases/state')!.slice()
      await install(disk.mount(), 12)
      const tried = await start(disk.mount())
      if (tried.start === 'candidate') await confirm(disk.mount(), tried.name)
      // The state of before is put back, as from a copy.
      const tree = disk.mount()
      await tree.remove('releases/state')
      await tree.write('releases/state', sourceOf(old).pieces(0, old.length))
      assert.is((await start(tree)).start, 'good')
      const older = await installUpdate(sourceOf(await updateOf(11, { version: '0.11.1' })), options(tree))
      assert.is(older.ok ? '' : older.fault.code, 'update.not-newer')
      // The counter beside it is the defence: without it the older one gets in.
      await tree.remove('highest-release')
      const state = await readState(tree)
      assert.ok(state.ok)
      await tree.remove('releases/state')
      assert.ok((await installUpdate(sourceOf(await updateOf(11, { version: '0.11.1' })), options(tree))).ok)
    } else {
      await install(disk.mount(), release)
      const tried = await start(disk.mount())
      if (tried.start === 'candidate') await confirm(disk.mount(), tried.name)
    }
  }
  disk.file('releases/state')![3]! ^= 1
  assert.is((await start(disk.mount())).start, 'packaged')
})

test('no more than three releases lie on the disk, whatever was installed', async () => {
  const disk = createSimTree({ random: seededRandom(1) })
  for (let release = 20; release < 30; release++) {
    const tree = disk.mount()
    assert.ok((await installUpdate(sourceOf(await updateOf(release)), options(tree))).ok)
    const chosen = await start(tree)
    // Every third is never found good.
    if (chosen.start === 'candidate' && release % 3 !== 0) await confirm(tree, chosen.name)
    const listed = await tree.list('releases')
    assert.ok(listed.ok && listed.value.filter(({ kind }) => kind === 'folder').length <= 3)
  }
})

test.run()
