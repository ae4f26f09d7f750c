/** `tieline check` of files that nobody wrote by hand: each is refused in lines that name a place, with exit code 78. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../../harness.ts'
import { COMMENTED } from '../config/commented-site.ts'
import { runTieline } from './cli-run.ts'

const test = suite('check of hostile files')

async function checked(content: string | Uint8Array) {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-hostile-'))
  const file = join(folder, 'site.yaml')
  writeFileSync(file, content)
  const said = await runTieline(['check', file])
  rmSync(folder, { recursive: true })
  return { ...said, lines: said.err.replaceAll(`${file}:`, '').trimEnd().split('\n') }
}

const bytes = (...parts: readonly (string | readonly number[])[]): Uint8Array =>
  new Uint8Array(Buffer.concat(parts.map(part => Buffer.from(part as string))))
const BOMB = `a0: &a0 [x]\n${Array.from({ length: 40 }, (_, n) => `a${n + 1}: &a${n + 1} [*a${n}, *a${n}, *a${n}]`).join('\n')}\n`
const setting = (name: string, value: string): string =>
  COMMENTED.replace(new RegExp(`(\\b${name}: )\\w+`), (_, key) => key + value)

/** One line each. */
const ALONE: Readonly<Record<string, readonly [string | Uint8Array, RegExp]>> = {
  'ten megabytes': [
    COMMENTED + '# and so on\n'.repeat(900_000),
    /^1:1: \d{8} bytes are too many; a configuration has at most 1000000/,
  ],
  'ten megabytes of no text': [new Uint8Array(10_000_000).fill(0xff), /^1:1: 10000000 bytes are too many/],
  'ten megabytes on one line': ['['.repeat(10_000_000), /^1:1: 10000000 bytes are too many/],
  'more characters than there may be': [COMMENTED + 'é'.repeat(1_100_000), /^1:1: 11\d{5} characters are too many/],
  'brackets without end': [`${COMMENTED}board: ${'['.repeat(500_000)}`, /^62:72: is nested too deep/],
  'groups without end': [
    COMMENTED + Array.from({ length: 600 }, (_, n) => `${' '.repeat(n)}a:\n`).join(''),
    /^\d+:\d+: is nested too deep/,
  ],
  'dashes without end': [`${COMMENTED}board:\n${'- '.repeat(200_000)}`, /^63:1: is nested too deep/],
  'a number of 400,000 digits': [
    setting('unit', '9'.repeat(400_000)),
    /^32:11: meters\.grid\.unit must be a Modbus unit/,
  ],
  'a number with an exponent': [setting('unit', '1e999999'), /^32:11: meters\.grid\.unit must be a Modbus unit/],
  'a height beyond any': [setting('height', '9'.repeat(900_000)), /^16:19: ledger\.trust\.height must be a height/],
  'a current beyond any': [
    setting('limit', `${'9'.repeat(400)}A`),
    /^43:12: direct_lines\[0\]\.limit must be a current/,
  ],
  'no number at all': [setting('unit', '.inf'), /^32:11: meters\.grid\.unit must be/],
  'a key without end': [`${COMMENTED}${'k'.repeat(900_000)}: 1\n`, /^62:1: .{0,200}$/],
  'a key of a thousand letters': [`${COMMENTED}${'k'.repeat(1_000)}: 1\n`, /^62:1: unknown key "k{48}\.\.\."/],
  'a byte that is no text': [bytes(COMMENTED, [0xff, 0x0a]), /^62:1: is not UTF-8 text/],
  'a letter cut in half': [bytes('version: 1\nsite: map', [0xc3]), /^2:10: is not UTF-8 text/],
  'a letter in more bytes than it needs': [bytes('version: 1\nsite: ', [0xc0, 0xae]), /^2:7: is not UTF-8 text/],
  'half of a pair': [bytes('version: 1\nsite: ', [0xed, 0xa0, 0x80]), /^2:7: is not UTF-8 text/],
  'a NUL': [COMMENTED.replace('site: maple', 'site: \0maple'), /^4:7: a control character stands here/],
  'NULs alone': ['\0'.repeat(100_000), /^1:1: a control character stands here/],
  'an escape of a terminal': [COMMENTED.replace('maple', '\u001b[2Jmaple'), /^4:7: a control character stands here/],
  'a mark of byte order in the middle': [
    COMMENTED.replace('site: maple', 'site: \ufeffmaple'),
    /^4:7: site must be a name/,
  ],
  'both bytes of each letter': [
    new Uint8Array(Buffer.from(`\ufeff${COMMENTED}`, 'utf16le')),
    /^1:1: is not UTF-8 text/,
  ],
  'lines that end as they did on old machines': [COMMENTED.replaceAll('\n', '\r'), /^1:1: /],
  'a bomb of tags': [COMMENTED + '!!'.repeat(200_000), /^62:1: .{0,200}$/],
  'documents without end': [COMMENTED + '---\n'.repeat(200_000), /^62:1: source contains multiple documents/],
  nothing: ['', /^1:1: /],
}

for (const [what, [content, line]] of Object.entries(ALONE)) {
  test(`${what}: refused with its place`, async () => {
    const { exit, out, lines } = await checked(content)
    assert.equal([exit, out], [78, ''])
    assert.match(lines[0]!, line)
    assert.ok(lines.length <= 3, lines.slice(0, 5).join('\n'))
    for (const one of lines) assert.ok(one.length < 600, `${one.slice(0, 600)}...`)
  }, 120_000)
}

/** As many lines as a person reads, and how many more mistakes there are. */
const MANY: Readonly<Record<string, string>> = {
  '60,000 unknown keys': COMMENTED + Array.from({ length: 60_000 }, (_, n) => `k${n}: 1\n`).join(''),
  '50,000 peers with nothing to them': COMMENTED.replace(
    'peers:\n',
    `peers:\n${Array.from({ length: 50_000 }, (_, n) => `  p${n}: {}\n`).join('')}`,
  ),
  'one key 50,000 times': COMMENTED + 'site: maple\n'.repeat(50_000),
  '50,000 aliases': `${COMMENTED}a: &a x\n${Array.from({ length: 50_000 }, (_, n) => `a${n}: *a\n`).join('')}`,
  'commas alone': `${COMMENTED}board: [${','.repeat(50_000)}]\n`,
}

for (const [what, content] of Object.entries(MANY)) {
  test(`${what}: the first 200 mistakes, and how many more`, async () => {
    const { exit, out, lines } = await checked(content)
    assert.equal([exit, out, lines.length], [78, '', 201])
    assert.match(lines.at(-1)!, /^\d+:\d+: and \d+ more mistakes from here on$/)
    assert.ok(Number(/and (\d+) more/.exec(lines.at(-1)!)![1]) > 40_000)
    for (const one of lines) assert.match(one, /^\d+:\d+: .{5,600}$/)
  }, 120_000)
}

test('a bomb of aliases is refused at its first alias', async () => {
  const { exit, lines } = await checked(BOMB + COMMENTED)
  assert.is(exit, 78)
  assert.match(lines[0]!, /^2:10: anchors and aliases are not used here/)
  assert.is(lines.length, 120)
})

test('a mark of byte order at the beginning, and lines that end as on Windows, are as good as without', async () => {
  const right = COMMENTED.replace(/^board:.*\n/m, '')
  for (const content of [`\ufeff${right}`, right.replaceAll('\n', '\r\n'), `\ufeff${right.replaceAll('\n', '\r\n')}`]) {
    const { exit, out, err } = await checked(content)
    assert.is(exit, 0, err)
    assert.match(out, /: ok, site maple \(household\)\n$/)
  }
})

test.run()
