/** The files of the page's password and tokens: what they hold, and what is refused. */
import { scryptSync } from 'node:crypto'
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeToken, setPassword } from '../../../agent/cli/access/access.ts'
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { openPasswordFile } from '../../../drivers/keys/password-file.ts'
import { isKnownToken, readTokenFile } from '../../../drivers/keys/token-file.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const inner = suite('access files')
/** Each scrypt is a second of work, and many on a busy machine. */
const test = Object.assign((name: string, body: () => void | Promise<void>) => inner(name, body, 180_000), inner)

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

/** A folder of the test's own, and a terminal with somebody who types these lines. */
function bench(...typed: (string | undefined)[]) {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-access-'))
  const said = { out: '', err: '' }
  const terminal = {
    out: (text: string) => {
      said.out += text
    },
    err: (text: string) => {
      said.err += text
    },
    colour: false,
    env: {},
    ...(typed.length === 0 ? {} : { ask: async () => typed.shift() }),
  }
  return { file: join(folder, 'page.secret'), terminal, said, end: () => rmSync(folder, { recursive: true }) }
}

test('a password is kept as its scrypt hash, for its owner alone, and opens with nothing else', async () => {
  const right = 'Straße mit ſieben Häuſern'
  const { file, terminal, said, end } = bench(right, right, 'another one', 'another one')
  assert.is(await setPassword(file, terminal), EXIT.ok)
  const line = readFileSync(file, 'utf8')
  assert.is(statSync(file).mode & 0o777, 0o600)
  const [, name, costs, salt = '', hash] = line.trimEnd().split('$')
  assert.equal([name, costs], ['scrypt', 'ln=15,r=8,p=3'])
  const again = scryptSync(right.normalize('NFKC'), Buffer.from(salt, 'base64'), 32, {
    ...{ N: 2 ** 15, r: 8, p: 3, maxmem: 64 << 20 },
  })
  assert.is(hash, again.toString('base64'))
  const check = must(await openPasswordFile(file))
  const tried = [right, right.normalize('NFD'), `${right} `, '', 'x'.repeat(100_000)].map(check)
  assert.equal(await Promise.all(tried), [true, true, false, false, false])
  assert.is(await setPassword(file, terminal), EXIT.ok)
  assert.is(await must(await openPasswordFile(file))(right), false, 'the older one is replaced')
  assert.not.ok((said.out + said.err).includes(right))
  end()
})

test('a short password, two that differ and none at all make no file', async () => {
  for (const [typed, exit] of [
    [['seven 7', 'seven 7'], EXIT.configuration],
    [['one that is long', 'another one'], EXIT.configuration],
    [['one that is long', undefined], EXIT.no],
    [[], EXIT.configuration],
  ] as const) {
    const { file, terminal, said, end } = bench(...typed)
    assert.is(await setPassword(file, terminal), exit, said.err)
    assert.is(codeOf(await openPasswordFile(file)), 'file.missing')
    assert.match(said.err, /^tieline password: /)
    end()
  }
})

test('a token is said once and kept as its hash; each has a name of its own', async () => {
  const { file, terminal, said, end } = bench()
  assert.is(await makeToken('prometheus', file, terminal), EXIT.ok)
  assert.is(await makeToken('home', file, terminal), EXIT.ok)
  const tokens = said.out.trimEnd().split('\n')
  assert.is(tokens.length, 2)
  assert.is(statSync(file).mode & 0o777, 0o600)
  for (const token of tokens) assert.not.ok(readFileSync(file, 'utf8').includes(token))
  const hashes = must(await readTokenFile(file))
  assert.equal(
    [...tokens, tokens[0]!.slice(1), ''].map(token => isKnownToken(token, hashes)),
    [true, true, false, false],
  )
  assert.is(await makeToken('home', file, terminal), EXIT.configuration)
  assert.is(await makeToken('Home!', file, terminal), EXIT.usage)
  assert.is(must(await readTokenFile(file)).length, 2)
  end()
})

test('a file that others can read, of another form or cost, or empty is refused, and nothing in it is repeated', async () => {
  const { file, end } = bench()
  const salt = Buffer.alloc(16).toString('base64')
  const hash = Buffer.alloc(32).toString('base64')
  const password = async (text: string, mode = 0o600) => {
    writeFileSync(file, text)
    chmodSync(file, mode)
    const opened = await openPasswordFile(file)
    assert.not.ok(JSON.stringify(opened).includes('hunter2'))
    return codeOf(opened)
  }
  assert.is(await password(`$scrypt$ln=15,r=8,p=3$${salt}$${hash}\n`), 'ok')
  assert.is(await password(`$scrypt$ln=15,r=8,p=3$${salt}$${hash}\n`, 0o644), 'keys.exposed')
  assert.is(await password('hunter2\n'), 'page.password-file')
  assert.is(await password(`$scrypt$ln=1,r=8,p=3$${salt}$${hash}\n`), 'page.password-file')
  assert.is(await password(`$scrypt$ln=15,r=8,p=3$${salt}$${hash.slice(4)}\n`), 'page.password-file')
  assert.is(await password(''), 'keys.empty')
  const tokens = async (text: string, mode = 0o600) => {
    writeFileSync(file, text)
    chmodSync(file, mode)
    const read = await readTokenFile(file)
    assert.not.ok(JSON.stringify(read).includes('hunter2'))
    return codeOf(read)
  }
  const line = `${'ab'.repeat(32)} home\n`
  assert.is(await tokens(line), 'ok')
  assert.is(await tokens(line, 0o640), 'keys.exposed')
  for (const text of ['', 'hunter2\n', `${line}hunter2`, line.toUpperCase(), line.repeat(33)])
    assert.is(await tokens(text), 'page.token-file', text.slice(0, 70))
  end()
})

test.run()
