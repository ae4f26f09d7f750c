/** `tieline backup`: one file of all that a site is. */
import { resolve } from 'node:path'
import { createSystemTime } from '../../../drivers/clock.ts'
import { readVersion } from '../../../drivers/version.ts'
import { faultLine } from '../../../protocol/result.ts'
import { isoTime } from '../../../protocol/time.ts'
import { backUp } from '../../backup/backup.ts'
import { oneLine } from '../../log.ts'
import { EXIT, type ExitCode, exitOf } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import { readSite } from '../site-file.ts'
import type { Terminal } from '../terminal.ts'

export interface BackupCommand {
  readonly config: string
  readonly out?: string
  readonly json?: true
}

export async function backup({ config: configFile, out, json }: BackupCommand, terminal: Terminal): Promise<ExitCode> {
  const config = await readSite(configFile, terminal)
  if (typeof config === 'number') return config
  if (config.keys.kind === 'seed') {
    terminal.err(`tieline backup: ${configFile} holds the seed of a bench site's keys, which no backup may\n`)
    return EXIT.configuration
  }
  const { clock } = createSystemTime()
  const now = clock.now()
  const day = isoTime(now).slice(0, 19).replaceAll(':', '')
  const file = resolve(out ?? `${config.site}-${day}.tieline-backup.tar.gz`)
  const made = await backUp({ config, configFile, out: file, now, version: readVersion() })
  if (!made.ok) {
    if (json) terminal.out(jsonLine({ ok: false, fault: made.fault }))
    else terminal.err(`${oneLine(`tieline backup: nothing is written: ${faultLine(made.fault)}`)}\n`)
    return exitOf(made.fault)
  }
  const { files, bytes, boot, keysLeftOut, journal } = made.value
  if (json) terminal.out(jsonLine({ ok: true, file, ...made.value }))
  else {
    terminal.out(
      `${file}: ${files} files, ${bytes} bytes, ${config.site} at boot ${boot}, journal up to frame ${journal.sequence}\n`,
    )
    for (const use of keysLeftOut)
      terminal.err(`the ${use} key is not in it: it stands in no sealed file, and has to be kept by itself\n`)
  }
  return EXIT.ok
}
