/**
 * JSON (RFC 8259) that somebody signed, read so that nothing in it can mean two things: a number stays the text that was
 * written, as no float holds 0.2596; a name stands once in its object; nothing follows the value; text is well-formed.
 * JSON.parse would take the last of two equal names, which another reader takes the first of.
 */
import { fail, ok, type Result } from '../result.ts'
import { shown } from './values.ts'

export type Json =
  | { readonly kind: 'object'; readonly members: ReadonlyMap<string, Json> }
  | { readonly kind: 'list'; readonly items: readonly Json[] }
  | { readonly kind: 'text'; readonly text: string }
  /** The number as written. */
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'null' }

/** `at` counts UTF-16 units from 0. */
export type JsonFault =
  | { readonly code: 'json.syntax'; readonly at: number; readonly expected: string }
  | { readonly code: 'json.duplicate-key'; readonly at: number; readonly key: string }
  | { readonly code: 'json.lone-surrogate'; readonly at: number }
  | { readonly code: 'json.too-deep'; readonly at: number; readonly limit: number }
  | { readonly code: 'json.too-long'; readonly length: number; readonly limit: number }

/** Longest text that is read, in UTF-16 units: a reading takes 150, so this is one a minute for a day. */
const MAX_JSON_LENGTH = 262_144

/** Deepest nesting that is read: a record has four levels, makers' own fields some more. */
const MAX_DEPTH = 16

export function readJson(text: string): Result<Json, JsonFault> {
  if (text.length > MAX_JSON_LENGTH) return fail({ code: 'json.too-long', length: text.length, limit: MAX_JSON_LENGTH })
  const cursor = new Cursor(text)
  const value = cursor.value(0)
  if (value !== undefined) {
    cursor.skipBlanks()
    if (cursor.at < text.length) cursor.refuse('the end')
  }
  return value === undefined || cursor.fault !== undefined ? fail(cursor.fault!) : ok(value)
}

const BLANKS = /[ \t\n\r]*/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const HEX4 = /[0-9a-fA-F]{4}/y
// biome-ignore lint/suspicious/noControlCharactersInRegex: RFC 8259 section 7 keeps control characters out of strings.
const PLAIN = /[^"\\\u0000-\u001f]*/y
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}
const LITERALS: readonly (readonly [string, Json])[] = [
  ['true', { kind: 'boolean', value: true }],
  ['false', { kind: 'boolean', value: false }],
  ['null', { kind: 'null' }],
]

/** Once a fault is set, every method answers undefined and the caller lets go. */
class Cursor {
  at = 0
  fault: JsonFault | undefined
  private readonly source: string

  constructor(source: string) {
    this.source = source
  }

  refuse(expected: string): undefined {
    this.fault ??= { code: 'json.syntax', at: this.at, expected }
    return undefined
  }

  /** What the sticky pattern finds here, stepped over. */
  private take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.source)?.[0]
    if (found !== undefined) this.at += found.length
    return found
  }

  skipBlanks(): void {
    this.take(BLANKS)
  }

  /** Steps over a character, blanks before it skipped; false leaves it standing. */
  private isNext(character: string): boolean {
    this.skipBlanks()
    if (this.source[this.at] !== character) return false
    this.at++
    return true
  }

  value(depth: number): Json | undefined {
    this.skipBlanks()
    switch (this.source[this.at]) {
      case '{':
        return this.nested(depth, () => this.object(depth))
      case '[':
        return this.nested(depth, () => this.list(depth))
      case '"': {
        const text = this.string()
        return text === undefined ? undefined : { kind: 'text', text }
      }
    }
    for (const [word, value] of LITERALS) {
      if (!this.source.startsWith(word, this.at)) continue
      this.at += word.length
      return value
    }
    const number = this.take(NUMBER)
    return number === undefined ? this.refuse('a value') : { kind: 'number', text: number }
  }

  private nested(depth: number, read: () => Json | undefined): Json | undefined {
    if (depth >= MAX_DEPTH) {
      this.fault ??= { code: 'json.too-deep', at: this.at, limit: MAX_DEPTH }
      return undefined
    }
    this.at++
    return read()
  }

  private object(depth: number): Json | undefined {
    const members = new Map<string, Json>()
    if (this.isNext('}')) return { kind: 'object', members }
    do {
      this.skipBlanks()
      const at = this.at
      if (this.source[at] !== '"') return this.refuse('a name in quotes')
      const key = this.string()
      if (key === undefined) return undefined
      if (members.has(key)) {
        this.fault ??= { code: 'json.duplicate-key', at, key: shown(key) }
        return undefined
      }
      if (!this.isNext(':')) return this.refuse('a colon')
      const value = this.value(depth + 1)
      if (value === undefined) return undefined
      members.set(key, value)
    } while (this.isNext(','))
    return this.isNext('}') ? { kind: 'object', members } : this.refuse('a comma or a closing brace')
  }

  private list(depth: number): Json | undefined {
    const items: Json[] = []
    if (this.isNext(']')) return { kind: 'list', items }
    do {
      const value = this.value(depth + 1)
      if (value === undefined) return undefined
      items.push(value)
    } while (this.isNext(','))
    return this.isNext(']') ? { kind: 'list', items } : this.refuse('a comma or a closing bracket')
  }

  private string(): string | undefined {
    const begun = this.at
    this.at++
    let text = ''
    for (;;) {
      text += this.take(PLAIN) ?? ''
      const end = this.source[this.at]
      if (end === '"') break
      if (end !== '\\') return this.refuse(end === undefined ? 'a closing quote' : 'no control character')
      const letter = this.source[this.at + 1] ?? ''
      if (letter === 'u') {
        this.at += 2
        const digits = this.take(HEX4)
        if (digits === undefined) return this.refuse('four hexadecimal digits')
        text += String.fromCharCode(Number.parseInt(digits, 16))
      } else {
        const character = Object.hasOwn(ESCAPES, letter) ? ESCAPES[letter] : undefined
        if (character === undefined) return this.refuse('an escape of RFC 8259')
        text += character
        this.at += 2
      }
    }
    this.at++
    // With the u flag the property matches half a pair only.
    if (/\p{Surrogate}/u.test(text)) {
      this.fault ??= { code: 'json.lone-surrogate', at: begun }
      return undefined
    }
    return text
  }
}
