/** `tieline init`: asks, and writes a site's configuration whole or not at all. */
import { dirname, join, resolve } from 'node:path'
import { isFolder, makeFolder } from '../../../drivers/store/folder.ts'
import { readTextFile, writeNewTextFile } from '../../../drivers/text-file.ts'
import { mayWrite, writeWholeFile } from '../../../drivers/whole-file.ts'
import { type Fault, faultLine, ok, type Result } from '../../../protocol/result.ts'
import { listBoards } from '../../boards.ts'
import { nearest } from '../../config/nearest.ts'
import { configLine } from '../../config/read-form.ts'
import { EXIT, type ExitCode, exitOf } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import { tellFile } from '../site-file.ts'
import type { Terminal } from '../terminal.ts'
import { misused } from '../usage.ts'
import { finish } from './after.ts'
import { readAnswers } from './answers-file.ts'
import type { Draft } from './draft.ts'
import { findMeters } from './found-meters.ts'
import { type KeptAnswers, keptAnswers } from './kept-answers.ts'
import { BACK, type Person } from './prompts.ts'
import { type Answers, choose, follow, type Question } from './question.ts'
import { siteText } from './site-text.ts'
import { type Around, siteWalk } from './walk.ts'

export interface InitOptions {
  readonly config: string
  readonly answers?: string
  readonly print?: true
  readonly json?: true
}

/** Whether an existing file may be replaced: asked last, and kept nowhere. */
const OVERWRITE = 'overwrite'
const BACKUPS_MOST = 1000

export async function init(options: InitOptions, terminal: Terminal): Promise<ExitCode> {
  const { config: file, print } = options
  const around: Around = { boards: await listBoards(), data: dataOf(file) }
  const kept = keptAnswers(file, terminal.env)
  const answered =
    options.answers === undefined
      ? await answersOfPerson(file, around, kept, terminal)
      : await answersOfFile(options.answers, around, terminal)
  if ('exit' in answered) return answered.exit
  const { draft, person, overwrite } = answered
  const text = siteText(draft)
  if (print) {
    terminal.out(options.json ? jsonLine({ ok: true, file, text }) : text)
    return EXIT.ok
  }
  const written = await writeConfig(file, text, overwrite, terminal)
  if (typeof written === 'number') return written
  await kept.remove()
  return finish({ file, draft, text, backup: written.backup, json: options.json === true, person, terminal })
}

/** Under /etc the machine's own folder; elsewhere one beside the file. */
const dataOf = (file: string): string => (resolve(file).startsWith('/etc/') ? '/var/lib/tieline' : 'data')

type Answered =
  | {
      readonly draft: Draft
      readonly person: Person | undefined
      /** Asks whether the file may be replaced; undefined where nobody said. */
      readonly overwrite: () => Promise<boolean | undefined>
    }
  | { readonly exit: ExitCode }

async function answersOfFile(file: string, around: Around, terminal: Terminal): Promise<Answered> {
  const text = await readTextFile(file)
  if (!text.ok) return { exit: tellFile(text.fault, 'tieline init', terminal) }
  const read = readAnswers(text.value, file)
  if (!read.ok) {
    for (const fault of read.faults) terminal.err(`${configLine(fault)}\n`)
    return { exit: EXIT.usage }
  }
  const refuse = (what: string): Answered => {
    terminal.err(`tieline init: ${file}: ${what}\n`)
    return { exit: EXIT.usage }
  }
  const answers = new Map(read.value)
  const overwrite = answers.get(OVERWRITE)
  answers.delete(OVERWRITE)
  for (;;) {
    const progress = follow(siteWalk(around), answers)
    if (progress.kind === 'refused') return refuse(`${progress.prefix || 'all together'}: ${progress.why}`)
    if (progress.kind === 'ask') {
      const { id, text, about, initial, search } = progress.question
      if (initial === undefined)
        return refuse(
          `"${id}" is missing: ${text}${about === undefined ? '' : ` ${about}`}${search === undefined ? '' : ' Write it as `tieline read` takes it, as in --page eastron-sdm630 --line /dev/ttyUSB0 --unit 1'}`,
        )
      answers.set(id, initial)
      continue
    }
    const unasked = [...read.value.keys()].find(id => id !== OVERWRITE && !progress.asked.has(id))
    if (unasked !== undefined) {
      const meant = nearest(unasked, [...progress.asked])
      return refuse(
        `"${unasked}" was not asked${meant === undefined ? ' after these answers' : `; did you mean "${meant}"?`}`,
      )
    }
    return {
      draft: progress.value,
      person: undefined,
      overwrite: async () => (overwrite && overwrite === 'yes') || undefined,
    }
  }
}

const RESUME = choose(
  'resume',
  'You have answered some of this before.',
  [
    { value: 'go-on', label: 'go on where you stopped' },
    { value: 'anew', label: 'from the start' },
  ],
  'go-on',
)

async function answersOfPerson(file: string, around: Around, kept: KeptAnswers, terminal: Terminal): Promise<Answered> {
  if (terminal.ask === undefined)
    return { exit: misused('init', 'there is no terminal to ask at: name the answers with --answers FILE', terminal) }
  // Only now: nothing else needs it.
  const { personAtTerminal } = await import('./prompts.ts')
  const person = personAtTerminal()
  const before = await kept.load()
  const hindered = await hindrance(file)
  if (hindered !== undefined) {
    terminal.err(`tieline init: ${hindered}\n`)
    return { exit: EXIT.permission }
  }
  person.tell(
    [
      `This asks what the site has, and writes ${file} at the end.`,
      'Enter takes what is marked or shown, Esc goes back a question. Ctrl-C leaves:',
      'the answers are kept, and the same command goes on from there.',
    ].join('\n'),
  )
  const brokenOff = (answers: Answers): Answered => {
    const told =
      answers.size === 0
        ? 'nothing was written'
        : `the answers so far are kept in ${kept.file}; the same command goes on`
    terminal.err(`\ntieline init: broken off; ${told}\n`)
    return { exit: EXIT.no }
  }
  let answers = new Map<string, string>()
  if (before !== undefined) {
    person.tell([...before].map(([id, answer]) => `${id}: ${answer}`).join('\n'))
    const how = await person.ask(RESUME)
    if (how === undefined || how === BACK) return brokenOff(before)
    if (how === 'go-on') answers = new Map(before)
  }
  /** What was answered once stands ready where it is asked again. */
  const old = new Map(before)
  for (;;) {
    const progress = follow(siteWalk(around), answers)
    if (progress.kind === 'done') {
      const overwrite = () =>
        person.ask(overwriting(file)).then(answer => (answer === undefined ? undefined : answer === 'yes'))
      return { draft: progress.value, person, overwrite }
    }
    if (progress.kind === 'refused') {
      person.warn(`${progress.why}. ${progress.question === undefined ? 'These questions come again.' : ''}`.trim())
      answers = without(answers, progress.prefix, old)
      continue
    }
    const { question } = progress
    const found = question.search === undefined ? undefined : await search(question.search.place, person, terminal)
    const answer = await person.ask(question, old.get(question.id), found)
    if (answer === undefined) return brokenOff(answers)
    if (answer === BACK) {
      if (progress.before === undefined) person.tell('This is the first question; Ctrl-C leaves.')
      else answers = without(answers, progress.before, old)
      continue
    }
    answers.set(question.id, answer)
    const saved = await kept.save(answers)
    if (!saved.ok) person.warn(`the answers are not kept: ${faultLine(saved.fault)}`)
  }
}

/** What keeps this user from writing the file: told before anything is asked. */
async function hindrance(file: string): Promise<string | undefined> {
  let folder = dirname(resolve(file))
  while (!(await isFolder(folder)) && folder !== dirname(folder)) folder = dirname(folder)
  return (await mayWrite(join(folder, 'x')))
    ? undefined
    : `this user may not write in ${folder}: sudo tieline init, or another place with --config site.yaml`
}

/** They may stand ready again, but for what led into the refusal. */
function without(answers: Answers, prefix: string, old: Map<string, string>): Map<string, string> {
  const rest = new Map<string, string>()
  for (const [id, answer] of answers) {
    if (id.startsWith(prefix)) old.set(id, answer)
    else rest.set(id, answer)
  }
  return rest
}

async function search(place: string | undefined, person: Person, terminal: Terminal) {
  person.tell(
    `Looking ${place === undefined ? 'on every serial device' : `at ${place}`}: up to five minutes for each serial device.`,
  )
  const found = await findMeters(place, terminal)
  person.tell(
    found.length === 0
      ? 'Nothing was found. Has it power, is A wired to A and B to B? Esc goes back, to look again or elsewhere.'
      : `${found.length} found.`,
  )
  return [...found, { value: 'typed', label: found.length === 0 ? 'I type it in' : 'none of these: I type it in' }]
}

const overwriting = (file: string): Question =>
  choose(
    OVERWRITE,
    `${file} is there already. Replace it? The old one is kept beside it`,
    [
      { value: 'no', label: 'no' },
      { value: 'yes', label: 'yes' },
    ],
    'no',
  )

/** Where the old text went; or the exit code, everything having been said. */
async function writeConfig(
  file: string,
  text: string,
  mayOverwrite: () => Promise<boolean | undefined>,
  terminal: Terminal,
): Promise<{ readonly backup: string | undefined } | ExitCode> {
  const refuse = (fault: Fault): ExitCode => {
    terminal.err(`tieline init: ${faultLine(fault)}\n`)
    return exitOf(fault)
  }
  const old = await readTextFile(file)
  let backup: string | undefined
  if (old.ok) {
    const may = await mayOverwrite()
    if (may !== true) {
      const how = may === undefined ? `; \`${OVERWRITE}: yes\` among the answers replaces it` : ''
      terminal.err(`tieline init: ${file} is there already and stays as it is${how}\n`)
      return EXIT.no
    }
    const kept = await keepOld(file, old.value)
    if (!kept.ok) return refuse(kept.fault)
    backup = kept.value
  } else if (old.fault.code !== 'file.missing') return refuse(old.fault)
  const folder = await makeFolder(dirname(resolve(file)))
  if (!folder.ok) return refuse(folder.fault)
  const written = await writeWholeFile(file, text)
  return written.ok ? { backup } : refuse(written.fault)
}

async function keepOld(file: string, text: string): Promise<Result<string>> {
  for (let n = 1; ; n++) {
    const backup = `${file}.${n}.bak`
    const written = await writeNewTextFile(backup, text)
    if (written.ok) return ok(backup)
    if (written.fault.code !== 'file.exists' || n === BACKUPS_MOST) return written
  }
}
