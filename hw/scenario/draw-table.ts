/** Table 1 as columns: a way of trading each, a feature a row, long cells over several lines. */
import type { Column } from './compare-baselines.ts'
import type { ScenarioResult } from './scenario.ts'

const NAME_COLUMNS = 26
const CELL_COLUMNS = 22

/** What a person calls each feature, in the order of the paper and then what it does not measure. */
const FEATURES: readonly (readonly [
  name: string,
  of: (column: Column) => string | number | null | readonly string[],
])[] = [
  ['entities', column => column.entities],
  ['single points of failure', column => column.single_points_of_failure],
  ['an observer learns', column => column.an_observer_learns],
  ['third parties to a deal', column => column.third_parties],
  ['agreements verified by', column => column.verified_by],
  ['payment', column => column.paid_in],
  ['sites within reach', column => column.reach],
  ['lost to a defaulter, micro', column => column.lost_to_a_defaulter_micro],
  ['messages a deal, heartbeats and all', column => column.messages_per_deal],
  ['ledger transactions a deal', column => column.ledger_transactions_per_deal],
  ['signed after, ms', column => column.signed_after_ms],
  ['saved, micro a kWh', column => column.saved_micro_per_kwh],
]

export function drawTable(result: ScenarioResult): string {
  const columns = result.facts['table'] as Readonly<Record<string, Column>>
  const head = ['', ...Object.keys(columns).map(name => name.replaceAll('_', ' '))]
  const rows = FEATURES.map(([name, of]) => [name, ...Object.values(columns).map(column => cell(of(column)))])
  const lines = [head, ...rows].flatMap(drawRow)
  const verdict = result.ok ? 'everything held' : 'NOT everything held'
  return `${[...lines, '', ...result.problems.map(problem => `NOT ${problem}`), verdict].join('\n')}\n`
}

const cell = (value: string | number | null | readonly string[]): string =>
  value === null ? '-' : typeof value === 'object' ? value.join('; ') || 'none' : String(value)

function drawRow(cells: readonly string[]): string[] {
  const wrapped = cells.map((text, at) => wrap(text, (at === 0 ? NAME_COLUMNS : CELL_COLUMNS) - 1))
  const height = Math.max(...wrapped.map(lines => lines.length))
  return Array.from({ length: height }, (_, line) =>
    wrapped
      .map((lines, at) => (lines[line] ?? '').padEnd(at === 0 ? NAME_COLUMNS : CELL_COLUMNS))
      .join('')
      .trimEnd(),
  )
}

/** Whole words on lines of at most so many columns. */
function wrap(text: string, columns: number): string[] {
  const lines = ['']
  for (const word of text.split(' ')) {
    const last = lines.at(-1)!
    if (last === '') lines[lines.length - 1] = word
    else if (last.length + 1 + word.length <= columns) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines
}
