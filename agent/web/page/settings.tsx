/** The configuration, setting by setting: what it is, where it came from, and a change with what is wrong with it at its side. */

import type { ConfigSaid, Mistake, SettingSaid } from '../answers.ts'
import type { Snapshot } from '../snapshot.ts'
import { troubleOf, useAsked } from './ask.ts'
import { useState } from './dom.ts'
import { Heading, Trouble } from './parts.tsx'

const RESTART = 'sudo systemctl restart tieline'

export function Settings({ snapshot }: { readonly snapshot: Snapshot }) {
  const [turn, setTurn] = useState(0)
  const [said, say] = useState('')
  /** What this page wrote into the file that it shows: its next change builds on that, though the list is not asked anew yet. */
  const [written, setWritten] = useState<{ readonly shown: string; readonly version: string } | undefined>(undefined)
  const asked = useAsked<ConfigSaid>('/api/config', 60_000, turn)
  const config = asked.value
  const groups = [...new Set(config?.settings.map(groupOf))]
  return (
    <>
      <Heading>Settings</Heading>
      <Trouble asked={asked} what="The configuration" />
      {config !== undefined && (
        <p class="quiet">
          Of {snapshot.title}, in <code>{config.file}</code>.{' '}
          {config.writable
            ? 'A change is written to it at once, with its comments kept, and takes effect at the next start.'
            : `It is not changed from here: ${troubleOf(403, config.why)}.`}
        </p>
      )}
      {config?.mistakes !== undefined && (
        <ul class="card wrong" aria-label="What is wrong with the file">
          {config.mistakes.map(mistake => (
            <Wrong key={`${mistake.line} ${mistake.what}`} {...refusalOf(config.file, mistake)} />
          ))}
        </ul>
      )}
      <p role="status" class={said === '' ? 'hidden' : 'saved'}>
        {said}
        {said !== '' && <code> {RESTART}</code>}
      </p>
      {config !== undefined &&
        groups.map(group => (
          <section key={group} class="card settings" aria-labelledby={`group-${group}`}>
            <h2 id={`group-${group}`}>{group}</h2>
            <dl>
              {config.settings
                .filter(setting => groupOf(setting) === group)
                .map(setting => (
                  <Row
                    key={JSON.stringify(setting.path)}
                    setting={setting}
                    config={config}
                    version={written?.shown === config.version ? written.version : config.version}
                    saved={(name, version) => {
                      setWritten({ shown: config.version, version })
                      say(`${name} is written. It takes effect when the agent starts anew:`)
                      setTurn(turn + 1)
                    }}
                    changed={() => setTurn(turn + 1)}
                  />
                ))}
            </dl>
          </section>
        ))}
    </>
  )
}

/** What stands alone stands together. */
const groupOf = ({ path }: SettingSaid) => (path.length === 1 ? 'general' : String(path[0]))

interface RowOf {
  readonly setting: SettingSaid
  readonly config: ConfigSaid
  /** What a change builds on. */
  readonly version: string
  readonly saved: (name: string, version: string) => void
  /** The file is another than the page was shown. */
  readonly changed: () => void
}

interface Refused {
  readonly what: string
  readonly hint?: string
}

function Row({ setting, config, version, saved, changed }: RowOf) {
  const { path, value, from, line, about, editable } = setting
  const [draft, setDraft] = useState<string | undefined>(undefined)
  const [refused, setRefused] = useState<readonly Refused[]>([])
  const [busy, setBusy] = useState(false)
  const name = path.join('.')
  const id = `set-${name.replace(/[^\w-]/g, '-')}`
  const close = () => {
    setDraft(undefined)
    setRefused([])
  }
  const send = async (to: string | null) => {
    setBusy(true)
    const answer = await change(version, path, to)
    setBusy(false)
    if (answer.kind === 'saved') {
      close()
      saved(name, answer.version)
    } else {
      setRefused(answer.kind === 'wrong' ? answer.mistakes.map(mistake => refusalOf(config.file, mistake)) : [answer])
      if (answer.kind === 'conflict') changed()
    }
  }
  return (
    <div class="setting">
      <dt id={`${id}-name`}>{path.slice(1).join('.') || name}</dt>
      <dd class="what">
        {draft === undefined ? (
          <span class="value">{value}</span>
        ) : (
          <form
            onSubmit={event => {
              event.preventDefault()
              void send(draft)
            }}
          >
            <input
              id={id}
              value={draft}
              aria-labelledby={`${id}-name`}
              aria-invalid={refused.length > 0}
              aria-describedby={`${id}-wrong`}
              ref={focusOnce}
              onInput={event => setDraft(event.currentTarget.value)}
              onKeyDown={event => event.key === 'Escape' && close()}
            />
            <button type="submit" disabled={busy || draft === value}>
              Save
            </button>
            <button type="button" onClick={close}>
              Leave it
            </button>
            {from === 'file' && (
              <button type="button" disabled={busy} onClick={() => void send(null)}>
                Take it out
              </button>
            )}
          </form>
        )}
        {draft === undefined && config.writable && editable && (
          <button type="button" class="change" aria-label={`Change ${name}`} onClick={() => setDraft(value)}>
            Change
          </button>
        )}
        <span class="from">{from === 'default' ? 'default' : line === undefined ? 'file' : `line ${line}`}</span>
        {about !== undefined && <p class="quiet">{about}</p>}
        {config.writable && !editable && (
          <p class="quiet">
            Set in the file alone, like all that says who this site is, which files it uses and who may come in.
          </p>
        )}
        <div id={`${id}-wrong`} role="alert">
          {refused.length > 0 && (
            <ul class="wrong">
              {refused.map(each => (
                <Wrong key={each.what} {...each} />
              ))}
            </ul>
          )}
        </div>
      </dd>
    </div>
  )
}

const Wrong = ({ what, hint }: Refused) => (
  <li>
    {what}
    {hint !== undefined && <span class="hint"> {hint}</span>}
  </li>
)

const focused = new WeakSet<HTMLElement>()
const focusOnce = (element: HTMLInputElement | null) => {
  if (element === null || focused.has(element)) return
  focused.add(element)
  element.focus()
}

const refusalOf = (file: string, { line, column, what, hint }: Mistake): Refused => ({
  what: `${file}:${line}:${column}: ${what}`,
  ...(hint === undefined ? {} : { hint }),
})

type Answer =
  | { readonly kind: 'saved'; readonly version: string }
  | { readonly kind: 'wrong'; readonly mistakes: readonly Mistake[] }
  | ({ readonly kind: 'conflict' | 'failed' } & Refused)

async function change(version: string, path: SettingSaid['path'], value: string | null): Promise<Answer> {
  try {
    const answer = await fetch('/api/config', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ version, edits: [{ path, value }] }),
    })
    if (answer.ok) return { kind: 'saved', ...((await answer.json()) as { readonly version: string }) }
    const body = (await answer.json()) as { readonly mistakes?: readonly Mistake[] }
    if (answer.status === 409) {
      const what = 'The file was changed meanwhile: nothing was written.'
      return { kind: 'conflict', what, hint: 'The list shows it as it is now; look, and save again.' }
    }
    if (answer.status === 422 && body.mistakes !== undefined) return { kind: 'wrong', mistakes: body.mistakes }
    return { kind: 'failed', what: `Nothing was written: ${troubleOf(answer.status, body)}` }
  } catch {
    return { kind: 'failed', what: 'The agent does not answer. Whether it was written shows when it does.' }
  }
}
