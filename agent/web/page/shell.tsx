/** What is around every view: whose page it is and how it goes, the way to the views, and whether what is shown is new. */
import type { Snapshot } from '../snapshot.ts'
import { useServed } from './ask.ts'
import { useEffect, useRef, useState } from './dom.ts'
import { age, clock, day, zoneName } from './format.ts'
import { type Live, useSeconds } from './live.ts'
import { HEADINGS, linkTo, type View } from './routes.ts'
import { dealSentence, statusSentence } from './sentences.ts'

export function Head({ snapshot, live }: { readonly snapshot: Snapshot; readonly live: boolean }) {
  const status = statusSentence(snapshot)
  const { guarded } = useServed()
  return (
    <header class="head">
      <a class="title" href={linkTo('now')}>
        <svg viewBox="0 0 32 32" width="34" height="34" aria-hidden="true">
          <rect width="32" height="32" rx="8" class="mark" />
          <path d="M5 21h6l8-9h8" class="mark-line" />
          <circle cx="11" cy="21" r="2.6" class="mark-dot" />
          <circle cx="19" cy="12" r="2.6" class="mark-dot" />
        </svg>
        <span class="site-name">{snapshot.title}</span>
      </a>
      <p class={`status ${live ? status.level : 'fault'}`}>{live ? status.text : 'Not connected'}</p>
      <p class="now-clock">
        <time>{clock(snapshot.time)}</time>
        {snapshot.speed !== 1 && <span> ×{snapshot.speed}</span>}
      </p>
      {guarded && <LogOut site={snapshot.title} />}
    </header>
  )
}

function LogOut({ site }: { readonly site: string }) {
  const [trouble, setTrouble] = useState(false)
  const leave = () =>
    fetch('/logout', { method: 'POST' }).then(
      () => location.assign('/login'),
      () => setTrouble(true),
    )
  return (
    <div class="account">
      <span class="quiet">{trouble ? 'The agent does not answer.' : `Logged in to ${site}`}</span>
      <button type="button" onClick={() => void leave()}>
        Log out
      </button>
    </div>
  )
}

export const Navigation = ({ views, now }: { readonly views: readonly View[]; readonly now: View }) => (
  <nav aria-label="Views">
    <ul style={{ '--columns': String(Math.ceil(views.length / 2)) }}>
      {views.map(view => (
        <li key={view}>
          <a href={linkTo(view)} {...(view === now ? { 'aria-current': 'page' as const } : {})}>
            {HEADINGS[view]}
          </a>
        </li>
      ))}
    </ul>
  </nav>
)

/** What is on the screen is old: since when, how old, and what a person can do. */
export function Banner({ live: { state, snapshot, heardAt } }: { readonly live: Live }) {
  const away = state === 'lost' || state === 'signed-out'
  const now = useSeconds(away)
  const since = snapshot && `What is below is of ${clock(snapshot.time)}, ${age(Math.max(0, now - heardAt))}.`
  return (
    <div role="status" class={away ? 'banner' : 'hidden'}>
      {state === 'signed-out' && (
        <p>
          <strong>Your session is over.</strong> <a href="/login">Log in again</a>
          {since && <span class="age"> {since}</span>}
        </p>
      )}
      {state === 'lost' && (
        <p>
          <strong>Connection lost at {new Date(heardAt).toTimeString().slice(0, 8)}, trying again.</strong>{' '}
          <span class="age">{since}</span>
        </p>
      )}
    </div>
  )
}

export const Foot = ({ snapshot: { time, ledger } }: { readonly snapshot: Snapshot }) => (
  <footer>
    <p>
      {day(time)}, times in {zoneName()}
    </p>
    <p>
      {ledger.height === undefined
        ? `No header of ${ledger.chain || 'the ledger'} is proven yet`
        : `${ledger.chain}, height ${ledger.height}, signed by ${ledger.signed} of ${ledger.validators} validators`}
    </p>
  </footer>
)

/** Tells a screen reader what changed, at most one sentence a snapshot: the newest deal that took a step, or a violation. */
export function Announcer({ snapshot }: { readonly snapshot: Snapshot }) {
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
