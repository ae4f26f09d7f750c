/** How a command asks the agent that runs on this machine: at the page's address in the configuration, with the agent's own token. */
import { askJson } from '../../drivers/http/client.ts'
import type { Result } from '../../protocol/result.ts'
import type { SiteConfig } from '../config/site-config.ts'
import type { SaidReason } from '../web/answers.ts'
import { readOwnToken } from '../web/own-token.ts'
import { EXIT, type ExitCode } from './exit-codes.ts'
import { jsonLine } from './json-line.ts'
import { readSite } from './site-file.ts'
import type { Terminal } from './terminal.ts'

export interface AskOptions {
  readonly config: string
  readonly json?: true
}

interface Asking<T> {
  /** As typed, for complaints. */
  readonly command: string
  readonly options: AskOptions
  readonly terminal: Terminal
  readonly path: string
  readonly is: (value: unknown) => value is T
  /** Sent with POST. */
  readonly body?: object
}

export type Unasked = { readonly code: string; readonly text: string; readonly exit: ExitCode }

/** What the agent answered, or the exit code, everything having been said. */
export async function askAgent<T extends { readonly site: string }>(asking: Asking<T>): Promise<T | ExitCode> {
  const { command, options, terminal } = asking
  const config = await readSite(options.config, terminal)
  if (typeof config === 'number') return config
  const answer = await askSite(config, asking)
  if (!('exit' in answer)) return answer.value
  const { code, text, exit } = answer
  if (options.json) terminal.out(jsonLine({ ok: false, fault: { code, text } }))
  else terminal.err(`tieline ${command}: ${text}\n`)
  return exit
}

/** The same of a site whose configuration is read, and nothing is said. */
export async function askSite<T extends { readonly site: string }>(
  { site, data, page: { host, port, off } }: Pick<SiteConfig, 'site' | 'data' | 'page'>,
  { path, is, body }: Pick<Asking<T>, 'path' | 'is' | 'body'>,
): Promise<{ readonly value: T } | Unasked> {
  const refuse = (code: string, text: string, exit: ExitCode): Unasked => ({ code, text, exit })
  if (off)
    return refuse(
      'agent.page-off',
      'the page is off in this configuration, so the agent cannot be asked',
      EXIT.unavailable,
    )
  const answer = await askJson(urlOf(host, port, path), body, await readOwnToken(data))
  if (!answer.ok) {
    const silent = answer.fault.code === 'http.no-answer'
    return refuse(
      'agent.no-answer',
      `no agent of ${site} answers at ${host}:${port} (${silent ? answer.fault.why : 'another program listens there'})${silent ? '; start it: tieline run, or systemctl start tieline' : ''}`,
      EXIT.unavailable,
    )
  }
  const { status, value } = answer.value
  if (status === 200 && is(value)) {
    // The port may be another site's: nothing is said or taken for this one.
    if (value.site === site) return { value }
    return refuse(
      'agent.other-site',
      `the agent at ${host}:${port} is that of ${value.site}, not of ${site}`,
      EXIT.unavailable,
    )
  }
  if (status === 401)
    return refuse(
      'agent.unknown',
      'the agent does not know this user: ask as root, or as its own user',
      EXIT.permission,
    )
  const { code, text } = isReason(value)
    ? value
    : { code: 'agent.refused', text: `the agent answered with status ${status}` }
  return refuse(code, text, status === 409 ? EXIT.no : EXIT.unavailable)
}

/** An answer as it comes, of an agent that has just been asked who it is. */
export async function askPlain(
  { data, page: { host, port } }: Pick<SiteConfig, 'data' | 'page'>,
  path: string,
  withinMs?: number,
): Promise<Result<{ readonly status: number; readonly value: unknown }>> {
  return askJson(urlOf(host, port, path), undefined, await readOwnToken(data), withinMs)
}

/** An agent that listens everywhere is asked by the loopback address: commands are taken from this machine only. */
function urlOf(host: string, port: number, path: string): string {
  const at = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : host.includes(':') ? `[${host}]` : host
  return `http://${at}:${port}${path}`
}

const isReason = (value: unknown): value is SaidReason =>
  typeof value === 'object' && value !== null && 'code' in value && 'text' in value && typeof value.text === 'string'

/** An answer that names its site and has a field of that name: the agent is of this program's own version, or another listens. */
export const naming =
  <T extends { readonly site: string }>(field: keyof T & string) =>
  (value: unknown): value is T =>
    typeof value === 'object' && value !== null && 'site' in value && typeof value.site === 'string' && field in value
