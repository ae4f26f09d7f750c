/**
 * The log: one line an event on stderr. Under systemd each line begins with its level as journald reads it (`<4>`, see
 * sd-daemon(3)) and carries no time, because the journal stamps it; on a terminal the level is a word.
 */
import type { Log, LogLevel } from '../drivers/ports.ts'
import { faultLine } from '../protocol/result.ts'

const SYSLOG: Readonly<Record<LogLevel, number>> = { error: 3, warn: 4, info: 6, debug: 7 }
const SGR: Readonly<Record<LogLevel, number>> = { error: 31, warn: 33, info: 0, debug: 2 }

export interface LogOptions {
  readonly write: (line: string) => void
  /** The least level that is written. */
  readonly least: LogLevel
  /** Lines for journald. */
  readonly journal: boolean
  readonly colour: boolean
}

/** Whether stderr is the journal (systemd.exec(5), $JOURNAL_STREAM). */
export const underJournal = (env: Readonly<Record<string, string | undefined>>): boolean => !!env['JOURNAL_STREAM']

export function createLog({ write, least, journal, colour }: LogOptions): Log {
  return (level, room, text, fault) => {
    if (SYSLOG[level] > SYSLOG[least]) return
    const said = oneLine(fault === undefined ? text : `${text}: ${faultLine(fault)}`)
    if (journal) return write(`<${SYSLOG[level]}>${room}: ${said}\n`)
    const word = level.padEnd(5)
    write(`${colour && SGR[level] > 0 ? `\u001b[${SGR[level]}m${word}\u001b[0m` : word} ${room.padEnd(9)} ${said}\n`)
  }
}

/** What a peer or a wire said may hold line ends and escape codes: they must not forge a line or drive a terminal. */
export const oneLine = (text: string): string =>
  text.replace(/[\p{Cc}\u2028\u2029]/gu, char => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`)
