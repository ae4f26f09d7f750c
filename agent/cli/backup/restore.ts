/** `tieline restore`: a backup put back in place, whole or not at all. */
import { resolve } from 'node:path'
import { createSystemTime } from '../../../drivers/clock.ts'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { openSystemQuality } from '../../../drivers/time-quality.ts'
import { type Fault, fail, faultLine, ok, type Result } from '../../../protocol/result.ts'
import { instant, isoTime } from '../../../protocol/time.ts'
import { keyFiles } from '../../backup/backup.ts'
import type { Places } from '../../backup/put-in-place.ts'
import { type RestoreOptions, restore } from '../../backup/restore.ts'
import { oneLine } from '../../log.ts'
import { EXIT, type ExitCode, exitOf } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import { siteOf } from '../site-file.ts'
import type { Terminal } from '../terminal.ts'

export interface RestoreCommand {
  readonly config: string
  readonly into?: string
  readonly replace?: true
  readonly trustClock?: true
  readonly dryRun?: true
  readonly json?: true
}

/** Where everything goes, by the configuration in the archive: where it says, or all below one folder. */
const placesBy =
  (configFile: string, into: string | undefined): RestoreOptions['placesOf'] =>
  (text): Result<Places & { readonly site: string }> => {
    const config = siteOf(text, into === undefined ? configFile : `${into}/config.yaml`)
    if (config === undefined)
      return fail({
        code: 'backup.config',
        hint: 'its configuration is not understood: restore it with the version that made it',
      })
    const { site, data } = config
    if (into !== undefined) {
      const keys = keyFiles(config).map(([use]) => [use, `${into}/keys/${use}`] as const)
      return ok({ site, config: `${into}/config.yaml`, data: `${into}/data`, keys: Object.fromEntries(keys) })
    }
    const keys = keyFiles(config).flatMap(([use, file]) => (file === undefined ? [] : [[use, file] as const]))
    return ok({ site, config: resolve(configFile), data, keys: Object.fromEntries(keys) })
  }

export async function restoreSite(file: string, options: RestoreCommand, terminal: Terminal): Promise<ExitCode> {
  const { json, dryRun = false } = options
  const refuse = (fault: Fault, exit: ExitCode): ExitCode => {
    if (json) terminal.out(jsonLine({ ok: false, fault }))
    else terminal.err(`${oneLine(`tieline restore: nothing is restored: ${faultLine(fault)}`)}\n`)
    return exit
  }
  const { clock, timers } = createSystemTime()
  const { quality } = await openSystemQuality()
  if (!dryRun && options.trustClock !== true && quality() !== 'synchronised') {
    const hint = 'boots are counted on from the clock: wait until it is set, or look at it and say --trust-clock'
    return refuse({ code: 'restore.clock', quality: quality(), now: isoTime(clock.now()), hint }, EXIT.temporary)
  }
  const into = options.into === undefined ? undefined : resolve(options.into)
  const restored = await restore({
    ...{ archive: file, dryRun, replace: options.replace === true },
    placesOf: placesBy(options.config, into),
    world: { clock, timers, entropy: systemEntropy },
  })
  if (!restored.ok) return refuse(restored.fault, exitOfRestore(restored.fault))
  const { manifest, places, boot, aside } = restored.value
  const { site, at } = manifest
  if (json) {
    terminal.out(jsonLine({ ok: true, dryRun, site, at, boot, places, aside, keysLeftOut: manifest.keysLeftOut }))
    return EXIT.ok
  }
  const would = dryRun ? 'would be' : 'is'
  terminal.out(
    [
      `${site} as of ${isoTime(instant(at))} ${would} restored; boots go on from ${boot}`,
      `  configuration  ${places.config}`,
      `  data           ${places.data}`,
      ...Object.entries(places.keys).map(([use, key]) => `  ${`${use} key`.padEnd(14)} ${key}`),
      ...aside.map(path => `  moved aside    ${path}, as ${path}.before-${boot}`),
      ...(into === undefined ? [] : [`  ${places.config} has to name these places before an agent is started with it`]),
      '  contacts stay open until a person has looked at them: tieline relay manual off',
      '',
    ].join('\n'),
  )
  for (const use of manifest.keysLeftOut) terminal.err(`the ${use} key was not in the backup\n`)
  return EXIT.ok
}

/** What is wrong with the archive is the answer no; what stands in its way is to be cleared first. */
function exitOfRestore(fault: Fault): ExitCode {
  if (fault.code === 'archive.missing' || fault.code === 'archive.io') return EXIT.io
  if (/^(archive|backup)\./.test(fault.code)) return EXIT.no
  if (fault.code.startsWith('restore.')) return EXIT.configuration
  return exitOf(fault)
}
