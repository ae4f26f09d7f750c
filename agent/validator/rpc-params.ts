/**
 * Parameters of one RPC call, whichever way they came. CometBFT writes them differently in a URI and in JSON-RPC:
 *
 *     kind      URI                           JSON-RPC
 *     integer   5 or "5"                      5 or "5"
 *     flag      true                          true
 *     text      "a b"                         "a b"
 *     bytes     0x6162, or "text" in quotes   base64
 *     hex       0x6162 or 6162                "6162"
 */
import { fromHex, utf8 } from '../../protocol/bytes.ts'
import { fromBase64 } from '../../protocol/chain/base64.ts'

/** A call that cannot be answered: the JSON-RPC code, its fixed message, and what was wrong. */
export class RpcError extends Error {
  readonly code: number
  readonly data: string
  constructor(code: number, message: string, data: string) {
    super(message)
    this.code = code
    this.data = data
  }
}

export const invalidParams = (data: string): RpcError => new RpcError(-32602, 'Invalid params', data)
/** What CometBFT answers for everything that a method itself refuses. */
export const internalError = (data: string): RpcError => new RpcError(-32603, 'Internal error', data)

export interface RpcParams {
  integer(name: string): bigint | undefined
  flag(name: string): boolean
  text(name: string): string
  /** Any JSON value; undefined where there is none. */
  json(name: string): unknown
  bytes(name: string): Uint8Array
  hex(name: string): Uint8Array
}

const INT64 = 2n ** 63n - 1n

function wholeNumber(name: string, text: string): bigint {
  if (!/^-?\d{1,19}$/.test(text)) throw invalidParams(`${name} is not an integer`)
  const value = BigInt(text)
  if (value > INT64 || value < -INT64) throw invalidParams(`${name} is not a 64-bit integer`)
  return value
}

const unquoted = (value: string): string | undefined => /^"(.*)"$/s.exec(value)?.[1]

/** Parameters of a GET request. */
export function uriParams(query: URLSearchParams): RpcParams {
  const get = (name: string) => query.get(name) ?? ''
  const hex = (name: string) => {
    const value = unquoted(get(name)) ?? get(name)
    const bytes = fromHex(value.replace(/^0x/, ''))
    if (bytes === undefined) throw invalidParams(`${name} is not hexadecimal`)
    return bytes
  }
  return {
    integer: name => {
      const value = unquoted(get(name)) ?? get(name)
      return value === '' ? undefined : wholeNumber(name, value)
    },
    flag: name => get(name) === 'true',
    text: name => unquoted(get(name)) ?? get(name),
    json: name => {
      try {
        return get(name) === '' ? undefined : JSON.parse(get(name))
      } catch {
        throw invalidParams(`${name} is not JSON`)
      }
    },
    bytes: name => {
      const text = unquoted(get(name))
      return text === undefined ? hex(name) : utf8(text)
    },
    hex,
  }
}

/** Parameters of a JSON-RPC request. */
export function jsonParams(params: unknown): RpcParams {
  if (params !== undefined && (typeof params !== 'object' || params === null || Array.isArray(params))) {
    throw invalidParams('params must be an object')
  }
  const fields = (params ?? {}) as Record<string, unknown>
  const get = (name: string) => (Object.hasOwn(fields, name) ? (fields[name] ?? undefined) : undefined)
  const text = (name: string) => {
    const value = get(name) ?? ''
    if (typeof value !== 'string') throw invalidParams(`${name} is not a text`)
    return value
  }
  return {
    integer: name => {
      const value = get(name)
      if (value === undefined || value === '') return undefined
      if (typeof value === 'number' && Number.isSafeInteger(value)) return BigInt(value)
      if (typeof value === 'string') return wholeNumber(name, value)
      throw invalidParams(`${name} is not an integer`)
    },
    flag: name => get(name) === true,
    text,
    json: get,
    bytes: name => {
      const bytes = fromBase64(text(name))
      if (bytes === undefined) throw invalidParams(`${name} is not base64`)
      return bytes
    },
    hex: name => {
      const bytes = fromHex(text(name).replace(/^0x/, ''))
      if (bytes === undefined) throw invalidParams(`${name} is not hexadecimal`)
      return bytes
    },
  }
}
