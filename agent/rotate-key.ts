/**
 * Has the journal say that another key signs from now on: the statement, signed by both keys, the old key's revocation
 * where it was stolen, the count of a boot, and the event that tells of it go into one commit. After a power cut all are
 * there or none; once they are, an agent refuses the old key.
 *
 * A rotation is a boot of its own, the first of the new key. So there is one key for each boot, also where a site rotates
 * before it ever ran, or twice without a start between.
 */
import { signEnvelope } from '../drivers/crypto/sign-envelope.ts'
import type { Clock, Signer } from '../drivers/ports.ts'
import type { Journal } from '../drivers/store/journal.ts'
import type { JournalRecord } from '../drivers/store/journal-block.ts'
import { equalBytes, fromUtf8, toHex, utf8 } from '../protocol/bytes.ts'
import type { Verifier } from '../protocol/crypto/verify.ts'
import {
  encodeKeyStatement,
  encodeRevocation,
  KEY_PROOF_PURPOSE,
  KEY_PURPOSE,
  type KeyStatement,
  REVOCATION_PURPOSE,
} from '../protocol/identity/rotation.ts'
import { fail, ok, type Result } from '../protocol/result.ts'
import type { Instant } from '../protocol/time.ts'
import { BOOT, KEY_KIND } from './keeping.ts'
import { checkOwnKey, type OwnKey, readOwnHistory } from './key-history.ts'
import { createEventChain, EVENT_KIND, restoreEvents } from './metering/events.ts'

/** The number that the next key of this use will have; a fault where the configured key is not the one that signs now. */
export function nextNumber(kept: readonly JournalRecord[], own: OwnKey, verifier: Verifier): Result<number> {
  const history = readOwnHistory(kept, own, verifier)
  if (!history.ok) return history
  const current = checkOwnKey(history.value, own.key)
  // A revoked key may still say which one follows it; nothing else is believed of it.
  if (!current.ok && current.fault.code !== 'keys.revoked') return current
  return ok(history.value.periods.length + 1)
}

export interface RotationParts {
  readonly journal: Pick<Journal, 'kept' | 'append'>
  readonly own: OwnKey
  /** As `nextNumber` says. */
  readonly number: number
  /** Says that the next key is the device's: the old key, or the account's where that is lost or stolen. */
  readonly endorser: Signer
  readonly next: Signer
  /** Signs the gateway's events from now on: the next key where it is the metering key's successor. */
  readonly events: Signer
  readonly reason: KeyStatement['reason']
  /** The account revokes the old key: nothing that it signed since then is believed. */
  readonly revoke?: { readonly since: Instant; readonly account: Signer }
  readonly clock: Clock
  readonly verifier: Verifier
}

export interface StatedRotation {
  readonly statement: KeyStatement
  /** The statement's identity. */
  readonly hash: Uint8Array
}

export async function stateRotation(parts: RotationParts): Promise<Result<StatedRotation>> {
  const { journal, own, number, endorser, next, events, reason, revoke, clock, verifier } = parts
  const kept = journal.kept()
  let boots = 0
  let lastEvent: Uint8Array | undefined
  for (const { kind, bytes } of kept) {
    if (kind === BOOT) boots = Number(fromUtf8(bytes))
    if (kind === EVENT_KIND) lastEvent = bytes
  }
  const { device, use, key } = own
  const boot = boots + 1
  const statement: KeyStatement = {
    device,
    use,
    number,
    before: key,
    key: next.publicKey,
    trust: next.trust,
    boot,
    time: clock.now(),
    reason,
    quality: clock.quality(),
  }
  const proven = await signEnvelope(next, encodeKeyStatement(statement), KEY_PROOF_PURPOSE)
  if (!proven.ok) return proven
  const endorsed = await signEnvelope(endorser, proven.value.envelope, KEY_PURPOSE)
  if (!endorsed.ok) return endorsed
  const { envelope, hash } = endorsed.value
  const said = [envelope]
  if (revoke !== undefined) {
    const { since, account } = revoke
    const revocation = { device, use, key, since, time: statement.time, reason }
    const revoked = await signEnvelope(account, encodeRevocation(revocation), REVOCATION_PURPOSE)
    if (!revoked.ok) return revoked
    said.push(revoked.value.envelope)
  }
  // What the next start would refuse is not written: a key that signed before, or the same one again.
  const after = readOwnHistory([...kept, ...said.map(bytes => ({ kind: KEY_KIND, bytes }))], own, verifier)
  if (!after.ok) return after
  const last = after.value.periods.at(-1)!
  if (!equalBytes(last.key, next.publicKey)) return fail({ code: 'keys.not-next', key: toHex(next.publicKey), number })

  const restored = lastEvent === undefined ? ok(undefined) : restoreEvents(lastEvent)
  if (!restored.ok) return restored
  const chain = createEventChain({
    signer: events,
    clock,
    device,
    boot: () => boot,
    restored: restored.value,
    journal: {
      // Handed over in one turn, all share a commit.
      append: async (kind, bytes, how) => {
        const stated = [...said.map(each => journal.append(KEY_KIND, each)), journal.append(BOOT, utf8(`${boot}`))]
        const told = await journal.append(kind, bytes, how)
        return (await Promise.all(stated)).find(each => !each.ok) ?? told
      },
    },
  })
  const told = await chain.sign({ kind: 'key-rotated', statement: hash })
  return told.ok ? ok({ statement, hash }) : told
}
