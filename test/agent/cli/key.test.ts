import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { tieline } from '../../../agent/cli/tieline.ts'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { makeKeyFile } from '../../../drivers/keys/file-signer.ts'
import { unsealKey } from '../../../drivers/keys/sealed-file.ts'
import type { Disk } from '../../../drivers/ports.ts'
import { openDisk } from '../../../drivers/store/disk.ts'
import { openJournalReader } from '../../../drivers/store/journal-reader.ts'
import { fromHex, toHex } from '../../../protocol/bytes.ts'
import { decode } from '../../../protocol/cbor.ts'
import { kidOf, parseSign1 } from '../../../protocol/crypto/cose.ts'
import { nobleVerifier } from '../../../protocol/crypto/verify.ts'
import { readKeyHistory } from '../../../protocol/identity/rotation.ts'
import { verifyEvent } from '../../../protocol/reading/verify.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { smallSite } from '../small-site.ts'

const test = suite('tieline key')

/** Each sealed file that is opened takes a quarter of a second of scrypt, and more on a busy machine. */
const SLOW_MS = 240_000
const PASSPHRASE = 'correct horse battery staple'
const folders: string[] = []
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
/** All that any command here ever said. */
let heard = ''

async function tie(args: readonly string[], answers?: readonly string[], env: Record<string, string> = {}) {
  let [out, err] = ['', '']
  const left = [...(answers ?? [])]
  const terminal = {
    out: (text: string) => {
      out += text
    },
    err: (text: string) => {
      err += text
    },
    colour: false,
    env,
    ...(answers === undefined ? {} : { ask: async () => left.shift() }),
  }
  const exit = await tieline(args, terminal, () => Promise.resolve())
  heard += out + err
  return { exit, out, err }
}

/** A site with its keys in a folder of its own, its passphrase in a file. */
function newSite(keys = '') {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-key-'))
  folders.push(folder)
  writeFileSync(join(folder, 'passphrase'), `${PASSPHRASE}\n`, { mode: 0o600 })
  const file = join(folder, 'site.yaml')
  const write = (metering = 'keys/metering.key') =>
    writeFileSync(
      file,
      smallSite(
        `{account: keys/account.key, metering: ${metering}, sealing: keys/sealing.key, ${keys === '' ? 'passphrase_file: passphrase' : keys}}`,
      ),
    )
  write()
  const run = (command: string, answers?: readonly string[]) => tie([...command.split(' '), '--config', file], answers)
  return { folder, file, write, run, key: (name: string) => join(folder, 'keys', name) }
}

async function recordsOf(disk: Pick<Disk, 'list' | 'read'>, kind: string): Promise<Uint8Array[]> {
  const reader = must(await openJournalReader(disk))
  const found: Uint8Array[] = []
  must(await reader.visit(record => void (record.kind === kind && found.push(record.bytes))))
  return found
}

interface Shown {
  readonly ok: boolean
  readonly device: string
  readonly keys: readonly {
    readonly ok: boolean
    readonly use: string
    readonly public: string
    readonly trust?: string
  }[]
  readonly history: readonly { readonly what: string; readonly number: number; readonly key: string }[]
}
const shown = async (site: ReturnType<typeof newSite>): Promise<Shown> =>
  JSON.parse((await site.run('key show --json')).out)
const publicOf = ({ keys }: Shown, use: string): Uint8Array => fromHex(keys.find(key => key.use === use)!.public)!

/** With all four keys; made by the first test, looked at by those after it. */
const maple = newSite('ocmf: keys/ocmf.key, passphrase_file: passphrase')

test(
  'init makes what is missing, for its owner alone, never touches what is there, and shows each key',
  async () => {
    const first = await maple.run('key init')
    assert.is(first.exit, EXIT.ok, first.err)
    const names = readdirSync(join(maple.folder, 'keys')).sort()
    assert.equal(names, ['account.key', 'metering.key', 'ocmf.key', 'sealing.key'])
    for (const name of names) assert.is(statSync(maple.key(name)).mode & 0o777, 0o600)
    assert.is(first.err.match(/: made$/gm)?.length, 4)
    assert.match(
      first.out,
      /^maple, device 01[0-9a-f]{32}:\n {2}account {3}EdDSA [0-9a-f]{64}\n {12}kid [0-9a-f]{16}, .*account\.key\n/,
    )
    assert.match(first.out, /ocmf {6}ES256 0[23][0-9a-f]{64}\n/)
    assert.match(first.out, /trust sealed-file: opened from a sealed file; nothing shows that there is no copy\n/)
    const before = names.map(name => readFileSync(maple.key(name)))
    const salts = before.map(file => (must(decode(file)) as Uint8Array[])[2]!)
    assert.is(new Set(salts.map(toHex)).size, 1, 'one derivation opens all')
    const second = await maple.run('key init --json')
    assert.is(second.err.match(/: kept as it is$/gm)?.length, 4)
    for (const [i, name] of names.entries()) assert.equal(readFileSync(maple.key(name)), before[i])
    const json: Shown = JSON.parse(second.out)
    assert.is(json.ok, true)
    assert.equal(
      json.keys.map(key => key.use),
      ['account', 'metering', 'ocmf', 'sealing'],
    )
    assert.equal(
      json.keys.map(key => key.trust),
      ['sealed-file', 'sealed-file', 'sealed-file', undefined],
    )
    assert.equal(json.history, [])
  },
  SLOW_MS,
)

test(
  'a key that others could have read is named, and the others are shown all the same',
  async () => {
    chmodSync(maple.key('metering.key'), 0o644)
    const { exit, out } = await maple.run('key show')
    assert.is(exit, EXIT.permission)
    assert.match(out, /metering {2}keys\.exposed \(file=.*metering\.key why=its mode is 644\): .*chmod 600\n/)
    assert.match(out, /account {3}EdDSA/)
    chmodSync(maple.key('metering.key'), 0o600)
    chmodSync(join(maple.folder, 'passphrase'), 0o640)
    assert.is((await maple.run('key show')).exit, EXIT.permission)
    chmodSync(join(maple.folder, 'passphrase'), 0o600)
  },
  SLOW_MS,
)

test(
  'a new passphrase is asked for twice, and two that differ make nothing',
  async () => {
    const site = newSite('ocmf: keys/ocmf.key')
    const differ = await site.run('key init', ['one thing', 'another'])
    assert.is(differ.exit, EXIT.configuration)
    assert.match(differ.err, /keys\.passphrases-differ/)
    for (const answers of [[], ['one thing']]) {
      const left = await site.run('key init', answers)
      assert.is(left.exit, EXIT.no)
      assert.is(left.err, 'tieline key init: keys.given-up: nothing was made or changed\n')
    }
    assert.not.ok(existsSync(site.key('account.key')))
    must(await makeKeyFile(site.key('account.key'), 'ed25519', PASSPHRASE, systemEntropy))
    const right = await site.run('key show', [PASSPHRASE])
    assert.match(right.out, /account {3}EdDSA/)
    assert.match(right.out, /metering {2}keys\.missing .*: make the keys of this site with `tieline key init`\n/)
    const wrong = await site.run('key show', ['wrong'])
    assert.is(wrong.exit, EXIT.configuration)
    assert.match(wrong.out, /account {3}keys\.wrong-passphrase/)
    const nobody = await site.run('key show')
    assert.is(nobody.exit, EXIT.configuration)
    assert.match(nobody.out, /keys\.no-passphrase: name a passphrase_file/)
  },
  SLOW_MS,
)

test(
  'a passphrase that systemd lends is used, and one that cannot be is named instead of asking',
  async () => {
    const site = newSite('ocmf: keys/ocmf.key')
    must(await makeKeyFile(site.key('account.key'), 'ed25519', PASSPHRASE, systemEntropy))
    const show = (env: Record<string, string>) => tie(['key', 'show', '--config', site.file], ['wrong'], env)
    const lent = join(site.folder, 'tieline-passphrase')
    const env = { CREDENTIALS_DIRECTORY: site.folder }
    assert.match((await show(env)).out, /account {3}keys\.wrong-passphrase/, 'none is lent: a person is asked')
    writeFileSync(lent, `${PASSPHRASE}\n`, { mode: 0o600 })
    assert.match((await show(env)).out, /account {3}EdDSA/)
    chmodSync(lent, 0o644)
    assert.match((await show(env)).out, /account {3}keys\.exposed \(file=.*tieline-passphrase/)
  },
  SLOW_MS,
)

test(
  'rotate makes a key beside the old one, and both sign what the journal says of it',
  async () => {
    const site = newSite()
    await site.run('key init')
    const before = await shown(site)
    // Made by a rotation that was stopped before it said so: the next one goes on with it.
    must(await makeKeyFile(site.key('metering-2.key'), 'ed25519', PASSPHRASE, systemEntropy))
    const made = readFileSync(site.key('metering-2.key'))
    const old = readFileSync(site.key('metering.key'))
    const rotated = await site.run('key rotate metering --reason stolen --since 1h')
    assert.is(rotated.exit, EXIT.ok, rotated.err)
    assert.match(rotated.err, /metering: .*keys\/metering-2\.key\n/)
    assert.equal(readFileSync(site.key('metering.key')), old, 'the old one stays')
    assert.equal(readFileSync(site.key('metering-2.key')), made)
    const disk = must(await openDisk(join(site.folder, 'data/journal')))
    const records = await recordsOf(disk, 'key')
    const [account, first] = [publicOf(before, 'account'), publicOf(before, 'metering')]
    const root = { device: fromHex(before.device)!, use: 'metering', first, account } as const
    const history = must(readKeyHistory(root, records, nobleVerifier))
    assert.is(history.periods.length, 2)
    const { statement, hash } = history.periods[1]!.by!
    assert.is(statement.reason, 'stolen')
    assert.is(statement.boot, 1, 'it has not run yet')
    assert.equal(
      must(parseSign1(records[0]!)).kid,
      kidOf('EdDSA', account),
      'of a stolen key nothing is believed: the account speaks',
    )
    const [event] = await recordsOf(disk, 'event')
    const told = must(verifyEvent(event!, statement.key, nobleVerifier)).event.what
    assert.equal(told, { kind: 'key-rotated', statement: hash })
    await disk.close()
    // With the old key still configured it is refused, by this command and by the agent.
    const again = await site.run('key rotate metering')
    assert.is(again.exit, EXIT.configuration)
    assert.match(again.err, /keys\.superseded .*: by the journal key 2 signs now: name that one under keys\.metering/)
    assert.match((await site.run('run')).err, /^maple does not start: keys\.superseded/m)
    assert.not.ok(existsSync(site.key('metering-3.key')))
    site.write('keys/metering-2.key')
    const json = await shown(site)
    assert.equal([...publicOf(json, 'metering')], [...statement.key])
    assert.equal(
      json.history.map(({ what }) => what),
      ['rotated', 'revoked'],
    )
    const back = await site.run('key rotate metering --to keys/metering.key')
    assert.match(back.err, /key\.reused/, 'a key that has signed before is never taken again')
    const moved = await site.run('key rotate metering --reason moved --alg es256 --to keys/chip.key --json')
    assert.is(moved.exit, EXIT.ok, moved.err)
    const said = JSON.parse(moved.out)
    assert.is(said.number, 3)
    assert.is(said.key.length, 66)
    site.write('keys/chip.key')
    rmSync(site.key('chip.key'))
    assert.match((await site.run('key rotate metering --to keys/after.key')).err, /keys\.missing/)
    const stolen = await site.run('key rotate metering --reason stolen --to keys/after.key')
    assert.is(stolen.exit, EXIT.ok, 'a key that is gone can be revoked')
    site.write('keys/after.key')
    const lost = await site.run('key rotate metering --reason lost --to keys/last.key')
    assert.is(lost.exit, EXIT.ok, lost.err)
    site.write('keys/last.key')
    const started = await site.run('run')
    assert.is(started.exit, EXIT.ok, started.err)
    const journal = join(site.folder, 'data/journal')
    const keys = ['--key', toHex(first), '--key', toHex(account)]
    const judged = await tie(['verify', journal, ...keys])
    assert.is(judged.exit, EXIT.ok, judged.out)
  },
  SLOW_MS,
)

test(
  'init makes no key under another passphrase than the one that opens those that are there',
  async () => {
    const site = newSite('ocmf: keys/ocmf.key')
    must(await makeKeyFile(site.key('sealing.key'), 'x25519', PASSPHRASE, systemEntropy))
    const { exit, err } = await site.run('key init', ['mistyped', 'mistyped'])
    assert.is(exit, EXIT.configuration)
    assert.match(err, /^tieline key init: keys\.wrong-passphrase \(file=.*sealing\.key\): .*\n$/)
    assert.equal(readdirSync(join(site.folder, 'keys')), ['sealing.key'])
  },
  SLOW_MS,
)

test(
  'no key has two uses: not in the configuration, not by a rotation, not by a copy of its file',
  async () => {
    const site = newSite()
    site.write('keys/account.key')
    assert.match((await site.run('key init')).err, /site\.yaml:\d+:\d+: keys must name another key for each use\n/)
    // The names are those that rotation would give next.
    site.write('keys/account-2.key')
    writeFileSync(site.file, readFileSync(site.file, 'utf8').replace('keys/account.key', 'keys/account-3.key'))
    for (const name of ['account-3.key', 'account-2.key'])
      must(await makeKeyFile(site.key(name), 'ed25519', PASSPHRASE, systemEntropy))
    const asked = await site.run('key rotate metering --to keys/account-3.key')
    assert.is(asked.exit, EXIT.configuration)
    assert.match(asked.err, /keys\.two-uses \(uses=.*metering.*account.*\)/)
    copyFileSync(site.key('account-3.key'), site.key('copy.key'))
    assert.match((await site.run('key rotate metering --to keys/copy.key')).err, /keys\.two-uses/)
    const rotated = await site.run('key rotate metering')
    assert.match(rotated.err, /metering: .*keys\/account-4\.key\n/)
    site.write('keys/copy.key')
    writeFileSync(site.file, readFileSync(site.file, 'utf8').replace('keys/account.key', 'keys/account-3.key'))
    assert.match((await site.run('run')).err, /^maple does not start: keys\.two-uses/m)
  },
  SLOW_MS,
)

test(
  'a key is stolen in no future, and by no clock that was never set',
  async () => {
    const { now } = Date
    Date.now = () => 86_400_000
    const unset = await maple.run('key rotate metering --reason stolen')
    Date.now = now
    assert.is(unset.exit, EXIT.configuration)
    assert.match(unset.err, /keys\.no-time \(time=1970-01-02T00:00:00\.000Z\): set the clock of this machine first\n/)
    const { exit, err } = await maple.run('key rotate metering --reason stolen --since 2999-01-01')
    assert.is(exit, EXIT.configuration)
    assert.match(err, /keys\.since-later \(since=2999-01-01T00:00:00\.000Z now=.*\)/)
  },
  SLOW_MS,
)

test(
  'while the agent runs nothing is rotated, and no key is made',
  async () => {
    const disk = must(await openDisk(join(maple.folder, 'data/journal')))
    const release = must(await disk.hold('journal'))
    const refused = await maple.run('key rotate metering')
    assert.is(refused.exit, EXIT.unavailable)
    assert.match(refused.err, /^tieline key rotate: disk\.held .*end it first\n$/)
    assert.not.ok(existsSync(maple.key('metering-2.key')))
    await release()
    await disk.close()
  },
  SLOW_MS,
)

test('what cannot be rotated, and what is no use, reason or place, is a mistake of usage', async () => {
  const site = newSite()
  for (const [command, what] of [
    ['key rotate account', /changes its key on the ledger/],
    ['key rotate sealing', /signs nothing/],
    ['key rotate readings', /neither metering nor ocmf/],
    ['key rotate metering --reason fun', /none of planned, moved, stolen, lost;/],
    ['key rotate metering --alg rsa', /neither eddsa nor es256/],
    ['key rotate metering --to {file:x}', /--to: /],
    ['key rotate metering --since 7d', /--since is for --reason stolen/],
    ['key rotate metering --reason stolen --since soon', /--since: as in 2026-11-01/],
    ['key init --alg rsa', /neither eddsa nor es256/],
  ] as const) {
    const { exit, err } = await site.run(command)
    assert.is(exit, EXIT.usage, command)
    assert.match(err, what)
    assert.is(err.trimEnd().split('\n').length, 1)
  }
  assert.is((await tie(['key'])).exit, EXIT.usage)
  assert.match((await tie(['key', 'rotate', '--help'])).out, /tieline key rotate metering --reason stolen/)
})

test(
  'nothing that any of these commands said holds a private byte or the passphrase',
  async () => {
    let secrets = 0
    for (const folder of folders) {
      if (!existsSync(join(folder, 'keys'))) continue
      for (const name of readdirSync(join(folder, 'keys'))) {
        const { bytes } = must(await unsealKey(name, readFileSync(join(folder, 'keys', name)), PASSPHRASE))
        secrets++
        const base64 = Buffer.from(bytes).toString('base64')
        for (const form of [toHex(bytes), base64, base64.replaceAll('+', '-').replaceAll('/', '_').replace('=', '')])
          assert.not.ok(heard.includes(form))
        for (let at = 0; at + 6 <= bytes.length; at++) {
          assert.not.ok(heard.includes(toHex(bytes.subarray(at, at + 6))))
          assert.not.ok(heard.includes(bytes.subarray(at, at + 6).join(',')))
        }
      }
    }
    assert.is(secrets, 17, 'each that was kept')
    assert.ok(heard.length > 5000)
    assert.not.ok(heard.includes(PASSPHRASE))
  },
  SLOW_MS,
)

test.run()
