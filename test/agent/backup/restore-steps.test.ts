/**
 * A restore over a site that stands there, ended, failed or without power at every call that changes something on the disk.
 * Killed at a call is the same as no call from there on having any effect, which is how it is tried here: at every one of
 * them, not by the clock. Judged by the files that are left, and by what their journal says.
 */
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { backUp } from '../../../agent/backup/backup.ts'
import type { Places } from '../../../agent/backup/put-in-place.ts'
import { restore } from '../../../agent/backup/restore.ts'
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { siteOf } from '../../../agent/cli/site-file.ts'
import { BOOT, keepForRestart } from '../../../agent/keeping.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { makeKeyFile } from '../../../drivers/keys/file-signer.ts'
import { openDisk, openFolder } from '../../../drivers/store/disk.ts'
import { openJournal } from '../../../drivers/store/journal.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { fromUtf8, utf8 } from '../../../protocol/bytes.ts'
import { must, ok } from '../../../protocol/result.ts'
import { instant } from '../../../protocol/time.ts'
import { type Failure, failFiles, memoryFolder } from '../../drivers/store/failing-files.ts'
import { type Cut, followFiles } from '../../drivers/store/power-cut-files.ts'
import { assert, suite } from '../../harness.ts'
import { runTieline } from '../cli/cli-run.ts'
import { smallSite } from '../small-site.ts'

const test = suite('restore, step by step')
const folder = mkdtempSync(join(memoryFolder(), 'tieline-steps-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
const { clock, timers } = createSystemTime()
const CONFIG = smallSite('{account: keys/account, metering: keys/metering, sealing: keys/sealing}')
const USES = ['account', 'metering', 'sealing'] as const

/** A site's folder as it is at rest, at this boot. */
async function makeSite(root: string, boot: number): Promise<void> {
  mkdirSync(join(root, 'data/state'), { recursive: true })
  writeFileSync(join(root, 'data/state/welds'), `of boot ${boot}`)
  writeFileSync(join(root, 'config.yaml'), `${CONFIG}# of boot ${boot}\n`)
  const disk = must(await openDisk(join(root, 'data/journal')))
  const owner = new Uint8Array(33).fill(1)
  const journal = must(
    await openJournal({
      ...{ disk, clock, timers, entropy: systemEntropy, owner, keeping: keepForRestart },
      segmentBytes: 16 * 1024,
    }),
  )
  must(await journal.append(BOOT, utf8(String(boot)), { urgent: true }))
  await journal.close()
  await disk.close()
}

const origin = join(folder, 'origin')
await makeSite(origin, 7)
for (const use of USES) {
  const kind = use === 'sealing' ? 'x25519' : 'ed25519'
  must(await makeKeyFile(join(origin, 'keys', use), kind, 'a passphrase of the test', systemEntropy))
}
const archive = join(folder, 'backup.tar.gz')
const configFile = join(origin, 'config.yaml')
const config = siteOf(readFileSync(configFile, 'utf8'), configFile)!
const backUpTo = (out: string) => backUp({ config, configFile, out, now: clock.now(), version: 'test' })
must(await backUpTo(archive))

const placesIn = (root: string): Places => ({
  config: join(root, 'config.yaml'),
  data: join(root, 'data'),
  keys: Object.fromEntries(USES.map(use => [use, join(root, 'keys', use)])),
})

/** One of its keys stands there, the two others do not. */
const stood = join(folder, 'stood')
await makeSite(stood, 9)
mkdirSync(join(stood, 'keys'))
cpSync(join(origin, 'keys/account'), join(stood, 'keys/account'))

/** Each at a second of its own. */
let second = 0
const restoreInto = (root: string, now = clock.now() + ++second * 1000, file = archive, dryRun = false) =>
  restore({
    ...{ archive: file, dryRun, replace: true },
    placesOf: () => ok({ site: config.site, ...placesIn(root) }),
    world: { clock: { ...clock, now: () => instant(now) }, timers, entropy: systemEntropy },
  })

/** Path and fingerprint of every file but sockets and empty folders. */
const filesIn = (root: string): ReadonlyMap<string, string> =>
  new Map(
    readdirSync(root, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .sort()
      .map(path => [path.slice(root.length + 1), createHash('sha256').update(readFileSync(path)).digest('hex')]),
  )
const before = filesIn(stood)

/** What an agent would count on from, of the journal that it would find. */
async function bootOf(root: string): Promise<number> {
  const reader = must(await openJournalReader(must(await openFolder(join(root, 'data/journal')))))
  let boot = 0
  must(
    await reader.visit(({ kind, bytes }) => {
      if (kind === BOOT) boot = Number(fromUtf8(bytes))
    }),
  )
  return boot
}

/** An empty place, and what stood there before. */
function fresh(name: string, from?: string): string {
  const root = join(folder, name)
  rmSync(root, { recursive: true, force: true })
  if (from !== undefined) cpSync(from, root, { recursive: true })
  return root
}

/** An agent starts where a configuration stands: then all of what it goes with stands there too. Nothing is gone either way. */
async function judge(root: string, told: string): Promise<'old' | 'new' | 'none'> {
  const after = filesIn(root)
  const contents = new Set(after.values())
  for (const [path, content] of before) assert.ok(contents.has(content), `${told}: ${path} is gone`)
  if (!existsSync(join(root, 'config.yaml'))) return 'none'
  const boot = await bootOf(root)
  const isOld = after.get('config.yaml') === before.get('config.yaml')
  if (!isOld) assert.is(readFileSync(join(root, 'config.yaml'), 'utf8'), readFileSync(configFile, 'utf8'), told)
  assert.is(isOld ? boot === 9 : boot > 1_000_000_000, true, `${told}: boot ${boot}`)
  const welds = readFileSync(join(root, 'data/state/welds'), 'utf8')
  assert.is(welds, isOld ? 'of boot 9' : 'of boot 7', told)
  for (const use of isOld ? (['account'] as const) : USES)
    assert.equal(readFileSync(join(root, 'keys', use)), readFileSync(join(origin, 'keys', use)), `${told}: ${use}`)
  return isOld ? 'old' : 'new'
}

async function judgeNext(root: string, told: string): Promise<void> {
  const again = await restoreInto(root)
  assert.ok(again.ok, `${told}: ${again.ok ? '' : JSON.stringify(again.fault)}`)
  assert.is(await judge(root, told), 'new', told)
}

/** How it ended, at every call of one restore in turn. */
async function atEveryCall(failure: Failure, times: number, each: (root: string, told: string) => Promise<void>) {
  const files = await failFiles(true)
  const ends = { old: 0, new: 0, none: 0 }
  try {
    const from = files.calls()
    must(await restoreInto(fresh('counted', stood)))
    const calls = files.calls() - from
    assert.ok(calls > 60, `${calls} calls`)
    for (let n = 0; n < calls; n++) {
      const root = fresh('tried', stood)
      const told = `${failure} at call ${n} of ${calls}`
      files.fail(files.calls() + n, failure, times)
      const restored = await restoreInto(root)
      files.heal()
      const stands = await judge(root, told)
      if (restored.ok) assert.is(stands, 'new', told)
      else if (times === 1 && restored.fault.code !== 'restore.unfinished')
        assert.is(stands, 'old', `${told}: ${JSON.stringify(restored.fault)}`)
      ends[stands]++
      await each(root, told)
    }
  } finally {
    files.end()
  }
  return ends
}

test('killed at any call, it leaves the old site, the new one or none, and the next one goes through', async () => {
  const ends = await atEveryCall('EIO', Number.POSITIVE_INFINITY, judgeNext)
  assert.ok(ends.old > 10 && ends.none > 10 && ends.new > 0, JSON.stringify(ends))
}, 300_000)

test('where one call fails, or the disk is full at it, everything is as it was', async () => {
  for (const failure of ['short', 'late'] as const) {
    const ends = await atEveryCall(failure, 1, async () => {})
    assert.ok(ends.old > 60 && ends.none === 0, JSON.stringify(ends))
  }
}, 300_000)

test('a power cut at any call leaves the old site, the new one or none, and the next one goes through', async () => {
  const ends = { old: 0, new: 0, none: 0 }
  const root = fresh('powered', stood)
  const files = await followFiles(root)
  const seen = new Set<string>()
  const random = seededRandom(8)
  const look = async (leave: (into: string, cut: Cut) => void, cut: Cut, told: string) => {
    const left = fresh('left')
    leave(left, cut)
    const state = JSON.stringify([...filesIn(left)])
    if (seen.has(state)) return undefined
    seen.add(state)
    const stands = await judge(left, told)
    ends[stands]++
    await judgeNext(left, told)
    return stands
  }
  try {
    files.watch(async (call, leave) => {
      for (const cut of ['all', random] as const) await look(leave, cut, `a cut at call ${call}`)
    })
    must(await restoreInto(root))
    files.watch(async () => {})
    files.leave(fresh('alive'), 'none')
    assert.equal(filesIn(join(folder, 'alive')), filesIn(root), 'the model is not of these files')
    // What it has said that it did, no cut undoes.
    const last = fresh('last')
    files.leave(last, 'all')
    assert.is(await judge(last, 'at the end'), 'new')
  } finally {
    files.end()
  }
  assert.ok(ends.old > 10 && ends.none > 10, JSON.stringify(ends))
}, 300_000)

test('on a disk that lies about syncing, a cut leaves half of each', async () => {
  const root = fresh('lying', stood)
  const files = await followFiles(root, true)
  try {
    must(await restoreInto(root))
  } finally {
    files.end()
  }
  const random = seededRandom(3)
  const broken = new Set<string>()
  for (let n = 0; n < 40; n++) {
    const left = fresh('left')
    files.leave(left, random)
    await judge(left, '').catch(error => broken.add(String(error)))
  }
  assert.ok(broken.size > 2, [...broken].join('\n'))
}, 300_000)

test('a restore that was broken off is named by whatever misses the configuration, and by the next one', async () => {
  const files = await failFiles(true)
  const root = fresh('broken off', stood)
  try {
    for (let n = 100; existsSync(join(root, 'config.yaml')); n -= 5) {
      assert.ok(n > 0)
      rmSync(root, { recursive: true })
      cpSync(stood, root, { recursive: true })
      files.fail(files.calls() + n, 'EIO', Number.POSITIVE_INFINITY)
      const restored = await restoreInto(root)
      assert.is(restored.ok, false)
      files.heal()
    }
  } finally {
    files.end()
  }
  const file = join(root, 'config.yaml')
  for (const command of ['check', 'run', 'status']) {
    const said = await runTieline(command === 'check' ? ['check', file] : [command, '--config', file])
    assert.is(said.exit, EXIT.configuration)
    assert.match(said.err, /config\.yaml: a restore was broken off: run tieline restore again with --replace; /)
    assert.is(said.err.trimEnd().split('\n').length, 1)
  }
}, 120_000)

test('a clock that was set back since does not count boots a second time, wherever the journal of then is', async () => {
  const root = fresh('back', stood)
  const { boot } = must(await restoreInto(root, clock.now() + 1_000_000_000))
  const answer = async (now?: number) => {
    const again = await restoreInto(root, now)
    return again.ok || [again.fault.code, again.fault['counted'], again.fault['hint']]
  }
  assert.equal(await answer(), ['backup.clock', boot, 'set the clock of this machine'])
  assert.equal(await answer(boot * 1000), ['backup.clock', boot, 'wait a second'])
  rmSync(join(root, 'data/journal'), { recursive: true })
  assert.equal(await answer(), ['backup.clock', boot, 'set the clock of this machine'])
})

test('of two at once, one is told that the other is at work', async () => {
  const root = fresh('two', stood)
  const both = await Promise.all([restoreInto(root), restoreInto(root)])
  const faults = both.flatMap(each => (each.ok ? [] : [each.fault.code]))
  assert.ok(faults.every(code => code === 'disk.held') && faults.length > 0, JSON.stringify(faults))
  await judgeNext(root, 'after both')
})

test('a backup killed or failing at any call leaves no file that a restore takes, but a whole one', async () => {
  const files = await failFiles(true)
  const out = join(folder, 'tried.tar.gz')
  let [refused, whole] = [0, 0]
  try {
    const from = files.calls()
    must(await backUpTo(join(folder, 'counted.tar.gz')))
    const calls = files.calls() - from
    assert.ok(calls >= 4, `${calls} calls`)
    for (const [failure, times] of [
      ['EIO', Number.POSITIVE_INFINITY],
      ['ENOSPC', 1],
      ['late', 1],
      ['short', 1],
    ] as const)
      for (let n = 0; n < calls; n++) {
        files.fail(files.calls() + n, failure, times)
        const made = await backUpTo(out)
        files.heal()
        if (made.ok) assert.ok(existsSync(out))
        for (const name of readdirSync(folder).filter(each => each.startsWith('tried.tar.gz'))) {
          const taken = await restoreInto(fresh('dry'), undefined, join(folder, name), true)
          taken.ok ? whole++ : refused++
          if (taken.ok) assert.is(taken.value.manifest.files.length, must(await backUpTo(join(folder, 'w'))).files)
          rmSync(join(folder, 'w'), { force: true })
          rmSync(join(folder, name))
        }
      }
  } finally {
    files.end()
  }
  assert.ok(whole > 0 && refused > 0, `${whole} and ${refused}`)
}, 120_000)

test.run()
