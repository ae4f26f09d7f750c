/**
 * The gateway's chain of signed events: what happened to the record itself. One at a time, each with the hash of the one
 * before, durable before anybody may have it. An event whose append failed was never shown to anyone, so its sequence
 * number is used again. In the journal an event is its envelope alone: it names its gateway itself.
 */
import { signEnvelope } from '../../drivers/crypto/sign-envelope.ts'
import type { Clock, Signer } from '../../drivers/ports.ts'
import type { Journal } from '../../drivers/store/journal.ts'
import { type CoseFault, envelopeHash, parseSign1 } from '../../protocol/crypto/cose.ts'
import { EVENT_PURPOSE, type Event, encodeEvent, parseEvent, type What } from '../../protocol/reading/event.ts'
import type { RecordFault } from '../../protocol/record.ts'
import { ok, type Result } from '../../protocol/result.ts'

/** Kind of an event's record in the journal. */
export const EVENT_KIND = 'event'

/** The end of the chain: what the next event continues. */
export interface EventEnd {
  readonly sequence: number
  readonly hash: Uint8Array
}

/** A signed event that is on the disk. */
export interface SignedEvent {
  readonly envelope: Uint8Array
  /** The event's identity. */
  readonly hash: Uint8Array
  readonly event: Event
}

/** The chain's end from the newest event of the journal, ours and therefore not verified again. */
export function restoreEvents(envelope: Uint8Array): Result<EventEnd, RecordFault | CoseFault> {
  const signed = parseSign1(envelope)
  if (!signed.ok) return signed
  const event = parseEvent(signed.value.payload)
  if (!event.ok) return event
  return ok({ sequence: event.value.sequence, hash: envelopeHash(signed.value, EVENT_PURPOSE) })
}

export interface EventChainParts {
  readonly signer: Signer
  readonly journal: Pick<Journal, 'append'>
  readonly clock: Clock
  /** EAT UEID of the gateway. */
  readonly device: Uint8Array
  /** Boots since the journal began, this one included. */
  readonly boot: () => number
  /** Of the newest event in the journal; undefined where it holds none. */
  readonly restored: EventEnd | undefined
}

export interface EventChain {
  /** Resolves once the event is on the disk. */
  sign(what: What): Promise<Result<SignedEvent>>
}

export function createEventChain(parts: EventChainParts): EventChain {
  const { signer, journal, clock, device, boot } = parts
  let end = parts.restored
  let turn: Promise<unknown> = Promise.resolve()

  async function signNext(what: What): Promise<Result<SignedEvent>> {
    const payload = encodeEvent({
      device,
      key: signer.publicKey,
      boot: boot(),
      sequence: (end?.sequence ?? 0) + 1,
      time: clock.now(),
      quality: clock.quality(),
      what,
      ...(end === undefined ? {} : { previous: end.hash }),
    })
    // A clock that stands outside of what can be written must not make an event that nobody can read.
    const event = parseEvent(payload)
    if (!event.ok) return event
    const signed = await signEnvelope(signer, payload, EVENT_PURPOSE)
    if (!signed.ok) return signed
    const { envelope, hash } = signed.value
    const kept = await journal.append(EVENT_KIND, envelope, { urgent: true })
    if (!kept.ok) return kept
    end = { sequence: event.value.sequence, hash }
    return ok({ envelope, hash, event: event.value })
  }

  return {
    sign: what => {
      const mine = turn.then(() => signNext(what))
      // A rejection is our own bug and goes to whoever called; the next one still gets its turn.
      turn = mine.catch(() => {})
      return mine
    },
  }
}
