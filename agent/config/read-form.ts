/** YAML text to what a form makes of it, or every mistake in it as file:line:column, what is wrong and what was meant. */
import type { Fault } from '../../protocol/result.ts'
import { nearest } from './nearest.ts'
import type { SchemaIssue } from './schema-issue.ts'
import { type Path, type Place, readYaml, shown, type YamlText, type YamlValue } from './yaml.ts'

/** `hint` says what was probably meant. Line and column count from 1. */
export type ConfigFault = Fault & {
  readonly code:
    | 'config.syntax'
    | 'config.unknown'
    | 'config.missing'
    | 'config.invalid'
    | 'config.reference'
    /** What an edit asked for has no place in the text. */
    | 'config.edit'
    | 'config.version'
  readonly file: string
  readonly line: number
  readonly column: number
  readonly what: string
}

export type Read<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly faults: readonly ConfigFault[] }

/** What one setting cannot know of itself. */
export interface ReferenceIssue {
  readonly kind: 'reference'
  readonly path: Path
  readonly what: string
  /** Worked out only for the mistakes that are shown. */
  readonly hint?: string | (() => string)
}

export interface Form<T> {
  /** As in "a configuration". */
  readonly called: string
  readonly read: (value: YamlValue) => { readonly value?: T; readonly issues: readonly SchemaIssue[] }
  /** Names that must exist elsewhere, and settings that go together. */
  readonly check: (value: T) => readonly ReferenceIssue[]
}

/** A megabyte of settings is no settings. */
export const TEXT_MAX = 1_000_000
/** YAML 1.2.2, 5.1: but for tab and line breaks they stand in no text. */
const CONTROL = /[^\P{Cc}\t\n\r\u0085]/u
/** More than a person mends before looking again. */
const MISTAKES_MOST = 200

export function readForm<T>(text: string, file: string, form: Form<T>): Read<T> {
  if (text.length > TEXT_MAX) {
    const what = `${text.length} characters are too many; ${form.called} has at most ${TEXT_MAX}`
    return { ok: false, faults: [{ code: 'config.syntax', file, line: 1, column: 1, what }] }
  }
  const control = text.search(CONTROL)
  if (control >= 0) {
    const before = text.slice(0, control).split('\n')
    const at = { line: before.length, column: before.at(-1)!.length + 1 }
    return { ok: false, faults: [{ code: 'config.syntax', file, ...at, what: 'a control character stands here' }] }
  }
  const { yaml, problems } = readYaml(text)
  if (yaml === undefined) {
    return refused(problems, file, problem => ({ code: 'config.syntax', file, ...problem }))
  }
  const { value, issues } = readAll(yaml.value, form)
  const found = value === undefined ? [] : form.check(value)
  const all = issues.concat(found).map(issue => ({ issue, ...placeOf(issue, yaml) }))
  if (value !== undefined && all.length === 0) return { ok: true, value }
  return refused(all, file, ({ issue, line, column }) => faultOf(issue, { file, line, column }))
}

/** The first in their order in the text, each as a fault, and how many more there are. */
function refused<P extends Place>(all: readonly P[], file: string, fault: (mistake: P) => ConfigFault): Read<never> {
  const inOrder = [...all].sort(byPlace)
  const faults = inOrder.slice(0, MISTAKES_MOST).map(fault)
  const next = inOrder[MISTAKES_MOST]
  if (next === undefined) return { ok: false, faults }
  const what = `and ${all.length - MISTAKES_MOST} more mistakes from here on`
  return {
    ok: false,
    faults: [...faults, { code: fault(next).code, file, line: next.line, column: next.column, what }],
  }
}

/** A mistake as one line: `site.yaml:12:5: unknown key "buad" (did you mean "baud"?)`. */
export const configLine = (fault: ConfigFault): string =>
  `${fault.file}:${fault.line}:${fault.column}: ${fault.what}${fault.hint === undefined ? '' : ` (${fault.hint})`}`

/**
 * The schema names one unknown key of an object at a time and keeps silent about what hides behind it, so unknown keys are
 * taken out and the rest is read again until all are known.
 */
function readAll<T>(
  all: YamlValue,
  form: Form<T>,
): { readonly value?: T; readonly issues: (SchemaIssue | ReferenceIssue)[] } {
  const unknown: (SchemaIssue | ReferenceIssue)[] = []
  let rest = all
  for (;;) {
    const { value, issues } = form.read(rest)
    const next = issues.filter(issue => issue.kind === 'unknown')
    if (next.length === 0) {
      // With unknown keys taken out the rest may be valid: its references are still worth checking.
      return { ...(value === undefined ? {} : { value }), issues: unknown.concat(issues) }
    }
    const out: Taken = { keys: new Set(), below: new Map() }
    for (const issue of next) {
      const group = issue.path.slice(0, -1)
      const known = new Set(issue.known)
      // All of the group at once: a file of nothing else has as many as it has lines.
      const { keys } = takenAt(out, group)
      for (const key of Object.keys(valueAt(rest, group))) {
        if (known.has(key)) continue
        keys.add(key)
        unknown.push({ ...issue, path: [...group, key] })
      }
    }
    rest = without(rest, out)
  }
}

/** What is taken out of a group, and out of the groups in it: all at once, since each copy of the whole takes as long as the whole. */
interface Taken {
  readonly keys: Set<string>
  readonly below: Map<string, Taken>
}

function takenAt(all: Taken, path: Path): Taken {
  let at = all
  for (const part of path) {
    const next = at.below.get(String(part)) ?? { keys: new Set(), below: new Map() }
    at.below.set(String(part), next)
    at = next
  }
  return at
}

const valueAt = (value: YamlValue, path: Path): YamlValue =>
  path.reduce<YamlValue>((at, key) => (at as { readonly [key: string | number]: YamlValue })[key]!, value)

function without(value: YamlValue, { keys, below }: Taken): YamlValue {
  if (typeof value === 'string') return value
  const rest = (key: string, item: YamlValue): YamlValue => {
    const taken = below.get(key)
    return taken === undefined ? item : without(item, taken)
  }
  if (Array.isArray(value)) return value.map((item: YamlValue, index) => rest(String(index), item))
  const kept = Object.entries(value).filter(([key]) => !keys.has(key))
  return Object.fromEntries(kept.map(([key, item]) => [key, rest(key, item)]))
}

const placeOf = (issue: SchemaIssue | ReferenceIssue, yaml: YamlText): Place =>
  yaml.place(
    issue.path,
    issue.kind === 'unknown' || issue.kind === 'missing' || (issue.kind === 'invalid' && issue.of === 'key')
      ? 'key'
      : 'value',
  )

function faultOf(issue: SchemaIssue | ReferenceIssue, at: Place & { readonly file: string }): ConfigFault {
  const last = String(issue.path.at(-1) ?? '')
  if (issue.kind === 'unknown') {
    const meant = nearest(last, issue.known)
    const hint = meant === undefined ? `known here: ${issue.known.join(', ')}` : `did you mean "${meant}"?`
    return { code: 'config.unknown', ...at, what: `unknown key "${shown(last)}"`, hint }
  }
  if (issue.kind === 'missing') {
    const inside = issue.path.slice(0, -1).map(shownPart).join('.')
    return { code: 'config.missing', ...at, what: `"${last}" is missing${inside === '' ? '' : ` in ${inside}`}` }
  }
  const name = issue.path
    .map((part, n) => (typeof part === 'number' ? `[${part}]` : `${n > 0 ? '.' : ''}${shown(part)}`))
    .join('')
  const what = `${name}${name === '' ? '' : ' '}${issue.what}`
  if (issue.kind === 'invalid') return { code: 'config.invalid', ...at, what }
  const hint = typeof issue.hint === 'function' ? issue.hint() : issue.hint
  return { code: 'config.reference', ...at, what, ...(hint === undefined ? {} : { hint }) }
}

const shownPart = (part: string | number): string => shown(String(part))

const byPlace = (a: Place, b: Place): number => a.line - b.line || a.column - b.column
