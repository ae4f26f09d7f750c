/** Where one is in the page: `#/energy/week`, in the address, so that the back button, a bookmark and a second tab work. */
import { useEffect, useState } from './dom.ts'

const VIEWS = ['now', 'energy', 'deals', 'charging', 'money', 'health', 'log', 'settings'] as const
export type View = (typeof VIEWS)[number]

export interface Place {
  readonly view: View
  /** What stands behind the view: a period, a deal, a site. */
  readonly rest: readonly string[]
}

export const HEADINGS: Readonly<Record<View, string>> = {
  ...{ now: 'Now', energy: 'Energy', deals: 'Deals', charging: 'Charging', money: 'Money' },
  ...{ health: 'Health', log: 'Log', settings: 'Settings' },
}

export const linkTo = (view: View, ...rest: readonly string[]): string =>
  `#/${[view, ...rest.map(encodeURIComponent)].join('/')}`

/** Of a hash that names no view, the first. */
function placeOf(hash: string): Place {
  const [first, ...rest] = hash.replace(/^#\/?/, '').split('/')
  const view = VIEWS.find(each => each === first)
  return view === undefined ? { view: 'now', rest: [] } : { view, rest: rest.flatMap(decoded) }
}

function decoded(part: string): readonly string[] {
  try {
    return [decodeURIComponent(part)]
  } catch {
    return []
  }
}

/** The place, followed as it changes. */
export function usePlace(): Place {
  const [hash, setHash] = useState(location.hash)
  useEffect(() => {
    const follow = () => setHash(location.hash)
    addEventListener('hashchange', follow)
    return () => removeEventListener('hashchange', follow)
  }, [])
  return placeOf(hash)
}
