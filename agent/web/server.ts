/** The page over HTTP: its three files, the newest snapshot, and a stream of snapshots while somebody looks. */
import type { EventSink, Handler, HttpOptions, HttpReply, HttpServer, ListenFault } from '../../drivers/http/server.ts'
import type { Cancel, Timers } from '../../drivers/ports.ts'
import type { Result } from '../../protocol/result.ts'
import type { PageFile } from './page-files.ts'
import type { Snapshot } from './snapshot.ts'

export interface WebOptions {
  readonly serve: (options: HttpOptions) => Promise<Result<HttpServer, ListenFault>>
  readonly host: string
  readonly port: number
  readonly page: readonly PageFile[]
  readonly snapshot: () => Snapshot
  /** Answers `GET /api/history`; absent where there is nothing to ask. */
  readonly history?: Handler
  /** Between two snapshots, on `timers`. */
  readonly everyMs: number
  readonly timers: Timers
  readonly onBug: (error: unknown) => void
}

/** Nothing but our own files may run or be reached, and no other site may frame the page (CSP level 3). */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

export async function createWeb(options: WebOptions): Promise<Result<HttpServer, ListenFault>> {
  const stream = createStream(options)
  const files = options.page.map(({ path, contentType, body }) => {
    const reply: HttpReply = {
      kind: 'bytes',
      status: 200,
      type: contentType,
      bytes: body,
      headers: { 'content-security-policy': POLICY, 'referrer-policy': 'no-referrer' },
    }
    return [`GET ${path}`, () => reply] as const
  })
  const opened = await options.serve({
    host: options.host,
    port: options.port,
    onBug: options.onBug,
    routes: {
      ...Object.fromEntries(files),
      'GET /api/snapshot': () => ({ kind: 'json', status: 200, value: options.snapshot() }),
      ...(options.history === undefined ? {} : { 'GET /api/history': options.history }),
      'GET /api/events': () => ({ kind: 'events', start: stream.join }),
    },
  })
  if (!opened.ok) return opened
  const { url, port, close } = opened.value
  return {
    ok: true,
    value: {
      url,
      port,
      close() {
        stream.stop()
        return close()
      },
    },
  }
}

/** One timer and one serialisation for all listeners; neither runs while nobody looks. */
function createStream({ snapshot, everyMs, timers }: WebOptions) {
  const sinks = new Set<EventSink>()
  let cancel: Cancel | undefined
  const text = () => JSON.stringify(snapshot())
  const stop = () => {
    cancel?.()
    cancel = undefined
  }
  return {
    stop,
    join(sink: EventSink): Cancel {
      sinks.add(sink)
      sink.send('snapshot', text())
      cancel ??= timers.every(everyMs, () => {
        const newest = text()
        for (const each of sinks) each.send('snapshot', newest)
      })
      return () => {
        sinks.delete(sink)
        if (sinks.size === 0) stop()
      }
    },
  }
}
