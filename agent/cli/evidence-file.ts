/**
 * What a file that is to be verified holds, told by its bytes alone: envelopes of ours (a CBOR sequence, hex or base64 of
 * one, or the JSON lines of `tieline journal export`), charging records as text or XML, or a snapshot of a BAUER meter.
 */
import { fromHex, fromUtf8, toHex } from '../../protocol/bytes.ts'
import type { Broken } from '../../protocol/reading/audit.ts'
import { splitEnvelope } from '../../protocol/reading/envelopes.ts'
import { type Fault, fail, ok, type Result } from '../../protocol/result.ts'
import { envelopeJson } from './envelope-json.ts'

export interface Placed {
  readonly envelope: Uint8Array
  /** As in `line 3` or `byte 1200`. */
  readonly where: string
}

export type EvidenceFile =
  | { readonly kind: 'envelopes'; readonly envelopes: readonly Placed[]; readonly broken: readonly Broken[] }
  | { readonly kind: 'charging'; readonly text: string }
  | { readonly kind: 'bsm-snapshot'; readonly bytes: Uint8Array }

/** Model 64901 and its 252 registers, with the id and the length in front. */
const BSM_HEAD = 'fd8500fc'
const BSM_BYTES = 508

export function readEvidence(raw: Uint8Array): Result<EvidenceFile> {
  if (raw.length === 0) return fail({ code: 'verify.empty', hint: 'there is nothing in it' })
  const text = fromUtf8(raw)
    ?.replace(/^\ufeff/, '')
    .trim()
  if (text?.startsWith('{')) return jsonLines(text)
  if (text !== undefined && /^(?:<|OCMF\||AP;)/.test(text)) return ok({ kind: 'charging', text })
  const bytes = (text === undefined ? undefined : (fromHex(text.replace(/\s+/g, '')) ?? base64(text))) ?? raw
  if (bytes.length === BSM_BYTES && toHex(bytes.subarray(0, 4)) === BSM_HEAD) return ok({ kind: 'bsm-snapshot', bytes })
  if (bytes[0] === 0xd2) return ok(sequence(bytes))
  return fail({
    code: 'verify.unknown-form',
    starts: toHex(bytes.subarray(0, 8)),
    hint: 'known are signed readings, a journal folder, OCMF or ALFEN text, a transparency XML, a BSM snapshot',
  })
}

function base64(text: string): Uint8Array | undefined {
  const plain = text.replace(/\s+/g, '').replaceAll('-', '+').replaceAll('_', '/')
  return /^[A-Za-z0-9+/]+=*$/.test(plain) ? new Uint8Array(Buffer.from(plain, 'base64')) : undefined
}

function sequence(bytes: Uint8Array): EvidenceFile {
  const envelopes: Placed[] = []
  const broken: Broken[] = []
  /** One fault for a stretch of junk, however long it is. */
  let junk: { readonly from: number; readonly fault: Fault } | undefined
  let at = 0
  const endJunk = () => {
    if (junk !== undefined) broken.push({ where: `byte ${junk.from}`, fault: { ...junk.fault, bytes: at - junk.from } })
    junk = undefined
  }
  while (at < bytes.length) {
    const found = splitEnvelope(bytes.subarray(at))
    if (found.kind === 'need') {
      endJunk()
      broken.push({ where: `byte ${at}`, fault: { code: 'verify.cut', missing: found.bytes } })
      break
    }
    if (found.kind === 'junk') {
      junk ??= { from: at, fault: found.fault }
      at += found.skip
      continue
    }
    endJunk()
    envelopes.push({ envelope: found.value, where: `byte ${at}` })
    at += found.used
  }
  endJunk()
  return { kind: 'envelopes', envelopes, broken }
}

function jsonLines(text: string): Result<EvidenceFile> {
  const envelopes: Placed[] = []
  const broken: Broken[] = []
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const where = `line ${i + 1}`
    const said = parseLine(line)
    const envelope = typeof said?.['envelope'] === 'string' ? fromHex(said['envelope']) : undefined
    if (envelope === undefined) {
      broken.push({ where, fault: { code: said === undefined ? 'verify.no-json' : 'verify.no-envelope' } })
      continue
    }
    envelopes.push({ envelope, where })
    // What a person reads in the line must be what was signed.
    const signed = envelopeJson(envelope)
    const differs = Object.keys(said!).filter(key => JSON.stringify(said![key]) !== JSON.stringify(signed?.[key]))
    if (signed !== undefined && differs.length > 0)
      broken.push({ where, fault: { code: 'verify.line-differs', fields: differs } })
  }
  if (envelopes.length > 0) return ok({ kind: 'envelopes', envelopes, broken })
  return fail({ code: 'verify.unknown-form', hint: 'JSON lines of `tieline journal export` each hold an envelope' })
}

function parseLine(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : undefined
  } catch {
    return undefined
  }
}
