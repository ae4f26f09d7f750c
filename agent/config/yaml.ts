/**
 * YAML text to plain values that remember where they stood. The failsafe schema is used on purpose: every scalar stays
 * the text that the person wrote, so `0.10` is not rounded and `no` is not false; agent/config/schema.ts says what each
 * means.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml'

export type YamlValue = string | readonly YamlValue[] | { readonly [key: string]: YamlValue }

export interface Place {
  /** From 1. */
  readonly line: number
  /** From 1, in UTF-16 units, as editors count. */
  readonly column: number
}

export interface YamlProblem extends Place {
  readonly what: string
}

export type Path = readonly (string | number)[]

/** Where one value and its key stand in the text, as offsets; of an item of a list the key is the item itself. */
export interface YamlPart {
  readonly key: readonly [from: number, to: number]
  readonly value: readonly [from: number, to: number]
  /** `nothing` where a key has no value. */
  readonly kind: 'text' | 'map' | 'list' | 'nothing'
  /** Between braces or brackets. */
  readonly flow: boolean
  /** Keys or indexes. */
  readonly children: readonly (string | number)[]
}

export interface YamlText {
  readonly value: YamlValue
  /** Where the value under `path` stands, or its key; the nearest enclosing place when there is none. */
  place(path: Path, of: 'key' | 'value'): Place
  part(path: Path): YamlPart | undefined
}

/** Twice as deep as any setting stands. Both what parses and what reads a form go down with the text. */
const DEPTH_MOST = 16
const BRACKETS_MOST = 64
/** The parser repeats what it read. */
const SENTENCE_MOST = 160
const TOO_DEEP = `is nested too deep: no setting stands deeper than ${DEPTH_MOST} groups`

/** Names that would reach into an object's prototype. */
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype'])

export function readYaml(text: string): { readonly yaml?: YamlText; readonly problems: readonly YamlProblem[] } {
  const deep = tooDeep(text)
  if (deep !== undefined) {
    const before = text.slice(0, deep).split('\n')
    return { problems: [{ line: before.length, column: before.at(-1)!.length + 1, what: TOO_DEEP }] }
  }
  const counter = new LineCounter()
  const document = parseDocument(text, {
    schema: 'failsafe',
    lineCounter: counter,
    prettyErrors: false,
    uniqueKeys: false,
  })
  const at = (offset: number): Place => {
    const { line, col } = counter.linePos(Math.min(offset, text.length))
    return { line, column: col }
  }
  const problems: YamlProblem[] = [...document.errors, ...document.warnings].map(error => ({
    ...at(error.pos[0]),
    what: shown(lowerFirst(error.message.split('\n')[0]!), SENTENCE_MOST),
  }))
  const parts = new Map<string, YamlPart>()

  const plain = (node: Node | null, path: Path, key?: readonly [number, number]): YamlValue => {
    const offset = node?.range?.[0] ?? key?.[1] ?? 0
    const [from, to] = [offset, node?.range?.[1] ?? offset]
    parts.set(keyOf(path), {
      key: key ?? [from, to],
      value: [from, to],
      kind: isMap(node) ? 'map' : isSeq(node) ? 'list' : from === to ? 'nothing' : 'text',
      flow: (isMap(node) || isSeq(node)) && node.flow === true,
      children: isMap(node)
        ? node.items.map(({ key }) => String(isScalar(key) ? key.value : ''))
        : isSeq(node)
          ? [...node.items.keys()]
          : [],
    })
    if (path.length > DEPTH_MOST) {
      problems.push({ ...at(offset), what: TOO_DEEP })
      return ''
    }
    if (isAlias(node)) {
      problems.push({ ...at(offset), what: 'anchors and aliases are not used here: write the value out' })
      return ''
    }
    if (isSeq(node)) {
      return node.items.map((item, index) => plain(item as Node | null, [...path, index]))
    }
    if (isMap(node)) {
      // The parser's own look for keys that stand twice takes the square of their number.
      const entries = new Map<string, YamlValue>()
      for (const pair of node.items) {
        const key = isScalar(pair.key) ? String(pair.key.value) : undefined
        const [start, end] = (pair.key as Node | null)?.range ?? [offset, offset]
        const wrong =
          key === undefined
            ? 'a key must be plain text'
            : FORBIDDEN_KEYS.has(key)
              ? `${key} cannot be a name`
              : entries.has(key)
                ? `"${shown(key)}" stands here twice: map keys must be unique`
                : undefined
        if (key === undefined || wrong !== undefined) {
          problems.push({ ...at(start), what: wrong! })
          continue
        }
        entries.set(key, plain(pair.value as Node | null, [...path, key], [start, end]))
      }
      return Object.fromEntries(entries)
    }
    return isScalar(node) ? String(node.value ?? '') : ''
  }

  const value = plain(document.contents, [])
  if (problems.length > 0) return { problems }
  return {
    problems,
    yaml: {
      value,
      place(path, of) {
        for (let length = path.length; length > 0; length--) {
          const part = parts.get(keyOf(path.slice(0, length)))
          if (part === undefined) continue
          return at(length === path.length ? part[of][0] : part.key[0])
        }
        return at(0)
      },
      part: path => parts.get(keyOf(path)),
    },
  }
}

/** No key holds a NUL, so joined paths cannot collide. */
const keyOf = (path: Path): string => path.map(part => `\0${part}`).join('')

/** Brackets within brackets, and dashes behind dashes, that the parser would follow until its stack is used up. */
function tooDeep(text: string): number | undefined {
  const dashes = /^[ \t]*(?:[-?][ \t]+){17}/m.exec(text)
  if (dashes !== null) return dashes.index
  let depth = 0
  // Brackets in comments and quotes count as well: nobody has so many there without their partners.
  for (const { 0: bracket, index } of text.matchAll(/[[\]{}]/g)) {
    depth = bracket === '[' || bracket === '{' ? depth + 1 : Math.max(0, depth - 1)
    if (depth > BRACKETS_MOST) return index
  }
  return undefined
}

/** Of a word that may be as long as the file. */
export const shown = (word: string, most = 48): string => (word.length > most ? `${word.slice(0, most)}...` : word)

const lowerFirst = (text: string): string => text.slice(0, 1).toLowerCase() + text.slice(1)
