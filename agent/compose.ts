/**
 * The composition root: from a site's configuration and a world to a running agent. Together with world.ts the only file
 * that names concrete drivers; everything else sees ports.
 */

import { blindRsa } from '../drivers/crypto/blind-rsa.ts'
import { createPssVerifier } from '../drivers/crypto/pss-verifier.ts'
import { createSigner } from '../drivers/crypto/signer.ts'
import { openLazily } from '../drivers/optimiser/lazy.ts'
import { type Journal, openJournal } from '../drivers/store/journal.ts'
import { isRefusing } from '../drivers/store/journal-state.ts'
import { fromUtf8, utf8 } from '../protocol/bytes.ts'
import { addressOf } from '../protocol/crypto/hash.ts'
import { ueidOf } from '../protocol/identity/key.ts'
import { wattHours } from '../protocol/quantity.ts'
import type { What } from '../protocol/reading/event.ts'
import { done, type Fault, ok, type Result } from '../protocol/result.ts'
import { DEFAULT_LIMITS, type Limits } from '../protocol/safety/facts.ts'
import type { Mono } from '../protocol/time.ts'
import { openBrokers } from './brokers.ts'
import type { Charging } from './charging/run.ts'
import type { Sessions } from './charging/sessions.ts'
import { openLedgerView } from './compose-ledger.ts'
import type { DirectLineConfig, SiteConfig } from './config/site-config.ts'
import { createEvidence } from './evidence.ts'
import { createHealth, type Health } from './health.ts'
import { BOOT, DEAL, HEARD, INTENT, keepForRestart } from './keeping.ts'
import { checkOwnKeys } from './key-history.ts'
import type { LightAgent } from './light/run.ts'
import { endOf } from './line-end.ts'
import { startAnchors } from './metering/anchors.ts'
import { createEventChain, EVENT_KIND, restoreEvents } from './metering/events.ts'
import { createHeads } from './metering/heads.ts'
import type { History } from './metering/history.ts'
import { signJournalEvents } from './metering/journal-events.ts'
import { createMetering, type Metering } from './metering/run.ts'
import { openAtOnce } from './open-at-once.ts'
import { createParts, type Parts } from './parts.ts'
import { readKept } from './relays/kept.ts'
import { createRelayControl, type RelayControl } from './relays/run.ts'
import type { LedgerView } from './roles/part.ts'
import { bothFollow, openSiteCharging } from './site-charging.ts'
import { dealRecorder, openSiteHistory } from './site-history.ts'
import { openSiteRecords } from './site-records.ts'
import type { LedgerAccount } from './trading/account.ts'
import { createPastDeals, type PastDeals } from './trading/past-deals.ts'
import { createPost, type Post } from './trading/post.ts'
import { createReceipts, type Receipts } from './trading/receipts.ts'
import { createTrading } from './trading/run.ts'
import type { Trading } from './trading/trading.ts'
import { type Wear, watchWear } from './wear.ts'
import type { World } from './world.ts'

/** The control loop of the relays must come round this often, or the watchdog is not fed. */
const WATCHDOG_MS = 250
/** A meter that has missed this many periods has no latest reading: the page and the seller's surplus show nothing then. */
const STALE_PERIODS = 5
/** A bench site lives for minutes: it need not make 16 MiB of zeros for each of five journals. */
const BENCH_SEGMENT_BYTES = 256 * 1024

export interface Agent {
  readonly config: SiteConfig
  readonly metering: Metering
  readonly light: LightAgent
  /** Of the distribution ledger; undefined where none is named. */
  readonly distribution: LightAgent | undefined
  readonly relays: RelayControl
  /** Undefined where the site has no chargers. */
  readonly charging: Charging | undefined
  /** Undefined where no charger has a meter of its own. */
  readonly sessions: Sessions | undefined
  readonly trading: Trading
  /** What its configuration names beside direct lines. */
  readonly parts: Parts
  readonly grid: Parts['grid']
  readonly post: Post
  readonly account: LedgerAccount
  readonly journal: Journal
  readonly health: Health
  /** Undefined where its index cannot be opened; everything else goes on. */
  readonly history: History | undefined
  /** Those that its journal has and it carries no longer. */
  readonly pastDeals: PastDeals
  readonly receipts: Receipts
  readonly bootCount: number
  /** What writing the journal costs its card. */
  wear(): Wear
  /** Opens every contact, finishes the journal, closes every line. */
  stop(): Promise<void>
}

/** Where a test takes one defence out, or makes one part lie; the product never passes any. */
export interface Seams {
  readonly world?: (world: World) => World
  readonly light?: (light: LightAgent) => LightAgent
  readonly limits?: (limits: Limits) => Limits
  readonly post?: (post: Post) => Post
  readonly lateAnswerDefence?: boolean
}

export async function startAgent(config: SiteConfig, realWorld: World, seams: Seams = {}): Promise<Result<Agent>> {
  const world = seams.world?.(realWorld) ?? realWorld
  const { clock, timers, log, verifier } = world
  const closers: (() => Promise<unknown> | unknown)[] = []
  const giveUp = async <T extends { readonly ok: false }>(failed: T): Promise<T> => {
    for (const close of closers.reverse()) await close()
    return failed
  }
  const health = createHealth(clock, log)

  const atOnce = await openAtOnce(config, world, {
    ...{ ...seams, health: health.set },
    closing: close => void closers.push(close),
  })
  if (!atOnce.ok) return giveUp(atOnce)
  const { keys, state, journalDisk, held, devices, begun } = atOnce.value
  const { meters, relay } = devices

  // --- What was before
  let trading: Trading | undefined
  let parts: Parts | undefined
  let unwritable: Fault | undefined
  const opened = await openJournal({
    disk: journalDisk,
    held,
    clock,
    timers,
    entropy: world.entropy,
    owner: ueidOf(keys.account.publicKey),
    keeping: keepForRestart,
    retention: { ms: config.journal.keepMs, bytes: config.journal.bytes },
    onHealth: fault => {
      unwritable = isRefusing(fault) ? fault : undefined
      health.set('journal', unwritable)
      health.set('disk.journal', unwritable === undefined ? fault : undefined)
      trading?.onJournal(unwritable)
      parts?.grid?.onJournal(unwritable)
    },
    ...(config.bench ? { segmentBytes: BENCH_SEGMENT_BYTES } : {}),
  })
  if (!opened.ok) return giveUp(opened)
  const journal = opened.value
  closers.push(() => journal.close())
  const entitled = checkOwnKeys(journal.kept(), keys, world.verifier)
  if (!entitled.ok) return giveUp(entitled)
  // --- Meters and relays
  const metering = createMetering({
    meters: [...meters].map(([name, meter]) => {
      const { everyMs, id } = config.meters[name]!
      const pinned = id === undefined ? {} : { meterId: id }
      const onLine = config.directLines.some(line => line.meter === name)
      const restMs = onLine ? config.rest?.lineMetersMs : undefined
      const resting = restMs === undefined ? {} : { restMs }
      const times = { periodMs: everyMs, staleMs: STALE_PERIODS * (restMs ?? everyMs), ...resting }
      return { name, meter, ...times, ...pinned, begun: begun.get(name) }
    }),
    signer: keys.metering,
    identity: {
      device: ueidOf(keys.account.publicKey),
      software: world.software,
      trust: keys.metering.trust,
      // Lost, it is still the time that the source gave: a flapping one must not make a context each time.
      timeSource: () => (/^(synchronised|relative)$/.test(clock.quality()) ? 'ntp' : 'system'),
    },
    journal,
    clock,
    timers,
    log,
    health: health.set,
    onEvent: what => void signClockEvent(what),
    signAtStart: true,
  })
  const opening = { keys, metering, journal, health: health.set }
  const records = openSiteRecords(config, world, opening)
  if (!records.ok) return giveUp(records)
  const { sessions } = records.value
  let boots = 0
  let heard: Uint8Array | undefined
  let lastEvent: Uint8Array | undefined
  const deals: Uint8Array[] = []
  for (const record of journal.kept()) {
    metering.restore(record)
    records.value.restore(record)
    if (record.kind === BOOT) boots = Number(fromUtf8(record.bytes))
    if (record.kind === DEAL) deals.push(record.bytes)
    if (record.kind === HEARD) heard = record.bytes
    if (record.kind === EVENT_KIND) lastEvent = record.bytes
  }
  const bootCount = boots + 1
  const eventEnd = lastEvent === undefined ? ok(undefined) : restoreEvents(lastEvent)
  if (!eventEnd.ok) return giveUp(eventEnd)
  const booted = await journal.append(BOOT, utf8(String(bootCount)), { urgent: true })
  if (!booted.ok) return giveUp(booted)
  const events = createEventChain({
    signer: keys.metering,
    journal,
    clock: { ...clock, quality: metering.timeQuality },
    device: ueidOf(keys.account.publicKey),
    boot: () => bootCount,
    restored: eventEnd.value,
  })
  for (const cut of journal.cuts) health.set('journal.cut', { code: 'journal.cut', ...cut })
  async function signClockEvent(what: What): Promise<void> {
    const signed = await events.sign(what)
    // The readings say by themselves that the clock was set; only the step's own record is missing.
    if (!signed.ok) log('warn', 'metering', 'what happened to the clock is not on record', signed.fault)
  }
  records.value.start()
  closers.push(records.value.stop)
  const history = await openSiteHistory(config, world, journal, health)
  if (history !== undefined) {
    closers.push(history.stop)
    metering.onSigned(history.onSigned)
  }
  const recordDeal = dealRecorder(journal, history)
  const metered = metering.start(bootCount)
  if (!metered.ok) return giveUp(metered)
  closers.push(signJournalEvents({ journal, events, timers, log }))
  const worn = watchWear({ journal, metering, clock, timers, log })
  closers.push(() => metering.stop(), worn.stop)

  // --- Ledger
  const { bus, close: closeBus } = await openBrokers(config, world, health)
  closers.push(closeBus)
  const segmentBytes = config.bench ? BENCH_SEGMENT_BYTES : undefined
  const following = {
    ...{ world, bus, segmentBytes, signer: keys.account, health: health.set },
    closing: (close: () => unknown) => void closers.push(close),
  }
  const energy = await openLedgerView({
    ...{ ...following, ledger: config.ledger, name: 'light', disk: state, seam: seams.light },
    onRefusal: fault => trading?.onLightRefusal(fault),
  })
  if (!energy.ok) return giveUp(energy)
  const { light, account } = energy.value
  const distribution = await openDistribution()
  if (!distribution.ok) return giveUp(distribution)
  async function openDistribution(): Promise<Result<LedgerView | undefined>> {
    if (config.distribution === undefined) return ok(undefined)
    const disk = await world.openDisk(`${config.data}/distribution`)
    if (!disk.ok) return disk
    closers.push(() => disk.value.close?.())
    // What of a reservation was believed already stands on the energy ledger by its own rules: nothing here needs to open.
    const named = { ledger: config.distribution, name: 'light.distribution', disk: disk.value, seam: undefined }
    return openLedgerView({ ...following, ...named, onRefusal: () => {} })
  }

  // --- Neighbours
  const plainPost = createPost({
    bus,
    clock,
    timers,
    entropy: world.entropy,
    signer: keys.account,
    sealingKey: keys.sealing,
    peers: Object.entries(config.peers).map(([name, { account: publicKey, sealing }]) => ({
      name,
      publicKey,
      address: addressOf(publicKey),
      sealingKey: sealing,
    })),
    epoch: bootCount,
    verifier: world.verifier,
    log,
    journal: { state: heard, save: bytes => journal.append(HEARD, bytes, { urgent: true }) },
  })
  const post = seams.post?.(plainPost) ?? plainPost

  let fed: Mono | undefined = clock.mono()
  closers.push(
    timers.every(WATCHDOG_MS, () => {
      fed = clock.mono()
    }),
  )
  const kept = await readKept(state)
  if (!kept.ok) return giveUp(kept)
  let relays: RelayControl
  const evidence = createEvidence(state, clock.now)
  const limitsOf = (line: DirectLineConfig): Limits => {
    const limits = { ...DEFAULT_LIMITS, ...config.safety, phases: line.circuit?.phases ?? 1, limitMa: line.limit }
    return seams.limits?.(limits) ?? limits
  }
  const made = createTrading({
    config,
    limitsOf,
    account,
    signer: keys.account,
    post,
    bus,
    light,
    metering,
    relays: () => relays,
    clock,
    timers,
    ...(config.battery === undefined ? {} : { spare: () => parts?.battery?.spare() }),
    soldOverGrid: window => parts?.grid?.promised(window, 'seller') ?? wattHours(0n),
    entropy: world.entropy,
    verifier,
    log,
    record: recordDeal,
    health: health.set,
    saveEvidence: evidence,
  })
  trading = made
  made.onJournal(unwritable)
  relays = createRelayControl({
    ends: config.directLines.map(line => endOf(line, limitsOf(line), relay)),
    facts: made.facts,
    meterOf: line => metering.latest(config.directLines.find(({ id }) => id === line)!.meter)?.reading,
    watchdogFed: () => fed,
    ...(config.rest === undefined ? {} : { restMs: config.rest.lookMs }),
    intend: async contact => {
      const recorded = await journal.append(INTENT, utf8(contact), { urgent: true })
      return recorded.ok ? done : recorded
    },
    ...kept.value,
    onEvent: made.onRelayEvent,
    health: health.set,
    clock,
    timers,
    log,
  })
  closers.push(() => relays.stop())
  const around = { devices, metering, sessions, watchdogFed: () => fed, health: health.set }
  const charging = await openSiteCharging(config, world, around)
  if (!charging.ok) return giveUp(charging)
  closers.push(() => charging.value?.stop())
  made.restore(deals)
  made.start()
  const peers = Object.entries(config.peers).map(([name, { account: publicKey }]) => ({ name, publicKey }))
  const shared = { journal, clock, log, health: health.set }
  const heads = createHeads({ ...shared, signer: keys.account, peers, post, timers, verifier, evidence })
  // A bench's segments are finished every minute, and its coins are counted.
  if (!config.bench && config.ledger !== undefined) startAnchors({ ...shared, account, light, heads })
  heads.start()
  const optimiser = config.storage === undefined ? undefined : openLazily()
  const running = createParts({
    optimiser,
    certifying: { ...blindRsa, createSigner, verifyPss: createPssVerifier(), sealing: keys.sealing },
    ...{ config, journal, clock, timers, log, verifier, post, metering, health: health.set },
    ...{ signer: keys.account, entropy: world.entropy, saveEvidence: evidence },
    ...{ energy: energy.value, distribution: distribution.value, direct: made.deals },
    ...{
      dispatch: bothFollow(charging.value, world.dispatch),
      readState: world.readState,
      history,
      recordDeal,
      offsetAt: world.offsetAt,
    },
  })
  parts = running
  running.grid?.onJournal(unwritable)
  running.start()
  closers.push(() => {
    heads.stop()
    parts?.stop()
    made.stop()
    post.stop()
  })
  const pastDeals = createPastDeals(history, journal)
  const receipts = createReceipts({
    ...{ post, peers: config.peers, clock, timers, verifier, past: pastDeals, record: recordDeal },
    running: () => [...made.deals(), ...(running.grid?.deals() ?? [])],
  })
  return ok({
    config,
    metering,
    light,
    distribution: distribution.value?.light,
    relays,
    charging: charging.value,
    sessions,
    trading: {
      ...made,
      windDown() {
        made.windDown()
        running.windDown()
      },
    },
    parts: running,
    grid: running.grid,
    ...{ post, account, journal, health, history, bootCount },
    ...{ pastDeals, receipts },
    wear: worn.wear,
    async stop() {
      for (const close of closers.reverse()) await close()
    },
  })
}
