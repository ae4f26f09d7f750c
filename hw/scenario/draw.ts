/** A result as lines for a person: a field a line, nested ones indented, values in one column. */
import type { ScenarioResult } from './scenario.ts'

/** Names of most results are shorter. */
const NAME_COLUMNS = 44

type Line = readonly [name: string, value?: string]

export function drawScenario({ problems, ok, ...fields }: ScenarioResult): string {
  const lines = linesOf(fields, '')
  const columns = Math.max(NAME_COLUMNS, ...lines.map(([name, value]) => (value === undefined ? 0 : name.length)))
  const drawn = lines.map(([name, value]) => (value === undefined ? name : `${name.padEnd(columns)} ${value}`))
  const verdict = ok ? 'everything held' : 'NOT everything held'
  return `${[...drawn, ...problems.map(problem => `NOT ${problem}`), verdict].join('\n')}\n`
}

const linesOf = (value: object, indent: string): readonly Line[] =>
  knownOf(value).flatMap(([key, each]): readonly Line[] => {
    const name = `${indent}${inWords(key)}`
    if (each === null) return [[name, 'none']]
    if (!isObject(each)) return [[name, String(each)]]
    if (!Array.isArray(each)) return [[name], ...linesOf(each, `${indent}  `)]
    if (!each.some(isObject)) return [[name, each.join(', ') || 'none']]
    return [[name], ...each.map((one: unknown): Line => [`${indent}  - ${said(one)}`])]
  })

/** On one line: `meter 52000007, limits (reserve wh 4000)`. */
function said(value: unknown): string {
  if (!isObject(value)) return String(value)
  if (Array.isArray(value)) return value.map(said).join(' ') || 'none'
  const parts = knownOf(value).map(
    ([key, each]) => `${inWords(key)} ${isObject(each) && !Array.isArray(each) ? `(${said(each)})` : said(each)}`,
  )
  return parts.join(', ') || 'none'
}

/** As JSON has it: what is undefined is not there. */
const knownOf = (value: object): readonly [string, unknown][] =>
  Object.entries(value).filter(([, each]: [string, unknown]) => each !== undefined)

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null
const inWords = (key: string): string => key.replaceAll('_', ' ')
