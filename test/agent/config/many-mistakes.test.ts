/** Configurations of as many mistakes as fit: what is said is bounded, and the work grows as the text does. */
import { loadConfig } from '../../../agent/config/load.ts'
import { readForm } from '../../../agent/config/read-form.ts'
import { assert, suite } from '../../harness.ts'
import { COMMENTED } from './commented-site.ts'

const test = suite('many mistakes')

const repeated = (count: number, line: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => line(n)).join('')
const inSection = (section: string, lines: string): string =>
  COMMENTED.replace(`${section}:\n`, `${section}:\n${lines}`)
const hex = (n: number): string => n.toString(16).padStart(64, '0')
const AB = 'ab'.repeat(32)

const faultsOf = (text: string) => {
  const loaded = loadConfig(text, 'site.yaml')
  return loaded.ok ? [] : loaded.faults
}

test('60,000 unknown keys: the first 200 in their order, and how many more there are', () => {
  const faults = faultsOf(COMMENTED + repeated(60_000, n => `k${n}: 1\n`))
  assert.is(faults.length, 201)
  assert.equal(
    faults.slice(0, 200).map(({ code, what }) => [code, what]),
    Array.from({ length: 200 }, (_, n) => ['config.unknown', `unknown key "k${n}"`]),
  )
  const { line } = faults[0]!
  assert.equal(faults[200], {
    ...{ code: 'config.unknown', file: 'site.yaml', line: line + 200, column: 1 },
    what: 'and 59800 more mistakes from here on',
  })
})

test('mistakes of all kinds are counted together', () => {
  const strangers = repeated(300, n => `  p${n}: {account: ${hex(n)}, sealing: x, metering: ${AB}, zz: 1}\n`)
  const faults = faultsOf(inSection('peers', strangers))
  assert.is(faults.length, 201)
  assert.is(faults.at(-1)!.what, 'and 400 more mistakes from here on')
  assert.equal([...new Set(faults.map(({ code }) => code))].sort(), ['config.invalid', 'config.unknown'])
})

test('unknown keys in any number of groups are taken out at once: the form is read as often for a thousand as for one', () => {
  const rounds = (groups: number): { readonly read: number; readonly hints: number; readonly said: number } => {
    let [read, hints] = [0, 0]
    const form = readForm<unknown>(
      repeated(groups, n => `g${n}: {a: 1, b: 1}\n`),
      'form.yaml',
      {
        called: 'a form',
        read: value => {
          read++
          const entries = Object.entries(value as Record<string, Record<string, string>>)
          const issues = entries.flatMap(([name, group]) =>
            'b' in group ? [{ kind: 'unknown' as const, path: [name, 'b'], known: ['a'] }] : [],
          )
          return issues.length > 0 ? { issues } : { value, issues }
        },
        check: value =>
          Object.keys(value as object).map(name => ({
            ...{ kind: 'reference' as const, path: [name, 'a'], what: 'is wrong' },
            hint: () => {
              hints++
              return 'so'
            },
          })),
      },
    )
    return { read, hints, said: form.ok ? 0 : form.faults.length }
  }
  assert.equal(rounds(1), { read: 2, hints: 1, said: 2 })
  // Each group has two mistakes, and one of the first that is not shown is looked at for its code.
  const many = rounds(1_000)
  assert.equal([many.read, many.said], [2, 201])
  assert.ok(many.hints <= 101, `${many.hints} hints`)
})

/** Processor time, which a busy machine does not stretch as it does the wall clock; the less of two runs. */
function costOf(text: string): number {
  const runs = Array.from({ length: 2 }, () => {
    const before = process.cpuUsage()
    loadConfig(text, 'site.yaml')
    const { user, system } = process.cpuUsage(before)
    return user + system
  })
  return Math.min(...runs)
}

const LARGE: Readonly<Record<string, (count: number) => string>> = {
  'unknown keys in groups': count =>
    inSection(
      'peers',
      repeated(count, n => `  p${n}: {account: ${hex(n)}, zz: 1}\n`),
    ),
  'meters on a line that is not there': count =>
    inSection(
      'meters',
      repeated(count, n => `  m${n}: {line: nowhere, protocol: sml}\n`),
    ),
  'meters on as many lines': count =>
    inSection(
      'meters',
      repeated(count, n => `  m${n}: {line: no${n}, protocol: modbus-rtu, page: p${n}, unit: 1}\n`),
    ),
  lines: count =>
    inSection(
      'lines',
      repeated(count, n => `  l${n}: {serial: /dev/tty${n}}\n`),
    ),
  'fuses one behind the other': count =>
    `${COMMENTED}fuses:\n${repeated(count, n => `  f${n}: {rating: 35A, under: f${n + 1}}\n`)}`,
}

for (const [what, make] of Object.entries(LARGE)) {
  test(`eight times as many ${what} cost no more than thirty times as much: looking through all for each would cost sixty-four`, () => {
    costOf(make(200))
    const [few, many] = [costOf(make(500)), costOf(make(4_000))]
    assert.ok(many < 30 * few, `${few} us, then ${many} us`)
  }, 240_000)
}

test.run()
