#!/usr/bin/env node
/**
 * `npm run schema`: the published JSON Schema of the configuration, made of the form by which it is read, for editors and other
 * programs. It describes what a person writes. What it cannot say, as that one setting needs another, `tieline check` says:
 * every configuration that loads has this form, and not everything of this form loads. The one file that knows
 * @valibot/to-json-schema.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type ConversionConfig, toJsonSchema } from '@valibot/to-json-schema'
import { siteForm } from '../../agent/config/schema.ts'

export const SCHEMA_FILE = fileURLToPath(new URL('../../agent/config/tieline.schema.json', import.meta.url))

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

const CONFIG: ConversionConfig = {
  // What yaml-language-server and most editors know.
  target: 'draft-07',
  typeMode: 'input',
  // Checks between settings have no counterpart.
  errorMode: 'ignore',
  overrideSchema: ({ valibotSchema, jsonSchema }) => {
    const { type, getter, literal, options } = valibotSchema as {
      type: string
      getter?: (value: unknown) => never
      literal?: unknown
      options?: readonly unknown[]
    }
    // A value that may be text or a group is read as what it is.
    if (type === 'lazy') {
      return { anyOf: ['', {}].map(value => bare(getter!(value))) } as unknown as typeof jsonSchema
    }
    // An editor takes 1 for a number, and 8E1 for eighty.
    const words = type === 'picklist' ? options! : type === 'literal' ? [literal] : []
    const numbers = words.map(Number).filter(Number.isFinite)
    return numbers.length === 0 ? undefined : { enum: [...words, ...numbers] as string[] }
  },
}

function bare(form: Parameters<typeof toJsonSchema>[0]): Json {
  const { $schema: _, ...rest } = toJsonSchema(form, CONFIG)
  return rest as Json
}

type Schema = { readonly [key: string]: Json }

const isSchema = (node: Json | undefined): node is Schema =>
  typeof node === 'object' && node !== null && !Array.isArray(node)

/** What a setting is about and what it must be, in one description, which comes first. */
function describe(schema: Schema): Schema {
  const { description, meant, required, ...rest } = schema
  const said = [description, ...(meant === undefined ? [] : [`Must be ${meant}.`])].filter(Boolean).join(' ')
  const inside = Object.entries(rest).map(([key, value]): [string, Json] => {
    if (key === 'properties') return [key, mapOf(value as Schema, describe)]
    if (key === 'anyOf' || key === 'oneOf') return [key, (value as readonly Schema[]).map(describe)]
    return [key, key !== 'default' && isSchema(value) ? describe(value) : value]
  })
  const needed = Array.isArray(required) && required.length > 0 ? { required } : {}
  return { ...(said === '' ? {} : { description: said }), ...Object.fromEntries(inside), ...needed }
}

const mapOf = (map: Schema, change: (value: Schema) => Json): Schema =>
  Object.fromEntries(Object.entries(map).map(([key, value]) => [key, change(value as Schema)]))

/** As the formatter of this repository has it: lists on one line where they fit. */
function print(node: Json, indent: string, used: number): string {
  if (typeof node !== 'object' || node === null) return JSON.stringify(node)
  const list = Array.isArray(node)
  const deeper = `${indent}  `
  const items = Object.entries(node as Schema).map(([key, value]) => {
    const name = list ? '' : `${JSON.stringify(key)}: `
    return { name, value, lone: typeof value !== 'object' || value === null }
  })
  if (items.length === 0) return list ? '[]' : '{}'
  const flat = `[${items.map(({ value }) => JSON.stringify(value)).join(', ')}]`
  if (list && items.every(({ lone }) => lone) && indent.length + used + flat.length < LINE) return flat
  const lines = items.map(({ name, value }) => `${deeper}${name}${print(value, deeper, name.length)}`)
  return `${list ? '[' : '{'}\n${lines.join(',\n')}\n${indent}${list ? ']' : '}'}`
}
/** The comma is the last. */
const LINE = 120

export function configSchema(): string {
  const { $defs: _, ...schema } = bare(siteForm) as Schema
  const titled = {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Configuration of a Tieline site',
    ...describe(schema),
  }
  return `${print(titled, '', 0)}\n`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const schema = configSchema()
  const changed = (() => {
    try {
      return readFileSync(SCHEMA_FILE, 'utf8') !== schema
    } catch {
      return true
    }
  })()
  if (changed) writeFileSync(SCHEMA_FILE, schema)
  process.stderr.write(`${SCHEMA_FILE}: ${changed ? 'written' : 'as it was'}\n`)
}
