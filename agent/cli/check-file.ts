/** What `tieline check` does beside checking: explains every setting, prints the schema, brings an older file up to date. */
import { readTextFile } from '../../drivers/text-file.ts'
import { type WholeFileFault, writeWholeFile } from '../../drivers/whole-file.ts'
import { faultLine } from '../../protocol/result.ts'
import { loadConfig } from '../config/load.ts'
import { CONFIG_VERSION, migrate } from '../config/migrate.ts'
import { configLine } from '../config/read-form.ts'
import { listSettings } from '../config/settings.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { jsonLine } from './json-line.ts'
import { tellFile } from './site-file.ts'
import type { Terminal } from './terminal.ts'

/** Each setting in force on a line, a comment behind it; with `json` one object: {ok, file, settings: [...]} or {ok, file, mistakes}. */
export async function explain(file: string, json: boolean, terminal: Terminal): Promise<ExitCode> {
  const text = await readTextFile(file)
  if (!text.ok) return tellFile(text.fault, 'tieline check', terminal)
  const listed = listSettings(text.value, file)
  if (!listed.ok) {
    if (json) terminal.out(jsonLine({ ok: false, file, mistakes: listed.faults.map(({ file: _, ...rest }) => rest) }))
    else for (const fault of listed.faults) terminal.err(`${configLine(fault)}\n`)
    return EXIT.configuration
  }
  if (json) {
    terminal.out(jsonLine({ ok: true, file, settings: listed.value }))
    return EXIT.ok
  }
  for (const { path, value, line, about } of listed.value) {
    const from = line === undefined ? 'default' : `${file}:${line}`
    const name = path.map((part, n) => (typeof part === 'number' ? `[${part}]` : n > 0 ? `.${part}` : part)).join('')
    terminal.out(`${name}: ${value}  # ${from}${about === undefined ? '' : `. ${about}`}\n`)
  }
  return EXIT.ok
}

/** The published JSON Schema, for an editor: `# yaml-language-server: $schema=FILE` at the head of a configuration. */
export async function printSchema(terminal: Terminal): Promise<ExitCode> {
  // Only here: it is larger than most configurations that it is for.
  const { default: schema } = await import('../config/tieline.schema.json', { with: { type: 'json' } })
  terminal.out(`${JSON.stringify(schema, null, 2)}\n`)
  return EXIT.ok
}

/**
 * Writes an older file in the form of this program, the old text beside it. Whenever the power goes, the file is the one or the
 * other; done again, it ends in the same.
 */
export async function migrateFile(file: string, terminal: Terminal): Promise<ExitCode> {
  const text = await readTextFile(file)
  if (!text.ok) return tellFile(text.fault, 'tieline check', terminal)
  const loaded = loadConfig(text.value, file)
  if (!loaded.ok) {
    for (const fault of loaded.faults) terminal.err(`${configLine(fault)}\n`)
    terminal.err(`${file}: nothing is written before it is without mistakes\n`)
    return EXIT.configuration
  }
  const newer = migrate(text.value)
  if (newer === undefined) {
    terminal.out(`${file}: is of version ${CONFIG_VERSION}\n`)
    return EXIT.ok
  }
  const backup = await freeName(`${file}.v${newer.from}`, text.value)
  const kept = await writeWholeFile(backup, text.value)
  const written = kept.ok ? await writeWholeFile(file, newer.text) : kept
  if (!written.ok) return unwritten(written.fault, terminal)
  terminal.out(`${file}: was of version ${newer.from}, is of version ${CONFIG_VERSION}; the old text is in ${backup}\n`)
  return EXIT.ok
}

/** A name that nothing has, or what has this very text: of a migration that the power cut short. */
async function freeName(stem: string, text: string): Promise<string> {
  for (let n = 1; ; n++) {
    const name = `${stem}${n === 1 ? '' : `-${n}`}.bak`
    const there = await readTextFile(name)
    if (there.ok ? there.value === text : there.fault.code === 'file.missing') return name
  }
}

function unwritten(fault: WholeFileFault, terminal: Terminal): ExitCode {
  terminal.err(`tieline check: nothing is changed: ${faultLine(fault)}\n`)
  return fault.code === 'file.permission' ? EXIT.permission : EXIT.io
}
