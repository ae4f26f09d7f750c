/**
 * What was answered so far, so that a wizard that was broken off goes on: a file of the person's own state, for its owner alone.
 * Passwords and passphrases are never among the answers.
 */
import { resolve } from 'node:path'
import { exposureOf } from '../../../drivers/keys/guarded-file.ts'
import { openDisk } from '../../../drivers/store/disk.ts'
import { fromUtf8, toHex, utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { done, type Result } from '../../../protocol/result.ts'
import type { Terminal } from '../terminal.ts'
import type { Answers } from './question.ts'

export interface KeptAnswers {
  readonly file: string
  /** Undefined where there are none, or somebody else could have written them. */
  load(): Promise<Answers | undefined>
  save(answers: Answers): Promise<Result<void>>
  remove(): Promise<void>
}

/** One for each configuration file that is being made. Without a home it is kept beside nothing: in the machine's own folder. */
export function keptAnswers(config: string, env: Terminal['env']): KeptAnswers {
  const state = env['XDG_STATE_HOME'] ?? (env['HOME'] === undefined ? '/var/lib' : `${env['HOME']}/.local/state`)
  const folder = `${state}/tieline`
  const name = `init-${toHex(sha256(utf8(resolve(config)))).slice(0, 16)}.json`
  const file = `${folder}/${name}`
  return {
    file,
    async load() {
      if ((await exposureOf(file)) !== undefined) return undefined
      const disk = await openDisk(folder)
      if (!disk.ok) return undefined
      const read = await disk.value.read(name)
      await disk.value.close()
      return read.ok ? parseAnswers(fromUtf8(read.value) ?? '') : undefined
    },
    async save(answers) {
      const disk = await openDisk(folder)
      if (!disk.ok) return disk
      const written = await disk.value.replace(name, utf8(JSON.stringify(Object.fromEntries(answers))))
      await disk.value.close()
      return written.ok ? done : written
    },
    async remove() {
      const disk = await openDisk(folder)
      if (!disk.ok) return
      await disk.value.remove(name)
      await disk.value.close()
    },
  }
}

function parseAnswers(text: string): Answers | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    const entries = Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string')
    return entries.length === 0 ? undefined : new Map(entries)
  } catch {
    return undefined
  }
}
