/** How a row of the paper is held against the JSON of its command, and how it is told. */
import { type Holds, ROWS, type Row } from './rows.ts'

/** What stands in a field; undefined where there is none. */
export function fieldOf(json: unknown, field: string): unknown {
  let value = json
  for (const name of field.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}

/** Whether a value is what it has to be; one that is not there never is. */
export function holds(value: unknown, how: Holds): boolean {
  if ('is' in how) return value === how.is
  if ('least' in how) return typeof value === 'number' && value >= how.least
  if ('most' in how) return typeof value === 'number' && value <= how.most
  if ('empty' in how) return Array.isArray(value) && value.length === 0
  if ('has' in how) return Array.isArray(value) && how.has.every(name => value.map(String).includes(name))
  if (typeof value !== 'object' || value === null) return false
  const parts = Object.values(value)
  return parts.length > 0 && parts.every(part => holds(part, how.each))
}

const sayHolds = (how: Holds): string => {
  if ('is' in how) return String(how.is)
  if ('least' in how) return `at least ${how.least}`
  if ('most' in how) return `at most ${how.most}`
  if ('empty' in how) return 'none'
  if ('has' in how) return how.has.join(', ')
  return `each ${sayHolds(how.each)}`
}

const COMMANDS = ['attacks', 'compare', 'privacy']

/** The command of a row, as typed in a checkout. */
export const commandOf = ({ by }: Row): string =>
  by.startsWith('bench:')
    ? `npm run ${by} -- --quick --json`
    : COMMANDS.includes(by)
      ? `npm start -- ${by} --json`
      : `npm start -- scenario ${by} --json`

/** The rows as a table in Markdown: what README shows. */
export const drawRows = (): string =>
  [
    '| row | what it shows | command | field | has to be |',
    '|---|---|---|---|---|',
    ...ROWS.map(row => {
      const what = row.open === undefined ? row.what : `${row.what} (open: ${row.open})`
      return `| ${row.row} | ${what} | \`${commandOf(row)}\` | \`${row.field}\` | ${sayHolds(row.holds)} |`
    }),
    '',
  ].join('\n')
