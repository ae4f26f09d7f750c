/** `tieline check` of the board that a configuration names: one line for each mistake, with its place or the pin's reason. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { assert, suite } from '../../harness.ts'
import { runTieline } from './cli-run.ts'

const test = suite('check of boards')
const shipped = (name: string) => readFileSync(new URL(`../../../hw/${name}.yaml`, import.meta.url), 'utf8')
const BANK = /relays:\n {2}board:\n[\s\S]*?\n\n/

/** The household of the examples with its contacts on lines of its own board. */
async function checked(board: string, outputs: readonly string[], ownFile = '') {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-board-'))
  const contacts = outputs.map(output => `{output: ${output}, closed: high}`).join(', ')
  const bank = `board: ${board}\n\nrelays:\n  board: {driver: gpio, allow_unsupervised: true, contacts: [${contacts}]}\n\n`
  writeFileSync(join(folder, 'site.yaml'), shipped('examples/household').replace(BANK, bank))
  writeFileSync(join(folder, 'mine.yaml'), ownFile)
  const { exit, err } = await runTieline(['check', join(folder, 'site.yaml')])
  rmSync(folder, { recursive: true })
  return { exit, lines: err.replaceAll(`${folder}/`, '').trimEnd().split('\n') }
}

test('lines that leave a contact open at boot are taken', async () => {
  assert.is((await checked('raspberry-pi-4', ['GPIO17', 'GPIO27'])).exit, 0)
})

test('a line that is unsafe at boot is refused with the reason', async () => {
  const { exit, lines } = await checked('raspberry-pi-4', ['GPIO14', 'GPIO17'])
  assert.is(exit, 78)
  assert.is(lines.length, 1)
  assert.match(lines[0]!, /^site\.yaml: relays\.board: board\.unsafe .*line=GPIO14 why=console TX/)
})

test('an unknown key of a board file is told with its place, and what was meant', async () => {
  const file = `${shipped('boards/raspberry-pi-4').replace('pin: 11', 'pni: 11')}gpoi: {}\n`
  const { exit, lines } = await checked('./mine.yaml', ['GPIO17', 'GPIO27'], file)
  assert.is(exit, 78)
  assert.is(lines.length, 2)
  assert.match(lines[0]!, /^mine\.yaml:\d+:\d+: unknown key "pni" \(did you mean "pin"\?\)/)
  assert.match(lines[1]!, /^mine\.yaml:\d+:1: unknown key "gpoi" \(did you mean "gpio"\?\)/)
})

test('a board that nobody knows is told with the one that was meant', async () => {
  const { exit, lines } = await checked('raspberry-pi-44', ['GPIO17', 'GPIO27'])
  assert.is(exit, 78)
  assert.equal(lines, [
    'site.yaml: board raspberry-pi-44 cannot be read (file.missing) (did you mean "raspberry-pi-4"?)',
  ])
})

test.run()
