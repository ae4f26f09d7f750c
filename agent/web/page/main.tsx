/** The page: one view at a time of what the agent's snapshots tell. Loaded as a shared worker, the stream of its snapshots. */
import type { Snapshot } from '../snapshot.ts'
import { ServedContext, useApi } from './ask.ts'
import { Charging } from './charging.tsx'
import { Deals } from './deals.tsx'
import { render, useEffect } from './dom.ts'
import { Energy } from './energy.tsx'
import { shareFeed } from './feed.ts'
import { Health } from './health.tsx'
import { useLive } from './live.ts'
import { Log } from './log.tsx'
import { Money } from './money.tsx'
import { Now } from './now.tsx'
import { useFocusOn } from './parts.tsx'
import { HEADINGS, linkTo, type Place, usePlace, type View } from './routes.ts'
import { Settings } from './settings.tsx'
import { Announcer, Banner, Foot, Head, Navigation } from './shell.tsx'

function Page() {
  const live = useLive()
  const { snapshot, state } = live
  const place = usePlace()
  // What another agent on this address serves is asked for anew, and so is what a new session may see.
  const served = useApi(state === 'live' ? 1 : 0)
  useFocusOn(linkTo(place.view, ...place.rest))
  const title = snapshot?.title
  useEffect(() => {
    if (title !== undefined) document.title = `${HEADINGS[place.view]} · ${title} · Tieline`
  }, [title, place.view])
  if (snapshot === undefined) {
    return (
      <main class="empty" id="content">
        {state === 'signed-out' ? <Banner live={live} /> : <p role="status">Waiting for the agent…</p>}
      </main>
    )
  }
  const views: readonly View[] = [
    ...(['now', 'energy', 'deals'] as const),
    ...(snapshot.sites.some(({ chargers }) => chargers !== undefined) ? (['charging'] as const) : []),
    ...(['money', 'health', 'log'] as const),
    ...(served.has('/api/config') ? (['settings'] as const) : []),
  ]
  return (
    <ServedContext.Provider value={served}>
      {/* biome-ignore lint/a11y/useValidAnchor: it goes within the view, and must not stand in the history as a place. */}
      <a
        class="skip"
        href="#heading"
        onClick={event => {
          event.preventDefault()
          document.getElementById('heading')?.focus()
        }}
      >
        Skip to the content
      </a>
      <Head snapshot={snapshot} live={state === 'live'} />
      <Navigation views={views} now={place.view} />
      <Banner live={live} />
      <main id="content" class={state === 'live' ? '' : 'old'}>
        {snapshot.violations.length > 0 && <Violations snapshot={snapshot} />}
        <Seen snapshot={snapshot} place={place} />
      </main>
      <Foot snapshot={snapshot} />
      <Announcer snapshot={snapshot} />
    </ServedContext.Provider>
  )
}

function Seen({ snapshot, place }: { readonly snapshot: Snapshot; readonly place: Place }) {
  const [first, second] = place.rest
  switch (place.view) {
    case 'now':
      return <Now snapshot={snapshot} name={first} />
    case 'energy':
      return <Energy snapshot={snapshot} period={first} at={second} />
    case 'deals':
      return <Deals snapshot={snapshot} chosen={first} />
    case 'charging':
      return <Charging snapshot={snapshot} />
    case 'money':
      return <Money snapshot={snapshot} />
    case 'health':
      return <Health snapshot={snapshot} />
    case 'log':
      return <Log snapshot={snapshot} />
    case 'settings':
      return <Settings snapshot={snapshot} />
  }
}

const Violations = ({ snapshot }: { readonly snapshot: Snapshot }) => (
  <section class="card violations" aria-labelledby="violations-title">
    <h2 id="violations-title">The wires object</h2>
    <ul>
      {snapshot.violations.map(({ at, text }) => (
        <li key={`${at} ${text}`}>{text}</li>
      ))}
    </ul>
  </section>
)

if (typeof document === 'undefined') shareFeed()
else render(<Page />, document.getElementById('page')!)
