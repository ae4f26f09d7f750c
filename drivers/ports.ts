/**
 * Every way in which an agent touches the world: types only.
 *
 * Each port has one or more real adapters in drivers/ and one simulated in hw/sim; both pass the contract cases in
 * test/contracts. A port never throws for what the world does: it answers with a Fault. Asynchronous answers are
 * promises; whoever waits puts its own deadline on them with `Timers`, because hardware may never answer.
 */
import type { TxResult } from '../protocol/chain/block.ts'
import type { Evidence } from '../protocol/chain/evidence.ts'
import type { Header, LightBlock } from '../protocol/chain/light-block.ts'
import type { MerkleProof } from '../protocol/chain/merkle.ts'
import type { Alg, Verifier } from '../protocol/crypto/verify.ts'
import type { KeyTrust } from '../protocol/identity/key.ts'
import type { Accumulated } from '../protocol/light/accumulated.ts'
import type { Fault, Result } from '../protocol/result.ts'
import type { MeterValue } from '../protocol/telegram/obis.ts'
import type { Instant, Mono, TimeQuality } from '../protocol/time.ts'

export type Cancel = () => void

/** Wall time for records, monotonic time for everything that waits. */
export interface Clock {
  now(): Instant
  mono(): Mono
  /** The same clock as `mono`, which is it in whole milliseconds, with its fractions: for the pace of a wire, never for a record. */
  fine(): Mono
  quality(): TimeQuality
}

/** Timers on the monotonic clock; intervals in milliseconds of that clock. Callbacks never run inside the call that set them. */
export interface Timers {
  after(ms: number, run: () => void): Cancel
  /** First run after `ms`, then every `ms`; a late run does not shift or pile up the following ones. */
  every(ms: number, run: () => void): Cancel
  sleep(ms: number): Promise<void>
  /**
   * As `sleep`, to about a tenth of a millisecond and never early, at the cost of a busy processor for the last two
   * milliseconds: for the few waits that a wire's timing sets.
   */
  exactly(ms: number): Promise<void>
}

export interface Entropy {
  bytes(count: number): Uint8Array
}

/** A byte channel to one physical line: a serial device or a TCP connection. */
export interface Line {
  /** What a person calls it: a device path or host:port. */
  readonly name: string
  /** Milliseconds that one character takes on the wire, start and stop bits included; 0 where the wire has no characters (TCP). */
  readonly characterMs: number
  /** What this device's driver was asked for and does not do; no fault of the line. */
  without?(): Fault | undefined
  /** Whether bytes pass in no time, whatever `characterMs` says: a pseudo-terminal. Known once the line is open. */
  unpaced?(): boolean
  /** Bytes so far whose parity or stop bit was wrong, which no listener hears; undefined where the device does not count them. */
  damaged?(): number | undefined
  /** Opens or reopens. The listener hears bytes as they come and, once, that the line went down. */
  open(listener: LineListener): Promise<Result<void>>
  /** Resolves when the last byte has left this machine. */
  write(bytes: Uint8Array): Promise<Result<void>>
  /** Forget what arrived and was not yet handed to the listener. */
  flush(): Promise<Result<void>>
  /**
   * Changes the baud rate until the line is opened anew, where the line can; `characterMs` goes on saying what it said. Call
   * it when all that was written has left the wire.
   */
  setBaud?(baud: number): Promise<Result<void>>
  /** Safe to call at any time, more than once. No listener call follows. */
  close(): Promise<void>
}

export interface LineListener {
  bytes(chunk: Uint8Array, at: Mono): void
  down(fault: Fault): void
}

/** One meter, whatever it speaks. */
export interface Meter {
  /** The page (model) that interprets it, as in `eastron-sdm630`. */
  readonly page: string
  /**
   * A reading taken after this call began: a polled meter is polled, a meter that speaks unasked is waited for. A value
   * that the meter did not give, or that is not certain, is absent from `values`; when nothing is certain it is a fault.
   */
  read(): Promise<Result<MeterReading>>
  close(): Promise<void>
}

export interface MeterReading {
  /** The meter's own serial number or logical device name, as text; part of what is pinned. */
  readonly meterId: string
  readonly taken: Instant
  readonly takenMono: Mono
  readonly values: readonly MeterValue[]
  /** SHA-256 of the raw frames that these values were read from, for the dispute. */
  readonly rawHash: Uint8Array
}

export type Position = 'open' | 'closed'

/** What a contact is seen to be, by its auxiliary input or coil read-back. Commanded and observed never share a type. */
export type Observed = { readonly seen: Position } | { readonly seen: 'unknown'; readonly why: Fault }

/** What happens to the contact when this agent dies with it closed. */
export type OnAgentDeath =
  | { readonly kind: 'opens'; readonly withinMs: number; readonly by: string }
  | { readonly kind: 'stays'; readonly allowUnsupervised: true }

/** One contact. A closed contact must be commanded closed again at least every half of `onAgentDeath.withinMs`. */
export interface Relay {
  readonly name: string
  readonly onAgentDeath: OnAgentDeath
  command(position: Position): Promise<Result<void>>
  observe(): Promise<Observed>
  close(): Promise<void>
}

/** The control pilot's states of IEC 61851-1: A no car, B car, C charging, D charging with ventilation, E no pilot, F fault. */
export type PilotState = 'A' | 'B' | 'C' | 'D' | 'E' | 'F'

/** What a charger says of itself; what it does not say, or not certainly, is absent. */
export interface ChargerStatus {
  readonly state: PilotState
  /** The limit that it holds itself to, per phase in mA; 0 where it does not let the car charge. */
  readonly limitMa?: number
  /** Phases that its contactor would close. */
  readonly phases?: 1 | 3
  /** Measured per phase, in mA. */
  readonly currentsMa?: readonly number[]
  readonly takenMono: Mono
}

/** What a charger does when this agent falls silent. */
export type OnAgentSilence =
  | { readonly kind: 'falls-back'; readonly withinMs: number; readonly toMa: number; readonly by: string }
  | { readonly kind: 'keeps'; readonly allowUnsupervised: true }

/** One charging point. A limit must be set anew at least every half of `onAgentSilence.withinMs`. */
export interface Charger {
  readonly name: string
  /** The controller, as the configuration names it. */
  readonly controller: string
  readonly onAgentSilence: OnAgentSilence
  /** The most that the wiring behind it carries, per phase in mA. */
  readonly mostMa: number
  /** Limits are multiples of this; in between they are rounded down. */
  readonly stepMa: number
  /**
   * A look that began after this call. A state that the controller's manual does not know is a fault, never a state. A look
   * that a lower limit or a stop overtakes ends before its next request as `charger.gave-way`, and nothing is wrong.
   */
  status(): Promise<Result<ChargerStatus>>
  /**
   * 0 (no charging) or 6,000 to `mostMa` per phase; anything between is `charger.limit` and nothing is sent. Resolves with
   * the limit that the charger acknowledged; one that reads back otherwise is `charger.not-taken`.
   */
  setLimit(ma: number): Promise<Result<number>>
  /** Absent where the controller cannot. Only while no car is charging. */
  setPhases?(phases: 1 | 3): Promise<Result<void>>
  /** Sends 0 and lets the line go. Safe to call more than once. */
  close(): Promise<void>
}

/** What a broker does with a message beside handing it on. */
export interface Kept {
  /** It keeps the message for later subscribers. */
  readonly retain?: boolean
}

/** Publish and subscribe, over one broker or several at once. Delivery may lose, repeat and reorder. */
export interface Bus {
  /** Hands the message to every broker that is up; a fault when none is up. */
  publish(topic: string, payload: Uint8Array, how?: Kept): Promise<Result<void>>
  /**
   * Exact topics only. The handler hears one copy from each broker, with the broker's place among those configured; whoever
   * listens drops duplicates.
   */
  subscribe(topic: string, handler: (payload: Uint8Array, broker: number) => void): Promise<Result<void>>
  /** Brokers connected now, and configured. */
  health(): { readonly up: number; readonly of: number }
  close(): Promise<void>
}

/** One full node's RPC, trusted for nothing: what it says is verified by protocol/light. */
export interface LedgerRpc {
  readonly name: string
  /** The newest height this node has, and what it claims of itself; `node` is its name among nodes, where it gives one. */
  status(): Promise<Result<{ readonly chainId: string; readonly height: bigint; readonly node?: string }>>
  /** Header, commit and the complete validator set at a height, parsed but not verified. */
  lightBlock(height: bigint): Promise<Result<LightBlock>>
  /** State under a key after block `height` (proof against the AppHash in header height + 1). No value means absent. */
  query(key: Uint8Array, height: bigint): Promise<Result<QueryAnswer>>
  /** Hand in a transaction; `code` 0 means that this node's mempool took it. */
  submit(tx: Uint8Array): Promise<Result<{ readonly code: number; readonly log: string; readonly hash: Uint8Array }>>
  /** A transaction by its hash, once it stands in a block. */
  tx(hash: Uint8Array): Promise<Result<TxAnswer>>
  /** The header of a height, however old, with its proof under the state after block `at` where the node can give one. */
  oldHeader(height: bigint, at: bigint): Promise<Result<OldHeader>>
  /** Hand in proof of misbehaviour; success means that this node took it. */
  reportEvidence(evidence: Evidence): Promise<Result<void>>
}

export interface OldHeader {
  readonly header: Header
  /** Against the AppHash of header `at` + 1. */
  readonly accumulated?: Accumulated
}

export interface TxAnswer {
  readonly height: bigint
  readonly tx: Uint8Array
  /** Against the DataHash of header `height`. */
  readonly proof: MerkleProof
  readonly result: TxResult
  /** Against the LastResultsHash of header `height` + 1. */
  readonly resultProof: MerkleProof
}

export interface QueryAnswer {
  readonly height: bigint
  readonly value: Uint8Array | undefined
  /** A protobuf ics23.CommitmentProof (existence, or non-existence where value is undefined). */
  readonly proof: Uint8Array
}

/**
 * One folder of files with the semantics of a disk: what was written but not synced may be lost, torn or turned to
 * garbage by a power cut; `replace` is all or nothing.
 */
export interface Disk {
  list(): Promise<Result<readonly string[]>>
  /** The whole file, or `bytes` of it from `from` on; fewer where it ends before. */
  read(name: string, from?: number, bytes?: number): Promise<Result<Uint8Array>>
  /** A new file of `size` zero bytes, itself and its name durable; a fault when it exists. */
  create(name: string, size: number): Promise<Result<void>>
  /** Overwrites bytes inside a created file; not durable before `sync`. */
  write(name: string, offset: number, bytes: Uint8Array): Promise<Result<void>>
  sync(name: string): Promise<Result<void>>
  /** The whole file replaced or made, durable on return; a crash leaves the old one or the new one. */
  replace(name: string, bytes: Uint8Array): Promise<Result<void>>
  remove(name: string): Promise<Result<void>>
  /**
   * Makes the caller the one holder of a name in this folder, until it lets go or its process ends, however that ends;
   * `disk.held` where there is one already.
   */
  hold(name: string): Promise<Result<Release>>
}

/** Lets go of what was held; safe to call more than once. */
export type Release = () => Promise<void>

/** Keys of an index: `from` included, `to` not, in the order of their UTF-8 bytes. */
export interface KeyRange {
  readonly from: string
  readonly to: string
  readonly reverse?: boolean
  readonly limit?: number
}

/**
 * Values by key, in order, that are worked out from something else and may be lost without harm. What was written last may
 * be gone after a power cut; what is there then is what was written up to some moment, each write whole.
 */
export interface Index {
  /** Why what was there before could not be opened; a new one was begun instead. */
  readonly lost: Fault | undefined
  get(key: string): Promise<Result<Uint8Array | undefined>>
  range(range: KeyRange): Promise<Result<readonly (readonly [key: string, value: Uint8Array])[]>>
  /** All or nothing; a key without a value is removed. */
  write(entries: readonly (readonly [key: string, value: Uint8Array | undefined])[]): Promise<Result<void>>
  /** Begins an empty one beside what is there. */
  renew(): Promise<Result<void>>
  /** Removes what `renew`, or an opening that lost it, left aside. */
  settle(): Promise<void>
  close(): Promise<void>
}

/** A private key that never leaves its store. */
export interface Signer {
  readonly alg: Alg
  /** Raw: 32 bytes Ed25519, or a compressed P-256 point of 33. */
  readonly publicKey: Uint8Array
  /** Where the private half lives, as the store itself shows it. */
  readonly trust: KeyTrust
  /** 64 bytes; ES256 as r || s with the lower s. A token that was pulled out is a fault. */
  sign(message: Uint8Array): Promise<Result<Uint8Array>>
}

/** What was asked and found valid before, by `questionName`. */
export interface VerdictMemory {
  has(question: string): boolean
  add(question: string): void
}

/** Signatures that are checked while the caller goes on. */
export interface VerifyBatch {
  /** Says yes at once, and has it checked meanwhile; past what is to be held at a time, it answers the truth. */
  readonly hopeful: Verifier
  /**
   * Once all is checked: whether every yes was right. What was done on its word stands then; else it has to be done again with
   * `known`, which has the answers. To be called once, when nothing more will be asked.
   */
  settle(): Promise<{ readonly allValid: boolean; readonly known: Verifier }>
}

/** Further processor cores for signatures. */
export interface VerifyPool {
  /** What `memory` knows to be valid is not checked again, and what is found valid is added to it. */
  begin(memory?: VerdictMemory): VerifyBatch
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

export type Log = (level: LogLevel, room: string, text: string, fault?: Fault) => void
