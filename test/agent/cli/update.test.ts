/** `tieline update`: its words, exit codes and one line for each trouble; judged by what lies on the disk afterwards. */
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { tieline } from '../../../agent/cli/tieline.ts'
import { machineArchitecture } from '../../../agent/update/place.ts'
import { readState } from '../../../agent/update/releases.ts'
import { chooseStart } from '../../../agent/update/start.ts'
import { openTree } from '../../../drivers/store/tree.ts'
import type { About } from '../../../hw/image/update.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { must, ok } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { smallSite } from '../small-site.ts'
import { confirmed } from '../update/confirm-by-agent.ts'
import { bodiesOf, KEYS, next, noWait, ours, stranger, updateOf, verifier } from '../update/update-bench.ts'
import { runTieline, type Said } from './cli-run.ts'

const MAIN = fileURLToPath(new URL('../../../agent/main.ts', import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'tieline-update-'))
const architecture = machineArchitecture()
const keys = join(root, 'keys')
writeFileSync(keys, KEYS)

const written = (name: string, bytes: Uint8Array): string => {
  writeFileSync(join(root, name), bytes)
  return join(root, name)
}
const release = async (number: number, signers = [ours], more: Partial<About> = {}) =>
  written(
    `${number}-${signers.map(({ publicKey }) => publicKey[0]).join('-')}-${Object.keys(more).join('')}.update`,
    await updateOf(number, { architecture, ...more }, signers),
  )
const eleven = await release(11)
const twelve = await release(12)

let stores = 0
function gateway(): { readonly store: string; readonly env: Record<string, string> } {
  const store = join(root, `store-${++stores}`)
  mkdirSync(store)
  return { store, env: { STATE_DIRECTORY: store, TIELINE_UPDATE_KEYS: keys } }
}
/** No agent is asked: there is no configuration. */
const NO_AGENT = ['--config', join(root, 'no-site.yaml')]
const update = (env: Record<string, string>, word: string, ...args: string[]): Promise<Said> =>
  runTieline(['update', word, ...args, ...NO_AGENT], { env })

/** Every file below a folder, by path and SHA-256; sockets of who holds it are not files. */
function contents(folder: string, below = ''): Record<string, string> {
  const found: Record<string, string> = {}
  for (const entry of readdirSync(join(folder, below), { withFileTypes: true })) {
    const path = join(below, entry.name)
    if (entry.isDirectory()) Object.assign(found, contents(folder, path))
    else if (entry.isFile())
      found[path] = createHash('sha256')
        .update(readFileSync(join(folder, path)))
        .digest('hex')
  }
  return found
}

/** Which version the launcher would start, of a copy: asking counts a try. The files have to be those that were signed. */
async function starts(store: string): Promise<string> {
  const copy = join(root, `copy-${++stores}`)
  cpSync(store, copy, { recursive: true, filter: path => !statSync(path).isSocket() })
  const chosen = await chooseStart({
    ...{ tree: openTree(copy), timers: noWait, verifier, packaged: 0, keys: ok(KEYS) },
    onFault: text => assert.unreachable(text),
  })
  if (chosen.start === 'packaged') return 'package'
  for (const [path, body] of bodiesOf(`release ${Number.parseInt(chosen.name, 10)}`)) {
    assert.equal(new Uint8Array(readFileSync(join(store, chosen.folder, 'files', path))), body, path)
  }
  return `${chosen.start} ${Number.parseInt(chosen.name, 10)}`
}

/** As its agent would, once every meter reads. */
async function find(store: string, version: string): Promise<string> {
  const tree = openTree(store)
  const { name } = must(await readState(tree)).candidate!
  assert.match(name, version)
  await chooseStart({ ...{ tree, timers: noWait, verifier, packaged: 0, keys: ok(KEYS) }, onFault: () => {} })
  await confirmed(tree, name, KEYS)
  return name
}

const DEADLINE_MS = 60_000
const test = suite('tieline update')

test(
  'as a process: verified, installed, shown; then given up',
  async () => {
    const { store, env } = gateway()
    const run = (...args: string[]) =>
      new Promise<{ code: number | null; out: string; err: string }>(resolve => {
        const child = spawn(process.execPath, ['--import', 'tsx', MAIN, 'update', ...args, ...NO_AGENT], {
          env: { ...process.env, ...env },
        })
        let [out, err] = ['', '']
        child.stdout.on('data', text => {
          out += text
        })
        child.stderr.on('data', text => {
          err += text
        })
        child.on('close', code => resolve({ code, out, err }))
      })
    const [verifies, refuses] = await Promise.all([run('verify', eleven), run('verify', keys)])
    assert.equal(verifies, {
      code: 0,
      out: verifies.out,
      err: '',
    })
    assert.match(verifies.out, /^good: version 0\.11\.0 \(11-[0-9a-f]{8}\) for \w+, 0\.0 MB\n$/)
    assert.is(refuses.code, 1)
    assert.match(refuses.err, /^tieline update verify: update\.not-an-update: [^\n]+\n$/)
    assert.equal(contents(store), {})
    const installed = await run('install', eleven, '--json')
    assert.is(installed.code, 0, installed.err)
    assert.is(await starts(store), 'candidate 11')
    assert.is(JSON.parse(installed.out).version, '0.11.0')
    assert.is((await run('rollback')).code, 0)
    assert.is(await starts(store), 'package')
  },
  // A machine under load takes ten seconds to start a process.
  4 * DEADLINE_MS,
)

test('what a script is told: the shape of each word, and the same of a refusal', async () => {
  const { store, env } = gateway()
  const said = async (word: string, ...args: string[]) => {
    const { exit, json, err } = await update(env, word, ...args, '--json')
    assert.is(err, '')
    const [one, ...more] = json()
    assert.is(more.length, 0)
    return { exit, one }
  }
  const none = { release: 0, version: 'none' }
  assert.equal(await said('status'), { exit: 0, one: { ok: true, packaged: none } })
  const { one: verified } = await said('verify', eleven)
  const { release: name } = verified
  assert.match(name, /^11-[0-9a-f]{8}$/)
  const about = { release: name, version: '0.11.0', architecture, bytes: verified.bytes, newKeys: false }
  assert.equal(verified, { ok: true, ...about })
  assert.is(
    verified.bytes,
    [...bodiesOf('release 11').values()].reduce((sum, body) => sum + body.length, 0),
  )
  const later = 'it starts with the next start: systemctl restart tieline'
  assert.equal(await said('install', eleven, '--later'), {
    exit: 0,
    one: { ok: true, ...about, restarts: false, interrupts: [], text: later },
  })
  assert.equal(await said('status'), {
    exit: 0,
    one: { ok: true, packaged: none, candidate: { name, tries: 0 } },
  })
  await find(store, '11-')
  assert.equal(await said('status'), { exit: 0, one: { ok: true, packaged: none, good: name, highest: name } })
  const already = 'it was found good here before and is whole: nothing is done'
  assert.equal(await said('install', eleven, '--later'), {
    exit: 0,
    one: { ok: true, ...about, already: true, restarts: false, interrupts: [], text: already },
  })
  assert.equal(await said('rollback', '--later'), {
    exit: 0,
    one: { ok: true, leaves: name, restarts: false, interrupts: [], text: later },
  })
  assert.equal(await said('status'), {
    exit: 0,
    one: { ok: true, packaged: none, highest: name, failed: { name, why: 'rolled back by hand' } },
  })
  const refused = await said('verify', keys)
  const { code, hint, text } = refused.one.fault
  assert.equal(refused, { exit: 1, one: { ok: false, fault: { code, hint, text } } })
  assert.equal([code, text], ['update.not-an-update', `update.not-an-update: ${hint}`])
})

test('a good one is tried next and stays once it is found good; the newest is left for the one before, at last the package', async () => {
  const { store, env } = gateway()
  const trips = [
    ['install', eleven, 'candidate 11'],
    ['find', '11-', 'good 11'],
    ['install', twelve, 'candidate 12'],
    // What is only tried is given up first.
    ['rollback', '', 'good 11'],
    ['install', twelve, 'candidate 12'],
    ['find', '12-', 'good 12'],
    ['rollback', '', 'good 11'],
  ] as const
  for (const [word, what, then] of trips) {
    if (word === 'find') await find(store, what)
    else {
      const { exit, err } = await update(env, word, ...(what === '' ? [] : [what]), '--later')
      assert.is(exit, 0, err)
    }
    assert.is(await starts(store), then, word)
  }
  // The one that was left may come back, one that is older than it may not.
  assert.is((await update(env, 'install', eleven, '--later')).exit, 1)
  assert.is((await update(env, 'install', twelve, '--later')).exit, 0)
  assert.is(await starts(store), 'candidate 12')
  assert.is((await update(env, 'rollback', '--later')).exit, 0)
  assert.is((await update(env, 'rollback', '--later')).exit, 0)
  assert.is(await starts(store), 'package')
  const before = contents(store)
  const nothing = await update(env, 'rollback')
  assert.equal([nothing.exit, nothing.out], [1, ''])
  assert.match(nothing.err, /^tieline update rollback: update\.nothing-before: [^\n]+\n$/)
  assert.equal(contents(store), before)
})

test('what is refused is refused in one line, with its exit code, and changes nothing on the disk', async () => {
  const { store, env } = gateway()
  assert.is((await update(env, 'install', twelve, '--later')).exit, 0)
  await find(store, '12-')
  const good = readFileSync(await release(13))
  const changed = Buffer.from(good)
  changed[changed.length - 1]! ^= 1
  const noKeys = written('no-keys', utf8('# nobody yet\n'))
  const oddKeys = written('odd-keys', utf8('key 00\n'))
  const other = architecture === 'armhf' ? 'arm64' : 'armhf'
  const by = (file: string, code: RegExp | string, exit: number, also: Record<string, string> = {}) =>
    ({ file, code, exit, also }) as const
  const cases = [
    by(await release(13, [stranger]), 'update.not-signed', 1),
    by(await release(13, [next]), 'update.not-signed', 1),
    by(written('cut-body', good.subarray(0, good.length - 1)), 'update.length', 1),
    by(written('cut-head', good.subarray(0, 100)), 'update.truncated', 1),
    by(written('empty', new Uint8Array(0)), 'update.truncated', 1),
    by(written('changed', changed), 'update.other-bytes', 1),
    by(eleven, 'update.not-newer', 1),
    by(await release(13, [ours], { least: 99 }), 'update.too-far', 1),
    by(await release(13, [ours], { architecture: other }), 'update.architecture', 1),
    by(await release(13, [ours], { group: 'pilot' }), 'update.group', 1),
    by(MAIN, 'update.not-an-update', 1),
    by(join(root, 'nowhere.update'), 'disk.missing', 74),
    by(root, 'disk.not-a-file', 74),
    by('/dev/zero', 'disk.not-a-file', 74),
    by(eleven, 'update.no-keys', 78, { TIELINE_UPDATE_KEYS: join(root, 'no-folder/keys') }),
    by(eleven, 'update.no-keys', 78, { TIELINE_UPDATE_KEYS: noKeys }),
    by(eleven, 'update.trust', 78, { TIELINE_UPDATE_KEYS: oddKeys }),
    by(eleven, 'file.unreadable', 74, { TIELINE_UPDATE_KEYS: root }),
  ]
  const before = contents(store)
  for (const { file, code, exit, also } of cases) {
    for (const word of ['verify', 'install']) {
      const said = await update({ ...env, ...also }, word, file, ...(word === 'install' ? ['--now'] : []))
      assert.equal([said.exit, said.out], [exit, ''], `${word} ${file} ${said.err}`)
      const complaint = said.err.replace(/^(unpacked \d+ %\n)*/, '')
      assert.match(complaint, new RegExp(`^tieline update ${word}: ${code}[^\\n]*\\n$`))
      assert.equal(contents(store), before, `${word} ${file}`)
    }
  }
  // The same words take what is as it should be.
  assert.is((await update(env, 'verify', await release(13))).exit, 0)
  assert.is(await starts(store), 'good 12')
})

test('what was typed wrong is said in one line with exit code 2, and nothing is done', async () => {
  const { store, env } = gateway()
  for (const typed of [
    ['install'],
    ['install', eleven, twelve],
    ['install', eleven, '--wait', 'long'],
    ['install', eleven, '--wait', '-1'],
    ['install', eleven, '--wait', '1441'],
    ['install', eleven, '--now', '--later'],
    ['install', eleven, '--force'],
    ['rollback', '--wait', '1.5'],
    ['rollback', '--now', '--later'],
    ['rollback', eleven],
    ['verify'],
    ['status', '--now'],
    ['instal', eleven],
  ]) {
    const said = await runTieline(['update', ...typed], { env })
    assert.equal([said.exit, said.out], [2, ''], typed.join(' '))
    assert.match(said.err, /^tieline update[^\n]*; --help shows how\n$/, typed.join(' '))
  }
  assert.equal(contents(store), {})
  for (const word of ['status', 'verify', 'install', 'rollback']) {
    const help = await runTieline(['update', word, '--help'])
    assert.is(help.exit, 0)
    assert.match(help.out, /--json/)
  }
})

test('a folder that is another’s, closed, or not there: what to do is said, and nothing is written', async () => {
  const asRoot = process.getuid!() === 0
  const { store, env } = gateway()
  if (asRoot) chownSync(store, 1, 1)
  else chmodSync(store, 0o500)
  for (const word of ['install', 'rollback']) {
    const said = await update(env, word, ...(word === 'install' ? [eleven] : []))
    assert.equal([said.exit, said.out], [77, ''])
    assert.match(said.err, new RegExp(`^tieline update ${word}: disk\\.permission [^\\n]*\\n$`))
    if (asRoot) assert.match(said.err, `: runuser -u tieline -- tieline update ${word}`)
  }
  if (asRoot) chownSync(store, 0, 0)
  else chmodSync(store, 0o700)
  assert.equal(readdirSync(store), [])
  const gone = { ...env, STATE_DIRECTORY: join(root, 'gone') }
  const said = await update(gone, 'install', eleven)
  assert.equal([said.exit, said.out], [74, ''])
  assert.match(said.err, /^tieline update install: disk\.missing [^\n]*the data folder of the agent[^\n]*\n$/)
  assert.not.ok(existsSync(join(root, 'gone')))
  // Looking is no writing.
  assert.is((await update(gone, 'status')).exit, 0)
  assert.is((await update(gone, 'verify', eleven)).exit, 0)
  assert.not.ok(existsSync(join(root, 'gone')))
})

test('a damaged state is named, and no update is installed over it', async () => {
  const { store, env } = gateway()
  assert.is((await update(env, 'install', eleven, '--later')).exit, 0)
  const state = join(store, 'releases/state')
  const bytes = readFileSync(state)
  bytes[3]! ^= 1
  writeFileSync(state, bytes)
  const before = contents(store)
  for (const word of [['status'], ['verify', twelve], ['install', twelve], ['rollback']]) {
    const said = await update(env, word[0]!, ...word.slice(1))
    assert.equal([said.exit, said.out], [1, ''])
    assert.match(said.err, /^tieline update \w+: update\.state-damaged\n$/)
  }
  assert.equal(contents(store), before)
})

test(
  'installed while another installation runs: the second, another process, is told to wait; the first is whole',
  async () => {
    const { store, env } = gateway()
    let second: ReturnType<typeof spawnSync> | undefined
    const exit = await tieline(
      ['update', 'install', eleven, '--later', ...NO_AGENT],
      {
        ...{ out: () => {}, colour: false, env },
        // The first stands still in the middle of its work until the second has ended.
        err(text) {
          if (second !== undefined || !/^unpacked/.test(text)) return
          const args = ['--import', 'tsx', MAIN, 'update', 'install', twelve, '--later', ...NO_AGENT]
          second = spawnSync(process.execPath, args, { env: { ...process.env, ...env }, encoding: 'utf8' })
        },
      },
      () => new Promise(() => {}),
    )
    assert.is(second?.status, 75, String(second?.stderr))
    assert.is(second?.stdout, '')
    assert.match(String(second?.stderr), /^tieline update install: update\.installing: another installation[^\n]*\n$/)
    assert.is(exit, 0)
    assert.is(await starts(store), 'candidate 11')
    // Once it is done, the other may.
    assert.is((await update(env, 'install', twelve, '--later')).exit, 0)
    assert.is(await starts(store), 'candidate 12')
  },
  2 * DEADLINE_MS,
)

test('an agent that does not answer is no obstacle: it is said, and the release waits for the next start', async () => {
  const { store, env } = gateway()
  const site = written('site.yaml', utf8(`${smallSite(`{seed: ${'01'.repeat(32)}}`)}bench: true\n`))
  writeFileSync(site, `${readFileSync(site, 'utf8')}page: {listen: 127.0.0.1:9}\n`)
  const said = await runTieline(['update', 'install', eleven, '--config', site], { env })
  assert.is(said.exit, 0, said.err)
  assert.match(said.out, /^no agent of maple answers at 127\.0\.0\.1:9 .*: one reading of any meter will do/m)
  assert.match(said.out, /^it starts with the next start: no agent of maple answers/m)
  assert.is(await starts(store), 'candidate 11')
  const shown = await runTieline(['update', 'status', '--config', site], { env })
  assert.match(shown.out, /^no agent of maple answers at 127\.0\.0\.1:9 /)
})

test('removes its folder', () => rmSync(root, { recursive: true, force: true }))

test.run()
