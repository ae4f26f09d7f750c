/**
 * The agent's snapshots, one stream for all tabs of a browser: a browser opens six connections to a server at most, and the
 * seventh tab with a stream of its own would hang. So the stream is held by a shared worker, which runs the page's own script;
 * where a browser has none, each tab listens itself, and only while it is seen.
 */

export type Heard =
  | { readonly kind: 'snapshot'; readonly text: string }
  | { readonly kind: 'lost' }
  /** The session is over. */
  | { readonly kind: 'signed-out' }

/** Five snapshots that did not come: a connection whose other end went without a word looks open for minutes. */
const SILENCE_MS = 5000
/** Before the stream is asked for again where it was refused. */
const REFUSED_MS = 3000

/** Listens until it is cancelled. */
function listen(say: (heard: Heard) => void): () => void {
  let events: EventSource | undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let gone = false
  const after = (ms: number, run: () => void) => {
    clearTimeout(timer)
    timer = setTimeout(run, ms)
  }
  const lose = () => {
    say({ kind: 'lost' })
    open()
  }
  const open = () => {
    events?.close()
    const stream = new EventSource('/api/events')
    events = stream
    stream.addEventListener('snapshot', event => {
      say({ kind: 'snapshot', text: event.data })
      after(SILENCE_MS, lose)
    })
    stream.onerror = () => {
      if (stream.readyState === EventSource.CLOSED) void refused()
      // Else the browser connects again by itself.
      else say({ kind: 'lost' })
    }
    after(SILENCE_MS, lose)
  }
  /** The session is over, or too many listen: then a snapshot at a time is to be had. */
  const refused = async () => {
    clearTimeout(timer)
    const asked = { headers: { accept: 'application/json' }, signal: AbortSignal.timeout(SILENCE_MS) }
    const heard = await fetch('/api/snapshot', asked).then(
      async (answer): Promise<Heard> =>
        answer.ok
          ? { kind: 'snapshot', text: await answer.text() }
          : { kind: answer.status === 401 ? 'signed-out' : 'lost' },
      (): Heard => ({ kind: 'lost' }),
    )
    if (gone) return
    say(heard)
    after(REFUSED_MS, open)
  }
  open()
  return () => {
    gone = true
    clearTimeout(timer)
    events?.close()
  }
}

/** The worker's part: what is heard goes to every tab, and the newest of it to a tab that comes. */
export function shareFeed(): void {
  const tabs: MessagePort[] = []
  let newest: Heard = { kind: 'lost' }
  addEventListener('connect', event => {
    const tab = (event as MessageEvent).ports[0]!
    tabs.push(tab)
    tab.postMessage(newest)
  })
  listen(heard => {
    newest = heard
    for (const tab of tabs) tab.postMessage(heard)
  })
}

/** A tab's part. The name is of what worker and tab say to each other: a page of another version takes a worker of its own. */
export function followFeed(say: (heard: Heard) => void): () => void {
  if (typeof SharedWorker === 'undefined') return whileSeen(say)
  let stop = () => {}
  const worker = new SharedWorker('/page.js', { type: 'module', name: 'feed-1' })
  worker.port.onmessage = ({ data }: MessageEvent<Heard>) => say(data)
  worker.onerror = () => {
    stop()
    stop = whileSeen(say)
  }
  stop = () => worker.port.close()
  return () => stop()
}

function whileSeen(say: (heard: Heard) => void): () => void {
  let stop: (() => void) | undefined
  const look = () => {
    if (document.hidden) {
      stop?.()
      stop = undefined
    } else stop ??= listen(say)
  }
  document.addEventListener('visibilitychange', look)
  look()
  return () => {
    document.removeEventListener('visibilitychange', look)
    stop?.()
  }
}
