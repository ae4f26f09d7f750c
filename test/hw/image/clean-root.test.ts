/**
 * The package on a clean Debian: installed by apt with what it depends on, used, started by Debian's systemd, upgraded, removed. The
 * root is made by mmdebstrap; from the second run on it is the one of the first, so that no network is needed.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { CACHE, debianMirror, debianRoot, type RootOptions, rootArchive } from '../../../hw/image/image/debian-root.ts'
import { smallSite } from '../../agent/small-site.ts'
import { freePort } from '../../free-port.ts'
import { assert, type SkipReason, suite } from '../../harness.ts'
import { without } from '../../programs.ts'
import { bootRoot, inRoot, type Machine, type Said, startInRoot } from './machine.ts'

const sources = fileURLToPath(new URL('../../../', import.meta.url))
const architecture = { x64: 'amd64', arm64: 'arm64', arm: 'armhf' }[
  process.arch as string
] as RootOptions['architecture']
const EXPOSURE_MAX = 1.5
const MINUTE = 60_000
/** Of each test, on a machine that many use; alone all of them take less than a minute together. */
const LIMIT = 8 * MINUTE

const folder = mkdtempSync(join(tmpdir(), 'tieline-clean-'))
const root = join(folder, 'root')
const options: RootOptions = {
  architecture,
  include: [],
  components: ['main'],
  // Fetched, and not installed: which packages ours pulls in is what apt decides below.
  hooks: ['chroot "$1" apt-get install -y --no-install-recommends --download-only nodejs systemd'],
  skip: ['cleanup/apt'],
  under: [],
  cache: CACHE,
}

/** Asked by apt's own means, through whatever this machine's apt is configured for. */
function mirrorAnswers(): boolean {
  const mirror = debianMirror()
  if (mirror === undefined) return false
  const asked = ['download-file', `${mirror}dists/trixie/InRelease`, join(folder, 'InRelease')]
  return spawnSync('/usr/lib/apt/apt-helper', asked, { stdio: 'ignore', timeout: MINUTE }).status === 0
}

function whyNot(): SkipReason | undefined {
  const missing =
    process.getuid?.() === 0 ? without('no-mmdebstrap', 'mmdebstrap', '--version') : ('no-root-mmdebstrap' as const)
  return missing ?? (existsSync(rootArchive(options)) || mirrorAnswers() ? undefined : 'no-debian-mirror')
}

const noRoot = whyNot()
const test = suite('clean Debian')

function told({ status, out, err }: Said): string {
  assert.is(status, 0, `${out}${err}`.replace(/[a-z]+:\/\/[^\s/]+/g, '...').slice(-3000))
  return out
}

function ran(program: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', cwd: sources })
  return told({ status, out: stdout, err: stderr })
}

async function nextLine(child: ChildProcess): Promise<string> {
  let talk = ''
  child.stderr?.on('data', text => {
    talk += text
  })
  const lines = createInterface({ input: child.stdout! })
  const [line] = await Promise.race([once(lines, 'line'), once(child, 'close').then(() => [`ended: ${talk}`])])
  return line as string
}

const answers = async (port: number, path: string) =>
  (await (await fetch(`http://127.0.0.1:${port}${path}`)).json()) as { readonly status?: unknown }

async function until<T>(what: string, ask: () => Promise<T | undefined> | T | undefined): Promise<T> {
  for (let left = 1000; left > 0; left--) {
    const answer = await ask()
    if (answer !== undefined) return answer
    await new Promise(resolve => setTimeout(resolve, 250))
  }
  throw new Error(`waited in vain for ${what}`)
}

const asTieline = (line: string) => `runuser -u tieline -- ${line}`
const LENT = 'env CREDENTIALS_DIRECTORY=/run/lent'

let meter: ChildProcess
let meterPort = 0
let pagePort = 0
let machine: Machine | undefined
const shown = (name: string) => told(machine!.sh(`systemctl show tieline -P ${name}`)).trim()

test.skipIf(
  noRoot,
  'apt installs the package and takes Node and systemd from the distribution',
  async () => {
    mkdirSync(root)
    ran('tar', '-xpf', await debianRoot(options), '-C', root)
    assert.not.ok(existsSync(join(root, 'usr/bin/node')), 'a clean root has no Node')
    ran(process.execPath, '--import', 'tsx', 'hw/image/main.ts', 'deb', architecture, '--out', join(root, 'root'))
    // What it depends on lies in apt's cache: mmdebstrap has fetched it, and apt has verified it.
    told(inRoot(root, 'apt-get install -y --no-install-recommends /root/tieline_*.deb'))
    assert.match(told(inRoot(root, 'dpkg -s tieline')), /Status: install ok installed/)
    assert.match(told(inRoot(root, 'node --version')), /^v20\.19\.|^v2[1-9]\.|^v[3-9]/)
    assert.match(told(inRoot(root, 'id tieline')), /tieline.*dialout/)
    const owned = (path: string) => told(inRoot(root, `stat -c '%U:%G %a' ${path}`)).trim()
    assert.is(owned('/etc/tieline'), 'root:tieline 770')
    assert.is(owned('/etc/tieline/config.yaml'), 'root:tieline 660')
    assert.is(owned('/var/lib/tieline'), 'tieline:tieline 700')
  },
  LIMIT,
)

test.skipIf(
  noRoot,
  'as the user tieline it says what it can, checks the configuration, and reads a simulated meter',
  async () => {
    const bench = ['--import', 'tsx', 'hw/bench/main.ts', 'meter', '--page', 'eastron-sdm630', '--tcp', '0', '--json']
    meter = spawn(process.execPath, bench, { cwd: sources, stdio: ['ignore', 'pipe', 'ignore'] })
    meterPort = Number(/127\.0\.0\.1:(\d+)/.exec(await nextLine(meter))![1])
    assert.match(told(inRoot(root, asTieline('tieline --help'))), /closes no relay/)
    assert.match(told(inRoot(root, asTieline('tieline check /etc/tieline/config.yaml'))), /ok, site/)
    const line = `tieline read --page eastron-sdm630 --unit 1 --tcp 127.0.0.1:${meterPort} --json`
    const [reading] = told(inRoot(root, asTieline(line)))
      .trim()
      .split('\n')
    assert.ok(JSON.stringify(JSON.parse(reading!)).includes('1.8.0'), reading)
  },
  LIMIT,
)

test.skipIf(
  noRoot,
  'run by hand it comes up, and its page answers',
  async () => {
    pagePort = await freePort()
    const meters = 'meters: {grid: {line: lan, protocol: modbus-tcp, page: eastron-sdm630, unit: 1, every: 1s}}'
    const keys =
      '{account: /var/lib/tieline/keys/account, metering: /var/lib/tieline/keys/metering, sealing: /var/lib/tieline/keys/sealing}'
    const text = smallSite(keys)
      .replace(/^meters: .*$/m, meters)
      .replace(/tcp: 127\.0\.0\.1:9/, `tcp: "127.0.0.1:${meterPort}"`)
      .replace('data: data', 'data: /var/lib/tieline')
    writeFileSync(join(root, 'etc/tieline/config.yaml'), `${text}page: {listen: "127.0.0.1:${pagePort}"}\n`)
    mkdirSync(join(root, 'etc/credstore'), { recursive: true, mode: 0o700 })
    writeFileSync(join(root, 'etc/credstore/tieline-passphrase'), 'a long one\n', { mode: 0o600 })
    const lend = `install -d -o tieline -m 700 /run/lent
      install -o tieline -m 400 /etc/credstore/tieline-passphrase /run/lent
      cd /var/lib/tieline`
    told(inRoot(root, `${lend}; ${asTieline(`${LENT} tieline key init`)}`))
    const agent = startInRoot(root, `${lend}; exec ${asTieline(`${LENT} tieline run --json`)}`)
    try {
      const line = await nextLine(agent)
      assert.match(line, /"ready":true/)
      assert.is(JSON.parse(line).boot, 1)
      assert.type((await answers(pagePort, '/api/health')).status, 'string')
    } finally {
      agent.kill('SIGKILL')
      await once(agent, 'close')
    }
  },
  LIMIT,
)

test.skipIf(
  noRoot,
  "Debian's systemd starts the unit, which reads the meter, is fed by its watchdog's rounds, and gives little away",
  async () => {
    const booted = await bootRoot(root)
    assert.type(booted, 'object', String(booted))
    machine = booted as Machine
    assert.is(machine.sh('systemctl is-active tieline').out.trim(), 'inactive', 'nothing starts by itself')
    told(machine.sh('systemctl enable --now tieline'))
    assert.is(shown('ActiveState'), 'active')
    const { status } = await answers(pagePort, '/api/health')
    assert.type(status, 'string')
    const reading = await until('a reading', async () => {
      const metrics = await (await fetch(`http://127.0.0.1:${pagePort}/metrics`)).text()
      return /^tieline_energy_import_joules_total\{.*\} (\d+)/m.exec(metrics)?.[1]
    })
    assert.ok(Number(reading) > 0)
    const fed = shown('WatchdogTimestampMonotonic')
    assert.is.not(await until('the watchdog', () => [shown('WatchdogTimestampMonotonic')].find(at => at !== fed)), fed)
    const exposure = Number(
      /exposure level for \S+: ([\d.]+)/.exec(told(machine.sh('systemd-analyze security tieline')))![1],
    )
    assert.ok(exposure <= EXPOSURE_MAX, String(exposure))
    assert.not.match(told(machine.sh('journalctl -b -u tieline')), /a long one|native\.missing/)
  },
  LIMIT,
)

test.skipIf(
  noRoot,
  'an agent that hangs is killed by the watchdog and started again, its boot counted',
  async () => {
    const pid = shown('MainPID')
    told(machine!.sh(`kill -STOP ${pid}`))
    await until('another process', () => (['0', pid].includes(shown('MainPID')) ? undefined : true))
    await until('the agent', () => (shown('ActiveState') === 'active' ? true : undefined))
    assert.is(shown('NRestarts'), '1')
    assert.match(told(machine!.sh('journalctl -b -u tieline')), /Watchdog timeout/)
  },
  LIMIT,
)

/** The package once more with another version, by Debian's own tools. */
function rebuild(version: string): void {
  const tree = join(folder, 'newer')
  const [old] = ran('sh', '-c', `ls ${root}/root/tieline_*.deb`).trim().split('\n')
  ran('dpkg-deb', '-R', old!, tree)
  const control = join(tree, 'DEBIAN/control')
  writeFileSync(control, readFileSync(control, 'utf8').replace(/^Version: .*$/m, `Version: ${version}`))
  ran('dpkg-deb', '--root-owner-group', '-b', tree, join(root, 'root/newer.deb'))
}

test.skipIf(
  noRoot,
  'an upgrade keeps the configuration and the keys, and the agent runs on with another process',
  async () => {
    rebuild('99.0.0')
    const [pid, config] = [shown('MainPID'), readFileSync(join(root, 'etc/tieline/config.yaml'), 'utf8')]
    told(machine!.sh('apt-get install -y /root/newer.deb'))
    assert.match(told(machine!.sh('dpkg -s tieline')), /Version: 99\.0\.0/)
    await until('the agent', () => (shown('ActiveState') === 'active' ? true : undefined))
    assert.is.not(shown('MainPID'), pid)
    assert.is(readFileSync(join(root, 'etc/tieline/config.yaml'), 'utf8'), config)
    assert.type((await answers(pagePort, '/api/health')).status, 'string')
  },
  LIMIT,
)

test.skipIf(
  noRoot,
  'removed, then purged, it stops and leaves the keys and the journal',
  () => {
    told(machine!.sh('apt-get remove -y tieline'))
    assert.is(machine!.sh('systemctl is-active tieline').out.trim(), 'inactive')
    assert.not.ok(existsSync(join(root, 'usr/lib/tieline/agent')))
    told(machine!.sh('apt-get purge -y tieline'))
    assert.not.ok(existsSync(join(root, 'etc/tieline/config.yaml')))
    assert.is(told(machine!.sh('dpkg -l tieline 2>/dev/null | grep -c ^ii || true')).trim(), '0')
    for (const kept of ['keys/account', 'keys/metering', 'keys/sealing', 'journal']) {
      assert.ok(statSync(join(root, 'var/lib/tieline', kept)).size > 0, kept)
    }
  },
  LIMIT,
)

test('switches it off and removes its folder', async () => {
  await machine?.off()
  meter?.kill()
  rmSync(folder, { recursive: true })
}, 240_000)

test.run()
