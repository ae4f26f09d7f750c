/** The package of this machine's processor, read by ar and dpkg, installed by dpkg, and run from where it was installed. */
import { spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { debFile } from '../../../hw/image/deb.ts'
import { smallSite } from '../../agent/small-site.ts'
import { listenTo, noPython } from '../../drivers/process/notify-listener.ts'
import { assert, type SkipReason, suite } from '../../harness.ts'

const MAIN = fileURLToPath(new URL('../../../hw/image/main.ts', import.meta.url))
const SIZE_MAX = 5_000_000
const EXPOSURE_MAX = 1.5

const has = (program: string) => spawnSync(program, ['--version']).error === undefined
const noDpkg: SkipReason | undefined = has('dpkg') && has('ar') ? undefined : 'no-dpkg'
const noSystemd: SkipReason | undefined = has('systemd-analyze') ? undefined : 'no-systemd'
const noRoot: SkipReason | undefined = noDpkg ?? (process.getuid?.() === 0 ? undefined : 'no-root-dpkg')
const architecture = { x64: 'amd64', arm64: 'arm64', arm: 'armhf' }[process.arch as string]!

const folder = mkdtempSync(join(tmpdir(), 'tieline-deb-'))
const root = join(folder, 'root')

function told(program: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', cwd: folder })
  assert.is(status, 0, `${program} ${args.join(' ')}: ${error?.message ?? stderr}${stdout}`)
  return stdout
}

/** Another process each time, in another folder and time zone, under another mask. */
function made(name: string, zone: string, mask: string): string {
  const out = join(folder, name)
  const line = `umask ${mask}; exec "$0" --import tsx "$1" deb ${architecture} --out "$2"`
  const { status, stdout, stderr } = spawnSync('sh', ['-c', line, process.execPath, MAIN, out], {
    encoding: 'utf8',
    env: { ...process.env, TZ: zone, SOURCE_DATE_EPOCH: '1790000000' },
  })
  assert.is(status, 0, stderr)
  return stdout.trim()
}

let deb = ''
const test = suite('deb')

test('built twice it has the same bytes, and not too many', () => {
  deb = made('one', 'UTC', '022')
  const [bytes, again] = [readFileSync(deb), readFileSync(made('two', 'Asia/Kolkata', '077'))]
  assert.ok(bytes.equals(again))
  assert.ok(bytes.length <= SIZE_MAX, `${bytes.length} bytes`)
}, 240_000)

test.skipIf(noDpkg, 'ar and dpkg find in it what a gateway needs, owned by root, at the time it was told', () => {
  assert.equal(told('ar', 't', deb).trim().split('\n'), ['debian-binary', 'control.tar.gz', 'data.tar.gz'])
  const field = (name: string) => told('dpkg-deb', '-f', deb, name).trim()
  assert.is(field('Architecture'), architecture)
  assert.match(field('Depends'), /^nodejs \(>= 20\.19\)/)
  assert.is(told('dpkg-deb', '-I', deb, 'conffiles'), '/etc/tieline/config.yaml\n/etc/tieline-update-keys\n')
  const lines = told('env', 'TZ=UTC', 'dpkg-deb', '-c', deb).trim().split('\n')
  const listed = new Map(lines.map(line => [line.split(/\s+/)[5]!, line] as const))
  for (const line of lines) assert.match(line, /^\S+ root\/root +\d+ 2026-09-21 14:13 /)
  for (const [path, mode] of [
    ['./', 'drwxr-xr-x'],
    ['./etc/tieline/config.yaml', '-rw-r--r--'],
    ['./usr/bin/tieline', 'lrwxrwxrwx'],
    ['./usr/bin/tieline-ledger', 'lrwxrwxrwx'],
    ['./etc/tieline-update-keys', '-rw-r--r--'],
    ['./usr/lib/tieline/agent/tieline.js', '-rwxr-xr-x'],
    ['./usr/lib/tieline/launch/launch.js', '-rwxr-xr-x'],
    ['./usr/lib/tieline/release.json', '-rw-r--r--'],
    ['./usr/lib/tieline/agent/highs.wasm', '-rw-r--r--'],
    ['./usr/lib/tieline/agent/web/page/page.js', '-rw-r--r--'],
    ['./usr/lib/tieline/hw/boards/raspberry-pi-4.yaml', '-rw-r--r--'],
    ['./usr/lib/tieline/native/koffi.node', '-rw-r--r--'],
    ['./usr/lib/tieline/native/serialport.node', '-rw-r--r--'],
    ['./usr/lib/tieline/native/classic-level.node', '-rw-r--r--'],
    ['./usr/lib/systemd/system/tieline.service', '-rw-r--r--'],
    ['./usr/lib/sysusers.d/tieline.conf', '-rw-r--r--'],
    ['./usr/lib/tmpfiles.d/tieline.conf', '-rw-r--r--'],
    ['./usr/lib/udev/rules.d/60-tieline.rules', '-rw-r--r--'],
    ['./usr/share/doc/tieline/copyright', '-rw-r--r--'],
  ] as const) {
    assert.is(listed.get(path)?.slice(0, 10), mode, path)
  }
})

test.skipIf(
  noRoot,
  'dpkg installs it into an empty root without systemd, keeps a changed configuration, and removes it',
  () => {
    mkdirSync(join(root, 'var/lib/dpkg'), { recursive: true })
    writeFileSync(join(root, 'var/lib/dpkg/status'), '')
    // The maintainer scripts would run in the empty root, where there is no shell: here they run with this machine's tools, which DPKG_ROOT
    // tells to keep to that root.
    const dpkg = (...args: string[]) =>
      told('dpkg', `--root=${root}`, '--force-not-root', '--force-depends', '--force-script-chrootless', ...args)
    dpkg('-i', deb)
    const sums = told('sh', '-c', `cd ${root} && md5sum --quiet -c var/lib/dpkg/info/tieline.md5sums`)
    assert.is(sums, '')
    const config = join(root, 'etc/tieline/config.yaml')
    writeFileSync(config, 'mine')
    dpkg('--force-confold', '-i', deb)
    assert.is(readFileSync(config, 'utf8'), 'mine')
    dpkg('-P', 'tieline')
    assert.not.ok(readdirSync(root).includes('usr'))
  },
  120_000,
)

test.skipIf(
  noDpkg,
  'it runs from where it was unpacked: help, and the example configuration is without a mistake',
  () => {
    told('dpkg-deb', '-x', deb, root)
    assert.match(told(join(root, 'usr/bin/tieline'), '--help'), /closes no relay/)
    assert.match(told(join(root, 'usr/bin/tieline-ledger'), '--help'), /ledger/)
    assert.match(told(join(root, 'usr/bin/tieline'), 'check', join(root, 'etc/tieline/config.yaml')), /ok, site home/)
  },
  120_000,
)

test.skipIf(
  noDpkg ?? noPython,
  'with the passphrase lent, the agent says that it is up, feeds the watchdog, and ends in order when asked',
  async () => {
    const credentials = join(folder, 'credentials')
    mkdirSync(credentials, { mode: 0o700 })
    writeFileSync(join(credentials, 'tieline-passphrase'), 'a long one\n', { mode: 0o400 })
    const file = join(folder, 'site.yaml')
    const keys = '{account: keys/account, metering: keys/metering, sealing: keys/sealing}'
    writeFileSync(file, `${smallSite(keys)}page: {off: 'true'}\n`)
    const program = join(root, 'usr/bin/tieline')
    const lent = { ...process.env, CREDENTIALS_DIRECTORY: credentials }
    const init = spawnSync(program, ['key', 'init', '--config', file], { env: lent, encoding: 'utf8' })
    assert.is(init.status, 0, init.stderr)
    const socket = join(folder, 'notify')
    const listener = await listenTo(socket)
    const env = { ...lent, NOTIFY_SOCKET: socket, WATCHDOG_USEC: '1000000' }
    const agent = spawn(program, ['run', '--config', file], { env, stdio: ['ignore', 'ignore', 'pipe'] })
    let talk = ''
    agent.stderr.on('data', text => {
      talk += text
    })
    const ended = new Promise<number | null>(resolve => agent.once('close', resolve))
    try {
      assert.is(await Promise.race([listener.next(), ended.then(() => talk.slice(-1000))]), 'READY=1')
      assert.is(await listener.next(), 'WATCHDOG=1')
      assert.is(await listener.next(), 'WATCHDOG=1')
      agent.kill('SIGTERM')
      let word = await listener.next()
      while (word === 'WATCHDOG=1') word = await listener.next()
      assert.is(word, 'STOPPING=1')
      assert.is(await ended, 0, talk)
      assert.not.match(talk, /native\.missing|a long one/)
    } finally {
      agent.kill('SIGKILL')
      await listener.close()
    }
  },
  240_000,
)

test.skipIf(noSystemd, 'the unit gives little away, and without its fences much', () => {
  const unit = readFileSync(fileURLToPath(new URL('../../../hw/image/debian/tieline.service', import.meta.url)), 'utf8')
  const exposure = (text: string) => {
    const file = join(folder, 'tieline.service')
    writeFileSync(file, text)
    return Number(
      /exposure level for \S+: ([\d.]+)/.exec(told('systemd-analyze', 'security', '--offline=true', file))![1],
    )
  }
  assert.ok(exposure(unit) <= EXPOSURE_MAX, String(exposure(unit)))
  assert.ok(exposure(unit.replace(/^CapabilityBoundingSet=$|^SystemCallFilter=.*$/gm, '')) > EXPOSURE_MAX)
})

test('what cannot be packed truly is not packed at all', () => {
  const file = (path: string) => ({ kind: 'file', path, body: new Uint8Array(1) }) as const
  const pack =
    (paths: readonly string[], conffiles: readonly string[] = []) =>
    () =>
      debFile({ control: { Package: 'x' }, scripts: {}, conffiles, entries: paths.map(file), at: 0 })
  assert.throws(pack(['a', 'a']), /twice/)
  assert.throws(pack(['a'], ['b']), /conffile b/)
  assert.throws(pack(['x'.repeat(99)]), /too long/)
  pack(['x'.repeat(98)])()
})

test('removes its folder', () => rmSync(folder, { recursive: true }))

test.run()
