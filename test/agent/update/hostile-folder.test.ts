/** What may lie in the folder of releases, put there by a compromised agent, a person or a failing card: on a real file system. */
import { spawnSync } from 'node:child_process'
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { installUpdate } from '../../../agent/update/install.ts'
import { changeState, INSTALLS, readState, removeStale } from '../../../agent/update/releases.ts'
import { type Chosen, chooseStart } from '../../../agent/update/start.ts'
import { openTree } from '../../../drivers/store/tree.ts'
import { must, ok } from '../../../protocol/result.ts'
import { decideConfirm, decideInstall, decideRollback } from '../../../protocol/update/decide.ts'
import { assert, suite } from '../../harness.ts'
import { confirmed, settled } from './confirm-by-agent.ts'
import { KEYS, next, noWait, sourceOf, updateOf, verifier } from './update-bench.ts'

const test = suite('a hostile folder of releases')
const root = mkdtempSync(join(tmpdir(), 'tieline-hostile-'))
let stores = 0
const files = { 11: await updateOf(11), 12: await updateOf(12) }

function gateway() {
  const store = join(root, `store-${++stores}`)
  mkdirSync(store)
  const tree = openTree(store)
  const settings = { tree, timers: noWait, verifier, packaged: 10 } as const
  const install = (file: Uint8Array, keys = KEYS) =>
    installUpdate(sourceOf(file), { ...settings, keys, architecture: 'amd64' })
  const start = (): Promise<Chosen> => chooseStart({ ...settings, keys: ok(KEYS), onFault: () => {} })
  const state = async () => must(await readState(tree))
  const confirm = (name: string) => changeState(tree, noWait, now => ok({ next: decideConfirm(now, name) }))
  return { store, tree, install, start, state, confirm, releases: join(store, 'releases') }
}

test('a folder or a name that is not listed, whatever it is called, is refused and the package starts', async () => {
  const strays: readonly ((files: string) => void)[] = [
    files => mkdirSync(join(files, 'my notes')),
    files => mkdirSync(join(files, 'ä')),
    files => mkdirSync(join(files, 'node_modules')),
    files => mkdirSync(join(files, 'agent', '.hidden')),
    files => writeFileSync(join(files, '.hidden'), ''),
    files => writeFileSync(join(files, 'agent', `${'x'.repeat(100)}😀`), ''),
    // As long as the reason that is kept of it, which ends within the last of these.
    files => writeFileSync(join(files, `a${'😀'.repeat(60)}`), ''),
    files => writeFileSync(join(files, '😀'.repeat(60)), ''),
    files => symlinkSync('tieline.js', join(files, 'agent', 'other.js')),
    files => {
      rmSync(join(files, 'agent', 'tieline.js'))
      mkdirSync(join(files, 'agent', 'tieline.js'))
    },
    files => {
      renameSync(join(files, 'agent', 'tieline.js'), join(files, '..', 'kept'))
      symlinkSync('../../kept', join(files, 'agent', 'tieline.js'))
    },
  ]
  for (const [at, stray] of strays.entries()) {
    const { install, start, releases, state } = gateway()
    const { name } = must(await install(files[11]))
    stray(join(releases, name, 'files'))
    assert.is((await start()).start, 'packaged', `stray ${at}`)
    assert.match((await state()).failed!.why, /stray-file|not-a-file|disk\./, `stray ${at}`)
  }
})

test('undisturbed it is tried: what was in the way was the stray', async () => {
  const { install, start } = gateway()
  must(await install(files[11]))
  assert.is((await start()).start, 'candidate')
})

test('folders of others beside the releases are left alone, and in nobody’s way', async () => {
  const { install, start, releases, tree, state } = gateway()
  mkdirSync(join(releases, 'my notes'), { recursive: true })
  mkdirSync(join(releases, '.git'))
  mkdirSync(join(releases, '1-00000000'))
  const { name } = must(await install(files[11]))
  assert.is((await start()).start, 'candidate')
  assert.is(await removeStale(tree, await state()), undefined)
  assert.equal(readdirSync(releases).sort(), ['.git', name, 'my notes', 'state'])
})

test('what has the name of the folder that is unpacked to is removed, not followed', async () => {
  const outside = join(root, 'outside')
  for (const put of [
    (path: string) => writeFileSync(path, 'x'),
    (path: string) => symlinkSync(outside, path),
    (path: string) => mkdirSync(join(path, 'files', 'agent', 'evil'), { recursive: true }),
  ]) {
    rmSync(outside, { recursive: true, force: true })
    mkdirSync(outside)
    const { install, start, releases } = gateway()
    mkdirSync(releases)
    put(join(releases, 'incoming'))
    must(await install(files[11]))
    assert.is((await start()).start, 'candidate')
    assert.equal(readdirSync(outside), [])
  }
})

test('a release or a state that is a link, a folder or rubbish leads to the package, never to a crash', async () => {
  for (const put of [
    (releases: string) => writeFileSync(releases, 'a file'),
    (releases: string) => symlinkSync(releases, releases),
    (releases: string) => mkdirSync(join(releases, 'state'), { recursive: true }),
    (releases: string) => {
      mkdirSync(releases)
      writeFileSync(join(releases, 'state'), new Uint8Array(600_000))
    },
    (releases: string) => {
      mkdirSync(releases)
      symlinkSync('/dev/zero', join(releases, 'state'))
    },
    (releases: string) => {
      mkdirSync(releases)
      writeFileSync(join(releases, 'state'), '')
    },
  ]) {
    const { start, releases, install } = gateway()
    put(releases)
    assert.is((await start()).start, 'packaged')
    assert.not.ok((await install(files[11])).ok)
  }
})

test('a folder that is not there is made; where none can be, the package starts', async () => {
  const missing = openTree(join(root, 'not', 'yet'))
  const settings = { timers: noWait, verifier, packaged: 10, keys: ok(KEYS) } as const
  const faults: string[] = []
  const onFault = (_: string, { code }: { readonly code: string }) => void faults.push(code)
  assert.is((await chooseStart({ ...settings, tree: missing, onFault })).start, 'packaged')
  assert.equal(faults, [])
  assert.is((await chooseStart({ ...settings, tree: openTree('/dev/null/x'), onFault })).start, 'packaged')
  assert.equal(faults, ['disk.io', 'disk.io'])
})

test('one that was found good and is whole is said to be that, and nothing is done; a damaged one is put in its place', async () => {
  const { install, start, confirm, state, releases } = gateway()
  const { name, already } = must(await install(files[11]))
  assert.is(already, false)
  assert.is((await start()).start, 'candidate')
  must(await confirm(name))
  const before = await state()
  assert.is(must(await install(files[11])).already, true)
  assert.equal(await state(), before)
  writeFileSync(join(releases, name, 'files', 'agent', 'tieline.js'), 'evil')
  assert.is((await start()).start, 'packaged')
  assert.is(must(await install(files[11])).already, false)
  assert.is((await start()).start, 'candidate')
})

test('a release that changed the keys comes back after a rollback, and the chain of keys goes on after it', async () => {
  const { install, start, state, tree } = gateway()
  const rotating = await updateOf(11, { trust: { threshold: 1, keys: [next.publicKey] } })
  const { name } = must(await install(rotating))
  await start()
  await confirmed(tree, name, KEYS)
  assert.is((await state()).rotations?.length, 1)
  must(await changeState(tree, noWait, now => ok({ next: decideRollback(now) })))
  assert.is((await start()).start, 'packaged')
  assert.is(must(await install(rotating)).name, name)
  assert.is((await start()).start, 'candidate')
  await confirmed(tree, name, KEYS)
  assert.is((await state()).good, name)
  assert.is((await state()).rotations?.length, 1)
  // Another by the old keys is refused all the same.
  const old = await install(files[12])
  assert.is(old.ok ? 'taken' : old.fault.code, 'update.not-signed')
  must(await install(await updateOf(12, {}, [next])))
})

test('a state that could not be read again is not written', async () => {
  const { install, tree, state, start } = gateway()
  const { name } = must(await install(files[11]))
  const before = await state()
  for (const meters of [Array.from({ length: 257 }, (_, at) => `m${at}`), ['x'.repeat(65)]]) {
    const changed = await changeState(tree, noWait, now =>
      ok({ next: decideInstall(now, name, { meters, ledger: true }) }),
    )
    assert.is(changed.ok ? 'written' : changed.fault.code, 'record.shape')
  }
  assert.equal(await state(), before)
  assert.is((await start()).start, 'candidate')
})

test('two who install at once: the second is told, and a third may afterwards', async () => {
  const { install, tree } = gateway()
  must(await tree.makeFolder('releases'))
  const held = must(await tree.hold('releases', INSTALLS))
  const second = await install(files[11])
  assert.is(second.ok ? 'installed' : second.fault.code, 'update.installing')
  await held()
  must(await install(files[11]))
})

test('an agent that starts meanwhile does not tidy away what is being installed', async () => {
  const { install, start, confirm, state, tree } = gateway()
  const { name } = must(await install(files[11]))
  await start()
  must(await confirm(name))
  const source = sourceOf(files[12])
  let go = () => {}
  const gone = new Promise<void>(resolve => {
    go = resolve
  })
  let reached = () => {}
  const within = new Promise<void>(resolve => {
    reached = resolve
  })
  const slow: typeof source = {
    ...source,
    async *pieces(from, most) {
      if (from > 1000) {
        reached()
        await gone
      }
      yield* source.pieces(from, most)
    },
  }
  const settings = { tree, timers: noWait, verifier, packaged: 10, keys: KEYS, architecture: 'amd64' } as const
  const installing = installUpdate(slow, settings)
  await within
  await settled(tree, name, KEYS)
  go()
  must(await installing)
  assert.match((await state()).candidate!.name, /^12-/)
  assert.is((await start()).start, 'candidate')
})

/** A file system in memory, or undefined where this user may not mount one. */
function mount(kilobytes: number): string | undefined {
  const folder = mkdtempSync(join(root, 'mounted-'))
  const args = ['-t', 'tmpfs', '-o', `size=${kilobytes}k`, 'tmpfs', folder]
  return spawnSync('mount', args).status === 0 ? folder : undefined
}

const mountable = mount(64)
if (mountable !== undefined) spawnSync('umount', [mountable])

test.skipIf(
  mountable === undefined ? 'no-mount' : undefined,
  'a file system that is really full, with more and more room, then read-only: what was good starts, and a whole update in the end',
  async () => {
    const settings = { timers: noWait, verifier, packaged: 10 } as const
    const onFault = () => {}
    const ends = new Set<string>()
    for (let free = 0; free <= 64; free += 4) {
      const store = mount(256)!
      try {
        const tree = openTree(store)
        const options = { ...settings, tree, keys: KEYS, architecture: 'amd64' } as const
        const start = () => chooseStart({ ...settings, tree, keys: ok(KEYS), onFault })
        const { name } = must(await installUpdate(sourceOf(files[11]), options))
        await start()
        await confirmed(tree, name, KEYS)
        const ballast = join(store, 'ballast')
        // As much as goes in, and then a hole.
        try {
          for (;;) appendFileSync(ballast, new Uint8Array(4096))
        } catch {
          truncateSync(ballast, statSync(ballast).size - free * 1024)
        }
        const installed = await installUpdate(sourceOf(files[12]), options)
        const code = installed.ok ? 'ok' : installed.fault.code
        ends.add(code)
        const chosen = await start()
        assert.is(chosen.start, installed.ok && chosen.start === 'candidate' ? 'candidate' : 'good', `${free} kB`)
        rmSync(ballast)
        assert.ok((await installUpdate(sourceOf(files[12]), options)).ok, `${free} kB`)
        assert.is((await start()).start, 'candidate')
        assert.is(spawnSync('mount', ['-o', 'remount,ro', store]).status, 0)
        const readOnly = await start()
        assert.is(readOnly.start === 'packaged' ? undefined : readOnly.name, name)
        const refused = await installUpdate(sourceOf(files[12]), options)
        assert.is(refused.ok ? 'ok' : refused.fault.code, 'disk.io')
      } finally {
        spawnSync('umount', ['-l', store])
      }
    }
    assert.equal([...ends].sort(), ['disk.full', 'ok'])
  },
  60_000,
)

test('removes its folder', () => rmSync(root, { recursive: true, force: true }))

test.run()
