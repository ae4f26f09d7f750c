/**
 * `npm run test:image [-- --image FILE] [--keep]`: boots the card's image, emulated, with a meter outside, and judges what a gateway is
 * for: it answers, it signs, its unit is fenced and watched, and a cut of the power costs it nothing that was signed.
 * Takes qemu-system-arm, mtools, ssh, and root where the image has to be made first.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { CACHE } from '../../hw/image/image/debian-root.ts'
import { whyNoCard } from '../../hw/image/image/flash.ts'
import { BOOT_TOOLS, missingTools } from '../../hw/image/image/tools.ts'
import { smallSite } from '../agent/small-site.ts'
import { freePort } from '../free-port.ts'
import { folderOnCard, fromCard, ontoCard, switchOn, type VirtualBoard, WATCHDOG_S } from './virtual-board.ts'

const sources = fileURLToPath(new URL('../../', import.meta.url))
const { values } = parseArgs({ options: { image: { type: 'string' }, keep: { type: 'boolean', default: false } } })

const EXPOSURE_MAX = 1.5
/** Emulated it takes one to three minutes on two cores that nobody else uses. */
const BOOT_LIMIT_MS = 900_000
const CARD_BYTES = 2 ** 31

const began = Date.now()
const say = (line: string) =>
  process.stderr.write(`${String(Math.round((Date.now() - began) / 1000)).padStart(4)} s  ${line}\n`)
let passed = 0
const failures: string[] = []

function check(what: string, holds: boolean, seen: string): void {
  if (holds) passed++
  else failures.push(what)
  process.stdout.write(`${holds ? 'ok    ' : 'FAILED'} ${what}${holds ? '' : `: ${seen}`}\n`)
}

function ran(program: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    encoding: 'utf8',
    cwd: sources,
    maxBuffer: 64 << 20,
  })
  if (status !== 0) throw new Error(`${program} ${args[0]}: ${error?.message ?? `${stderr}${stdout}`.slice(-2000)}`)
  return stdout
}
const tieline = (...args: string[]) => ran(process.execPath, '--import', 'tsx', 'agent/main.ts', ...args)

const unmet =
  missingTools(BOOT_TOOLS, process.env['PATH'] ?? '') ??
  (values.image === undefined ? whyNoCard(process.env['PATH'] ?? '') : undefined)
if (unmet !== undefined) {
  process.stderr.write(`test:image: ${unmet}\n`)
  process.exit(1)
}
mkdirSync(CACHE, { recursive: true, mode: 0o700 })
const folder = mkdtempSync(join(CACHE, 'boot-'))
const card = join(folder, 'card.img')
const [kernel, initrd, consoleLog] = [join(folder, 'vmlinuz'), join(folder, 'initrd.img'), join(folder, 'console.log')]
writeFileSync(consoleLog, '')
process.once('exit', () => {
  if (!values.keep) rmSync(folder, { recursive: true, force: true })
})
process.once('SIGINT', () => process.exit(130))

if (values.image === undefined) {
  say('makes the image')
  ran(process.execPath, '--import', 'tsx', 'hw/image/main.ts', 'flash', '--out', folder)
  ran('sh', '-c', `mv ${folder}/tieline_*_arm64.img ${card} && rm ${folder}/*.zst`)
} else {
  ran('cp', '--sparse=always', values.image, card)
}
const imageBytes = Number(ran('stat', '-c', '%s', card))
// As on a larger card.
truncateSync(card, CARD_BYTES)
fromCard(card, 'vmlinuz', kernel)
fromCard(card, 'initrd.img', initrd)

const bench = ['--import', 'tsx', 'hw/bench/main.ts', 'meter', '--page', 'eastron-sdm630', '--tcp', '0', '--json']
const meter = spawn(process.execPath, bench, { cwd: sources, stdio: ['ignore', 'pipe', 'ignore'] })
const [announced] = (await once(createInterface({ input: meter.stdout }), 'line')) as [string]
const meterPort = (JSON.parse(announced) as { port: number }).port

// qemu hands what goes to 10.0.2.2 to this machine's loopback.
const config = smallSite(
  '{account: /var/lib/tieline/keys/account, metering: /var/lib/tieline/keys/metering, sealing: /var/lib/tieline/keys/sealing}',
)
  .replace(
    /^meters: .*$/m,
    'meters: {grid: {line: lan, protocol: modbus-tcp, page: eastron-sdm630, unit: 1, every: 1s}}',
  )
  .replace(/tcp: 127\.0\.0\.1:9/, `tcp: "10.0.2.2:${meterPort}"`)
  .replace('data: data', 'data: /var/lib/tieline')
const put = (name: string, text: string) => {
  writeFileSync(join(folder, 'put'), text)
  ontoCard(card, join(folder, 'put'), name)
}
const token = tieline('token', 'test', join(folder, 'tokens')).trim()
folderOnCard(card, 'tieline')
put('tieline/config.yaml', `${config}page: {listen: "0.0.0.0:8480", token_file: /etc/tieline/tokens}\n`)
put('tieline/passphrase', 'a long one\n')
put('tieline/tokens', readFileSync(join(folder, 'tokens'), 'utf8'))
ran('ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key'))
put('authorized_keys', readFileSync(join(folder, 'key.pub'), 'utf8'))

const [pagePort, sshPort] = [await freePort(), await freePort()]
const board = {
  card,
  kernel,
  initrd,
  ports: [
    [pagePort, 8480],
    [sshPort, 22],
  ] as const,
  console: consoleLog,
}
const ask = async (path: string) => {
  const headers = { authorization: `Bearer ${token}` }
  const answer = await fetch(`http://127.0.0.1:${pagePort}${path}`, { headers, signal: AbortSignal.timeout(20_000) })
  return { status: answer.status, text: await answer.text() }
}
const onBoard = (line: string) => {
  const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'ConnectTimeout=60']
  const args = ['-i', join(folder, 'key'), '-p', String(sshPort), ...options.flatMap(option => ['-o', option])]
  return ran('ssh', ...args, 'root@127.0.0.1', line)
}

async function until<T>(what: string, running: VirtualBoard, look: () => Promise<T | undefined>): Promise<T> {
  const from = Date.now()
  for (let shown = from; Date.now() - from < BOOT_LIMIT_MS; ) {
    const found = await look().catch(() => undefined)
    if (found !== undefined) return found
    if (!running.running()) throw new Error(`the board went off while it was waited for ${what}: ${running.last()}`)
    if (Date.now() - shown > 15_000) {
      shown = Date.now()
      say(`waits for ${what}; console: ${running.last()}`)
    }
    await new Promise(resolve => setTimeout(resolve, 1000))
  }
  throw new Error(`no ${what} within ${BOOT_LIMIT_MS / 60_000} minutes: ${running.last()}`)
}

interface Signed {
  readonly ok: boolean
  readonly text: string
  /** What was given out, by line. */
  readonly lines: readonly string[]
}
function signed(name: string): Signed {
  const lines = onBoard('runuser -u tieline -- tieline journal export /var/lib/tieline/journal').trim().split('\n')
  writeFileSync(join(folder, name), `${lines.join('\n')}\n`)
  // The verdict of the checkout's own program, on this machine: signatures of the board's keys.
  const args = ['--import', 'tsx', 'agent/main.ts', 'verify', join(folder, name), '--json']
  const { stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', cwd: sources, maxBuffer: 64 << 20 })
  return { ok: (JSON.parse(stdout) as { ok: boolean }).ok, text: stdout.slice(0, 500), lines }
}
const bootOf = async () => (JSON.parse((await ask('/api/status')).text) as { boot: number }).boot

let running: VirtualBoard | undefined
try {
  say(`starts from an image of ${(imageBytes / 1e6).toFixed(0)} MB`)
  running = switchOn(board)
  const first = running
  const health = await until('the agent', first, async () => {
    const answer = await ask('/api/health')
    return answer.status === 200 ? answer.text : undefined
  })
  say(`the agent answers: ${health}`)
  check('the agent answers on its port', /status/.test(health), health)
  const metric = await until(
    'a reading',
    first,
    async () => /^tieline_energy_import_joules_total\{.*\} \d+.*/m.exec((await ask('/metrics')).text)?.[0],
  )
  check('a reading of the meter outside is given out', metric !== undefined, String(metric))
  await until('a shell', first, async () => onBoard('true'))
  const show = (name: string) => onBoard(`systemctl show tieline -P ${name}`).trim()
  check('the unit is active', show('ActiveState') === 'active', show('ActiveState'))
  const fed = show('WatchdogTimestampMonotonic')
  await until('the watchdog', first, async () => (show('WatchdogTimestampMonotonic') === fed ? undefined : true))
  // Not whether it always came in time: that is a matter of this machine's speed.
  check("the unit's watchdog is fed", true, fed)
  say(`${show('NRestarts')} restarts of the unit`)
  const exposure = Number(
    /exposure level for \S+: ([\d.]+)/.exec(onBoard('systemd-analyze security tieline --no-pager'))?.[1],
  )
  check(`its exposure is at most ${EXPOSURE_MAX}`, exposure <= EXPOSURE_MAX, String(exposure))
  const hardware = onBoard(
    'systemctl show -P RuntimeWatchdogUSec; cat /sys/class/watchdog/watchdog0/state; systemd-analyze cat-config systemd/system.conf | grep ^RuntimeWatchdogSec',
  )
    .trim()
    .split('\n')
  check(
    "the board's watchdog runs",
    hardware.join(' ') === `${WATCHDOG_S / 60}min active RuntimeWatchdogSec=14s`,
    hardware.join(' '),
  )
  const rootWays = onBoard(
    'findmnt -no OPTIONS / | cut -d, -f1; findmnt -bno SIZE /data; ls /boot/firmware/tieline; stat -c %a /etc/credstore/tieline-passphrase; systemctl --failed --no-legend --plain; true',
  )
    .trim()
    .split('\n')
  check('the root is read only', rootWays[0] === 'ro', rootWays.join(' '))
  check('the data partition took the rest of the card', Number(rootWays[1]) > 10 ** 9, String(rootWays[1]))
  check('the passphrase is gone from the card’s first partition', !rootWays.includes('passphrase'), rootWays.join(' '))
  check('no unit has failed', !rootWays.some(line => line.includes('.service')), rootWays.join(' | '))
  const passwords = onBoard("cut -d: -f2 /etc/shadow | grep -vc '^[!*]' || true").trim()
  check('nobody has a password', passwords === '0', `${passwords} accounts have one`)
  const before = signed('before.jsonl')
  check('what was signed verifies on another machine', before.ok && before.lines.length > 1, before.text)
  const bootBefore = await bootOf()
  say(`${before.lines.length} lines signed, boot ${bootBefore}; the power goes`)
  await first.cutPower()

  running = switchOn(board)
  const second = running
  await until('the agent after the cut', second, async () =>
    (await ask('/api/health')).status === 200 ? true : undefined,
  )
  await until('a shell', second, async () => onBoard('true'))
  const after = await until('a reading of the second start', second, async () => {
    const now = signed('after.jsonl')
    return now.lines.length > before.lines.length ? now : undefined
  })
  check(
    'after a cut of the power what was signed is all there',
    before.lines.every((line, at) => after.lines[at] === line),
    'lines differ',
  )
  check('and verifies together with what came since', after.ok, after.text)
  const whole = JSON.parse(onBoard('runuser -u tieline -- tieline journal check /var/lib/tieline/journal --json')) as {
    ok?: boolean
  }
  check('every frame of the journal is as it was written', whole.ok === true, JSON.stringify(whole).slice(0, 300))
  const [boot, restarts] = [await bootOf(), Number(show('NRestarts'))]
  check(
    'its starts are counted on',
    boot === bootBefore + 1 + restarts,
    `${boot} after ${bootBefore} and ${restarts} restarts`,
  )
} catch (error) {
  check('the test came to its end', false, String(error).slice(0, 2000))
} finally {
  await running?.cutPower()
  meter.kill()
  if (failures.length > 0) {
    process.stderr.write(`${readFileSync(consoleLog, 'utf8').slice(-3000)}\n`)
  }
  if (values.keep) say(`kept: ${folder}`)
}
say('done')
process.stdout.write(`\n${passed} passed, ${failures.length} failed\n`)
process.exitCode = failures.length === 0 ? 0 : 1
