/** The page over HTTP: its three files, the newest snapshot, and a stream of snapshots while somebody looks. */
import type {
  EventSink,
  Handler,
  HttpOptions,
  HttpReply,
  HttpServer,
  ListenFault,
  PeerLimits,
} from '../../drivers/http/server.ts'
import type { Cancel, Timers } from '../../drivers/ports.ts'
import type { Result } from '../../protocol/result.ts'
import { isLoopback } from '../config/literals.ts'
import type { Auth } from './auth.ts'
import { openApi } from './openapi.ts'
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
  /** By method and path, what answers of the relays. */
  readonly relays?: Readonly<Record<string, Handler>>
  /** By method and path, what else answers of the site. */
  readonly site?: Readonly<Record<string, Handler>>
  /** Answers `GET /metrics`. */
  readonly metrics?: Handler
  /** Answers `GET /api/bill`; the same. */
  readonly bill?: Handler
  /** Answers `GET /api/sessions`; the same. */
  readonly sessions?: Handler
  /** Between two snapshots, on `timers`. */
  /** Who may ask; absent where only this machine is listened to. */
  readonly auth?: Auth
  readonly everyMs: number
  readonly timers: Timers
  readonly onBug: (error: unknown) => void
}

/** Nothing but our own files may run or be reached, and no other site may frame the page (CSP level 3). */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

const OPENAPI = 'GET /api/openapi.json'

/** Twice the tabs that anybody has open, of each 6 connections; a page in use asks a few times a second. */
const PER_PEER: PeerLimits = {
  connections: 64,
  each: { burst: 200, perSecond: 50 },
  all: { burst: 1000, perSecond: 200 },
}

export async function createWeb(options: WebOptions): Promise<Result<HttpServer, ListenFault>> {
  const { auth } = options
  if (auth === undefined && !isLoopback(options.host))
    throw new RangeError(`nothing is asked of those who reach ${options.host}`)
  const stream = createStream(options)
  const files = options.page.map(({ path, contentType, body }) => {
    const reply: HttpReply = {
      kind: 'bytes',
      status: 200,
      type: contentType,
      bytes: body,
      headers: { 'content-security-policy': POLICY, 'cache-control': 'no-cache' },
    }
    return [`GET ${path}`, () => reply] as const
  })
  const routes: Readonly<Record<string, Handler>> = {
    ...auth?.routes,
    ...Object.fromEntries(files),
    'GET /api/health': () => ({ kind: 'json', status: 200, value: { status: healthOf(options.snapshot()) } }),
    'GET /api/snapshot': () => ({ kind: 'json', status: 200, value: options.snapshot() }),
    ...(options.history === undefined ? {} : { 'GET /api/history': options.history }),
    ...(options.metrics === undefined ? {} : { 'GET /metrics': options.metrics }),
    ...(options.bill === undefined ? {} : { 'GET /api/bill': options.bill }),
    ...(options.sessions === undefined ? {} : { 'GET /api/sessions': options.sessions }),
    ...options.relays,
    ...options.site,
    'GET /api/events': ({ cookie }) => {
      if (stream.isFull()) return TOO_MANY
      const lasts = auth?.lasting(cookie) ?? (() => true)
      return { kind: 'events', start: sink => stream.join({ sink, lasts }) }
    },
  }
  const api = openApi([...Object.keys(routes), OPENAPI], options.page, auth !== undefined)
  const opened = await options.serve({
    host: options.host,
    port: options.port,
    onBug: options.onBug,
    perPeer: PER_PEER,
    ...(auth === undefined ? {} : { gate: auth.gate }),
    routes: { ...routes, [OPENAPI]: () => ({ kind: 'json', status: 200, value: api }) },
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

/** Said to anybody: no more than that the agent runs, and whether something needs a person's eye. */
const healthOf = ({ sites, violations }: Snapshot): 'ok' | 'degraded' | 'fault' => {
  const levels = sites.flatMap(({ health }) => health.map(({ level }) => level))
  if (violations.length > 0 || levels.includes('fault')) return 'fault'
  return levels.includes('warning') || sites.some(({ up }) => !up) ? 'degraded' : 'ok'
}

/** Each is written to once a second; a household has some tabs open. */
const MAX_LISTENERS = 32
const TOO_MANY: HttpReply = {
  kind: 'json',
  status: 503,
  value: { error: `${MAX_LISTENERS} listen already` },
  headers: { 'retry-after': '10' },
}

interface Listener {
  readonly sink: EventSink
  /** Whoever has logged out in another tab, or whose session ended, is shown nothing more in this one. */
  readonly lasts: () => boolean
}

/** One timer and one serialisation for all listeners; neither runs while nobody looks. */
function createStream({ snapshot, everyMs, timers }: WebOptions) {
  const listeners = new Set<Listener>()
  let cancel: Cancel | undefined
  /** Of the last turn; whoever joins between two turns is shown it. */
  let newest: string | undefined
  const text = () => JSON.stringify(snapshot())
  const stop = () => {
    cancel?.()
    cancel = undefined
    newest = undefined
  }
  return {
    stop,
    isFull: () => listeners.size >= MAX_LISTENERS,
    join(listener: Listener): Cancel {
      listeners.add(listener)
      newest ??= text()
      listener.sink.send('snapshot', newest)
      cancel ??= timers.every(everyMs, () => {
        newest = text()
        for (const { sink, lasts } of listeners) lasts() ? sink.send('snapshot', newest) : sink.end()
      })
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0) stop()
      }
    },
  }
}
