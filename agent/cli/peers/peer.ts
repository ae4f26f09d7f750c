/** `tieline peer`: a neighbour's public keys, written into the configuration whole or not at all. */
import { readTextFile } from '../../../drivers/text-file.ts'
import { writeWholeFile } from '../../../drivers/whole-file.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { done, faultLine } from '../../../protocol/result.ts'
import { editConfig } from '../../config/edit.ts'
import { loadConfig } from '../../config/load.ts'
import { configLine } from '../../config/read-form.ts'
import { EXIT, type ExitCode, exitOf } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import { tellFile, tellMistakes } from '../site-file.ts'
import type { Terminal } from '../terminal.ts'
import { misused } from '../usage.ts'

const USES = ['account', 'sealing', 'metering'] as const

export interface PeerOptions extends Readonly<Record<(typeof USES)[number], string>> {
  readonly config: string
  readonly replace?: true
  readonly json?: true
}

export async function writePeer(name: string, options: PeerOptions, terminal: Terminal): Promise<ExitCode> {
  const { config: file, replace } = options
  const text = await readTextFile(file)
  if (!text.ok) return tellFile(text.fault, 'tieline peer', terminal)
  const before = loadConfig(text.value, file)
  if (!before.ok) {
    tellMistakes(before, terminal)
    return EXIT.configuration
  }
  const { site, peers } = before.value
  if (name === site) return misused('peer', `${name} is this site itself`, terminal)
  const known = Object.hasOwn(peers, name) ? peers[name] : undefined
  // Whoever takes a neighbour's keys for granted pays, and closes contacts, on the word of whoever made them.
  const other = known === undefined ? undefined : USES.find(use => toHex(known[use]) !== options[use].toLowerCase())
  if (other !== undefined && !replace) {
    terminal.err(`tieline peer: ${name} has another ${other} key in ${file}; --replace takes the new ones\n`)
    return EXIT.no
  }
  const edits = USES.map(use => ({ path: ['peers', name, use], value: options[use].toLowerCase() }))
  const edited = editConfig(text.value, edits, file)
  if (!edited.ok) {
    for (const fault of edited.faults) terminal.err(`${configLine(fault)}\n`)
    terminal.err('tieline peer: nothing is changed\n')
    return EXIT.usage
  }
  const changed = edited.value !== text.value
  const written = changed ? await writeWholeFile(file, edited.value) : done
  if (!written.ok) {
    terminal.err(`tieline peer: nothing is changed: ${faultLine(written.fault)}\n`)
    return exitOf(written.fault)
  }
  if (options.json) terminal.out(jsonLine({ ok: true, file, peer: name, changed }))
  else terminal.out(`${file}: ${changed ? `knows ${name} from the next start on` : `knows ${name} already`}\n`)
  return EXIT.ok
}
