/** `tieline relay`: asks the agent that runs on this machine, and says what it answered. */
import type { RelaysSaid } from '../../web/relay-routes.ts'
import { askAgent } from '../ask-agent.ts'
import { EXIT, type ExitCode } from '../exit-codes.ts'
import { jsonLine } from '../json-line.ts'
import type { Terminal } from '../terminal.ts'
import { misused, unknownName } from '../usage.ts'

export interface RelayOptions {
  readonly config: string
  readonly json?: true
}

type Contact = RelaysSaid['lines'][number]['contacts'][number]

/** What the agent says of its relays, or the exit code, everything having been said. */
const ask = (
  options: RelayOptions,
  terminal: Terminal,
  order?: { readonly path: 'open' | 'manual' | 'clear-weld'; readonly body: object },
): Promise<RelaysSaid | ExitCode> =>
  askAgent({
    ...{ command: 'relay', options, terminal, is: isRelays },
    path: `/api/relays${order === undefined ? '' : `/${order.path}`}`,
    ...(order === undefined ? {} : { body: order.body }),
  })

const isRelays = (value: unknown): value is RelaysSaid =>
  typeof value === 'object' && value !== null && 'site' in value && 'lines' in value && Array.isArray(value.lines)

const flags = ({ unsupervised, trouble }: Contact): string =>
  `${unsupervised ? ', stays closed if the agent dies' : ''}${trouble === undefined ? '' : `; ${trouble.text}`}`

const contactLine = (contact: Contact): string =>
  `  ${contact.contact}: commanded ${contact.commanded}, seen ${contact.observed}${flags(contact)}\n`

function tellStatus(said: RelaysSaid, terminal: Terminal): void {
  if (said.manual) terminal.out('manual: every contact is held open until tieline relay manual off\n')
  if (said.lines.length === 0) terminal.out('no direct line, no contacts\n')
  for (const { line, side, wish, contacts, because } of said.lines) {
    terminal.out(`${line}, ${side}, ${wish === 'energise' ? 'to be live' : 'at rest'}\n`)
    for (const contact of contacts) terminal.out(contactLine(contact))
    for (const { text } of because) terminal.out(`  because: ${text}\n`)
  }
  for (const { contact, text } of said.welds) terminal.out(`welded: ${contact}: ${text}\n`)
}

export async function showRelays(options: RelayOptions, terminal: Terminal): Promise<ExitCode> {
  const said = await ask(options, terminal)
  if (typeof said === 'number') return said
  if (options.json) terminal.out(jsonLine({ ok: true, ...said }))
  else tellStatus(said, terminal)
  return EXIT.ok
}

/** `name` is a line or a contact. With `json`: {ok, contacts: [{contact, commanded, observed, may, because}]}. */
export async function explainRelays(
  name: string | undefined,
  options: RelayOptions,
  terminal: Terminal,
): Promise<ExitCode> {
  const said = await ask(options, terminal)
  if (typeof said === 'number') return said
  const all = said.lines.flatMap(({ line, wish, contacts }) => contacts.map(contact => ({ line, wish, contact })))
  const asked = all.filter(({ line, contact }) => name === undefined || line === name || contact.contact === name)
  // A circuit's own supply stands at each line onto it.
  const meant = asked.filter(
    (one, n) => asked.findIndex(({ contact }) => contact.contact === one.contact.contact) === n,
  )
  if (meant.length === 0 && name !== undefined) {
    const known = [...new Set(all.flatMap(({ line, contact }) => [line, contact.contact]))]
    return misused('relay why', unknownName('line or contact', name, known), terminal)
  }
  if (options.json) {
    terminal.out(jsonLine({ ok: true, contacts: meant.map(({ contact }) => contact) }))
    return EXIT.ok
  }
  for (const { wish, contact } of meant) {
    const { commanded, may, because, trouble } = contact
    const verb = commanded === 'closed' ? 'stay closed' : 'be closed'
    const idle = may && commanded === 'open' && wish !== 'energise' ? ', and nobody asks for it' : ''
    terminal.out(
      `${contact.contact} is commanded ${commanded}, seen ${contact.observed}, and may ${may ? '' : 'not '}${verb}${idle}\n`,
    )
    for (const { text } of trouble === undefined ? because : [trouble, ...because]) terminal.out(`  ${text}\n`)
  }
  return EXIT.ok
}

/** With `dryRun`, says what would open. */
export async function openLine(
  line: string,
  options: RelayOptions & { readonly dryRun?: true },
  terminal: Terminal,
): Promise<ExitCode> {
  const before = await ask(options, terminal)
  if (typeof before === 'number') return before
  const end = before.lines.find(one => one.line === line)
  if (end === undefined) {
    return misused(
      'relay open',
      unknownName(
        'line',
        line,
        before.lines.map(one => one.line),
      ),
      terminal,
    )
  }
  // A circuit's own supply is no contact of the line: it comes back.
  const closed = end.contacts.filter(
    ({ contact, commanded }) => commanded === 'closed' && contact.startsWith(`${line}.`),
  )
  const contacts = closed.map(({ contact }) => contact)
  if (options.dryRun !== true) {
    const said = await ask(options, terminal, { path: 'open', body: { line } })
    if (typeof said === 'number') return said
  }
  const text = contacts.length === 0 ? `${line} is open already` : contacts.join(', ')
  const verb = contacts.length === 0 ? '' : options.dryRun ? ' would open' : ' opens'
  terminal.out(
    options.json ? jsonLine({ ok: true, dryRun: options.dryRun === true, opens: contacts }) : `${text}${verb}\n`,
  )
  return EXIT.ok
}

export async function setManual(on: boolean, options: RelayOptions, terminal: Terminal): Promise<ExitCode> {
  const said = await ask(options, terminal, { path: 'manual', body: { on } })
  if (typeof said === 'number') return said
  if (options.json) terminal.out(jsonLine({ ok: true, manual: said.manual }))
  else
    terminal.out(
      said.manual ? 'manual: every contact opens and stays open\n' : 'no longer manual: the permit decides again\n',
    )
  return EXIT.ok
}

export async function clearWeld(contact: string, options: RelayOptions, terminal: Terminal): Promise<ExitCode> {
  const said = await ask(options, terminal, { path: 'clear-weld', body: { contact } })
  if (typeof said === 'number') return said
  const welded = said.welds.map(weld => weld.contact)
  if (options.json) terminal.out(jsonLine({ ok: true, cleared: contact, welded }))
  else terminal.out(`${contact} is no longer held to be welded\n`)
  return EXIT.ok
}
