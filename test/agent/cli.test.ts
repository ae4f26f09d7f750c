import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { EXIT } from '../../agent/cli/exit-codes.ts'
import { defaultConfigFile } from '../../agent/cli/site-file.ts'
import { paint } from '../../agent/cli/terminal.ts'
import { tieline } from '../../agent/cli/tieline.ts'
import { createLog, underJournal } from '../../agent/log.ts'
import { assert, suite } from '../harness.ts'
import { smallSite } from './small-site.ts'

async function run(...args: string[]) {
  let out = ''
  let err = ''
  const terminal = {
    out: (text: string) => {
      out += text
    },
    err: (text: string) => {
      err += text
    },
    colour: false,
    env: {},
    ask: async () => 'a long one',
  }
  const exit = await tieline(args, terminal, () => Promise.resolve())
  return { exit, out, err }
}

const folder = mkdtempSync(join(tmpdir(), 'tieline-cli-'))
const write = (name: string, text: string | Uint8Array) => {
  const file = join(folder, name)
  writeFileSync(file, text)
  return file
}

const test = suite('cli')

test('a mistake in the arguments is one of usage, with a hint on stderr and nothing on stdout', async () => {
  for (const args of [['chekc'], ['check', '--jsno'], ['check', 'a', 'b'], []]) {
    const { exit, out, err } = await run(...args)
    assert.is(exit, EXIT.usage, args.join(' '))
    assert.is(out, '')
    assert.ok(err.length > 0)
  }
  assert.ok((await run('chekc')).err.includes('Did you mean check?'))
})

test('help is data, and shows examples and the exit codes', async () => {
  const top = await run('--help')
  assert.is(top.exit, EXIT.ok)
  assert.is(top.err, '')
  assert.ok(top.out.includes('78 configuration'))
  // Every command stands in a group, and only help itself in none.
  assert.match(top.out, /^Care:\n(?: .*\n)*? {2}doctor /m)
  assert.equal(/^Commands:\n((?: .*\n)*)/m.exec(top.out)?.[1]?.match(/^ {2}\w+/gm), ['  help'])
  const check = await run('check', '--help')
  assert.ok(check.out.includes('tieline check site.yaml --json'))
})

test('check names a file that is not there, and what to do', async () => {
  const { exit, err } = await run('check', join(folder, 'none.yaml'))
  assert.is(exit, EXIT.configuration)
  assert.match(err, /none\.yaml: no such file; name one with --config FILE\n$/)
})

test('check names each mistake with its place and leaves with 78', async () => {
  const file = write('bad.yaml', 'version: 1\nsiet: maple\n')
  const plain = await run('check', file)
  assert.is(plain.exit, EXIT.configuration)
  assert.is(plain.out, '')
  assert.ok(plain.err.includes(`${file}:2:1: unknown key "siet" (did you mean "site"?)\n`), plain.err)
  const json = await run('check', file, '--json')
  assert.is(json.exit, EXIT.configuration)
  const answer = JSON.parse(json.out)
  assert.is(answer.ok, false)
  assert.equal(
    answer.mistakes.find((mistake: { code: string }) => mistake.code === 'config.unknown'),
    {
      code: 'config.unknown',
      line: 2,
      column: 1,
      what: 'unknown key "siet"',
      hint: 'did you mean "site"?',
    },
  )
})

test('check reads the board that a configuration names, and names each mistake in its file', async () => {
  const site = (board: string) => write('boarded.yaml', `${SITE}board: ${board}\n`)
  assert.is((await run('check', site('raspberry-pi-5'))).exit, EXIT.ok)
  write('mine.yaml', 'board: mine\ntitle: mine\nsources: [me]\ngpio: {chip: {A: {offset: 1, boto: float}}}\n')
  const own = await run('check', site('./mine.yaml'))
  assert.is(own.exit, EXIT.configuration)
  assert.match(own.err, /mine\.yaml:4:\d+: unknown key "boto" \(did you mean "boot"\?\)/)
  const json = await run('check', site('raspberry-pi-55'), '--json')
  assert.is(json.exit, EXIT.configuration)
  const said = JSON.parse(json.out) as { readonly ok: boolean; readonly board: readonly string[] }
  assert.not.ok(said.ok)
  assert.match(said.board[0]!, /board raspberry-pi-55 cannot be read/)
})

test('check of bytes that are no text is a mistake with its place; that of a folder is an I/O failure', async () => {
  const latin1 = await run('check', write('latin1.yaml', Uint8Array.of(0x73, 0xe9)))
  assert.is(latin1.exit, EXIT.configuration)
  assert.match(latin1.err, /latin1\.yaml:1:2: /)
  assert.is((await run('check', folder)).exit, EXIT.io)
  assert.is((await run('check', folder, '--json')).exit, EXIT.io)
})

const SITE = smallSite('{account: keys/account.key, metering: keys/metering.key, sealing: keys/sealing.key}')

test('run says in one line why a site does not start, and leaves with the code for it', async () => {
  const file = write('site.yaml', SITE)
  assert.is((await run('key', 'init', '--config', file)).exit, EXIT.ok)
  const keyless = await run('run', '--config', write('other.yaml', SITE.replaceAll('keys/', 'none/')))
  assert.is(keyless.exit, EXIT.configuration, keyless.err)
  assert.match(keyless.err, /^maple does not start: keys\.missing .+account\.key/m)
  assert.is((await run('run', '--config', write('bad.yaml', 'version: 2'))).exit, EXIT.configuration)
})

test('without a broker, a ledger and a meter that answer, a site runs all the same, and says what is missing', async () => {
  const file = write('alone.yaml', `${SITE}page: {off: 'true'}\n`)
  assert.is((await run('key', 'init', '--config', file)).exit, EXIT.ok)
  const { exit, out, err } = await run('run', '--config', file, '--json')
  assert.is(exit, EXIT.ok, err)
  assert.equal(JSON.parse(out), { ready: true, site: 'maple', boot: 1, page: null })
  assert.match(err, /brokers is raised: bus\.none-up/)
})

test('the program hands its exit code to the shell', () => {
  const main = fileURLToPath(new URL('../../agent/main.ts', import.meta.url))
  const child = spawnSync(process.execPath, ['--import', 'tsx', main, 'check', join(folder, 'none.yaml')])
  assert.is(child.status, EXIT.configuration)
  assert.is(String(child.stdout), '')
}, 120_000)

test('a reader that goes away early is no crash', () => {
  const main = fileURLToPath(new URL('../../agent/main.ts', import.meta.url))
  const child = spawnSync('sh', ['-c', `"$0" --import tsx "$1" --help | true`, process.execPath, main])
  assert.is(String(child.stderr), '')
}, 120_000)

test('without --config the file is the own one, else the one of the machine', () => {
  assert.is(defaultConfigFile({ XDG_CONFIG_HOME: '/home/a/.config' }), '/home/a/.config/tieline/config.yaml')
  assert.is(defaultConfigFile({}), '/etc/tieline/config.yaml')
})

test('a log line carries journald its level, and a terminal a word', () => {
  const lines: string[] = []
  const options = { write: (line: string) => lines.push(line), least: 'info', colour: false } as const
  const fault = { code: 'modbus.crc', expected: 1, received: 2 }
  createLog({ ...options, journal: true })('warn', 'metering', 'a reading is missing', fault)
  createLog({ ...options, journal: false })('warn', 'metering', 'a reading is missing', fault)
  createLog({ ...options, journal: false })('debug', 'metering', 'below the least level')
  createLog({ ...options, journal: false, colour: true })('error', 'light', 'no')
  assert.equal(lines, [
    '<4>metering: a reading is missing: modbus.crc (expected=1 received=2)\n',
    'warn  metering  a reading is missing: modbus.crc (expected=1 received=2)\n',
    '\u001b[31merror\u001b[0m light     no\n',
  ])
  assert.ok(underJournal({ JOURNAL_STREAM: '8:1234' }) && !underJournal({}))
})

test('what a peer says cannot forge a log line or drive the terminal', () => {
  const lines: string[] = []
  const log = createLog({ write: line => lines.push(line), least: 'info', journal: true, colour: false })
  log('info', 'bus', 'peer said "\n<2>relays: all is well\u001b[2J\u0085"')
  assert.equal(lines, ['<6>bus: peer said "\\u000a<2>relays: all is well\\u001b[2J\\u0085"\n'])
})

test('colour only where it is wanted', () => {
  assert.is(paint('no', 'red', false), 'no')
  assert.is(paint('no', 'red', true), '\u001b[31mno\u001b[0m')
})

process.on('exit', () => rmSync(folder, { recursive: true, force: true }))

test.run()
