/** What a site tells others of its keys, and what it writes of theirs. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig } from '../../../agent/config/load.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { assert, suite } from '../../harness.ts'
import { smallSite } from '../small-site.ts'
import { runTieline } from './cli-run.ts'

const test = suite('peer')
const folder = mkdtempSync(join(tmpdir(), 'tieline-peer-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const file = join(folder, 'site.yaml')
const TEXT = `# mine\n${smallSite(`{seed: ${'01'.repeat(32)}}`)}bench: true\n`
const key = (n: number) => toHex(createSigner(new Uint8Array(32).fill(n)).publicKey)
const peer = (name: string, metering: string, ...more: string[]) =>
  runTieline([
    'peer',
    name,
    '--account',
    key(1),
    '--sealing',
    key(2),
    '--metering',
    metering,
    '--config',
    file,
    ...more,
  ])

test('a neighbour is written once, beside the comments that are there; other keys are taken only when told so', async () => {
  writeFileSync(file, TEXT)
  const first = await peer('oak', key(3))
  assert.is(first.exit, 0, first.err)
  const text = readFileSync(file, 'utf8')
  assert.ok(text.startsWith(TEXT))
  const loaded = loadConfig(text, file)
  assert.is(loaded.ok && toHex(loaded.value.peers['oak']!.metering), key(3))
  assert.match((await peer('oak', key(3))).out, 'knows oak already')
  const other = await peer('oak', key(4))
  assert.is(other.exit, 1)
  assert.match(other.err, /oak has another metering key .*--replace/)
  assert.is(readFileSync(file, 'utf8'), text)
  const replaced = await peer('oak', key(4), '--replace', '--json')
  assert.equal(replaced.json(), [{ ok: true, file, peer: 'oak', changed: true }])
  assert.is(readFileSync(file, 'utf8'), text.replace(key(3), key(4)))
})

test('what is no key, no name or the site itself changes nothing', async () => {
  writeFileSync(file, TEXT)
  for (const [name, metering, says] of [
    ['oak', 'ab', /peers\.oak\.metering.*64 hexadecimal digits/],
    ['4 oaks', key(3), /nothing is changed/],
    ['maple', key(3), /maple is this site itself/],
  ] as const) {
    const { exit, err } = await peer(name, metering)
    assert.is(exit, 2, err)
    assert.match(err, says)
    assert.is(readFileSync(file, 'utf8'), TEXT)
  }
})

test.run()
