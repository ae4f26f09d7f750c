/**
 * The light client at work: follows the ledger's head through one node, compares each head with the witnesses, and proves what
 * the ledger's state says under a key. It trusts no node; protocol/light judges, decide.ts says what the findings mean.
 *
 *     follow:  status -> climb (fetch, verify, perhaps by pivots) -> compare with every witness -> health
 *     prove:   follow -> query at H-1 -> proof against the AppHash in the compared header H; old headers and transactions alike
 */
import type { Cancel, LedgerRpc } from '../../drivers/ports.ts'
import { toHex } from '../../protocol/bytes.ts'
import { instantOf } from '../../protocol/chain/chain-time.ts'
import { hashHeader } from '../../protocol/chain/header.ts'
import type { LightBlock } from '../../protocol/chain/light-block.ts'
import { lightBlockJson, signedHeaderJson } from '../../protocol/chain/rpc-json.ts'
import type { Attack } from '../../protocol/light/detect.ts'
import { expiry } from '../../protocol/light/predicates.ts'
import { trustLevelFault, type VerifiedBlock } from '../../protocol/light/verify.ts'
import { done, type Fault, fail, type Result } from '../../protocol/result.ts'
import type { Mono } from '../../protocol/time.ts'
import { accusationJson, accuse, byzantineOf, report } from './accuse.ts'
import { confer, examineLate } from './confer.ts'
import { aheadFault, clockFault, judge, type LightHealth, maybeOurClock, noWitness, thinned } from './decide.ts'
import { climb, examineSource, judgeRefusal } from './drive.ts'
import { findGround } from './ground.ts'
import { lookBack, lookUpTx } from './history.ts'
import type { LightAgent, LightConfig, LightPorts } from './light.ts'
import { noteState, noteWithheld, type Standing, someoneIsPast } from './notes.ts'
import { pathTo } from './path.ts'
import { lookUpKey, type Proven } from './proof.ts'
import { createRoster } from './roster.ts'
import { seek } from './seek.ts'
import { createSource, type Looked, type Source } from './source.ts'
import { createLightStore } from './store.ts'

export type { LightAgent, LightConfig, Proven }

const FOLLOW_MS = 1_000
const RPC_DEADLINE_MS = 5_000
const STALE_AFTER_MS = 15_000
const PROVE_WAIT_MS = 10_000
/** By so much later than configured staleness may show. */
const SETTLE_MS = 1_000
/** A witness is waited for this many milliseconds and twice the clock drift: by then it has come to every time we believed. */
const WITNESS_LAG_MS = 5_000
/** One lost answer is a hiccup, three in a row a node that is down. */
const STRIKES_MAX = 3
/** A kept block spares a restart a skip; a save costs the card 8 kB, its zeros too: 0.8 MB a day, by the minute 12. */
const SAVE_EVERY_MS = 900_000

export function createLightAgent(ports: LightPorts): LightAgent {
  const { config, clock, timers, verifier } = ports
  const log = (level: 'info' | 'warn' | 'error', text: string, fault?: Fault) => ports.log(level, 'light', text, fault)
  const source = (rpc: LedgerRpc) => createSource(rpc, timers, deadlineMs)
  const store = createLightStore(ports.disk, ports.headers, config.chainId)
  const bench = { options: config, clock, verifier }
  const { followMs = FOLLOW_MS, rpcDeadlineMs: deadlineMs = RPC_DEADLINE_MS } = config
  // Whoever looks seldom has a head as old as that between two looks.
  const staleAfterMs = config.staleAfterMs ?? Math.max(STALE_AFTER_MS, followMs + 2 * deadlineMs)

  const roster = createRoster(source(ports.primary), ports.witnesses.map(source), clock, text => log('warn', text))
  /** Who served the newest verified block: its own word confirms nothing, whatever its place is meanwhile. */
  let shownBy: Source | undefined
  /** Since when a witness has not come to where the others are. */
  const behindSince = new Map<Source, Mono>()
  /** From the last block that a witness confirmed to the newest verified; empty before the start. */
  let trace: readonly VerifiedBlock[] = []
  /** Whether a witness has confirmed, since the start, what `trace` begins with. */
  let witnessed = false
  let roseAt = clock.mono()
  let savedAt = clock.mono()
  let promotedAt = clock.mono()
  /** Wall clock less monotonic clock when the head was last found good. */
  let offset: number | undefined
  let diverged: Fault | undefined
  let refusal: Fault | undefined
  let blocked: Fault | undefined
  /** By how much our wall clock is behind what two thirds of the validators have signed. */
  let behindMs: number | undefined
  /** Whether a witness claims to be further. */
  let othersAhead = false
  /** Of the primary that was given up last because it stood still. */
  let standing: Standing | undefined
  let health: LightHealth = { state: 'no-witness', since: clock.mono(), fault: noWitness(ports.witnesses.length) }
  const listeners = new Set<(health: LightHealth) => void>()
  const counts = { headersVerified: 0, proofsVerified: 0, refusals: 0 }
  let round: Promise<Result<void>> | undefined
  let cancelTimer: Cancel | undefined
  let stopped = false
  const wallOffset = () => clock.now() - clock.mono()

  function lag(): number | undefined {
    const head = trace.at(-1)
    return head && clock.quality() === 'synchronised' ? clock.now() - instantOf(head.header.time) : undefined
  }

  function settle(): void {
    const found = { blocked, idleMs: clock.mono() - roseAt, lagMs: lag(), staleAfterMs }
    const stepMs = offset === undefined ? 0 : wallOffset() - offset
    const ourClock = clockFault({ ...found, stepMs, behindMs, othersAhead, driftMs: config.maxClockDriftMs })
    const witnessing = { witnesses: roster.witnesses().length, witnessed }
    const { state, fault } = judge({ ...found, ...witnessing, diverged, refusal, ourClock })
    if (state === health.state && fault?.code === health.fault?.code) return
    health = { state, since: clock.mono(), ...(fault === undefined ? {} : { fault }) }
    log(state === 'ok' ? 'info' : state === 'diverged' ? 'error' : 'warn', `the light client is ${state}`, fault)
    for (const listener of listeners) listener(health)
    const head = trace.at(-1)
    if (head && (state === 'stale' || state === 'no-witness')) void noteState(store, state, fault, head, clock.now())
  }

  function keep(verified: readonly VerifiedBlock[], from: Source): void {
    if (verified.length < 2) return
    shownBy = from
    counts.headersVerified += verified.length - 1
    trace = thinned([...trace, ...verified.slice(1)])
    roseAt = clock.mono()
  }

  /** A source sent something false: keep it as evidence, go on without that source where there is another. */
  async function refuse(from: Source, fault: Fault, name: string, content: object): Promise<void> {
    counts.refusals++
    const wasPrimary = from === roster.primary()
    // A wrong clock of ours would say the same every second.
    if (fault.code !== refusal?.code) log('error', `${from.name} sent something that does not verify`, fault)
    if (wasPrimary) refusal = { ...fault, source: from.name }
    if (!maybeOurClock(fault)) {
      roster.bar(from)
      if (wasPrimary) promotedAt = clock.mono()
    }
    settle()
    if (maybeOurClock(fault)) return
    const saved = await store.saveEvidence(name, { source: from.name, fault, ...content })
    if (!saved.ok) log('error', 'evidence could not be saved', saved.fault)
  }

  const refuseBlock = (from: Source, fault: Fault, block: LightBlock): Promise<void> =>
    refuse(from, fault, `block-${block.header.height}-${toHex(hashHeader(block.header)).slice(0, 8)}`, {
      light_block: lightBlockJson(block),
    })

  function promoteWitness(): void {
    if (roster.promote()) promotedAt = clock.mono()
  }

  function silent(fault: Fault): Result<void> {
    const primary = roster.primary()
    primary.strikes++
    if (primary.strikes >= STRIKES_MAX) {
      primary.strikes = 0
      promoteWitness()
    }
    settle()
    return fail(fault)
  }

  async function followOnce(): Promise<Result<void>> {
    if (diverged !== undefined) return fail(diverged)
    const ground = trace.at(-1)
    if (ground === undefined) return begin()
    blocked = expiry(ground.header, config, clock.now())
    if (blocked !== undefined) {
      settle()
      return fail(blocked)
    }
    roster.readmit()
    const from = roster.primary()
    const status = await from.status()
    if (!status.ok) return silent(status.fault)
    if (status.value.chainId !== config.chainId) {
      const fault = { code: 'light.chain-id', expected: config.chainId, received: status.value.chainId }
      await refuse(from, fault, `chain-${from.name.replace(/\W+/g, '-')}`, {})
      return fail(fault)
    }
    const { verified, end } = await climb(bench, from, ground, status.value.height)
    keep(verified, from)
    if (end.kind === 'silent') return silent(end.fault)
    if (end.kind === 'refused') {
      const { fault, ...ours } = judgeRefusal(bench, end)
      behindMs = ours.behindMs
      if (behindMs === undefined) await refuseBlock(from, fault, end.block)
      else settle()
      return fail(fault)
    }
    from.strikes = 0
    refusal = undefined
    behindMs = undefined
    await compare()
    const late = (lag() ?? 0) > staleAfterMs
    if (!late) offset = wallOffset()
    othersAhead = late && (await someoneIsPast(roster.witnesses(), trace.at(-1)!.header.height))
    settle()
    // A primary that answers but stands still, or serves only what is old, is as good as silent.
    if (health.state === 'stale' && clock.mono() - promotedAt > staleAfterMs) {
      standing = { source: from.name, height: status.value.height, at: clock.now() }
      promoteWitness()
    } else if (standing !== undefined && status.value.height > standing.height) {
      await noteWithheld(bench, store, standing, from, ground)
      standing = undefined
    }
    return diverged === undefined ? done : fail(diverged)
  }

  /** Asks everybody but the one that served it for the header that we hold newest. */
  async function compare(): Promise<void> {
    if (trace.length === 1 && witnessed) return
    const asked = roster.everyone().filter(one => one !== (shownBy ?? roster.primary()))
    const ours = { trace, begun: witnessed, chainId: config.chainId, ageMs: staleAfterMs }
    const { confirmed, behind, waiting } = await confer({ ...ours, asked, passOver, examine: examineWitness })
    if (diverged !== undefined) return
    for (const one of behindSince.keys()) if (!behind.includes(one)) behindSince.delete(one)
    if (confirmed !== undefined) {
      trace = confirmed
      witnessed = true
      if (clock.mono() - savedAt >= SAVE_EVERY_MS) await saveTrusted()
    } else if (!waiting) witnessed = false
  }

  /** Whether nobody needs to wait for a source that is behind. */
  async function passOver(source: Source): Promise<boolean> {
    const now = clock.mono()
    const since = behindSince.get(source) ?? now
    behindSince.set(source, since)
    if (now - since <= 2 * config.maxClockDriftMs + WITNESS_LAG_MS) return false
    const found = await examineLate(bench, source, trace, config.chainId)
    if (found.kind === 'attack') await diverge(source, found.attack, found.witnessTrace)
    if (found.kind === 'refused') await refuseBlock(source, found.fault, found.block)
    return true
  }

  /** Follows a witness that has another header: it agrees after all, is refused, stays open, or proves a divergence. */
  async function examineWitness(
    witness: Source,
    part: readonly VerifiedBlock[],
  ): Promise<'agrees' | 'refused' | 'open'> {
    const step = await examineSource(bench, witness, part)
    if (step.kind === 'silent') {
      // A witness that contradicts and then falls silent holds payments up; it may do so only a few times.
      witness.strikes++
      if (witness.strikes >= STRIKES_MAX) roster.bar(witness)
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
    const { kind, ours, theirs } = attack
    const { height } = theirs.header
    const accused = shownBy ?? roster.primary()
    // Listeners first: the relays open before anything is written.
    diverged = {
      code: 'light.diverged',
      kind,
      height,
      primary: accused.name,
      witness: witness.name,
      hint: 'validators signed two chains: find out which one stands, then set ledger.trust.height above this height and ledger.trust.hash to its hash',
    }
    cancelTimer?.()
    settle()
    const name = `${kind}-${height}-${toHex(ours.hash).slice(0, 8)}-${toHex(theirs.hash).slice(0, 8)}`
    // Before anybody is asked for more, and before much is written: it keeps a restart from believing either chain.
    const marked = await store.markDiverged(height, name)
    if (!marked.ok) log('error', 'the divergence could not be marked', marked.fault)
    const accusation = await accuse(bench, accused, witness, attack, witnessTrace)
    const saved = await store.saveDivergence(name, accusationJson(accusation, accused.name, witness.name))
    if (!saved.ok) log('error', 'the evidence could not be saved', saved.fault)
    log('error', 'validators signed two chains', { code: 'light.byzantine', addresses: byzantineOf(accusation) })
    await report(accusation, accused, witness, log)
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

  const seeking = <T>(
    sources: () => readonly Source[],
    ask: (from: Source, under: VerifiedBlock) => Promise<Looked<T>>,
    atLeast: bigint,
  ) =>
    seek({
      waitMs: config.proveWaitMs ?? PROVE_WAIT_MS,
      clock,
      timers,
      atLeast,
      sources,
      ask,
      follow,
      under: () => (health.state === 'ok' ? trace[0] : undefined),
      obstacle,
      refusal: () => refusal,
      refuse: (from, under, { fault, shown }) =>
        refuse(from, fault, `proof-${under.header.height}-${toHex(under.hash).slice(0, 8)}`, {
          signed_header: signedHeaderJson(under.block),
          ...shown,
        }),
    }).then(found => {
      if (found.ok) counts.proofsVerified++
      return found
    })

  /** Finds the ground of trust where there is none yet. */
  async function begin(): Promise<Result<void>> {
    // What was said once is not said again each second.
    const told = blocked === undefined ? ports.log : () => {}
    const ground = await findGround(bench, store, config.trust, roster.everyone(), told)
    if (!ground.ok) {
      if (ground.fault.code === 'light.diverged') diverged = ground.fault
      else blocked = ground.fault
      settle()
      return ground
    }
    blocked = undefined
    trace = [ground.value]
    roseAt = clock.mono()
    log('info', `trust begins at height ${ground.value.header.height}`)
    return done
  }

  return {
    async start() {
      const level = trustLevelFault(config.trustLevel)
      if (level !== undefined) return fail({ ...level, hint: 'set trustLevel between 1/3 and 1' })
      const begun = await begin()
      if (begun.ok) await follow()
      if (!stopped && diverged === undefined) {
        const cancelFollow = timers.every(followMs, () => void follow())
        // Staleness shows in time, also while a round waits for a node that hangs.
        const cancelSettle = timers.every(SETTLE_MS, settle)
        cancelTimer = () => {
          cancelFollow()
          cancelSettle()
        }
      }
      return begun
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
    aheadOfLedger: () => aheadFault(clock.now(), trace.at(-1)?.header.time, config.maxClockDriftMs),
    follow,
    prove: (key, atLeast = 1n) =>
      seeking(
        () => [roster.primary()],
        (from, under) => lookUpKey(from, under, key, clock),
        atLeast,
      ),
    proveTx: hash => seeking(roster.everyone, (from, under) => lookUpTx(from, under, hash, config), 1n),
    headerAt: async height =>
      height < 1n
        ? fail({ code: 'light.height', expected: 'above 0', received: height })
        : seeking(roster.everyone, (from, under) => lookBack(from, under, height, config), height - 1n),
    pathTo: block => pathTo(bench, timers, roster.everyone(), config.trust, block),
    health: () => health,
    onHealth(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    sources: roster.views,
    stats: () => ({ ...counts }),
  }
}
