/** A result as lines for a person: a field a line, nested ones indented. */
import type { ScenarioResult } from './scenario.ts'

const NAME_COLUMNS = 44

export function drawScenario({ problems, ok, ...fields }: ScenarioResult): string {
  const lines = (value: object, indent: string): string[] =>
    Object.entries(value).flatMap(([key, each]: [string, unknown]) => {
      const name = `${indent}${key.replaceAll('_', ' ')}`
      if (each === null) return [line(name, 'none')]
      if (Array.isArray(each)) return [line(name, each.map(cell).join(', ') || 'none')]
      return typeof each === 'object' ? [name, ...lines(each, `${indent}  `)] : [line(name, cell(each))]
    })
  const verdict = ok ? 'everything held' : 'NOT everything held'
  return `${[...lines(fields, ''), ...problems.map(problem => `NOT ${problem}`), verdict].join('\n')}\n`
}

const line = (name: string, value: string): string => `${name.padEnd(NAME_COLUMNS)} ${value}`

const cell = (value: unknown): string => (typeof value === 'object' ? JSON.stringify(value) : String(value))
