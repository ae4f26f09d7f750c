/** `tieline check`: reads a configuration as `run` would, and changes nothing but with --migrate. */
import { dirname, resolve } from 'node:path'
import { faultLine } from '../../protocol/result.ts'
import { listBoards, openBoard } from '../boards.ts'
import { nearest } from '../config/nearest.ts'
import type { SiteConfig } from '../config/site-config.ts'
import { wireGpio } from '../gpio-wiring.ts'
import { explain, migrateFile, printSchema } from './check-file.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { boardIn, readSiteFile, tellMistakes } from './site-file.ts'
import type { Terminal } from './terminal.ts'
import { misused } from './usage.ts'

/** With `json`, one object on stdout: {ok, file, mistakes: [{line, column, code, what, hint?}], board?: [lines about its file]}. */
async function check(file: string, json: boolean, terminal: Terminal): Promise<ExitCode> {
  const read = await readSiteFile(file)
  if (read.kind === 'unread') {
    if (json) terminal.out(`${JSON.stringify({ ok: false, file, unreadable: read.line })}\n`)
    else terminal.err(`${read.line}\n`)
    return read.exit
  }
  const { loaded } = read
  const board = loaded.ok ? await boardMistakes(loaded.value, file) : []
  const ok = loaded.ok && board.length === 0
  if (json) {
    const mistakes = loaded.ok ? [] : loaded.faults.map(({ file: _, ...mistake }) => mistake)
    terminal.out(`${JSON.stringify({ ok, file, mistakes, ...(board.length === 0 ? {} : { board }) })}\n`)
  } else if (!loaded.ok) tellMistakes(loaded, terminal)
  else if (ok) terminal.out(`${file}: ok, site ${loaded.value.site} (${loaded.value.role})\n`)
  else for (const line of board) terminal.err(`${line}\n`)
  return ok ? EXIT.ok : EXIT.configuration
}

export interface CheckOptions {
  readonly json?: true
  readonly explain?: true
  readonly schema?: true
  readonly migrate?: true
}

export async function checkAs(file: string, options: CheckOptions, terminal: Terminal): Promise<ExitCode> {
  const { json, explain: explained, schema, migrate } = options
  if ([explained, schema, migrate].filter(Boolean).length > 1)
    return misused('check', '--explain, --schema and --migrate are each alone', terminal)
  if (schema) return printSchema(terminal)
  if (migrate) return migrateFile(file, terminal)
  return explained ? explain(file, json === true, terminal) : check(file, json === true, terminal)
}

/** GPIO banks whose lines this board has not, or which would close at boot. */
async function wiringMistakes(relays: SiteConfig['relays'], board: string, file: string): Promise<readonly string[]> {
  const mistakes: string[] = []
  for (const [name, bank] of Object.entries(relays)) {
    const wired = bank.driver === 'gpio' ? await wireGpio(name, bank, board) : undefined
    if (wired !== undefined && !wired.ok) mistakes.push(`${file}: relays.${name}: ${faultLine(wired.fault)}`)
  }
  return mistakes
}

/** What is wrong with the board that the configuration names, each as a line with its place. */
async function boardMistakes({ board, relays }: SiteConfig, file: string): Promise<readonly string[]> {
  if (board === undefined) return []
  const at = boardIn(dirname(resolve(file)), board)
  const opened = await openBoard(at)
  if (opened.ok) return wiringMistakes(relays, at, file)
  const { code, mistakes } = opened.fault
  if (Array.isArray(mistakes)) return mistakes
  const meant = nearest(board, Object.keys(await listBoards()))
  const hint = meant === undefined ? '' : ` (did you mean "${meant}"?)`
  return [`${file}: board ${board} cannot be read (${code})${hint}`]
}
