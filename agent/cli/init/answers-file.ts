/** `--answers`: a YAML file of `id: answer`. */
import { type ConfigFault, type Form, readForm } from '../../config/read-form.ts'
import type { Answers } from './question.ts'

/** The answers, or every mistake in the file. What an answer may be its question says. */
export function readAnswers(
  text: string,
  file: string,
): { readonly ok: true; readonly value: Answers } | { readonly ok: false; readonly faults: readonly ConfigFault[] } {
  return readForm<Answers>(text, file, {
    called: 'a file of answers',
    read: (value): ReturnType<Form<Answers>['read']> => {
      if (typeof value === 'string' || Array.isArray(value))
        return { issues: [{ kind: 'invalid', path: [], what: 'must be lines of id: answer', of: 'value' }] }
      const entries = Object.entries(value)
      const wrong = entries.filter(([, answer]) => typeof answer !== 'string')
      if (wrong.length > 0)
        return {
          issues: wrong.map(([id]) => ({ kind: 'invalid', path: [id], what: 'must be one answer', of: 'value' })),
        }
      return { value: new Map(entries as [string, string][]), issues: [] }
    },
    check: () => [],
  })
}
