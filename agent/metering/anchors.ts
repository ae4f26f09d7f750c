/**
 * The journal's head on the ledger, once a day and when a segment is finished: what two neighbours who are asked to forget
 * cannot make forgotten. Before each, what stands there is proven: a journal that is shorter than its own anchor was cut off.
 *
 * A ledger that cannot be reached, or takes no transaction, is no reason for anything else to stop.
 */
import type { Clock, Log } from '../../drivers/ports.ts'
import type { Journal } from '../../drivers/store/journal.ts'
import { equalBytes, toHex, utf8 } from '../../protocol/bytes.ts'
import { type AnchoredHead, JOURNALS, journalId } from '../../protocol/ledger/tables.ts'
import type { JournalHead } from '../../protocol/reading/head.ts'
import { decodeAs } from '../../protocol/record.ts'
import { type Fault, ok, type Result } from '../../protocol/result.ts'
import type { LightAgent } from '../light/light.ts'
import type { LedgerAccount } from '../trading/account.ts'
import { denies, type Heads } from './heads.ts'

const ANCHOR_EVERY_MS = 86_400_000

/** What the ledger has of an account's journal, proven; undefined where it has nothing. */
export async function proveAnchor(
  light: Pick<LightAgent, 'prove'>,
  account: Uint8Array,
  journal: Uint8Array,
): Promise<Result<AnchoredHead | undefined>> {
  const proven = await light.prove(utf8(JOURNALS.prefix + journalId(account, journal)))
  if (!proven.ok) return proven
  const { value } = proven.value
  return value === undefined ? ok(undefined) : decodeAs(JOURNALS.codec, value, 'anchor', value.length)
}

export interface AnchorOptions {
  readonly account: Pick<LedgerAccount, 'address' | 'submit'>
  readonly light: Pick<LightAgent, 'prove'>
  readonly journal: Pick<Journal, 'id' | 'onNote' | 'visit'>
  readonly heads: Pick<Heads, 'onHead'>
  readonly clock: Clock
  readonly log: Log
  /** Raises with a fault, clears without. */
  readonly health: (what: string, fault: Fault | undefined) => void
  readonly everyMs?: number
}

/** Anchors heads as they are signed, from now on. */
export function startAnchors(options: AnchorOptions): void {
  const { account, light, journal, heads, clock, log, health, everyMs = ANCHOR_EVERY_MS } = options
  let due = false
  /** Whether this journal was found to go on from its anchor. */
  let held = false
  let turn: Promise<unknown> = Promise.resolve()

  /** How this journal contradicts what it once said; undefined where it goes on from it. */
  async function lostSince({ frame: anchored, hash }: AnchoredHead, head: JournalHead): Promise<Fault | undefined> {
    const frame = BigInt(head.sequence)
    if (frame < anchored) return { code: 'anchors.ahead', anchored, journal: frame }
    // Read once: what is there at one time of a run is there at every later one.
    const forked = frame === anchored ? !equalBytes(hash, head.hash) : !held && (await denies(journal, anchored, hash))
    held ||= !forked
    return forked ? { code: 'anchors.forked', frame: anchored, anchored: toHex(hash), journal: frame } : undefined
  }

  async function consider(head: JournalHead): Promise<void> {
    const proven = await proveAnchor(light, account.address, journal.id)
    if (!proven.ok) return health('journal.anchor', proven.fault)
    const newest = proven.value
    const lost = newest === undefined ? undefined : await lostSince(newest, head)
    health('journal.cut-off', lost)
    if (lost !== undefined) return
    if (newest !== undefined) {
      const waits = !due && clock.now() - newest.at < everyMs
      if (waits || newest.frame === BigInt(head.sequence)) return health('journal.anchor', undefined)
    }
    const body = { journal: head.journal, frame: BigInt(head.sequence), hash: head.hash }
    const submitted = await account.submit({ kind: 'head', body })
    health('journal.anchor', submitted.ok ? undefined : submitted.fault)
    if (!submitted.ok) return
    due = false
    log('info', 'journal', `frame ${head.sequence} is handed to the ledger`)
  }

  journal.onNote(note => {
    if (note.kind === 'sealed') due = true
  })
  heads.onHead(({ head }) => {
    turn = turn.then(() => consider(head))
  })
}
