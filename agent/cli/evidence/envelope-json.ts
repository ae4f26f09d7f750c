/**
 * A signed envelope of ours as one JSON object: what it says in plain words, and itself in hex. Nothing about its signature
 * is known here. The same envelope always gives the same text, so that a line whose words were changed can be told.
 */
import { toHex } from '../../../protocol/bytes.ts'
import { envelopeHash, parseSign1 } from '../../../protocol/crypto/cose.ts'
import { KEY_PURPOSE, parseKeyRecord, REVOCATION_PURPOSE } from '../../../protocol/identity/rotation.ts'
import { CONTEXT_PURPOSE, parseContext } from '../../../protocol/reading/context.ts'
import { EVENT_PURPOSE, parseEvent } from '../../../protocol/reading/event.ts'
import { HEAD_PURPOSE, parseHead } from '../../../protocol/reading/head.ts'
import { parseReading, READING_PURPOSE } from '../../../protocol/reading/reading.ts'
import { isoTime } from '../../../protocol/time.ts'
import { valueJson } from '../meters/meter-text.ts'

export type EnvelopeKind = 'reading' | 'context' | 'event' | 'head' | 'key' | 'revocation'

export interface EnvelopeJson {
  readonly kind: EnvelopeKind
  readonly [field: string]: unknown
  /** SHA-256 of what was signed: the envelope's identity. */
  readonly hash: string
  readonly envelope: string
}

/** Undefined for what is no envelope of ours. */
export function envelopeJson(envelope: Uint8Array): EnvelopeJson | undefined {
  const signed = parseSign1(envelope)
  if (!signed.ok) return undefined
  const { payload } = signed.value
  const said = (kind: EnvelopeKind, fields: object, purpose: Uint8Array): EnvelopeJson => ({
    kind,
    ...(plain(fields) as object),
    hash: toHex(envelopeHash(signed.value, purpose)),
    envelope: toHex(envelope),
  })
  const reading = parseReading(payload)
  if (reading.ok) {
    const { time, registers, ...rest } = reading.value
    return said('reading', { ...rest, time: isoTime(time), registers: registers.map(valueJson) }, READING_PURPOSE)
  }
  const context = parseContext(payload)
  if (context.ok) return said('context', context.value, CONTEXT_PURPOSE)
  const event = parseEvent(payload)
  if (event.ok) return said('event', { ...event.value, time: isoTime(event.value.time) }, EVENT_PURPOSE)
  const head = parseHead(payload)
  if (head.ok) return said('head', { ...head.value, time: isoTime(head.value.time) }, HEAD_PURPOSE)
  const about = parseKeyRecord(envelope)
  if (about.ok && about.value.kind === 'statement') {
    const { statement } = about.value
    return said('key', { ...statement, time: isoTime(statement.time) }, KEY_PURPOSE)
  }
  if (about.ok && about.value.kind === 'revocation') {
    const { since, time, ...rest } = about.value.revocation
    return said('revocation', { ...rest, since: isoTime(since), time: isoTime(time) }, REVOCATION_PURPOSE)
  }
  return undefined
}

/** Bytes as hex, whole numbers beyond JSON's as text. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return toHex(value)
  if (typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]))
  }
  return value
}
