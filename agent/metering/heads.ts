/**
 * Heads of journals, given to the neighbours and kept for them. A journal whose end is cut off looks whole to everyone who
 * has nothing but the journal; a neighbour that keeps the last head sees it come back shorter.
 *
 * At the start, every hour and whenever a segment is finished, the journal's head is signed by the account key, which is
 * the one that neighbours know, and sent to each of them. What they send is kept in this journal, the newest two of each,
 * and held against the next: a head that goes back, or that has another frame in the same place, is evidence.
 *
 * Every hour each neighbour is also given back the head that is kept of it. An agent that runs on an older copy of its
 * journal counts its boots from there, so that the neighbours take its messages for old ones and drop them; but it hears
 * theirs, and learns from them what it forgot.
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
import type { Mono } from '../../protocol/time.ts'
import type { Message } from '../../protocol/trade/message.ts'
import type { Evidence } from '../evidence.ts'
import type { Post } from '../trading/post.ts'

/** Of the journal. */
export const PEER_HEAD = 'peer-head'

const HEADS_EVERY_MS = 3_600_000
/** A neighbour that sends heads without end fills no journal: of more than these in an hour the newest is in memory only. */
const MOST_STORED = 12
const STORED_WITHIN_MS = 3_600_000
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
  readonly journal: Pick<Journal, 'id' | 'head' | 'append' | 'onNote' | 'kept' | 'visit'>
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
  /** When heads of each neighbour were last written into the journal. */
  const storedAt = new Map<string, readonly Mono[]>()
  /** Neighbours that gave back a head of ours which this journal was held against. */
  const compared = new Set<string>()
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

  function giveBack(): void {
    for (const { name, publicKey } of peers) {
      const newest = kept.get(toHex(addressOf(publicKey)))?.at(-1)
      if (newest !== undefined && !stopped)
        void post.send(name, { kind: 'head', head: newest.envelope }, { reliable: true })
    }
  }

  /** Holds this journal against a head that it once signed. */
  async function takeBack(
    name: string,
    { journal: id, sequence, hash }: JournalHead,
    envelope: Uint8Array,
  ): Promise<void> {
    if (!equalBytes(id, journal.id)) return
    const now = Number(journal.head().sequence)
    if (sequence <= now) {
      // Once: what is there at one time of a run is there at every later one, and reading costs a segment.
      if (compared.has(name)) return
      compared.add(name)
      if (!(await denies(journal, BigInt(sequence), hash))) return
    }
    const hint = 'this is an older copy of the journal, or its end was cut off; restore the newest'
    const fault = { code: 'heads.forgotten', peer: name, kept: sequence, journal: now, hint }
    health('journal.forgotten', fault)
    evidence(fault, [envelope])
  }

  function mayStore(address: string): boolean {
    const now = clock.mono()
    const before = (storedAt.get(address) ?? []).filter(at => now - at < STORED_WITHIN_MS)
    const may = before.length < MOST_STORED
    storedAt.set(address, may ? [...before, now] : before)
    return may
  }

  async function take(name: string, { epoch, sequence, body }: Message): Promise<void> {
    const peer = peers.find(each => each.name === name)
    if (body.kind !== 'head' || peer === undefined || stopped) return
    const own = verifyHead(body.head, signer.publicKey, verifier)
    if (own.ok && equalBytes(own.value.head.device, device)) return takeBack(name, own.value.head, body.head)
    const verified = verifyHead(body.head, peer.publicKey, verifier)
    if (!verified.ok) return log('warn', 'heads', `a head of ${name} is refused`, verified.fault)
    const { head } = verified.value
    if (!equalBytes(head.device, ueidOf(peer.publicKey))) {
      return log('warn', 'heads', `a head of ${name} is of another gateway`, { code: 'heads.other-device', peer: name })
    }
    const address = addressOf(peer.publicKey)
    const known = kept.get(toHex(address)) ?? []
    const came: Kept = { peer: address, slot: 0, epoch, message: sequence, envelope: body.head, head }
    for (const before of known.toReversed()) {
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
    // The last of the journal before stays: a neighbour that begins another one to and fro forgets nothing.
    const stays = known.findLast(each => compareHeads(each.head, head) === 'other') ?? newest
    const next: Kept = { ...came, slot: stays === undefined ? 0 : 1 - stays.slot }
    if (mayStore(toHex(address))) {
      const stored = await journal.append(PEER_HEAD, encodeAs(keptCodec, next))
      health('heads.kept', stored.ok ? undefined : stored.fault)
      if (!stored.ok) return
    }
    kept.set(toHex(address), [...(stays === undefined ? [] : [stays]), next])
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
      cancel = timers.every(everyMs, () => {
        soon(giveOut)
        giveBack()
      })
      soon(giveOut)
    },
    stop() {
      stopped = true
      cancel()
    },
  }
}

/** Whether a journal has another frame than this in its place. One that was dropped in its time, or holds no record, says nothing. */
export async function denies(journal: Pick<Journal, 'visit'>, sequence: bigint, hash: Uint8Array): Promise<boolean> {
  let found: Uint8Array | undefined
  const visited = await journal.visit((_, { frame, frameHash }) => {
    if (frame === sequence) found = frameHash
  }, sequence)
  return visited.ok && found !== undefined && !equalBytes(found, hash)
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
