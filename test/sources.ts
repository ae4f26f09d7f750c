/** Source files as values, and the few things that the house tests must know of their text. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path/posix'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))

/** Path from the repository's root (with `/`) to text. */
export type Sources = ReadonlyMap<string, string>

/** The floors, lowest first; a file imports from its own or a lower one. */
export const FLOORS = ['protocol', 'drivers', 'agent', 'hw'] as const

/** Every source file of the product and its tests. */
export function readSources(): Sources {
  const files = [...FLOORS, 'test'].flatMap(folder =>
    readdirSync(root + folder, { recursive: true, encoding: 'utf8' })
      .map(file => `${folder}/${file}`)
      .filter(file => /\.tsx?$/.test(file) && !file.endsWith('.d.ts')),
  )
  return new Map(files.sort().map(file => [file, readFileSync(root + file, 'utf8')]))
}

export const readText = (path: string): string => readFileSync(root + path, 'utf8')

/** README.md files of the floors and the folder that each one indexes. */
export const readIndexes = (): Sources =>
  new Map(
    FLOORS.flatMap(folder =>
      readdirSync(root + folder, { recursive: true, encoding: 'utf8' })
        .map(file => `${folder}/${file}`)
        .filter(file => file.endsWith('/README.md')),
    ).map(file => [file, readFileSync(root + file, 'utf8')]),
  )

export const isTest = (file: string): boolean => file.startsWith('test/')

/** What a file imports, as written; type imports and re-exports count, because they bind as well. */
export function importsOf(text: string): readonly string[] {
  const code = withoutComments(text)
  const found = [
    ...code.matchAll(/(?:^|[\n;}])\s*(?:import|export)\s[^'"();]*?\bfrom\s*['"]([^'"]+)['"]/g),
    ...code.matchAll(/(?:^|[\n;}])\s*import\s*['"]([^'"]+)['"]/g),
    ...code.matchAll(/\bimport\s*\(\s*['"]([^'"]+)['"]\s*[,)]/g),
    ...code.matchAll(/\brequire\s*\(\s*['"]([^'"]+)['"]\s*\)/g),
  ]
  return found.map(match => match[1]!)
}

/** The repository path that a relative import names. */
export const resolveImport = (from: string, specifier: string): string => join(dirname(from), specifier)

/** `@noble/hashes/sha2.js` belongs to the package `@noble/hashes`; relative and `node:` imports to none. */
export function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith('.') || specifier.startsWith('node:')) return undefined
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** The text with comments blanked, strings kept. */
export const withoutComments = (text: string): string => blank(text, false)

/** The text with comments and the insides of strings and regular expressions blanked: what is left is code. */
export const codeOnly = (text: string): string => blank(text, true)

/** A `/` after one of these begins a regular expression, not a division. */
const BEFORE_REGEX = /(?:^|[(,=:[!&|?{};+*%<>~^-]|\breturn|\bcase|\btypeof)\s*$/

/**
 * A small scanner: comments, quotes, templates (whose `${}` is code again) and regular expressions. It need not be a
 * parser, because biome has already refused what is not well formed.
 */
function blank(text: string, strings: boolean): string {
  let out = ''
  let at = 0
  /** For each open template: the depth of braces inside its current `${}`. */
  const templates: number[] = []
  const space = (upTo: number, hide: boolean) => {
    const part = text.slice(at, upTo)
    out += hide ? part.replace(/[^\n]/g, ' ') : part
    at = upTo
  }
  const quoted = (close: string) => {
    let end = at
    while (end < text.length && text[end] !== close) end += text[end] === '\\' ? 2 : 1
    space(Math.min(end, text.length), strings)
  }
  const templateText = () => {
    let end = at
    while (end < text.length && text[end] !== '`' && !text.startsWith('${', end)) end += text[end] === '\\' ? 2 : 1
    space(Math.min(end, text.length), strings)
    if (text[at] === '`') space(at + 1, false)
    else if (at < text.length) {
      space(at + 2, false)
      templates.push(0)
    }
  }
  while (at < text.length) {
    const char = text[at]!
    if (text.startsWith('//', at)) {
      const end = text.indexOf('\n', at)
      space(end < 0 ? text.length : end, true)
    } else if (text.startsWith('/*', at)) {
      const end = text.indexOf('*/', at)
      space(end < 0 ? text.length : end + 2, true)
    } else if (char === "'" || char === '"') {
      space(at + 1, false)
      quoted(char)
      if (at < text.length) space(at + 1, false)
    } else if (char === '`') {
      space(at + 1, false)
      templateText()
    } else if (char === '/' && BEFORE_REGEX.test(out.slice(-40))) {
      space(at + 1, false)
      let end = at
      for (let inClass = false; end < text.length && text[end] !== '\n'; end++) {
        if (text[end] === '\\') end++
        else if (text[end] === '[') inClass = true
        else if (text[end] === ']') inClass = false
        else if (text[end] === '/' && !inClass) break
      }
      space(Math.min(end, text.length), strings)
      if (at < text.length) space(at + 1, false)
    } else if (templates.length > 0 && char === '{') {
      templates[templates.length - 1]!++
      space(at + 1, false)
    } else if (templates.length > 0 && char === '}') {
      const open = templates.at(-1)!
      space(at + 1, false)
      if (open === 0) {
        templates.pop()
        templateText()
      } else templates[templates.length - 1] = open - 1
    } else space(at + 1, false)
  }
  return out
}
