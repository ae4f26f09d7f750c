/**
 * Every setting that is in force: its value as a person would write it, where it comes from, and one line about it. Read off
 * the form itself, so that what is explained is what is loaded.
 */

import { loadConfig } from './load.ts'
import type { Read } from './read-form.ts'
import { siteForm } from './schema.ts'
import { v } from './schema-words.ts'
import type { Setting } from './setting.ts'
import type { SiteConfig } from './site-config.ts'
import { type Path, readYaml, type YamlText, type YamlValue } from './yaml.ts'

type Form = v.GenericSchema<unknown, unknown>

/** Of a configuration that loads, in the order of the form; else its mistakes. */
export function listSettings(text: string, file: string): Read<readonly Setting[]> {
  const loaded = loadConfig(text, file)
  if (!loaded.ok) return loaded
  const { yaml } = readYaml(text)
  const found: Setting[] = []
  walk(siteForm, yaml!.value, [], undefined, { yaml: yaml!, found })
  return { ok: true, value: [...found, ...lineSettings(loaded.value, found)] }
}

interface Walk {
  readonly yaml: YamlText
  readonly found: Setting[]
}

function walk(form: Form, value: YamlValue, path: Path, about: string | undefined, to: Walk): void {
  const line = v.getDescription(form as v.GenericSchema) ?? about
  if (v.isOfType('optional', form))
    return walk((form as v.OptionalSchema<Form, undefined>).wrapped, value, path, line, to)
  if (v.isOfType('lazy', form)) return walk((form as v.LazySchema<Form>).getter(value), value, path, line, to)
  if (typeof value === 'string') {
    const stands = to.yaml.part(path) !== undefined
    to.found.push({
      ...{ path, value, from: stands ? 'file' : 'default' },
      ...(stands ? { line: to.yaml.place(path, 'value').line } : {}),
      ...(line === undefined ? {} : { about: line }),
    })
    return
  }
  if (v.isOfType('array', form)) {
    const { item } = form as v.ArraySchema<Form, undefined>
    for (const [index, each] of (value as readonly YamlValue[]).entries()) walk(item, each, [...path, index], line, to)
    return
  }
  const group = value as { readonly [key: string]: YamlValue }
  if (v.isOfType('record', form)) {
    const { value: item } = form as v.RecordSchema<v.GenericSchema<string, string>, Form, undefined>
    for (const [name, each] of Object.entries(group)) walk(item, each, [...path, name], line, to)
    return
  }
  const { entries } = formOf(form, group)
  for (const [key, entry] of Object.entries(entries)) {
    const given = group[key] ?? defaultOf(entry)
    if (given !== undefined) walk(entry, given, [...path, key], undefined, to)
  }
}

type Group = { readonly entries: Readonly<Record<string, Form>> }

/** The group itself, or the one of several that its key chooses. */
function formOf(form: Form, value: { readonly [key: string]: YamlValue }): Group {
  if (!v.isOfType('variant', form)) return form as unknown as Group
  const { key, options } = form as unknown as { readonly key: string; readonly options: readonly Group[] }
  const chosen = options.find(({ entries }) => (entries[key] as unknown as { literal: string }).literal === value[key])
  return chosen ?? options[0]!
}

const defaultOf = (form: Form): YamlValue | undefined =>
  v.isOfType('optional', form)
    ? ((form as unknown as { readonly default?: YamlValue }).default ?? undefined)
    : undefined

/** A line that does not say how it is set is set by what is on it. */
function lineSettings({ lines }: SiteConfig, found: readonly Setting[]): readonly Setting[] {
  const said = new Set(found.map(({ path }) => path.join('\0')))
  return Object.entries(lines).flatMap(([name, line]) =>
    line.kind === 'tcp'
      ? []
      : (['baud', 'format'] as const).flatMap((key): readonly Setting[] => {
          const path = ['lines', name, key]
          if (said.has(path.join('\0'))) return []
          return [
            { path, value: String(line[key]), from: 'default', about: 'As what is on the line leaves its factory.' },
          ]
        }),
  )
}
