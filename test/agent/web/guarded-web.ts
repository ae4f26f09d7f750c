/** A page's server that asks for a password and tokens, over real sockets, on a clock that the test moves. */
import { request } from 'node:http'
import { connect } from 'node:net'
import { type Auth, createAuth } from '../../../agent/web/auth.ts'
import { createWeb, type WebOptions } from '../../../agent/web/server.ts'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { serveHttp } from '../../../drivers/http/server.ts'
import { hashToken, newToken } from '../../../drivers/keys/token-file.ts'
import type { Timers } from '../../../drivers/ports.ts'
import { type Fault, must } from '../../../protocol/result.ts'
import type { Mono } from '../../../protocol/time.ts'
import { assert } from '../../harness.ts'
import { exampleSnapshot } from '../snapshot-example.ts'

export const stillTimers: Timers = {
  after: () => assert.unreachable('no single timer is expected') as never,
  sleep: () => assert.unreachable('no sleep is expected') as never,
  exactly: () => assert.unreachable('no sleep is expected') as never,
  every: () => () => {},
}

export const PASSWORD = 'a long sentence of maple'

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
}

/** `from` is the loopback address that the request comes from: each is a peer of its own. */
export const ask = (
  port: number,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body = '',
  from = '127.0.0.1',
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const call = request(
      { host: '127.0.0.1', port, method, path, headers, agent: false, localAddress: from },
      answer => {
        let text = ''
        answer.on('data', chunk => {
          text += chunk
        })
        answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text }))
      },
    )
    call.on('error', reject)
    call.end(body)
  })

/** Sends bytes and keeps the connection, reading nothing. */
export const hold = (port: number, text: string, from: string) => {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from }, () => socket.write(text))
  return socket.on('error', () => {}).pause()
}

export const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
export const JSON_TYPE = { 'content-type': 'application/json' }

/** `auth: false` is the same server with nothing asked. */
export async function guardedWeb(change: Partial<Omit<WebOptions, 'auth'>> & { readonly auth?: false } = {}) {
  let now = 1000
  let looked = 0
  const logged: Fault[] = []
  const token = newToken(systemEntropy)
  const { auth: wanted, ...others } = change
  const auth: Auth = createAuth({
    site: 'maple',
    password: async given => {
      looked++
      return given === PASSWORD
    },
    tokens: [hashToken(newToken(systemEntropy)), hashToken(token)],
    clock: { mono: () => now as Mono },
    entropy: systemEntropy,
    log: (_level, _room, _text, fault) => fault && logged.push(fault),
  })
  const web = must(
    await createWeb({
      // No bucket fills again but by the test's clock: how fast this machine asks decides nothing.
      serve: ({ perPeer, ...options }) =>
        serveHttp({ ...options, ...(perPeer && { perPeer: { ...perPeer, mono: () => now as Mono } }) }),
      host: '127.0.0.1',
      port: 0,
      page: [{ path: '/', contentType: 'text/html; charset=utf-8', body: new Uint8Array([60]) }],
      snapshot: () => exampleSnapshot,
      relays: {
        'POST /api/relays/manual': ({ local }) => ({ kind: 'json', status: local ? 200 : 403, value: {} }),
      },
      ...(wanted === false ? {} : { auth }),
      everyMs: 1000,
      timers: stillTimers,
      onBug: error => assert.unreachable(String(error)),
      ...others,
    }),
  )
  const { port } = web
  return {
    port,
    token,
    logged,
    looked: () => looked,
    pass: (ms: number) => {
      now += ms
    },
    close: () => web.close(),
    ask: (method: string, path: string, headers: Readonly<Record<string, string>> = {}, body = '', from?: string) =>
      ask(port, method, path, headers, body, from),
    login: (password: string, from?: string, headers: Readonly<Record<string, string>> = {}) =>
      ask(port, 'POST', '/login', { ...FORM, ...headers }, new URLSearchParams({ password }).toString(), from),
  }
}

/** The cookie that an answer sets, as it is sent back. */
export const cookieOf = ({ headers }: Answer): string => String(headers['set-cookie']?.[0] ?? '').split(';')[0]!
