/**
 * What the forms of the configuration are made of. The one file that knows valibot. Every group is strict: a key that is not
 * named in it refuses the whole configuration, because a misspelt limit that is silently ignored is a limit that is not
 * there.
 */
import * as v from 'valibot'
import * as forms from './literal-forms.ts'
import * as literals from './literals.ts'
import { nearest } from './nearest.ts'

export { v }

/** Text that `parse` understands; `meant` completes the sentence "must be ...", `form` is what an editor can check of it. */
export const scalar = <T>(parse: (text: string) => T | undefined, meant: string, form: forms.Form = {}) =>
  v.pipe(
    v.string(`must be ${meant}`),
    v.metadata({ ...form, meant }),
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

/** Text of that form, as it is. */
export const spelt = (form: RegExp, meant: string) =>
  scalar(text => (form.test(text) ? text : undefined), meant, forms.spelt(form))

/** A schema with the one line that is said of it wherever settings are explained. */
export function about<S extends v.GenericSchema<unknown, unknown>>(line: string, schema: S): S {
  const [first, ...rest] =
    'pipe' in schema ? (schema.pipe as [v.GenericSchema, ...v.PipeAction<unknown, unknown, never>[]]) : [schema]
  // Said at once of what is read: behind a transformation it would be said of what that makes.
  const said = 'pipe' in first! ? about(line, first) : v.pipe(first!, v.description(line))
  return (rest.length === 0 ? said : (v.pipe as (...items: readonly unknown[]) => unknown)(said, ...rest)) as S
}

/** A strict object whose issues carry, as their message, the keys that it knows: what `nearest` chooses from. */
export const group = <const E extends v.ObjectEntries>(entries: E) =>
  noList(v.strictObject(entries, Object.keys(entries).join(' ')))

export const name = spelt(/^[A-Za-z][A-Za-z0-9_-]{0,31}$/, 'a name: a letter, then at most 31 letters, digits, - or _')

/** Settings under names of the person's own choice. */
export const named = <S extends v.GenericSchema<unknown, unknown>>(item: S, key: typeof name = name) =>
  noList(v.record(key, item))

/** The settings that were made, without those that were left out. */
export const set = <T extends object>(settings: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as never

/** A value that is none of these, with the one that was probably meant. valibot quotes what it received. */
export const among = (choices: readonly string[]) => (issue: { readonly received: string }) => {
  const meant = nearest(issue.received.replaceAll('"', ''), choices)
  return `must be one of ${choices.join(', ')}${meant === undefined ? '' : `; did you mean "${meant}"?`}`
}
export const oneOf = <const T extends string>(...choices: readonly T[]) => v.picklist(choices, among(choices))

export const filled = (meant: string) =>
  scalar(text => (text.trim() === '' ? undefined : text), meant, { type: ['string', 'number'], pattern: '\\S' })
export const path = scalar(text => (text.trim() === '' || /\p{Cc}/u.test(text) ? undefined : text), 'a path', {
  type: ['string', 'number'],
  pattern: '\\S',
})

/** Both ends included. */
export const duration = (least: number, most: number, meant: string) =>
  scalar(literals.within(literals.parseDuration, least, most), meant, forms.DURATION)
/** How long receipts and disputes may take. */
export const window = duration(1000, 30 * 86_400_000, 'a duration from 1s to 30d')
export const price = scalar(
  literals.parsePrice,
  'a price for one kWh, as in 0.28, with at most 6 decimals',
  forms.PRICE,
)
export const power = scalar(literals.parsePower, 'a power, as in 3.7kW', forms.POWER)
export const flag = scalar(literals.parseBoolean, 'true or false', forms.FLAG)
export const current = scalar(literals.parseCurrent, 'a current, as in 16A', forms.CURRENT)
export const brokerUrl = scalar(
  literals.parseUrl('mqtt:', 'mqtts:'),
  'an address such as mqtt://127.0.0.1:1883',
  forms.BROKER_URL,
)
/** Both ends included. */
export const whole = (least: number, most: number, meant: string) =>
  scalar(literals.within(literals.parseWhole, least, most), meant, forms.whole(least, most))
export const energy = scalar(
  text => (literals.parseEnergy(text) ? literals.parseEnergy(text) : undefined),
  'an energy above 0, as in 2kWh or 500Wh',
  forms.ENERGY,
)
/** A line or node of the distribution network, as contracts name it. */
export const lineName = spelt(
  /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/,
  'the name of a line: a letter or digit, then at most 31 letters, digits, dots, - or _',
)
