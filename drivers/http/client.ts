/** One question to a server of this machine that speaks JSON: bounded in time and size, and without redirects. */
import { request } from 'node:http'
import { concat, fromUtf8 } from '../../protocol/bytes.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'

/** The longest answer taken. */
const LIMIT = 1024 * 1024
/** Real milliseconds for the whole exchange: an agent that answers at all answers within a few. */
const TIMEOUT_MS = 5000

type AskFault =
  | { readonly code: 'http.no-answer'; readonly url: string; readonly why: string }
  | { readonly code: 'http.not-json'; readonly url: string; readonly status: number }

interface JsonAnswer {
  readonly status: number
  readonly value: unknown
}

/** Asks with GET, or with POST where there is a `body`; `token` is shown where one is asked for (RFC 6750). */
export function askJson(
  url: string,
  body?: object,
  token?: string,
  withinMs = TIMEOUT_MS,
): Promise<Result<JsonAnswer, AskFault>> {
  return new Promise(resolve => {
    const chunks: Uint8Array[] = []
    let bytes = 0
    const settle = (result: Result<JsonAnswer, AskFault>) => {
      clearTimeout(deadline)
      resolve(result)
      if (!result.ok) call.destroy()
    }
    const silent = (why: string) => settle(fail({ code: 'http.no-answer', url, why }))
    const call = request(
      url,
      {
        agent: false,
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
      },
      response => {
        const status = response.statusCode ?? 0
        response.on('data', (chunk: Uint8Array) => {
          bytes += chunk.length
          if (bytes > LIMIT) silent(`more than ${LIMIT} bytes`)
          else chunks.push(chunk)
        })
        response.on('error', error => silent(error.message))
        response.on('end', () => {
          try {
            settle(ok({ status, value: JSON.parse(fromUtf8(concat(...chunks)) ?? '') }))
          } catch {
            // Another program listens there.
            settle(fail({ code: 'http.not-json', url, status }))
          }
        })
      },
    )
    const deadline = setTimeout(() => silent(`nothing within ${withinMs} ms`), withinMs)
    call.on('error', (error: NodeJS.ErrnoException) => silent(error.code ?? error.message))
    call.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
