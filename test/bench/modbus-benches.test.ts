import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { assert, suite } from '../harness.ts'
import { createMark } from './left-behind.ts'
import type { Row } from './report.ts'

const test = suite('the Modbus benches')

const mark = createMark()

const run = (program: string) =>
  spawnSync(
    process.execPath,
    ['--import', 'tsx', fileURLToPath(new URL(program, import.meta.url)), '--smoke', '--json'],
    { encoding: 'utf8', env: mark.env },
  )

function rowsOf(program: string): ReadonlyMap<string, Row> {
  const { status, stdout, stderr } = run(program)
  assert.is(status, 0, stderr)
  const { command, machine, rows } = JSON.parse(stdout) as {
    readonly command: string
    readonly machine: { readonly cpu: string; readonly load: readonly number[] }
    readonly rows: readonly Row[]
  }
  assert.match(command, /^npm run bench:(modbus|late|tcp) -- --smoke --json$/)
  assert.ok(machine.cpu !== '' && machine.load.length === 3)
  assert.is(new Set(rows.map(({ id }) => id)).size, rows.length, 'an id twice')
  return new Map(rows.map(row => [row.id, row]))
}

const STACKS = ['tieline', 'modbus-serial', 'jsmodbus']

/** So often in a row it is not the machine that is late. */
const TRIES = 6

test('bench:modbus gives every rate beside the wire limit, and the peers break silences that we keep', () => {
  for (let left = TRIES; !judged(rowsOf('./modbus.ts')); left--) assert.ok(left > 1, 'no peer broke a silence')
  assert.equal(mark.carriers(), [], 'processes left behind, and their pseudo-terminals')
}, 400_000)

/** False where a busy machine made the peers so slow that they broke no silence. */
function judged(rows: ReadonlyMap<string, Row>): boolean {
  for (const stack of STACKS)
    for (const baud of [9_600, 19_200, 115_200])
      for (const registers of [2, 10, 60]) {
        const row = rows.get(`${stack}.${baud}.${registers}`)!
        // (13 + 2 N) characters and two silences, worked out anew.
        const character = 10 / baud
        const silence = baud > 19_200 ? 0.001_75 : 3.5 * character
        const limit = 1 / ((13 + 2 * registers) * character + 2 * silence)
        assert.ok(Math.abs(row.floor!.value - limit) < 1e-6 * limit, row.id)
        assert.ok(row.value > 0 && row.samples!.length === 1, row.id)
        // No wire is faster than its characters; two silences are all that a master can skip.
        assert.ok(row.value < 1 / ((13 + 2 * registers) * character), `${row.id}: ${row.value}`)
        const [, broken, all] = /(\d+) of (\d+) silences/.exec(row.note!)!
        assert.ok(Number(all) > 0, row.id)
        if (stack === 'tieline') assert.is(broken, '0', row.note)
      }
  const brokenBy = (stack: string) =>
    [...rows.values()].filter(({ id, note }) => id.startsWith(`${stack}.`) && !note!.includes('; 0 of')).length
  assert.match(rows.get('page.tieline')!.note!, /3 requests a reading, our plan has 3/)
  const [, requests] = /(\d+) requests a reading/.exec(rows.get('page.modbus-serial')!.note!)!
  assert.ok(Number(requests) > 3, requests)
  return brokenBy('modbus-serial') + brokenBy('jsmodbus') > 0
}

test('bench:late counts what each stack believed; ours believes nothing wrong', () => {
  const rows = rowsOf('./late.ts')
  for (const stack of STACKS) {
    const all = rows.get(`${stack}.all`)!
    let wrong = 0
    let right = 0
    for (const late of [1.1, 1.5, 4.5, 20])
      for (const order of ['queued', 'overtaken'])
        for (const slaves of [1, 3]) {
          const { counts } = rows.get(`${stack}.${late}.${order}.${slaves}`)!
          wrong += counts!['wrong']!
          right += counts!['right']!
        }
    assert.equal([all.value, all.counts!['wrong'], all.counts!['right']], [wrong, wrong, right])
    assert.ok(right > 0, stack)
    if (stack === 'tieline') assert.is(wrong, 0)
  }
}, 240_000)

test('bench:tcp gives each rate beside that of a bare socket', () => {
  const rows = rowsOf('./tcp.ts')
  for (const depth of [1, 16]) {
    assert.ok(rows.get(`raw.${depth}`)!.value > 0)
    for (const stack of STACKS) {
      const { value, floor } = rows.get(`${stack}.${depth}`)!
      assert.ok(value > 0 && floor!.share! > 0)
    }
  }
}, 240_000)

test.run()
