/** JSON Schema 2020-12, as much of it as the API's document uses; a keyword that is not understood is an error, not a pass. */

type Json = Readonly<Record<string, unknown>>

const KNOWN = new Set(
  'type properties required additionalProperties items enum const pattern minimum description anyOf $ref'.split(' '),
)

const typeOf = (value: unknown): string =>
  value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value === 'object' ? 'object' : typeof value

const isOfType = (value: unknown, type: unknown): boolean =>
  type === 'integer' ? Number.isSafeInteger(value) : typeOf(value) === type

/** Every way in which a value is not what the schema says, each with its place; `root` holds what is referred to. */
export function violationsOf(value: unknown, schema: Json, root: Json, at = '$'): string[] {
  const unknown = Object.keys(schema).filter(key => !KNOWN.has(key))
  if (unknown.length > 0) throw new Error(`${at}: no such keyword here: ${unknown.join()}`)
  if (typeof schema['$ref'] === 'string') {
    const found = schema['$ref']
      .slice(2)
      .split('/')
      .reduce<unknown>((all, key) => (all as Json | undefined)?.[key], root)
    if (found === undefined) throw new Error(`${at}: ${schema['$ref']} is not there`)
    return violationsOf(value, found as Json, root, at)
  }
  const wrong: string[] = []
  if (Array.isArray(schema['anyOf'])) {
    const each = schema['anyOf'].map(one => violationsOf(value, one as Json, root, at))
    if (!each.some(one => one.length === 0)) wrong.push(...each.flat())
  }
  const types = schema['type'] === undefined ? undefined : [schema['type']].flat()
  if (types !== undefined && !types.some(type => isOfType(value, type)))
    return [`${at} is ${typeOf(value)}, not ${types}`]
  if (Array.isArray(schema['enum']) && !schema['enum'].includes(value)) wrong.push(`${at} is ${value}`)
  if ('const' in schema && schema['const'] !== value) wrong.push(`${at} is ${value}`)
  if (
    typeof schema['pattern'] === 'string' &&
    typeof value === 'string' &&
    !new RegExp(schema['pattern'], 'u').test(value)
  )
    wrong.push(`${at} is ${value}`)
  if (typeof schema['minimum'] === 'number' && Number(value) < schema['minimum']) wrong.push(`${at} is ${value}`)
  if (Array.isArray(value) && schema['items'] !== undefined)
    wrong.push(...value.flatMap((each, n) => violationsOf(each, schema['items'] as Json, root, `${at}[${n}]`)))
  if (typeOf(value) === 'object') {
    const properties = (schema['properties'] ?? {}) as Readonly<Record<string, Json>>
    for (const key of (schema['required'] ?? []) as string[])
      if (!Object.hasOwn(value as object, key)) wrong.push(`${at}.${key} is missing`)
    for (const [key, each] of Object.entries(value as object)) {
      if (Object.hasOwn(properties, key)) wrong.push(...violationsOf(each, properties[key]!, root, `${at}.${key}`))
      else if (schema['additionalProperties'] === false) wrong.push(`${at}.${key} is not named`)
    }
  }
  return wrong
}
