/** The signed records of a journal, one by one, as its commands need them: envelopes in order, each behind its context. */
import type { JournalReader } from '../../../drivers/store/journal-reader.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { envelopeHash, parseSign1 } from '../../../protocol/crypto/cose.ts'
import { CONTEXT_PURPOSE, CONTEXT_REFERENCE_BYTES } from '../../../protocol/reading/context.ts'
import { parseReading, type Reading } from '../../../protocol/reading/reading.ts'
import { ok, type Result } from '../../../protocol/result.ts'
import { KEY_KIND } from '../../keeping.ts'
import { EVENT_KIND } from '../../metering/events.ts'
import { METERING_KINDS, type MeteringKind, readMeteringRecord } from '../../metering/journal-form.ts'
import { OCMF_KIND } from '../../metering/ocmf.ts'

export interface JournalItem {
  readonly kind: MeteringKind | typeof EVENT_KIND | typeof KEY_KIND | typeof OCMF_KIND
  /** The envelope; of `ocmf` the text. */
  readonly bytes: Uint8Array
  /** As in `frame 12, record 40`. */
  readonly where: string
  /** Stands for one that may have been dropped. */
  readonly carried: boolean
}

/** Everything that was signed for others, in order. A record of metering that makes no sense comes as it is. */
export function visitSigned(reader: JournalReader, visit: (item: JournalItem) => void): Promise<Result<void>> {
  return reader.visit(({ kind, bytes }, { frame, index, carried }) => {
    const where = `frame ${frame}, record ${index}`
    const metering = METERING_KINDS.find(one => one === kind)
    if (metering !== undefined)
      visit({ kind: metering, bytes: readMeteringRecord(bytes)?.envelope ?? bytes, where, carried })
    else if (kind === EVENT_KIND || kind === KEY_KIND || kind === OCMF_KIND) visit({ kind, bytes, where, carried })
  })
}

/** The key statements and revocations of a journal: a revocation says of what stands before it whether it is to be believed. */
export async function readKeyRecords(reader: JournalReader): Promise<Result<readonly Uint8Array[]>> {
  const records: Uint8Array[] = []
  const visited = await visitSigned(reader, ({ kind, bytes }) => {
    if (kind === KEY_KIND) records.push(bytes)
  })
  return visited.ok ? ok(records) : visited
}

/** Contexts by what readings refer to them with, and which of them were given out already. */
export interface ContextShelf {
  put(envelope: Uint8Array): void
  /** The context's envelope. */
  find(reading: Reading): Uint8Array | undefined
  /** The same, once for each context. */
  firstUse(reading: Reading): Uint8Array | undefined
}

export function createContextShelf(): ContextShelf {
  const shelf = new Map<string, { readonly envelope: Uint8Array; used: boolean }>()
  return {
    put(envelope) {
      const signed = parseSign1(envelope)
      if (!signed.ok) return
      const name = toHex(envelopeHash(signed.value, CONTEXT_PURPOSE).subarray(0, CONTEXT_REFERENCE_BYTES))
      if (!shelf.has(name)) shelf.set(name, { envelope, used: false })
    },
    find: ({ context }) => shelf.get(toHex(context))?.envelope,
    firstUse({ context }) {
      const found = shelf.get(toHex(context))
      if (found === undefined || found.used) return undefined
      found.used = true
      return found.envelope
    },
  }
}

/** What a reading's envelope says; nothing is known of its signature. */
export function readingIn(envelope: Uint8Array): Reading | undefined {
  const signed = parseSign1(envelope)
  const reading = signed.ok ? parseReading(signed.value.payload) : signed
  return reading.ok ? reading.value : undefined
}
