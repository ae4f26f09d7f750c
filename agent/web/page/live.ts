/** What the agent says, as the page's parts follow it. */
import type { Snapshot } from '../snapshot.ts'
import { useEffect, useState } from './dom.ts'
import { followFeed } from './feed.ts'
import { showIn } from './format.ts'

export interface Live {
  /** The newest that came; it stays when no more come. */
  readonly snapshot: Snapshot | undefined
  readonly state: 'waiting' | 'live' | 'lost' | 'signed-out'
  /** When it came, by this machine's clock. */
  readonly heardAt: number
}

export function useLive(): Live {
  const [live, setLive] = useState<Live>({ snapshot: undefined, state: 'waiting', heardAt: 0 })
  useEffect(
    () =>
      followFeed(heard => {
        if (heard.kind !== 'snapshot')
          return setLive(before => ({
            ...before,
            state: heard.kind === 'lost' && before.snapshot === undefined ? 'waiting' : heard.kind,
          }))
        const snapshot = JSON.parse(heard.text) as Snapshot
        showIn(snapshot.zone)
        setLive({ snapshot, state: 'live', heardAt: Date.now() })
      }),
    [],
  )
  return live
}

/** This machine's clock, each second while `on`. */
export function useSeconds(on: boolean): number {
  const [now, setNow] = useState(Date.now)
  useEffect(() => {
    if (!on) return
    setNow(Date.now())
    const timer = setInterval(() => setNow(Date.now()), 1000)
    return () => clearInterval(timer)
  }, [on])
  return now
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
