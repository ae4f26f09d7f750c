/** The stream of snapshots: `live` is false while the connection is down; the last snapshot stays on the screen. */
import type { Snapshot } from '../snapshot.ts'
import { useEffect, useState } from './dom.ts'

export interface Live {
  readonly snapshot: Snapshot | undefined
  readonly live: boolean
}

export function useLive(): Live {
  const [state, setState] = useState<Live>({ snapshot: undefined, live: false })
  useEffect(() => {
    // The browser connects again by itself after a loss.
    const events = new EventSource('/api/events')
    events.addEventListener('snapshot', event => setState({ snapshot: JSON.parse(event.data) as Snapshot, live: true }))
    events.onerror = () => setState(before => ({ ...before, live: false }))
    return () => events.close()
  }, [])
  return state
}

/** Whether a media query holds, followed as it changes. */
export function useMedia(query: string): boolean {
  const [holds, setHolds] = useState(() => matchMedia(query).matches)
  useEffect(() => {
    const list = matchMedia(query)
    const follow = () => setHolds(list.matches)
    list.addEventListener('change', follow)
    follow()
    return () => list.removeEventListener('change', follow)
  }, [query])
  return holds
}
