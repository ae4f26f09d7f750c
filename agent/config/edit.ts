/**
 * Edits of a configuration's text: only the lines that an edit touches change, so comments, order and quotes stay as the
 * person wrote them. A result that would not load is refused, whole.
 */
import { loadConfig } from './load.ts'
import type { ConfigFault, Read } from './read-form.ts'
import { type Path, readYaml, type YamlPart, type YamlText } from './yaml.ts'

/** One setting, written or, with null, left out. Groups and list items on the way that are not there yet are made. */
export interface Edit {
  readonly path: Path
  readonly value: string | null
}

export function editConfig(text: string, edits: readonly Edit[], file: string): Read<string> {
  let now = text
  for (const { path, value } of edits) {
    const { yaml, problems } = readYaml(now)
    if (yaml === undefined) return refuse(problems.map(problem => ({ code: 'config.syntax', file, ...problem })))
    const refused = (what: string) =>
      refuse([{ code: 'config.edit', file, ...yaml.place(path, 'value'), what: `${nameOf(path)} ${what}` }])
    if (path.length === 0) return refused('names no setting')
    const splice = value === null ? remove(now, yaml, path) : write(now, yaml, path, value)
    if (typeof splice === 'string') return refused(splice)
    if (splice === undefined) continue
    now = now.slice(0, splice.from) + splice.text + now.slice(splice.to)
    if (!holds(now, path, value)) return refused('cannot be edited here: edit the file')
  }
  const loaded = loadConfig(now, file)
  return loaded.ok ? { ok: true, value: now } : refuse(loaded.faults)
}

const refuse = (faults: readonly ConfigFault[]): Read<never> => ({ ok: false, faults })

interface Splice {
  readonly from: number
  readonly to: number
  readonly text: string
}

/** What was written is what is read. */
function holds(text: string, path: Path, value: string | null): boolean {
  const { yaml } = readYaml(text)
  if (yaml === undefined) return false
  let at: unknown = yaml.value
  for (const key of path) {
    const has = typeof at === 'object' && at !== null && Object.hasOwn(at, key)
    at = has ? (at as Readonly<Record<string | number, unknown>>)[key] : undefined
  }
  // The item behind one that was taken out has its index now.
  return value === null ? typeof path.at(-1) === 'number' || at === undefined : at === value
}

const nameOf = (path: Path): string =>
  path.map((part, n) => (typeof part === 'number' ? `[${part}]` : n > 0 ? `.${part}` : part)).join('')

/** Letters, digits and what stands in paths, addresses and quantities is read as it is written, between brackets too. */
const PLAIN = /^[\w./](?:[\w./+%@=-]|:(?=[^\s,]))*$/
const quoted = (text: string): string => (PLAIN.test(text) ? text : JSON.stringify(text))

function write(text: string, yaml: YamlText, path: Path, value: string): Splice | string | undefined {
  const there = yaml.part(path)
  if (there?.kind === 'text') {
    const [from, to] = there.value
    const old = text.slice(from, to)
    if (holds(text, path, value)) return undefined
    // A quoted value stays quoted: the person did not want it to be taken for a number.
    const written = /^["']/.test(old) ? JSON.stringify(value) : quoted(value)
    return { from, to, text: old.endsWith('\n') ? `${written}\n` : written }
  }
  if (there !== undefined && there.kind !== 'nothing') return 'is a group of settings: edit the settings in it'
  if (there !== undefined) return { from: there.key[1], to: there.value[1], text: `: ${quoted(value)}` }
  let depth = path.length - 1
  while (yaml.part(path.slice(0, depth)) === undefined) depth--
  return insert(text, yaml, path.slice(0, depth), path.slice(depth), quoted(value))
}

/** `rest`, from a parent that is there, down to a new value. */
function insert(text: string, yaml: YamlText, at: Path, rest: Path, value: string): Splice | string {
  const parent = yaml.part(at)!
  const [head] = rest
  if (parent.kind === 'text') return `is not there: ${nameOf(at)} is one value`
  if (parent.kind !== 'nothing' && (typeof head === 'number') !== (parent.kind === 'list'))
    return `is not there: ${nameOf(at)} is a ${parent.kind === 'list' ? 'list' : 'group'}`
  if (typeof head === 'number' && head !== parent.children.length) return 'is not the next of its list'
  const eol = text.includes('\r\n') ? '\r\n' : '\n'
  if (parent.flow) {
    const last = parent.children.at(-1)
    const from = last === undefined ? parent.value[0] + 1 : endOf(yaml, [...at, last])
    return { from, to: from, text: `${last === undefined ? '' : ', '}${flowText(rest, value)}` }
  }
  const indent = parent.kind === 'nothing' ? indentBelow(text, parent, at) : indentOf(text, yaml, at, parent)
  if (indent === undefined) return 'has no place here: edit the file'
  const lines = blockLines(rest, value).map(line => ' '.repeat(indent) + line)
  // A text that is empty but for comments has its settings behind them.
  const end = at.length === 0 && parent.children.length === 0 ? text.length : lineEnd(text, endOf(yaml, at))
  const start = end > 0 && text[end - 1] !== '\n' ? eol : ''
  return { from: end, to: end, text: `${start}${lines.join(eol)}${eol}` }
}

/** The end of what stands under `path`, comments behind it left out. */
function endOf(yaml: YamlText, path: Path): number {
  const part = yaml.part(path)!
  const last = part.children.at(-1)
  if (part.flow || last === undefined) return Math.max(part.value[1], part.key[1])
  return endOf(yaml, [...path, last])
}

/** Where the line ends that this offset is on, its line break included. A text block ends with one of its own. */
function lineEnd(text: string, offset: number): number {
  if (offset > 0 && text[offset - 1] === '\n') return offset
  const end = text.indexOf('\n', offset)
  return end < 0 ? text.length : end + 1
}

const lineStart = (text: string, offset: number): number => text.lastIndexOf('\n', offset - 1) + 1

/** The column of a group's keys or of a list's dashes. */
function indentOf(text: string, yaml: YamlText, at: Path, parent: YamlPart): number | undefined {
  const first = yaml.part([...at, parent.children[0]!])!
  const from = parent.kind === 'list' ? dashOf(text, first) : first.key[0]
  if (from === undefined) return undefined
  // A mark of the byte order takes no column.
  return text.slice(lineStart(text, from), from).replace(/^\ufeff/, '').length
}

/** The dash before an item that stands on the dash's own line. */
function dashOf(text: string, item: YamlPart): number | undefined {
  const dash = text.lastIndexOf('-', item.key[0] - 1)
  return dash >= 0 && /^- +$/.test(text.slice(dash, item.key[0])) ? dash : undefined
}

/** Settings of a group that is named and has none yet. */
function indentBelow(text: string, parent: YamlPart, at: Path): number | undefined {
  if (at.length === 0) return 0
  const before = text.slice(lineStart(text, parent.key[0]), parent.key[0])
  return /^\ufeff? *(- +)?$/.test(before) ? before.replace(/^\ufeff/, '').length + 2 : undefined
}

function blockLines([head, ...more]: Path, value: string): readonly string[] {
  const list = typeof head === 'number'
  const name = quoted(String(head))
  if (more.length === 0) return [list ? `- ${value}` : `${name}: ${value}`]
  const inner = blockLines(more, value)
  if (!list) return [`${name}:`, ...inner.map(line => `  ${line}`)]
  return inner.map((line, n) => (n === 0 ? `- ${line}` : `  ${line}`))
}

function flowText([head, ...more]: Path, value: string): string {
  const inner = more.length === 0 ? value : flowText(more, value)
  const held = more.length === 0 ? inner : typeof more[0] === 'number' ? `[${inner}]` : `{${inner}}`
  return typeof head === 'number' ? held : `${quoted(String(head))}: ${held}`
}

function remove(text: string, yaml: YamlText, path: Path): Splice | string | undefined {
  if (yaml.part(path) === undefined) return undefined
  let at = path
  // A group without settings is none.
  while (at.length > 1 && yaml.part(at.slice(0, -1))!.children.length === 1) at = at.slice(0, -1)
  const part = yaml.part(at)!
  const parent = yaml.part(at.slice(0, -1))!
  const index = parent.children.indexOf(at.at(-1)!)
  const sibling = (n: number): Path => [...at.slice(0, -1), parent.children[n]!]
  const next = index + 1 < parent.children.length ? yaml.part(sibling(index + 1))! : undefined
  if (parent.flow) {
    if (next !== undefined) return { from: part.key[0], to: next.key[0], text: '' }
    const from = index > 0 ? endOf(yaml, sibling(index - 1)) : part.key[0]
    return { from, to: endOf(yaml, at), text: '' }
  }
  const from = parent.kind === 'list' ? dashOf(text, part) : part.key[0]
  if (from === undefined) return 'cannot be taken out here: edit the file'
  const start = lineStart(text, from)
  if (/^ *$/.test(text.slice(start, from))) return { from: start, to: lineEnd(text, endOf(yaml, at)), text: '' }
  // The first setting on a dash's line: the next one takes its place, unless a comment stands between them.
  const between = next === undefined ? undefined : text.slice(endOf(yaml, at), next.key[0])
  if (next === undefined || !/^\s*$/.test(between!)) return 'cannot be taken out here: edit the file'
  return { from, to: next.key[0], text: '' }
}
