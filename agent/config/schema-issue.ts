/** What the schema library says of a mistake, in our words: an unknown key, a missing one, or a value that cannot be. */
import type { Path } from './yaml.ts'

export type SchemaIssue =
  | { readonly kind: 'unknown'; readonly path: Path; readonly known: readonly string[] }
  | { readonly kind: 'missing'; readonly path: Path }
  | { readonly kind: 'invalid'; readonly path: Path; readonly what: string; readonly of: 'key' | 'value' }

/** As valibot has it. */
interface RawIssue {
  readonly type: string
  readonly expected: string | null
  readonly received: string
  readonly message: string
  readonly path?: readonly { readonly key: unknown; readonly origin: string }[] | undefined
}

export function issueOf(issue: RawIssue): SchemaIssue {
  const items = issue.path ?? []
  const path = items.map(item => item.key as string | number)
  if (issue.type === 'strict_object' && issue.expected === 'never') {
    return { kind: 'unknown', path, known: issue.message.split(' ') }
  }
  if (issue.type === 'strict_object' && issue.received === 'undefined') return { kind: 'missing', path }
  const shaped = issue.type === 'strict_object' || issue.type === 'record'
  return {
    kind: 'invalid',
    path,
    of: items.at(-1)?.origin === 'key' ? 'key' : 'value',
    what: shaped ? 'must be a group of settings, each on its own line as key: value' : issue.message,
  }
}
