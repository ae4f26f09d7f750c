/** Rows on stdout, as CSV or as JSON, one a line, and no faster than they are read. */
import { jsonLine } from '../json-line.ts'
import type { Terminal } from '../terminal.ts'

export type Row = Readonly<Record<string, string>>

/** `enough`: nobody reads any more. A promise is to be waited for before the next rows. */
export type Write = (rows: readonly Row[]) => Said | Promise<Said>
type Said = 'enough' | undefined

export function openSheet(columns: readonly string[], json: boolean, terminal: Terminal): Write {
  let isUnread = false
  void terminal.unread?.then(() => {
    isUnread = true
  })
  const said = (): Said => (isUnread ? 'enough' : undefined)
  const lineOf = (row: Row) => (json ? jsonLine(row) : csvLine(columns.map(column => row[column] ?? '')))
  if (!json) terminal.out(csvLine(columns))
  return rows => {
    if (rows.length > 0) terminal.out(rows.map(lineOf).join(''))
    const room = terminal.room?.()
    return room === undefined ? said() : room.then(said)
  }
}

/** RFC 4180. A text that a spreadsheet would take for a formula stays a text. */
const csvLine = (fields: readonly string[]): string =>
  `${fields.map(field => (/^[=+@\t]|[",\r\n]/.test(field) ? `"${(/^[=+@\t]/.test(field) ? "'" : '') + field.replaceAll('"', '""')}"` : field)).join(',')}\r\n`
