/**
 * What a file that is to be verified holds, told by its bytes alone: envelopes of ours (a CBOR sequence, hex or base64 of
 * one, or the JSON lines of `tieline journal export`), charging records as text or XML, a snapshot of a BAUER meter, or the
 * records of a deal.
 */
import { fromHex, fromUtf8, toHex } from '../../../protocol/bytes.ts'
import { type Json, readJson } from '../../../protocol/ocmf/json.ts'
import { shown } from '../../../protocol/ocmf/values.ts'
import { type BrokenList, collectBroken } from '../../../protocol/reading/audit.ts'
import { splitEnvelope } from '../../../protocol/reading/envelopes.ts'
import { type Fault, fail, faultLine, ok, type Result } from '../../../protocol/result.ts'
import { jsonLine } from '../json-line.ts'
import { envelopeJson } from './envelope-json.ts'

export interface Placed {
  readonly envelope: Uint8Array
  /** As in `line 3` or `byte 1200`. */
  readonly where: string
}

export type EvidenceFile =
  | { readonly kind: 'envelopes'; readonly envelopes: readonly Placed[]; readonly broken: BrokenList }
  | { readonly kind: 'charging'; readonly text: string }
  | { readonly kind: 'bsm-snapshot'; readonly bytes: Uint8Array }
  | { readonly kind: 'deal'; readonly text: string }

/** Model 64901 and its 252 registers, with the id and the length in front. */
const BSM_HEAD = 'fd8500fc'
const BSM_BYTES = 508

export function readEvidence(raw: Uint8Array): Result<EvidenceFile> {
  if (raw.length === 0) return fail({ code: 'verify.empty', hint: 'there is nothing in it' })
  const text = fromUtf8(raw)
    ?.replace(/^\ufeff/, '')
    .trim()
  if (text !== undefined && /^\{\s*"tieline"/.test(text)) return ok({ kind: 'deal', text: fromUtf8(raw)! })
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
  const broken = collectBroken()
  /** One fault for a stretch of junk, however long it is. */
  let junk: { readonly from: number; readonly fault: Fault } | undefined
  let at = 0
  const endJunk = () => {
    if (junk !== undefined) broken.add(`byte ${junk.from}`, { ...junk.fault, bytes: at - junk.from })
    junk = undefined
  }
  while (at < bytes.length) {
    const found = splitEnvelope(bytes.subarray(at))
    if (found.kind === 'need') {
      endJunk()
      broken.add(`byte ${at}`, { code: 'verify.cut', missing: found.bytes })
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
  const broken = collectBroken()
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue
    const where = `line ${i + 1}`
    const read = readJson(line)
    const said = read.ok && read.value.kind === 'object' ? read.value.members : undefined
    if (said === undefined) {
      broken.add(where, { code: 'verify.no-json', ...(read.ok ? {} : { why: faultLine(read.fault) }) })
      continue
    }
    const hex = said.get('envelope')
    const envelope = hex?.kind === 'text' ? fromHex(hex.text) : undefined
    if (envelope === undefined) {
      broken.add(where, { code: 'verify.no-envelope' })
      continue
    }
    envelopes.push({ envelope, where })
    const differs = differing(said, envelope)
    if (differs.length > 0) broken.add(where, { code: 'verify.line-differs', fields: differs })
  }
  if (envelopes.length > 0) return ok({ kind: 'envelopes', envelopes, broken })
  return fail({ code: 'verify.unknown-form', hint: 'JSON lines of `tieline journal export` each hold an envelope' })
}

/** Of a line that says more than was signed, so many fields are named. */
const FIELDS_NAMED = 20

/**
 * What a person reads in a line must be what was signed, all of it: the fields that are other, too many or left out. A
 * line with an envelope alone says nothing; of what is no envelope of ours the audit tells.
 */
function differing(said: Members, envelope: Uint8Array): readonly string[] {
  const json = envelopeJson(envelope)
  const signed = json === undefined ? undefined : readJson(jsonLine(json))
  if (said.size === 1 || signed?.ok !== true || signed.value.kind !== 'object') return []
  const { members } = signed.value
  const names = [...new Set([...members.keys(), ...said.keys()])]
  return names
    .filter(name => !isSame(said.get(name), members.get(name)))
    .slice(0, FIELDS_NAMED)
    .map(shown)
}

type Members = ReadonlyMap<string, Json>

/** Numbers by their digits; the order of an object's members and blanks are nothing that is said. */
function isSame(a: Json | undefined, b: Json | undefined): boolean {
  if (a?.kind === 'object' && b?.kind === 'object')
    return (
      a.members.size === b.members.size && [...a.members].every(([name, value]) => isSame(value, b.members.get(name)))
    )
  if (a?.kind === 'list' && b?.kind === 'list')
    return a.items.length === b.items.length && a.items.every((item, i) => isSame(item, b.items[i]))
  return a !== undefined && JSON.stringify(a) === JSON.stringify(b)
}
