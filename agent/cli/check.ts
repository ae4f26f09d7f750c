/** `tieline check`: reads a configuration as `run` would, and changes nothing. */
import { EXIT, type ExitCode } from './exit-codes.ts'
import { readSiteFile, tellMistakes } from './site-file.ts'
import type { Terminal } from './terminal.ts'

/** With `json`, one object on stdout: {ok, file, mistakes: [{line, column, code, what, hint?}]}. */
export async function check(file: string, json: boolean, terminal: Terminal): Promise<ExitCode> {
  const read = await readSiteFile(file)
  if (read.kind === 'unread') {
    if (json) terminal.out(`${JSON.stringify({ ok: false, file, unreadable: read.line })}\n`)
    else terminal.err(`${read.line}\n`)
    return read.exit
  }
  const { loaded } = read
  if (json) {
    const mistakes = loaded.ok ? [] : loaded.faults.map(({ file: _, ...mistake }) => mistake)
    terminal.out(`${JSON.stringify({ ok: loaded.ok, file, mistakes })}\n`)
  } else if (loaded.ok) terminal.out(`${file}: ok, site ${loaded.value.site} (${loaded.value.role})\n`)
  else tellMistakes(loaded, terminal)
  return loaded.ok ? EXIT.ok : EXIT.configuration
}
