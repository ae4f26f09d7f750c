/**
 * Heads of journals, given to the neighbours and kept for them. A journal whose end is cut off looks whole to everyone who
 * has nothing but the journal; a neighbour that keeps the last head sees it come back shorter.
 *
 * At the start, every hour and whenever a segment is finished, the journal's head is signed by the account key, which is
 * the one that neighbours know, and sent to each of them. What they send is kept in this journal, the newest two of each,
 * and held against the next: a head that goes back, or that has another frame in the same place, is evidence.
 */
import { signEnvelope } from '../../drivers/crypto/sign-envelope.ts'
import type { Clock, Log, Signer, Timers } from '../../drivers/ports.ts'
import type { Journal } from '../../drivers/store/journal.ts'
import type { JournalRecord } from '../../drivers/store/journal-block.ts'
import type { Keep } from '../../drivers/store/journal-state.ts'
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { parseSign1 } from '../../protocol/crypto/cose.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import { ueidOf } from '../../protocol/identity/key.ts'
import { compareHeads, encodeHead, HEAD_PURPOSE, type JournalHead, parseHead } from '../../protocol/reading/head.ts'
import { verifyHead } from '../../protocol/reading/verify.ts'
import { bytes, decodeAs, encodeAs, integer, type RecordOf, record } from '../../protocol/record.ts'
import { type Fault, ok, type Result } from '../../protocol/result.ts'
import type { Message } from '../../protocol/trade/message.ts'
import type { Evidence } from '../evidence.ts'
import type { Post } from '../trading/post.ts'

/** Of the journal. */
export const PEER_HEAD = 'peer-head'

const HEADS_EVERY_MS = 3_600_000
const MAX_BYTES = 1024

const KEPT = {
  /** The neighbour's account address: its name here may change. */
  peer: [1, bytes(20)],
  /** Of the two that are kept, which one. */
  slot: [2, integer(0, 1)],
  /** Of the message that brought it: a message that was long on its way is not taken for a step back. */
  epoch: [3, integer(0, Number.MAX_SAFE_INTEGER)],
  message: [4, integer(0, Number.MAX_SAFE_INTEGER)],
  envelope: [5, bytes(1, 800)],
} as const
const keptCodec = record(KEPT)
interface Kept extends RecordOf<typeof KEPT> {
  readonly head: JournalHead
}

function readKept(stored: Uint8Array): Kept | undefined {
  const kept = decodeAs(keptCodec, stored, PEER_HEAD, MAX_BYTES)
  const signed = kept.ok ? parseSign1(kept.value.envelope) : kept
  const head = signed.ok ? parseHead(signed.value.payload) : signed
  return kept.ok && head.ok ? { ...kept.value, head: head.value } : undefined
}

/** A restart needs the newest two of each neighbour. */
export function keepPeerHead({ kind, bytes }: JournalRecord): Keep | undefined {
  if (kind !== PEER_HEAD) return undefined
  const kept = decodeAs(keptCodec, bytes, PEER_HEAD, MAX_BYTES)
  return { as: kept.ok ? `${kind}/${toHex(kept.value.peer)}/${kept.value.slot}` : kind }
}

export interface HeadsOptions {
  readonly journal: Pick<Journal, 'id' | 'head' | 'append' | 'onNote' | 'kept'>
  /** The account key. */
  readonly signer: Signer
  readonly peers: readonly { readonly name: string; readonly publicKey: Uint8Array }[]
  readonly post: Pick<Post, 'send' | 'onMessage'>
  readonly clock: Clock
  readonly timers: Timers
  readonly verifier: Verifier
  readonly log: Log
  /** Raises with a fault, clears without. */
  readonly health: (what: string, fault: Fault | undefined) => void
  readonly evidence: Evidence
  readonly everyMs?: number
}

export interface SignedHead {
  readonly head: JournalHead
  readonly envelope: Uint8Array
}

export interface Heads {
  /** Hears each head of this journal once it is signed, at the start too. */
  onHead(listener: (signed: SignedHead) => void): void
  start(): void
  stop(): void
}

export function createHeads(options: HeadsOptions): Heads {
  const { journal, signer, peers, post, clock, timers, verifier, log, health, evidence } = options
  const { everyMs = HEADS_EVERY_MS } = options
  const device = ueidOf(signer.publicKey)
  const kept = new Map<string, Kept[]>()
  const listeners: ((signed: SignedHead) => void)[] = []
  let lastSent: number | undefined
  let cancel = () => {}
  let stopped = false
  /** Signing, and keeping what came: one after the other. */
  let turn: Promise<unknown> = Promise.resolve()

  for (const { kind, bytes } of journal.kept()) {
    if (kind !== PEER_HEAD) continue
    const one = readKept(bytes)
    if (one === undefined) log('error', 'heads', 'a head that was kept for a neighbour makes no sense')
    else kept.set(toHex(one.peer), inOrder([...(kept.get(toHex(one.peer)) ?? []), one]))
  }

  async function signHead(): Promise<Result<SignedHead>> {
    const { sequence, hash, records } = journal.head()
    const head = { device, journal: journal.id, sequence: Number(sequence), hash, records, time: clock.now() }
    const signed = await signEnvelope(signer, encodeHead(head), HEAD_PURPOSE)
    return signed.ok ? ok({ head, envelope: signed.value.envelope }) : signed
  }

  async function giveOut(): Promise<void> {
    if (stopped || Number(journal.head().sequence) === lastSent) return
    const signed = await signHead()
    health('heads', signed.ok ? undefined : signed.fault)
    if (!signed.ok) return
    lastSent = signed.value.head.sequence
    for (const listener of listeners) listener(signed.value)
    for (const { name } of peers) {
      // A neighbour that is away gets the next one.
      void post.send(name, { kind: 'head', head: signed.value.envelope }, { reliable: true })
    }
  }

  async function take(name: string, { epoch, sequence, body }: Message): Promise<void> {
    const peer = peers.find(each => each.name === name)
    if (body.kind !== 'head' || peer === undefined || stopped) return
    const verified = verifyHead(body.head, peer.publicKey, verifier)
    if (!verified.ok) return log('warn', 'heads', `a head of ${name} is refused`, verified.fault)
    const { head } = verified.value
    if (!equalBytes(head.device, ueidOf(peer.publicKey))) {
      return log('warn', 'heads', `a head of ${name} is of another gateway`, { code: 'heads.other-device', peer: name })
    }
    const address = addressOf(peer.publicKey)
    const known = kept.get(toHex(address)) ?? []
    const came: Kept = { peer: address, slot: 0, epoch, message: sequence, envelope: body.head, head }
    for (const before of known) {
      const fault = breach(name, before, came)
      if (fault === undefined) continue
      health(`peer.${name}.journal`, fault)
      evidence(fault, [before.envelope, came.envelope])
      // What was kept stays: it is what the neighbour's journal is held against.
      return
    }
    if (known.some(before => isNewer(before, came) || compareHeads(before.head, head) === 'same')) return
    const newest = known.at(-1)
    if (newest !== undefined && compareHeads(newest.head, head) === 'other') {
      log('warn', 'heads', `${name} has begun another journal`)
    }
    const next: Kept = { ...came, slot: newest === undefined ? 0 : 1 - newest.slot }
    const stored = await journal.append(PEER_HEAD, encodeAs(keptCodec, next))
    health('heads.kept', stored.ok ? undefined : stored.fault)
    if (stored.ok) kept.set(toHex(address), [...(newest === undefined ? [] : [newest]), next])
  }

  function soon(run: () => Promise<void>): void {
    turn = turn.then(run)
  }

  return {
    onHead: listener => void listeners.push(listener),
    start() {
      post.onMessage((name, message) => {
        if (message.body.kind === 'head') soon(() => take(name, message))
      })
      journal.onNote(note => {
        if (note.kind === 'sealed') soon(giveOut)
      })
      cancel = timers.every(everyMs, () => soon(giveOut))
      soon(giveOut)
    },
    stop() {
      stopped = true
      cancel()
    },
  }
}

/** Why a head cannot follow one that was kept; undefined where it can, or is only late. */
function breach(peer: string, before: Kept, came: Kept): Fault | undefined {
  const relation = compareHeads(before.head, came.head)
  const [kept, received] = [before.head.sequence, came.head.sequence]
  if (relation === 'forked') return { code: 'heads.forked', peer, frame: kept }
  // A message that was written before the one that brought the kept head may well say less.
  if (relation === 'back' && isNewer(came, before)) return { code: 'heads.back', peer, kept, received }
  // And one that was written before may not say more.
  if (relation === 'goes-on' && isNewer(before, came))
    return { code: 'heads.back', peer, kept: received, received: kept }
  return undefined
}

const isNewer = (a: Kept, b: Kept): boolean => a.epoch > b.epoch || (a.epoch === b.epoch && a.message > b.message)
const inOrder = (all: readonly Kept[]): Kept[] => all.toSorted((a, b) => (isNewer(a, b) ? 1 : -1))
