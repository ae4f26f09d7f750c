/** The one file that knows @clack/prompts: questions as a person at a terminal sees them. All of it is talk, on stderr. */
import { autocomplete, isCancel, log, select, text } from '@clack/prompts'
import type { Choice, Question } from './question.ts'

/** The person wants to answer the question before once more. */
export const BACK = Symbol('back')

export interface Person {
  /** Undefined where the person breaks off, or the terminal is gone. `choices` are those that a search has found. */
  ask(question: Question, before?: string, choices?: readonly Choice[]): Promise<string | typeof BACK | undefined>
  tell(text: string): void
  warn(text: string): void
}

/** The size of a VT100. */
const CONSOLE = { columns: 80, rows: 24 }
/** More than these are looked for by typing. */
const LIST_MOST = 12
const NO_MATCH = 'nothing in the list has these letters'

export function personAtTerminal(): Person {
  const output = process.stderr
  // A serial console does not say how large it is, and what is drawn for no columns cannot be read.
  if (!output.columns) Object.assign(output, CONSOLE)
  let gone = false
  let asking = new AbortController()
  const leave = () => {
    gone = true
    asking.abort()
  }
  // A terminal that was closed answers with an end or EIO.
  process.stdin.on('end', leave).on('error', leave)
  // A prompt is left by Esc as by Ctrl-C, and does not say by which.
  let escaped = false
  process.stdin.on('keypress', (_text: unknown, key?: { readonly name?: string }) => {
    escaped = key?.name === 'escape'
  })
  return {
    async ask(question, before, found) {
      if (gone) return undefined
      // Of each question its own: they all would listen to one for good.
      asking = new AbortController()
      const { text: asked, about, check } = question
      const message = about === undefined ? asked : `${asked}\n${about}`
      escaped = false
      const initial = before ?? question.initial
      const choices = found ?? question.choices
      const answer =
        choices === undefined
          ? await text({
              ...{ output, message, signal: asking.signal },
              ...(initial === undefined || initial === '' ? {} : { placeholder: initial, defaultValue: initial }),
              validate: typed => check(orInitial(typed, initial)),
            })
          : await chooseFrom(choices, message, initial)
      if (gone) return undefined
      if (isCancel(answer)) return escaped ? BACK : undefined
      return choices === undefined ? orInitial(answer, initial) : answer
    },
    tell: text => log.info(wrapped(text, Math.max(output.columns, 20)), { output }),
    warn: text => log.warn(wrapped(text, Math.max(output.columns, 20)), { output }),
  }

  function chooseFrom(choices: readonly Choice[], message: string, initial: string | undefined) {
    const options = choices.map(choice => ({ ...choice }))
    const common = { output, message, options, signal: asking.signal }
    const chosen = initial === undefined ? {} : { initialValue: initial }
    return choices.length > LIST_MOST
      ? autocomplete({
          ...common,
          maxItems: LIST_MOST,
          ...chosen,
          validate: one => (one === undefined ? NO_MATCH : undefined),
        })
      : select({ ...common, ...chosen })
  }
}

/** At blanks, beside the three columns of a prompt's bar. */
const wrapped = (text: string, columns: number): string =>
  text.replace(new RegExp(`(?=.{${columns - 3}})(.{1,${columns - 4}}) `, 'g'), '$1\n')

const orInitial = (typed: string | undefined, initial: string | undefined): string =>
  typed === undefined || typed === '' ? (initial ?? '') : typed
