import { readdirSync, readFileSync } from 'node:fs'
import { drawRows, fieldOf, holds } from '../../../hw/scenario/row-check.ts'
import { ROWS } from '../../../hw/scenario/rows.ts'
import { SCENARIOS } from '../../../hw/scenario/scenarios.ts'
import { assert, suite } from '../../harness.ts'
import { SHOWN } from './shown.ts'

const t = suite('rows of the paper')

t('there are 81, in order', () => {
  const numbers = Array.from({ length: 81 }, (_, at) => `S${String(at + 1).padStart(2, '0')}`)
  assert.equal(
    ROWS.map(({ row }) => row),
    numbers,
  )
})

t('each has a command that a test runs', () => {
  const shown = new Set<string>(Object.values(SHOWN).flat())
  assert.equal(
    ROWS.filter(({ by }) => !shown.has(by)).map(({ row }) => row),
    [],
  )
  const files = readdirSync(new URL('.', import.meta.url))
  for (const name of Object.keys(SHOWN)) assert.ok(files.includes(`${name}.test.ts`), name)
})

t('each scenario is somebody’s row', () => {
  const named = new Set(ROWS.map(({ by }) => by))
  assert.equal(
    SCENARIOS.filter(({ name, apart }) => apart !== true && !named.has(name)).map(({ name }) => name),
    [],
  )
})

t('README shows the table as it is', () => {
  const readme = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')
  assert.ok(readme.includes(drawRows().trim()), 'README.md has another table: tieline-bench rows prints the true one')
})

t('a field is what it has to be, or the row does not hold', () => {
  const json = { facts: { none: [], names: ['a', 'b'], parts: { x: 1, y: 2 }, share: 0.5, yes: true } }
  const at = (field: string) => fieldOf(json, `facts.${field}`)
  assert.ok(holds(at('yes'), { is: true }))
  assert.not.ok(holds(at('no'), { is: true }))
  assert.ok(holds(at('none'), { empty: true }))
  assert.not.ok(holds(at('names'), { empty: true }))
  assert.not.ok(holds(at('absent'), { empty: true }))
  assert.ok(holds(at('names'), { has: ['b'] }))
  assert.not.ok(holds(at('names'), { has: ['b', 'c'] }))
  assert.ok(holds(at('parts'), { each: { least: 1 } }))
  assert.not.ok(holds(at('parts'), { each: { least: 2 } }))
  assert.not.ok(holds({}, { each: { least: 0 } }))
  assert.ok(holds(at('share'), { most: 0.5 }))
  assert.not.ok(holds(at('share'), { most: 0.4 }))
  assert.not.ok(holds(at('names'), { least: 0 }))
  assert.not.ok(holds(Number.NaN, { least: 0 }))
})

t.run()
