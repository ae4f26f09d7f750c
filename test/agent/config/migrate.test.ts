/** Older forms of the configuration: read as they are, rewritten whole or not at all. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { loadConfig } from '../../../agent/config/load.ts'
import { migrate, versionOf } from '../../../agent/config/migrate.ts'
import { configLine } from '../../../agent/config/read-form.ts'
import { assert, suite } from '../../harness.ts'
import { runTieline } from '../cli/cli-run.ts'
import { COMMENTED } from './commented-site.ts'

const OLD = COMMENTED.replace('version: 1 # the form\n\n', '')
const test = suite('config versions')

test('a file without a version is of version 0, and one line is added to it', () => {
  const { text, from } = migrate(OLD)!
  assert.is(from, 0)
  assert.is(text, OLD.replace('site: maple', 'version: 1\nsite: maple'))
  assert.is(versionOf(text), 1)
  assert.is(migrate(text), undefined)
  assert.equal(loadConfig(OLD, 'a'), loadConfig(text, 'a'))
})

test('other ways of writing the same are brought up as well', () => {
  for (const change of [
    (text: string) => text.replaceAll('\n', '\r\n'),
    (text: string) => `\ufeff${text}`,
    (text: string) => `\ufeff${text.replace(/^#.*\n/, '')}`,
    (text: string) => `%YAML 1.2\n---\n${text}`,
    (text: string) => text.replace(/^/gm, '  '),
    (text: string) => text.replace(/^#.*\n/, ''),
  ]) {
    const old = change(OLD)
    assert.ok(loadConfig(old, 'a').ok, old.slice(0, 100))
    const { text, added } = migrate(old)!
    const loaded = loadConfig(text, 'a')
    assert.ok(loaded.ok, loaded.ok ? '' : `${loaded.faults.map(configLine)} ${text.slice(0, 200)}`)
    assert.equal(loaded, loadConfig(COMMENTED, 'a'))
    const lines = text.split('\n')
    assert.is(
      lines
        .filter((_, n) => !added.includes(n + 1))
        .join('\n')
        .replace('\ufeff', ''),
      old.replace('\ufeff', ''),
    )
  }
  const flow = '{"site": "maple"}'
  assert.is(migrate(flow)!.text, '{"version": "1", "site": "maple"}')
})

test('mistakes in an older file are shown where they stand in it', () => {
  const wrong = OLD.replace('baud: 19200', 'buad: 19200')
  const line = wrong.split('\n').findIndex(each => each.includes('buad')) + 1
  const loaded = loadConfig(wrong, 'site.yaml')
  assert.equal(loaded.ok ? [] : loaded.faults.map(configLine), [
    `site.yaml:${line}:5: unknown key "buad" (did you mean "baud"?)`,
  ])
})

test('a newer version is refused by its number, and nothing else of it is judged', () => {
  for (const version of ['2', '17']) {
    const loaded = loadConfig(`version: ${version}\nwhat: ever\n`, 'site.yaml')
    assert.equal(loaded.ok ? [] : loaded.faults.map(configLine), [
      `site.yaml:1:10: version is ${version}: this program reads versions up to 1 (run a newer program)`,
    ])
  }
  assert.is(versionOf('version: 0\n'), undefined)
  assert.is(versionOf(''), undefined)
  assert.is(versionOf('- a\n'), undefined)
})

const inFolder = async (work: (folder: string) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(`${tmpdir()}/tieline-migrate-`)
  try {
    await work(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

test('check --migrate keeps the old text beside the new one, once', () =>
  inFolder(async folder => {
    const file = `${folder}/site.yaml`
    writeFileSync(file, OLD)
    const first = await runTieline(['check', '--migrate', file])
    assert.is(first.exit, 0, first.err)
    assert.is(first.out, `${file}: was of version 0, is of version 1; the old text is in ${file}.v0.bak\n`)
    assert.is(readFileSync(`${file}.v0.bak`, 'utf8'), OLD)
    assert.is(readFileSync(file, 'utf8'), migrate(OLD)!.text)
    const again = await runTieline(['check', '--migrate', file])
    assert.is(again.out, `${file}: is of version 1\n`)
    // Another old file in its place has a backup of its own; one that was cut short uses its own again.
    const other = OLD.replace('maple', 'oak')
    for (let n = 0; n < 2; n++) {
      writeFileSync(file, other)
      assert.is((await runTieline(['check', '--migrate', file])).exit, 0)
    }
    assert.equal(readdirSync(folder).sort(), ['site.yaml', 'site.yaml.v0-2.bak', 'site.yaml.v0.bak'])
  }))

test('a file with mistakes is not rewritten', () =>
  inFolder(async folder => {
    const file = `${folder}/site.yaml`
    writeFileSync(file, OLD.replace('slot: 30s', 'slot: soon'))
    const said = await runTieline(['check', '--migrate', file])
    assert.is(said.exit, 78)
    assert.match(said.err, /trade\.slot must be a duration/)
    assert.match(said.err, /nothing is written/)
    assert.equal(readdirSync(folder), ['site.yaml'])
  }))

test('check --explain says of every setting where it comes from, and check --schema prints the published file', () =>
  inFolder(async folder => {
    const file = `${folder}/site.yaml`
    writeFileSync(file, COMMENTED)
    const { out, exit } = await runTieline(['check', '--explain', file])
    assert.is(exit, 0)
    const line = (text: string) => COMMENTED.split('\n').findIndex(each => each.includes(text)) + 1
    assert.match(out, `trade.slot: 30s  # ${file}:${line('slot: 30s')}. How long one deal lasts.\n`)
    assert.match(out, 'trade.loss: 2%  # default. What the line may lose between its two meters.\n')
    assert.match(out, 'ledger.trusting_period: 14d  # default. ')
    assert.match(out, `direct_lines[0].contacts.upstream: board.2  # ${file}:${line('board.2')}. `)
    assert.match(out, 'lines.rs485.format: 8N1  # default. ')
    assert.match(out, 'meters.L1.every: 500ms')
    const { settings } = (await runTieline(['check', '--explain', '--json', file])).json()[0]
    assert.is(settings.length, out.trimEnd().split('\n').length)
    // Each is explained, and every one that is written stands on the line that is named.
    const lines = COMMENTED.split('\n')
    for (const { path, value, from, line, about } of settings) {
      assert.ok(about !== undefined, path.join('.'))
      if (from === 'file') assert.ok(lines[line - 1]!.includes(value), `${path.join('.')} on ${line}`)
    }
    const schema = await runTieline(['check', '--schema'])
    const published = new URL('../../../agent/config/tieline.schema.json', import.meta.url)
    assert.equal(schema.exit === 0 && JSON.parse(schema.out), JSON.parse(readFileSync(published, 'utf8')))
    assert.is((await runTieline(['check', '--schema', '--explain'])).exit, 2)
  }))

test.run()
