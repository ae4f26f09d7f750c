/**
 * A questionnaire as a value: a walk yields its questions one after the other, each by what was answered before, and ends with
 * what the answers make. Pure: whoever asks (a terminal, a file of answers, a test) follows the same walk from its beginning.
 */
import { unknownName } from '../usage.ts'

export interface Choice {
  readonly value: string
  readonly label: string
  readonly hint?: string
}

export interface Question {
  readonly kind: 'question'
  /** As in a file of answers: `meter1.page`. */
  readonly id: string
  readonly text: string
  /** Why it is asked, and an example. */
  readonly about?: string
  /** Absent: a line of text. */
  readonly choices?: readonly Choice[]
  /** Why an answer is none; undefined of a good one. */
  readonly check: (answer: string) => string | undefined
  /** Stands for an answer that is left out. */
  readonly initial?: string
  /** What the machine can find out itself, and has the person choose from: meters, at all places or at this one. */
  readonly search?: { readonly place: string | undefined }
}

/** Answers that do not go together: all whose id begins so are asked for anew. */
export interface Refusal {
  readonly kind: 'refusal'
  readonly prefix: string
  readonly why: string
}

export type Walk<T> = Generator<Question | Refusal, T, string>
export type Answers = ReadonlyMap<string, string>

export type Progress<T> =
  /** `before` is the question that was answered last. */
  | { readonly kind: 'ask'; readonly question: Question; readonly before: string | undefined }
  | { readonly kind: 'refused'; readonly prefix: string; readonly why: string; readonly question?: Question }
  | { readonly kind: 'done'; readonly value: T; readonly asked: ReadonlySet<string> }

/** As far as the answers go. */
export function follow<T>(walk: Walk<T>, answers: Answers): Progress<T> {
  const asked = new Set<string>()
  let step = walk.next()
  while (step.done !== true) {
    const it = step.value
    if (it.kind === 'refusal') return { kind: 'refused', prefix: it.prefix, why: it.why }
    const answer = answers.get(it.id)
    if (answer === undefined) return { kind: 'ask', question: it, before: [...asked].at(-1) }
    const why = it.check(answer)
    if (why !== undefined) return { kind: 'refused', prefix: it.id, why, question: it }
    asked.add(it.id)
    step = walk.next(answer)
  }
  return { kind: 'done', value: step.value, asked }
}

export const choose = (id: string, text: string, choices: readonly (Choice | string)[], initial?: string): Question => {
  const all = choices.map(one => (typeof one === 'string' ? { value: one, label: one } : one))
  const known = all.map(({ value }) => value)
  return {
    ...{ kind: 'question', id, text, choices: all },
    check: answer => (known.includes(answer) ? undefined : unknownName('choice', answer, known)),
    ...(initial === undefined ? {} : { initial }),
  }
}

/** A line of text; `check` says why it is none. */
export const line = (
  id: string,
  text: string,
  check: (answer: string) => string | undefined,
  initial?: string,
): Question => ({
  ...{ kind: 'question', id, text },
  // An end of line or a control character would be shown and written as something else than was typed.
  check: answer =>
    /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{0,500}$/u.test(answer) ? check(answer) : 'one line of at most 500 characters',
  ...(initial === undefined ? {} : { initial }),
})

/** Text that `parse` understands. */
export const parsed = (
  id: string,
  text: string,
  parse: (answer: string) => unknown,
  meant: string,
  initial?: string,
): Question => line(id, text, answer => (parse(answer) === undefined ? `must be ${meant}` : undefined), initial)

export const because = (about: string, question: Question): Question => ({ ...question, about })

export function* yes(id: string, text: string, initial: 'yes' | 'no', about?: string): Walk<boolean> {
  const choices = [
    { value: 'yes', label: 'yes' },
    { value: 'no', label: 'no' },
  ]
  const question = choose(id, text, choices, initial)
  return (yield about === undefined ? question : because(about, question)) === 'yes'
}
