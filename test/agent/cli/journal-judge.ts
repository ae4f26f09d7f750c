/** What a site signed, as the program itself gives its journal out: while it runs, and judged after its end. */
import { join } from 'node:path'
import { assert } from '../../harness.ts'
import { runTieline } from './cli-run.ts'
import { asked } from './site-process.ts'

export interface Signed {
  readonly kind: string
  readonly sequence: number
  readonly reason?: string
  readonly errors?: readonly string[]
  readonly what?: { readonly kind: string }
}

const journalOf = (folder: string) => join(folder, 'data/journal')
const recordsIn = (text: string): Signed[] => text.split('\n').flatMap(line => (line === '' ? [] : [JSON.parse(line)]))
const readingsOf = (records: readonly Signed[]) => records.filter(({ kind }) => kind === 'reading')
/** While it runs. */
export const signedIn = async (folder: string): Promise<number> =>
  readingsOf(recordsIn((await runTieline(['journal', 'export', journalOf(folder)])).out)).length

/** Every rule holds, no number is left out, and no reading is a gap. */
export function judged(folder: string): readonly Signed[] {
  assert.match(asked('verify', journalOf(folder)), /^every rule holds$/m)
  const records = recordsIn(asked('journal', 'export', journalOf(folder)))
  const readings = readingsOf(records)
  assert.equal(
    readings.map(({ sequence }) => sequence),
    readings.map((_, n) => n + 1),
  )
  assert.ok(readings.every(({ reason, errors }) => reason === 'periodic' && errors?.length === 0))
  return records
}

export const linesWith = (text: string, word: string): readonly string[] =>
  text.split('\n').filter(line => line.includes(word))
