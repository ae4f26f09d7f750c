/**
 * What the forms of the configuration are made of. The one file that knows valibot. Every group is strict: a key that is not
 * named in it refuses the whole configuration, because a misspelt limit that is silently ignored is a limit that is not
 * there.
 */
import * as v from 'valibot'
import { nearest } from './nearest.ts'

export { v }

/** Text that `parse` understands; `meant` completes the sentence "must be ...". */
export const scalar = <T>(parse: (text: string) => T | undefined, meant: string) =>
  v.pipe(
    v.string(`must be ${meant}`),
    v.rawTransform<string, T>(({ dataset, addIssue, NEVER }) => {
      const value = parse(dataset.value)
      if (value !== undefined) return value
      // Long values are keys and seeds: they are not repeated to a terminal or a log.
      const shown = dataset.value === '' || dataset.value.length > 48 ? '' : `, not "${dataset.value}"`
      addIssue({ message: `must be ${meant}${shown}` })
      return NEVER
    }),
  )

/** valibot takes a list for an object whose keys are 0, 1, 2; a person who wrote a list must hear that it is one. */
const noList = <S extends v.GenericSchema>(schema: S): S => ({
  ...schema,
  '~run': (dataset: v.UnknownDataset, config: v.Config<v.BaseIssue<unknown>>) =>
    schema['~run'](Array.isArray(dataset.value) ? { ...dataset, value: 'a list' } : dataset, config),
})

/** A strict object whose issues carry, as their message, the keys that it knows: what `nearest` chooses from. */
export const group = <const E extends v.ObjectEntries>(entries: E) =>
  noList(v.strictObject(entries, Object.keys(entries).join(' ')))

export const name = scalar(
  text => (/^[A-Za-z][A-Za-z0-9_-]{0,31}$/.test(text) ? text : undefined),
  'a name: a letter, then at most 31 letters, digits, - or _',
)

/** Settings under names of the person's own choice. */
export const named = <S extends v.GenericSchema<unknown, unknown>>(item: S) => noList(v.record(name, item))

/** The settings that were made, without those that were left out. */
export const set = <T extends object>(settings: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as never

/** A value that is none of these, with the one that was probably meant. valibot quotes what it received. */
export const among = (choices: readonly string[]) => (issue: { readonly received: string }) => {
  const meant = nearest(issue.received.replaceAll('"', ''), choices)
  return `must be one of ${choices.join(', ')}${meant === undefined ? '' : `; did you mean "${meant}"?`}`
}
export const oneOf = <const T extends string>(...choices: readonly T[]) => v.picklist(choices, among(choices))

export const filled = (meant: string) => scalar(text => (text.trim() === '' ? undefined : text), meant)
export const path = filled('a path')
