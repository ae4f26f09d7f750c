/**
 * Older forms of the configuration, brought up to the one that this program reads, as pure functions from text to text. A
 * step changes only the lines that it must and says which it added, so that comments stay and every mistake can still be
 * shown in the file as it is.
 *
 * Version 0 is a file without the line `version:`, as before the form was numbered.
 */
import { readYaml } from './yaml.ts'

/** What this program reads. */
export const CONFIG_VERSION = 1

export interface Migrated {
  readonly text: string
  readonly from: number
  /** Numbers of the lines that were added, in the new text. */
  readonly added: readonly number[]
}

/** The version that a text says it is of; undefined where it cannot be read or says what is none. */
export function versionOf(text: string): number | undefined {
  const { yaml } = readYaml(text)
  if (yaml?.part([])?.kind !== 'map') return undefined
  const said = (yaml.value as { readonly [key: string]: unknown })['version']
  if (said === undefined) return 0
  return typeof said === 'string' && /^[1-9]\d{0,8}$/.test(said) ? Number(said) : undefined
}

type Step = (text: string) => Pick<Migrated, 'text' | 'added'>

/** 0 to 1: the form has a number, before the first setting. In one line, as in JSON, it stands in that line. */
const numbered: Step = text => {
  const { yaml } = readYaml(text)
  const root = yaml!.part([])!
  if (root.flow) {
    const at = root.value[0] + 1
    return { text: `${text.slice(0, at)}"version": "1", ${text.slice(at)}`, added: [] }
  }
  const first = yaml!.part([root.children[0]!])!
  const at = first.key[0]
  const eol = text.includes('\r\n') ? '\r\n' : '\n'
  const { line, column } = yaml!.place([root.children[0]!], 'key')
  const indent = ' '.repeat(Math.max(0, column - 1 - (text.startsWith('\ufeff') && line === 1 ? 1 : 0)))
  return { text: `${text.slice(0, at)}version: 1${eol}${indent}${text.slice(at)}`, added: [line] }
}

/** By the version that they start from. */
const STEPS: readonly Step[] = [numbered]

/** The text in the form of this program; undefined of one that is in it already, or of none that it knows. */
export function migrate(text: string): Migrated | undefined {
  const from = versionOf(text)
  if (from === undefined || from >= CONFIG_VERSION) return undefined
  return STEPS.slice(from).reduce<Migrated>(
    (now, step) => {
      const { text, added } = step(now.text)
      const moved = now.added.map(line => line + added.filter(at => at <= line).length)
      return { text, from, added: [...moved, ...added] }
    },
    { text, from, added: [] },
  )
}
