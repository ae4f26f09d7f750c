/** The page: the street, its deals and its sites, as the agent's snapshots tell them. */
import type { Snapshot } from '../snapshot.ts'
import { Deals } from './deals.tsx'
import { render, useEffect, useRef, useState } from './dom.ts'
import { clock, day } from './format.ts'
import { useLive } from './live.ts'
import { dealSentence, statusSentence } from './sentences.ts'
import { Sites } from './sites.tsx'
import { Street } from './street.tsx'

function Page() {
  const { snapshot, live } = useLive()
  if (snapshot === undefined) {
    return (
      <main class="empty" id="content">
        <p role="status">Waiting for the agent…</p>
      </main>
    )
  }
  return (
    <>
      <a class="skip" href="#content">
        Skip to the street
      </a>
      <Head snapshot={snapshot} live={live} />
      <main id="content">
        {snapshot.violations.length > 0 && <Violations snapshot={snapshot} />}
        <Street snapshot={snapshot} />
        <Deals deals={snapshot.deals} />
        <Sites sites={snapshot.sites} />
        <Log snapshot={snapshot} />
      </main>
      <Announcer snapshot={snapshot} />
    </>
  )
}

function Head({ snapshot, live }: { readonly snapshot: Snapshot; readonly live: boolean }) {
  const { ledger } = snapshot
  const status = statusSentence(snapshot)
  useEffect(() => {
    document.title = `${snapshot.title} · Tieline`
  }, [snapshot.title])
  return (
    <header class="head">
      <div class="title">
        <svg viewBox="0 0 32 32" width="34" height="34" aria-hidden="true">
          <rect width="32" height="32" rx="8" class="mark" />
          <path d="M5 21h6l8-9h8" class="mark-line" />
          <circle cx="11" cy="21" r="2.6" class="mark-dot" />
          <circle cx="19" cy="12" r="2.6" class="mark-dot" />
        </svg>
        <div>
          <h1>{snapshot.title}</h1>
          <p class={`status ${live ? status.level : 'fault'}`}>
            {live ? status.text : 'Connection lost, trying again'}
          </p>
        </div>
      </div>
      <dl class="facts">
        <div>
          <dt>{day(snapshot.time)}, UTC</dt>
          <dd>{clock(snapshot.time)}</dd>
        </div>
        <div>
          <dt>Speed</dt>
          <dd>×{snapshot.speed}</dd>
        </div>
        <div>
          <dt>Ledger height</dt>
          <dd>{ledger.height ?? 'none yet'}</dd>
        </div>
        <div>
          <dt>Signed by</dt>
          <dd>
            {ledger.signed} of {ledger.validators}
            <span class="validators" aria-hidden="true">
              {Array.from({ length: ledger.validators }, (_, i) => (
                <i key={i} class={i < ledger.signed ? 'signed' : ''} />
              ))}
            </span>
          </dd>
        </div>
      </dl>
    </header>
  )
}

const Violations = ({ snapshot }: { readonly snapshot: Snapshot }) => (
  <section class="card violations" aria-labelledby="violations-title">
    <h2 id="violations-title">The wires object</h2>
    <ul>
      {snapshot.violations.map(({ at, text }) => (
        <li key={`${at} ${text}`}>
          <time>{clock(at)}</time> {text}
        </li>
      ))}
    </ul>
  </section>
)

const Log = ({ snapshot }: { readonly snapshot: Snapshot }) => (
  <section class="card log" aria-labelledby="log-title">
    <h2 id="log-title">Log</h2>
    {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard. */}
    <ol tabIndex={0} aria-label="Newest first">
      {snapshot.log.map((line, index) => (
        <li key={`${line.at} ${index}`} class={line.level}>
          <time>{clock(line.at)}</time> <b>{line.site}</b> <span class="said">{line.text}</span>
        </li>
      ))}
    </ol>
  </section>
)

/** Tells a screen reader what changed, at most one sentence a snapshot: the newest deal that took a step, or a violation. */
function Announcer({ snapshot }: { readonly snapshot: Snapshot }) {
  const before = useRef(snapshot)
  const [said, say] = useState('')
  useEffect(() => {
    const last = before.current
    before.current = snapshot
    if (snapshot.violations.length > last.violations.length) return say(snapshot.violations.at(-1)!.text)
    const known = new Map(last.deals.map(deal => [deal.id, deal.state]))
    const stepped = snapshot.deals.find(deal => known.get(deal.id) !== deal.state)
    if (stepped !== undefined) say(dealSentence(stepped))
  }, [snapshot])
  return (
    <p class="hidden" aria-live="polite" id="announcer">
      {said}
    </p>
  )
}

render(<Page />, document.getElementById('page')!)
