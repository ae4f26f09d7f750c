/** What several views are made of. */
import type { Asked } from './ask.ts'
import { type ComponentChildren, useEffect, useRef } from './dom.ts'

/** A view's title: a keyboard or a screen reader that comes to the view begins at it. */
export function Heading({ children }: { readonly children: ComponentChildren }) {
  return (
    <h1 id="heading" tabIndex={-1}>
      {children}
    </h1>
  )
}

/** Focus goes to the view's title when a person goes to the view; a page that is opened leaves it where it is. */
export function useFocusOn(place: string): void {
  const before = useRef(place)
  useEffect(() => {
    if (before.current === place) return
    before.current = place
    document.getElementById('heading')?.focus()
    scrollTo(0, 0)
  }, [place])
}

/** Why a part of a view shows nothing, or shows what is no longer new. */
export function Trouble({ asked, what }: { readonly asked: Asked<unknown>; readonly what: string }) {
  if (asked.trouble === undefined) return asked.value === undefined ? <p class="quiet">Asking…</p> : null
  return (
    <p class="trouble" role="status">
      {what} {asked.at === undefined ? 'cannot be shown' : `is of ${new Date(asked.at).toTimeString().slice(0, 8)}`}:{' '}
      {asked.trouble}
    </p>
  )
}

export const Figure = ({ label, children }: { readonly label: string; readonly children: ComponentChildren }) => (
  <div class="figure">
    <dt>{label}</dt>
    <dd>{children}</dd>
  </div>
)

export const Count = ({ count }: { readonly count: number }) => <span class="count">{count}</span>

/** Stands before what was proven on the ledger, and before nothing else. */
export const Seal = () => (
  <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
    <path class="seal" d="M8 .8 14 3v4.6c0 3.6-2.4 6.2-6 7.6-3.6-1.4-6-4-6-7.6V3Z" />
    <path class="tick" d="m5 7.9 2.2 2.2L11.2 6" />
  </svg>
)
