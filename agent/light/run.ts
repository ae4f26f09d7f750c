/**
 * The light client at work: follows the ledger's head through one node, compares each head with the witnesses, and proves what
 * the ledger's state says under a key. It trusts no node; protocol/light judges, decide.ts says what the findings mean.
 *
 *     follow:  status -> climb (fetch, verify, perhaps by pivots) -> compare with every witness -> health
 *     prove:   follow -> query at H-1 -> proof against the AppHash in the compared header H
 */
import type { Cancel, Clock, Disk, LedgerRpc, Log, Timers } from '../../drivers/ports.ts'
import { equalBytes, toHex } from '../../protocol/bytes.ts'
import { instantOf } from '../../protocol/chain/chain-time.ts'
import { hashHeader } from '../../protocol/chain/header.ts'
import type { LightBlock } from '../../protocol/chain/light-block.ts'
import { lightBlockJson, signedHeaderJson } from '../../protocol/chain/rpc-json.ts'
import type { Verifier } from '../../protocol/crypto/verify.ts'
import type { Attack } from '../../protocol/light/detect.ts'
import { expiry, type LightOptions } from '../../protocol/light/predicates.ts'
import { type Anchor, trustLevelFault, type VerifiedBlock } from '../../protocol/light/verify.ts'
import { done, type Fault, fail, type Result } from '../../protocol/result.ts'
import { type Instant, later, type Mono } from '../../protocol/time.ts'
import { judge, type LightHealth, maybeOurClock, noWitness, refused, thinned } from './decide.ts'
import { climb, examineSource } from './drive.ts'
import { findGround } from './ground.ts'
import { checkAnswer, type Proven } from './proof.ts'
import { createSource, type Source } from './source.ts'
import { attackJson, createLightStore } from './store.ts'

export type { Proven }

export interface LightConfig extends LightOptions {
  /** Where trust begins; a block kept on disk is preferred when it is newer. */
  readonly trust: Anchor
  /** Between two looks at the head; the ledger makes a block a second. */
  readonly followMs?: number
  /** No answer of a node takes longer on a line that is of use. */
  readonly rpcDeadlineMs?: number
  /** A head that has not risen for this long is no ground for a payment. */
  readonly staleAfterMs?: number
  /** How long `prove` goes on asking for what is not there yet. */
  readonly proveWaitMs?: number
}

const FOLLOW_MS = 1_000
const RPC_DEADLINE_MS = 5_000
const STALE_AFTER_MS = 15_000
const PROVE_WAIT_MS = 10_000
/** Half a block. */
const ASK_AGAIN_MS = 500
/** A witness this many milliseconds (and twice the clock drift) behind counts as answering. */
const WITNESS_LAG_MS = 5_000
/** One lost answer is a hiccup, three in a row a node that is down. */
const STRIKES_MAX = 3
/** A kept block saves a skip after a restart, and each save costs the flash a write. */
const SAVE_EVERY_MS = 60_000

export interface Head {
  readonly height: bigint
  readonly time: Instant
  readonly hash: Uint8Array
  /** Addresses, hex, of the validators whose signatures were checked. */
  readonly signedBy: readonly string[]
  /** How many validators there are. */
  readonly validators: number
  readonly verifiedMono: Mono
  /** Whether a witness has confirmed it. */
  readonly witnessed: boolean
}

export interface LightAgent {
  /** Finds the ground of trust and begins to follow; a fault says how to anchor trust anew. */
  start(): Promise<Result<void>>
  stop(): Promise<void>
  /** The newest verified header; undefined before the first and after a divergence. */
  head(): Head | undefined
  /** Advances to the primary's head; calls at the same time share one round. */
  follow(): Promise<Result<void>>
  /** Proves what stands under a key now; waits, within bounds, until the state is at least that of block `atLeast`. */
  prove(key: Uint8Array, atLeast?: bigint): Promise<Result<Proven>>
  health(): LightHealth
  onHealth(listener: (health: LightHealth) => void): Cancel
  stats(): { readonly headersVerified: number; readonly proofsVerified: number; readonly refusals: number }
}

export function createLightAgent(ports: {
  readonly config: LightConfig
  readonly primary: LedgerRpc
  readonly witnesses: readonly LedgerRpc[]
  readonly clock: Clock
  readonly timers: Timers
  readonly disk: Disk
  readonly verifier: Verifier
  readonly log: Log
}): LightAgent {
  const { config, clock, timers, verifier } = ports
  const log = (level: 'info' | 'warn' | 'error', text: string, fault?: Fault) => ports.log(level, 'light', text, fault)
  const source = (rpc: LedgerRpc) => createSource(rpc, timers, config.rpcDeadlineMs ?? RPC_DEADLINE_MS)
  const store = createLightStore(ports.disk, config.chainId)
  const bench = { options: config, clock, verifier }
  const staleAfterMs = config.staleAfterMs ?? STALE_AFTER_MS

  let primary = source(ports.primary)
  let witnesses: readonly Source[] = ports.witnesses.map(source)
  /** From the last block that a witness confirmed to the newest verified; empty before the start. */
  let trace: readonly VerifiedBlock[] = []
  /** Whether a witness has confirmed, since the start, what `trace` begins with. */
  let witnessed = false
  let agreedAt = clock.mono()
  let roseAt = clock.mono()
  let savedAt = clock.mono()
  let promotedAt = clock.mono()
  let diverged: Fault | undefined
  let refusal: Fault | undefined
  let blocked: Fault | undefined
  let health: LightHealth = { state: 'no-witness', since: clock.mono(), fault: noWitness(ports.witnesses.length) }
  const listeners = new Set<(health: LightHealth) => void>()
  const counts = { headersVerified: 0, proofsVerified: 0, refusals: 0 }
  let round: Promise<Result<void>> | undefined
  let cancelTimer: Cancel | undefined
  let stopped = false

  function settle(): void {
    const head = trace.at(-1)
    const { state, fault } = judge({
      diverged,
      refusal,
      blocked,
      witnesses: witnesses.length,
      witnessed,
      idleMs: clock.mono() - roseAt,
      lagMs: head && clock.quality() === 'synchronised' ? clock.now() - instantOf(head.header.time) : undefined,
      staleAfterMs,
    })
    if (state === health.state && fault?.code === health.fault?.code) return
    health = { state, since: clock.mono(), ...(fault === undefined ? {} : { fault }) }
    log(state === 'ok' ? 'info' : state === 'diverged' ? 'error' : 'warn', `the light client is ${state}`, fault)
    for (const listener of listeners) listener(health)
  }

  function keep(verified: readonly VerifiedBlock[]): void {
    if (verified.length < 2) return
    counts.headersVerified += verified.length - 1
    trace = thinned([...trace, ...verified.slice(1)])
    roseAt = clock.mono()
  }

  async function saveEvidence(name: string, content: object): Promise<string | undefined> {
    const saved = await store.saveEvidence(name, content)
    if (!saved.ok) log('error', 'evidence could not be saved', saved.fault)
    return saved.ok ? saved.value : undefined
  }

  /** A source sent something false: keep it as evidence, go on without that source where there is another. */
  async function refuse(from: Source, fault: Fault, name: string, content: object): Promise<void> {
    counts.refusals++
    const wasPrimary = from === primary
    // A wrong clock of ours would say the same every second.
    if (fault.code !== refusal?.code) log('error', `${from.name} sent something that does not verify`, fault)
    if (wasPrimary) refusal = { ...fault, source: from.name }
    if (!maybeOurClock(fault)) {
      if (wasPrimary) promoteWitness(false)
      else witnesses = witnesses.filter(one => one !== from)
    }
    settle()
    if (!maybeOurClock(fault)) await saveEvidence(name, { source: from.name, fault, ...content })
  }

  const refuseBlock = (from: Source, fault: Fault, block: LightBlock): Promise<void> =>
    refuse(from, fault, `block-${block.header.height}-${toHex(hashHeader(block.header)).slice(0, 8)}`, {
      light_block: lightBlockJson(block),
    })

  /** The first witness becomes the primary; a primary that was only silent goes on as a witness. */
  function promoteWitness(keepOld: boolean): void {
    const [next, ...others] = witnesses
    if (next === undefined) return
    log('warn', `${next.name} takes the place of ${primary.name}`)
    witnesses = keepOld ? [...others, primary] : others
    primary = next
    primary.strikes = 0
    promotedAt = clock.mono()
  }

  function silent(fault: Fault): Result<void> {
    primary.strikes++
    if (primary.strikes >= STRIKES_MAX) {
      primary.strikes = 0
      promoteWitness(true)
    }
    settle()
    return fail(fault)
  }

  async function followOnce(): Promise<Result<void>> {
    const ground = trace.at(-1)
    if (ground === undefined) return fail({ code: 'light.not-started' })
    if (diverged !== undefined) return fail(diverged)
    blocked = expiry(ground.header, config, clock.now())
    if (blocked !== undefined) {
      settle()
      return fail(blocked)
    }
    const from = primary
    const status = await from.status()
    if (!status.ok) return silent(status.fault)
    if (status.value.chainId !== config.chainId) {
      const fault = { code: 'light.chain-id', expected: config.chainId, received: status.value.chainId }
      await refuse(from, fault, `chain-${from.name.replace(/\W+/g, '-')}`, {})
      return fail(fault)
    }
    const { verified, end } = await climb(bench, from, ground, status.value.height)
    keep(verified)
    if (end.kind === 'silent') return silent(end.fault)
    if (end.kind === 'refused') {
      await refuseBlock(from, end.fault, end.block)
      return fail(end.fault)
    }
    from.strikes = 0
    refusal = undefined
    await compare()
    settle()
    // A primary that answers but stands still is as good as silent.
    if (health.state === 'stale' && clock.mono() - promotedAt > staleAfterMs) promoteWitness(true)
    return diverged === undefined ? done : fail(diverged)
  }

  /** Asks every witness for the header that we hold newest. */
  async function compare(): Promise<void> {
    const newest = trace.at(-1)!
    if (trace.length === 1 && witnessed) return
    const { height } = newest.header
    const asked = witnesses
    const answers = await Promise.all(asked.map(witness => witness.headerAt(height, config.chainId)))
    let agreed = 0
    let open = 0
    let behind = 0
    for (const [i, witness] of asked.entries()) {
      const answer = answers[i]!
      if (answer === 'behind') behind++
      if (answer === 'silent' || answer === 'behind') continue
      const same = equalBytes(hashHeader(answer), newest.hash)
      const verdict = same ? 'agrees' : await examineWitness(witness)
      if (diverged !== undefined) return
      if (verdict === 'agrees') agreed++
      if (verdict === 'open') open++
    }
    const now = clock.mono()
    if (agreed > 0 && open === 0) {
      trace = [newest]
      witnessed = true
      agreedAt = now
      if (now - savedAt >= SAVE_EVERY_MS) await saveTrusted()
    } else if (behind === 0 || now - agreedAt > 2 * config.maxClockDriftMs + WITNESS_LAG_MS) witnessed = false
  }

  /** Follows a witness that has another header: it agrees after all, is refused, stays open, or proves a divergence. */
  async function examineWitness(witness: Source): Promise<'agrees' | 'refused' | 'open'> {
    const step = await examineSource(bench, witness, trace)
    if (step.kind === 'silent') {
      // A witness that contradicts and then falls silent holds payments up; it may do so only a few times.
      witness.strikes++
      if (witness.strikes >= STRIKES_MAX) witnesses = witnesses.filter(one => one !== witness)
      log('warn', `${witness.name} contradicts the newest header and does not say why`, step.fault)
      return 'open'
    }
    witness.strikes = 0
    if (step.kind === 'agrees') return 'agrees'
    if (step.kind === 'witness-refused') {
      await refuseBlock(witness, step.fault, step.block)
      return maybeOurClock(step.fault) ? 'open' : 'refused'
    }
    await diverge(witness, step.attack, step.witnessTrace)
    return 'open'
  }

  async function diverge(witness: Source, attack: Attack, witnessTrace: readonly VerifiedBlock[]): Promise<void> {
    const { height } = attack.conflicting.header
    const name = `${attack.kind}-${height}-${toHex(attack.conflicting.hash).slice(0, 8)}`
    // Listeners first: the relays open before anything is written.
    diverged = {
      code: 'light.diverged',
      kind: attack.kind,
      height,
      primary: primary.name,
      witness: witness.name,
      byzantine: attack.byzantine.map(toHex),
      hint: 'validators signed two chains: find out which one stands, then set trust.height above this height and its hash',
    }
    cancelTimer?.()
    settle()
    // The same attack as the witness's followers would prove it, against the primary.
    const other = await examineSource(bench, primary, witnessTrace)
    const file = await saveEvidence(name, {
      primary: primary.name,
      witness: witness.name,
      against_witness: attackJson(attack),
      ...(other.kind === 'attack' ? { against_primary: attackJson(other.attack) } : {}),
    })
    const marked = await store.saveDiverged(height, file ?? name)
    if (!marked.ok) log('error', 'the divergence could not be marked on disk', marked.fault)
  }

  async function saveTrusted(): Promise<void> {
    const [agreed] = trace
    if (agreed === undefined || diverged !== undefined) return
    savedAt = clock.mono()
    const saved = await store.saveBlock(agreed)
    if (!saved.ok) log('warn', 'the trusted block could not be saved', saved.fault)
  }

  function follow(): Promise<Result<void>> {
    round ??= followOnce().finally(() => {
      round = undefined
    })
    return round
  }

  /** Why nothing can be proven now. */
  function obstacle(): Fault | undefined {
    if (stopped) return { code: 'light.stopped' }
    return health.state === 'ok' || health.state === 'refused' ? undefined : health.fault
  }

  async function prove(key: Uint8Array, atLeast = 1n): Promise<Result<Proven>> {
    const until = later(clock.mono(), config.proveWaitMs ?? PROVE_WAIT_MS)
    for (;;) {
      const followed = await follow()
      let missing: Fault = followed.ok ? { code: 'light.not-yet', height: atLeast } : followed.fault
      const [under] = trace
      // The header of block H carries the state after H-1; the state after block 0 is the genesis, which nobody proves.
      if (health.state === 'ok' && under !== undefined && under.header.height > atLeast) {
        const from = primary
        const answer = await from.query(key, under.header.height - 1n)
        const proven = answer.ok ? checkAnswer(key, under, answer.value, clock.mono()) : answer
        // Much may have come to light while the answer was on its way.
        if (proven.ok && obstacle() === undefined) {
          counts.proofsVerified++
          return proven
        }
        if (!proven.ok) missing = proven.fault
        if (answer.ok && !proven.ok) {
          await refuse(from, proven.fault, `proof-${under.header.height}-${toHex(under.hash).slice(0, 8)}`, {
            signed_header: signedHeaderJson(under.block),
            key,
            value: answer.value.value,
            proof: answer.value.proof,
          })
        }
      }
      const fault = obstacle()
      if (fault !== undefined) return fail(fault)
      if (clock.mono() >= until) return fail(refusal === undefined ? missing : refused(refusal))
      await timers.sleep(ASK_AGAIN_MS)
    }
  }

  return {
    async start() {
      const level = trustLevelFault(config.trustLevel)
      if (level !== undefined) return fail({ ...level, hint: 'set trustLevel between 1/3 and 1' })
      const ground = await findGround(bench, store, config.trust, [primary, ...witnesses], ports.log)
      if (!ground.ok) return ground
      trace = [ground.value]
      roseAt = clock.mono()
      agreedAt = clock.mono()
      log('info', `trust begins at height ${ground.value.header.height}`)
      await follow()
      if (!stopped && diverged === undefined)
        cancelTimer = timers.every(config.followMs ?? FOLLOW_MS, () => void follow())
      return done
    },
    async stop() {
      stopped = true
      cancelTimer?.()
      await round
      await saveTrusted()
    },
    head() {
      const newest = trace.at(-1)
      if (newest === undefined || diverged !== undefined) return undefined
      return {
        height: newest.header.height,
        time: instantOf(newest.header.time),
        hash: newest.hash,
        signedBy: newest.signedBy.map(toHex),
        validators: newest.block.validators.length,
        verifiedMono: roseAt,
        witnessed: witnessed && trace.length === 1,
      }
    },
    follow,
    prove,
    health: () => health,
    onHealth(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    stats: () => ({ ...counts }),
  }
}
