/** What stands under the names of a journal's files and is none: one line, the right exit code, no waiting, no crash. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../../harness.ts'
import { runTieline } from './cli-run.ts'

const root = mkdtempSync(join(tmpdir(), 'tieline-hostile-'))
process.on('exit', () => rmSync(root, { recursive: true, force: true }))

const test = suite('cli journal: what is no journal')

const SEGMENT = 'journal-00000001.seg'
const COMMANDS = [['verify'], ['journal', 'check'], ['journal', 'export'], ['journal', 'repair', '--dry-run']]
const EX_IOERR = 74

const STRANGERS: Readonly<Record<string, { readonly make: (path: string) => void; readonly cause: string }>> = {
  'a pipe that nobody writes into': { make: path => execFileSync('mkfifo', [path]), cause: 'disk.not-a-file' },
  'a link to a device without an end': { make: path => symlinkSync('/dev/zero', path), cause: 'disk.not-a-file' },
  'a folder': { make: path => mkdirSync(path), cause: 'disk.not-a-file' },
  'three terabytes of holes': { make: path => sparse(path, 3 * 2 ** 40), cause: 'disk.too-large' },
  'two gigabytes of holes': { make: path => sparse(path, 2 ** 31 - 1), cause: 'disk.too-large' },
}

function sparse(path: string, bytes: number): void {
  writeFileSync(path, '')
  truncateSync(path, bytes)
}

for (const [name, { make, cause }] of Object.entries(STRANGERS)) {
  test(`${name} in the place of a segment is refused by every command in one line`, async () => {
    const folder = mkdtempSync(join(root, 'j'))
    make(join(folder, SEGMENT))
    for (const command of COMMANDS) {
      const said = await runTieline([...command, folder])
      assert.is(said.exit, EX_IOERR, `${command.join(' ')}: ${said.err}`)
      assert.is(said.err.trim().split('\n').length, 1, said.err)
      assert.ok(said.err.includes(`cause=${cause}`), said.err)
    }
  })
}

test('a name with line breaks and escape sequences does not reach the terminal as it is', async () => {
  const folder = mkdtempSync(join(root, 'j'))
  writeFileSync(join(folder, 'a\nb\u001b[31m'), '')
  for (const command of COMMANDS) {
    const said = await runTieline([...command, folder])
    assert.ok(said.exit !== 0, command.join(' '))
    assert.is(said.err.trim().split('\n').length, 1, JSON.stringify(said.err))
    assert.not.ok(said.err.includes('\u001b'), JSON.stringify(said.err))
  }
})

test('a segment of number 0 alone is an empty journal, and no place of it is called broken', async () => {
  const folder = mkdtempSync(join(root, 'j'))
  writeFileSync(join(folder, 'journal-00000000.seg'), '')
  const said = await runTieline(['journal', 'check', folder])
  assert.is(said.exit, 1)
  assert.ok(said.out.includes('journal.missing'), said.out)
  assert.not.ok(said.out.includes('0 places'), said.out)
})

test.run()
