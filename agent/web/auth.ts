/**
 * Who may ask this server, once a password or a token is set: a person who has logged in, by the cookie of a session, and a
 * machine that shows a token with each request (RFC 6750). Nobody else is answered but at `OPEN`.
 *
 *     GET  /login       a form
 *     POST /login       password=...   303 to the page with a session's cookie; 403, or 429 with Retry-After
 *     POST /logout                     303 to the form; the session is over
 *
 * Sessions live in memory: they end with the program, after a week without use, and after a month. A session is found by the
 * hash of its id, which nobody can aim at, so that the time of the search says nothing.
 */

import { createPeerBuckets } from '../../drivers/http/peer-buckets.ts'
import type { Admission, Handler, HttpReply, Knock } from '../../drivers/http/server.ts'
import type { PasswordCheck } from '../../drivers/keys/password-file.ts'
import { hashToken, isKnownToken, isToken, newToken } from '../../drivers/keys/token-file.ts'
import type { Clock, Entropy, Log } from '../../drivers/ports.ts'
import { fromUtf8, toHex } from '../../protocol/bytes.ts'
import type { BucketSize } from '../../protocol/crypto/bucket.ts'
import type { Mono } from '../../protocol/time.ts'
import { loginPage } from './login-page.ts'

export interface AuthOptions {
  readonly site: string
  /** Absent: a person logs in with a token. */
  readonly password?: PasswordCheck
  /** Hashes. */
  readonly tokens: readonly Uint8Array[]
  readonly clock: Pick<Clock, 'mono'>
  readonly entropy: Entropy
  readonly log: Log
}

export interface Auth {
  readonly gate: (knock: Knock) => Admission
  /** Of a request that was admitted: whether its session, if it came by one, has not ended since. Asking is no use of the session. */
  readonly lasting: (cookies: string | undefined) => () => boolean
  readonly routes: Readonly<Record<string, Handler>>
}

/** Answered to anybody: how one becomes known, and whether the agent is alive. */
const OPEN: ReadonlySet<string> = new Set(['GET /login', 'POST /login', 'POST /logout', 'GET /api/health'])

const IDLE_MS = 7 * 86_400_000
const LIFE_MS = 30 * 86_400_000
/** All that a household has; the one that was used least recently gives way. */
const MAX_SESSIONS = 64

/** A person mistypes a few times. A password is looked at for half a second of one thread, and one at a time. */
const TRIES: BucketSize = { burst: 5, perSecond: 0.1 }
const ALL_TRIES: BucketSize = { burst: 10, perSecond: 0.5 }

interface Session {
  readonly began: Mono
  readonly used: Mono
}

export function createAuth({ site, password, tokens, clock, entropy, log }: AuthOptions): Auth {
  // Cookies know no ports: two agents on one machine must not end each other's sessions.
  const cookieName = `tieline-${site}`
  const sessions = new Map<string, Session>()
  const tries = createPeerBuckets(TRIES, ALL_TRIES)
  const page = loginPage(site)

  const keyIn = (cookies: string | undefined): string | undefined => {
    const pair = (cookies ?? '').split(/; */).find(each => each.startsWith(`${cookieName}=`))
    const id = pair?.slice(cookieName.length + 1) ?? ''
    return isToken(id) ? toHex(hashToken(id)) : undefined
  }

  const isOver = ({ began, used }: Session): boolean => {
    const now = clock.mono()
    return now - used > IDLE_MS || now - began > LIFE_MS
  }

  const isLoggedIn = (cookies: string | undefined): boolean => {
    const key = keyIn(cookies)
    const session = key === undefined ? undefined : sessions.get(key)
    if (key === undefined || session === undefined) return false
    sessions.delete(key)
    if (isOver(session)) return false
    // Behind all that were used before it.
    sessions.set(key, { ...session, used: clock.mono() })
    return true
  }

  const begin = (): string => {
    const id = newToken(entropy)
    const now = clock.mono()
    sessions.set(toHex(hashToken(id)), { began: now, used: now })
    if (sessions.size > MAX_SESSIONS) sessions.delete(sessions.keys().next().value!)
    return id
  }

  const cookie = (id: string, seconds: number) => ({
    'set-cookie': `${cookieName}=${id}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Strict`,
  })

  const login: Handler = async ({ body, peer = '' }) => {
    if (!tries.take(peer, clock.mono())) return page('wait', 429, { 'retry-after': '10' })
    const given = new URLSearchParams(fromUtf8(body) ?? '').get('password') ?? ''
    const right = isKnownToken(given, tokens) || (password !== undefined && (await password(given)))
    if (right) return redirect('/', cookie(begin(), LIFE_MS / 1000))
    log('warn', 'page', 'somebody gave a wrong password', { code: 'page.wrong-password', peer })
    return page('wrong', 403)
  }

  return {
    gate({ method, path, authorization, cookie: cookies, sameOrigin, wantsPage }) {
      if (method !== 'GET' && !sameOrigin) return problem(403, 'another origin')
      const bearer = /^Bearer ([\w-]+)$/i.exec(authorization ?? '')?.[1]
      if (bearer === undefined ? isLoggedIn(cookies) : isKnownToken(bearer, tokens))
        return { kind: 'admitted', known: true }
      if (OPEN.has(`${method} ${path}`)) return { kind: 'admitted', known: false }
      if (method === 'GET' && wantsPage) return redirect('/login')
      return problem(401, 'log in at /login, or show a token', { 'www-authenticate': `Bearer realm="${site}"` })
    },
    lasting(cookies) {
      const key = keyIn(cookies)
      if (key === undefined || !sessions.has(key)) return () => true
      return () => {
        const session = sessions.get(key)
        return session !== undefined && !isOver(session)
      }
    },
    routes: {
      'GET /login': () => page('ask', 200),
      'POST /login': login,
      'POST /logout': ({ cookie: cookies }) => {
        const key = keyIn(cookies)
        if (key !== undefined) sessions.delete(key)
        return redirect('/login', cookie('', 0))
      },
    },
  }
}

const problem = (status: number, what: string, headers: Readonly<Record<string, string>> = {}): HttpReply => ({
  ...{ kind: 'json', status, value: { error: what }, headers },
})

const redirect = (location: string, headers: Readonly<Record<string, string>> = {}): HttpReply => ({
  ...{ kind: 'bytes', status: 303, type: 'text/plain; charset=utf-8', bytes: new Uint8Array(0) },
  headers: { location, ...headers },
})
