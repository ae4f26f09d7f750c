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

export interface YamlText {
  readonly value: YamlValue
  /** Where the value under `path` stands, or its key; the nearest enclosing place when there is none. */
  place(path: Path, of: 'key' | 'value'): Place
}

/** Names that would reach into an object's prototype. */
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype'])

interface Spot {
  readonly key: number
  readonly value: number
}

export function readYaml(text: string): { readonly yaml?: YamlText; readonly problems: readonly YamlProblem[] } {
  const counter = new LineCounter()
  const document = parseDocument(text, { schema: 'failsafe', lineCounter: counter, prettyErrors: false })
  const at = (offset: number): Place => {
    const { line, col } = counter.linePos(Math.min(offset, text.length))
    return { line, column: col }
  }
  const problems: YamlProblem[] = [...document.errors, ...document.warnings].map(error => ({
    ...at(error.pos[0]),
    what: lowerFirst(error.message.split('\n')[0]!),
  }))
  const spots = new Map<string, Spot>([['', { key: 0, value: 0 }]])

  const plain = (node: Node | null, path: Path): YamlValue => {
    const offset = node?.range?.[0] ?? spots.get(keyOf(path))!.key
    if (isAlias(node)) {
      problems.push({ ...at(offset), what: 'anchors and aliases are not used here: write the value out' })
      return ''
    }
    if (isSeq(node)) {
      return node.items.map((item, index) => {
        const start = (item as Node | null)?.range?.[0] ?? offset
        spots.set(keyOf([...path, index]), { key: start, value: start })
        return plain(item as Node | null, [...path, index])
      })
    }
    if (isMap(node)) {
      const entries: [string, YamlValue][] = []
      for (const pair of node.items) {
        const key = isScalar(pair.key) ? String(pair.key.value) : undefined
        const start = (pair.key as Node | null)?.range?.[0] ?? offset
        if (key === undefined || FORBIDDEN_KEYS.has(key)) {
          problems.push({
            ...at(start),
            what: key === undefined ? 'a key must be plain text' : `${key} cannot be a name`,
          })
          continue
        }
        const value = pair.value as Node | null
        spots.set(keyOf([...path, key]), { key: start, value: value?.range?.[0] ?? start })
        entries.push([key, plain(value, [...path, key])])
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
          const spot = spots.get(keyOf(path.slice(0, length)))
          if (spot !== undefined) return at(length === path.length ? spot[of] : spot.key)
        }
        return at(0)
      },
    },
  }
}

/** No key holds a NUL, so joined paths cannot collide. */
const keyOf = (path: Path): string => path.map(part => `\0${part}`).join('')

const lowerFirst = (text: string): string => text.slice(0, 1).toLowerCase() + text.slice(1)
