/** `tieline backup` and `restore` on real folders, beside a writer at work, and killed at any moment. */
import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { BOOT, keepForRestart } from '../../../agent/keeping.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { makeKeyFile } from '../../../drivers/keys/file-signer.ts'
import { openDisk } from '../../../drivers/store/disk.ts'
import { openJournal } from '../../../drivers/store/journal.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { smallSite } from '../small-site.ts'
import { runTieline } from './cli-run.ts'

const test = suite('tieline backup')
const folder = mkdtempSync(join(tmpdir(), 'tieline-backup-'))
const config = join(folder, 'site.yaml')
const PASSPHRASE = 'a passphrase of the test'
const { clock, timers } = createSystemTime()

const open = async (data: string) =>
  openJournal({
    disk: must(await openDisk(join(data, 'journal'))),
    ...{ clock, timers, entropy: systemEntropy, owner: new Uint8Array(33).fill(1), keeping: keepForRestart },
    segmentBytes: 64 * 1024,
  })

mkdirSync(join(folder, 'data/state'), { recursive: true })
writeFileSync(join(folder, 'data/state/welds'), 'as it is')
mkdirSync(join(folder, 'data/page'))
writeFileSync(join(folder, 'data/page/token'), 'a token of this machine')
writeFileSync(
  config,
  smallSite(
    '{account: keys/account, metering: keys/metering, sealing: keys/sealing, passphrase_file: keys/passphrase}',
  ),
)
for (const [use, kind] of [
  ['account', 'ed25519'],
  ['sealing', 'x25519'],
] as const)
  must(await makeKeyFile(join(folder, 'keys', use), kind, PASSPHRASE, systemEntropy))
writeFileSync(join(folder, 'keys/metering'), `${'5a'.repeat(32)}\n`, { mode: 0o600 })
writeFileSync(join(folder, 'keys/passphrase'), `${PASSPHRASE}\n`, { mode: 0o600 })
const archive = join(folder, 'backup.tar.gz')

test('beside an agent that writes, a backup holds whole commits and no secret that is not sealed', async () => {
  const journal = must(await open(join(folder, 'data')))
  must(await journal.append(BOOT, utf8('7'), { urgent: true }))
  let writing = true
  const writer = (async () => {
    for (let n = 0; writing; n++) must(await journal.append('note', utf8(`${n} ${'x'.repeat(700)}`), { urgent: true }))
  })()
  const said = await runTieline(['backup', '--config', config, '--out', archive, '--json'])
  writing = false
  await writer
  await journal.close()
  assert.is(said.exit, EXIT.ok, said.out + said.err)
  const [{ boot, site, keysLeftOut, journal: cut }] = said.json()
  assert.equal([boot, site, keysLeftOut], [7, 'maple', ['metering']])
  assert.ok(Number(cut.sequence) > 0)
  assert.is(statSync(archive).mode & 0o777, 0o600)
  const { gunzipSync } = await import('node:zlib')
  const plain = gunzipSync(readFileSync(archive)).toString('latin1')
  for (const secret of [PASSPHRASE, '5a'.repeat(32), 'a token of this machine'])
    assert.is(plain.includes(secret), false)
  const again = await runTieline(['backup', '--config', config, '--out', archive])
  assert.match(again.err, /archive\.exists/)
}, 120_000)

test('a dry run says what would be, and changes nothing; what stands there is not written over', async () => {
  const into = join(folder, 'restored')
  const dry = await runTieline(['restore', archive, '--into', into, '--dry-run'])
  assert.is(dry.exit, EXIT.ok, dry.err)
  assert.match(dry.out, /^maple as of .* would be restored; boots go on from \d{10}\n/)
  assert.is(existsSync(into), false)
  const done = await runTieline(['restore', archive, '--into', into, '--trust-clock', '--json'])
  assert.is(done.exit, EXIT.ok, done.out + done.err)
  const [{ boot, keysLeftOut }] = done.json()
  assert.equal(keysLeftOut, ['metering'])
  assert.equal(readdirSync(into).sort(), ['config.yaml', 'data', 'keys'])
  assert.equal(readdirSync(join(into, 'data')).sort(), ['journal', `journal.restored-${boot}`, 'state'])
  assert.is(readFileSync(join(into, 'data/state/welds'), 'utf8'), 'as it is')
  const journal = must(await open(join(into, 'data')))
  const booted = journal.kept().find(({ kind }) => kind === BOOT)!
  assert.is(new TextDecoder().decode(booted.bytes), String(boot))
  const held = await runTieline(['restore', archive, '--into', into, '--trust-clock', '--replace'])
  assert.match(held.err, /disk\.held/)
  await journal.close()
  const refused = await runTieline(['restore', archive, '--into', into, '--trust-clock'])
  assert.equal([refused.exit, /restore\.exists/.test(refused.err)], [EXIT.configuration, true])
  await new Promise(resolve => setTimeout(resolve, 1100))
  const replaced = await runTieline(['restore', archive, '--into', into, '--trust-clock', '--replace', '--json'])
  assert.is(replaced.exit, EXIT.ok, replaced.out)
  const next = replaced.json()[0].boot
  assert.ok(next > boot && existsSync(join(into, `data/journal.before-${next}`)))
  const whole = readFileSync(archive)
  writeFileSync(join(folder, 'cut.tar.gz'), whole.subarray(0, whole.length / 2))
  const cut = await runTieline(['restore', join(folder, 'cut.tar.gz'), '--into', join(folder, 'none'), '--trust-clock'])
  assert.equal([cut.exit, existsSync(join(folder, 'none'))], [EXIT.no, false])
}, 120_000)

/** The program, killed after so long. */
const killed = (args: readonly string[], ms: number): Promise<void> =>
  new Promise(resolve => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'agent/main.ts', ...args], { stdio: 'ignore' })
    const timer = setTimeout(() => child.kill('SIGKILL'), ms)
    child.once('exit', () => {
      clearTimeout(timer)
      resolve()
    })
  })

test('killed at any moment, a restore leaves no configuration without the whole of its data, and goes on the next time', async () => {
  const begun = Date.now()
  await killed(['restore', archive, '--into', join(folder, 'timed'), '--trust-clock'], 60_000)
  const wholeMs = Date.now() - begun
  for (let n = 1; n <= 2; n++) {
    const into = join(folder, `killed-${n}`)
    await killed(['restore', archive, '--into', into, '--trust-clock'], wholeMs * (0.6 + 0.12 * n))
    if (existsSync(join(into, 'config.yaml')))
      must((await (await open(join(into, 'data'))).ok) ? { ok: true, value: 0 } : { ok: false, fault: { code: 'x.y' } })
    await new Promise(resolve => setTimeout(resolve, 1100))
    const next = await runTieline(['restore', archive, '--into', into, '--trust-clock', '--replace'])
    if (!/disk\.held/.test(next.err)) assert.is(next.exit, EXIT.ok, next.err)
    const file = join(folder, `killed-${n}.tar.gz`)
    await killed(['backup', '--config', config, '--out', file], wholeMs * (0.6 + 0.12 * n))
    if (!existsSync(file)) continue
    assert.is((await runTieline(['restore', file, '--into', join(folder, 'dry'), '--dry-run'])).exit, EXIT.ok)
  }
  rmSync(folder, { recursive: true })
}, 300_000)

test.run()
