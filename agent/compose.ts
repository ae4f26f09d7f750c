/**
 * The composition root: from a site's configuration and a world to a running agent. Together with world.ts the only file
 * that names concrete drivers; everything else sees ports.
 */

import { createMqttProvider } from '../drivers/headers/mqtt-provider.ts'
import { startMqttRelay } from '../drivers/headers/mqtt-relay.ts'
import { openHeaderStore } from '../drivers/store/headers.ts'
import { openJournal } from '../drivers/store/journal.ts'
import { isRefusing } from '../drivers/store/journal-state.ts'
import { fromUtf8, utf8 } from '../protocol/bytes.ts'
import { addressOf } from '../protocol/crypto/hash.ts'
import { ueidOf } from '../protocol/identity/key.ts'
import { RULES } from '../protocol/ledger/tables.ts'
import type { What } from '../protocol/reading/event.ts'
import { done, type Fault, ok, type Result } from '../protocol/result.ts'
import { DEFAULT_LIMITS, type Limits } from '../protocol/safety/facts.ts'
import type { Mono } from '../protocol/time.ts'
import type { DirectLineConfig, SiteConfig } from './config/site-config.ts'
import { openDevices } from './devices.ts'
import { createEvidence } from './evidence.ts'
import { createHealth, type Health } from './health.ts'
import { BOOT, DEAL, HEARD, INTENT, keepForRestart } from './keeping.ts'
import { checkOwnKeys } from './key-history.ts'
import { createLightAgent, type LightAgent } from './light/run.ts'
import { unbondingFault } from './light/unbonding.ts'
import { endOf } from './line-end.ts'
import { startAnchors } from './metering/anchors.ts'
import { createEventChain, EVENT_KIND, restoreEvents } from './metering/events.ts'
import { createFrameCounters } from './metering/frame-counters.ts'
import { createHeads } from './metering/heads.ts'
import type { History } from './metering/history.ts'
import { signJournalEvents } from './metering/journal-events.ts'
import { createOcmfBook, recordDays, recordDeals } from './metering/ocmf.ts'
import { createMetering, type Metering } from './metering/run.ts'
import { createRelayControl, type RelayControl } from './relays/run.ts'
import { readWelds, writeWelds } from './relays/welds.ts'
import { openSiteHistory } from './site-history.ts'
import { createLedgerAccount, type LedgerAccount } from './trading/account.ts'
import { createPost, type Post } from './trading/post.ts'
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
/** Make of the gateway, as OCMF records name it. */
const GATEWAY = 'Tieline'
/** Of CometBFT: a third of the trusted power vouches for a header that was skipped to. */
const TRUST_LEVEL = { numerator: 1, denominator: 3 }

export interface Agent {
  readonly config: SiteConfig
  readonly metering: Metering
  readonly light: LightAgent
  readonly relays: RelayControl
  readonly trading: Trading
  readonly post: Post
  readonly account: LedgerAccount
  readonly health: Health
  /** Undefined where its index cannot be opened; everything else goes on. */
  readonly history: History | undefined
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
  const { clock, timers, log } = world
  const closers: (() => Promise<unknown> | unknown)[] = []
  const giveUp = async <T extends { readonly ok: false }>(failed: T): Promise<T> => {
    for (const close of closers.reverse()) await close()
    return failed
  }
  const health = createHealth(clock, log)

  const keys = await world.openKeys(config.keys)
  if (!keys.ok) return keys
  closers.push(() => keys.value.close?.())
  const state = await world.openDisk(`${config.data}/state`)
  if (!state.ok) return giveUp(state)
  closers.push(() => state.value.close?.())
  const journalDisk = await world.openDisk(`${config.data}/journal`)
  if (!journalDisk.ok) return giveUp(journalDisk)
  closers.push(() => journalDisk.value.close?.())

  // --- What was before
  let trading: Trading | undefined
  let unwritable: Fault | undefined
  const opened = await openJournal({
    disk: journalDisk.value,
    clock,
    timers,
    entropy: world.entropy,
    owner: ueidOf(keys.value.account.publicKey),
    keeping: keepForRestart,
    retention: { ms: config.journal.keepMs, bytes: config.journal.bytes },
    onHealth: fault => {
      unwritable = isRefusing(fault) ? fault : undefined
      health.set('journal', unwritable)
      health.set('disk.journal', unwritable === undefined ? fault : undefined)
      trading?.onJournal(unwritable)
    },
    ...(config.bench ? { segmentBytes: BENCH_SEGMENT_BYTES } : {}),
  })
  if (!opened.ok) return giveUp(opened)
  const journal = opened.value
  closers.push(() => journal.close())
  const entitled = checkOwnKeys(journal.kept(), keys.value, world.verifier)
  if (!entitled.ok) return giveUp(entitled)
  // --- Meters and relays
  const frameCounters = createFrameCounters(state.value, timers, log)
  closers.push(frameCounters.close)
  const devices = await openDevices(config, world, { ...seams, frameCounters })
  if (!devices.ok) return giveUp(devices)
  closers.push(() => devices.value.close())
  const { meters, relay } = devices.value

  const metering = createMetering({
    meters: [...meters].map(([name, meter]) => {
      const { everyMs, id } = config.meters[name]!
      const pinned = id === undefined ? {} : { meterId: id }
      const onLine = config.directLines.some(line => line.meter === name)
      const restMs = onLine ? config.rest?.lineMetersMs : undefined
      const resting = restMs === undefined ? {} : { restMs }
      return { name, meter, periodMs: everyMs, staleMs: STALE_PERIODS * (restMs ?? everyMs), ...pinned, ...resting }
    }),
    signer: keys.value.metering,
    identity: {
      device: ueidOf(keys.value.account.publicKey),
      software: world.software,
      trust: keys.value.metering.trust,
      // Lost, it is still the time that the source gave: a flapping one must not make a context each time.
      timeSource: () => (/^(synchronised|relative)$/.test(clock.quality()) ? 'ntp' : 'system'),
    },
    journal,
    clock,
    timers,
    log,
    health: health.set,
    onEvent: what => void signClockEvent(what),
  })
  const signer = keys.value.ocmf
  const book = signer && createOcmfBook({ signer, journal, station: { gateway: GATEWAY } })
  let boots = 0
  let heard: Uint8Array | undefined
  let lastEvent: Uint8Array | undefined
  const deals: Uint8Array[] = []
  for (const record of journal.kept()) {
    metering.restore(record)
    book?.restore(record)
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
    signer: keys.value.metering,
    journal,
    clock: { ...clock, quality: metering.timeQuality },
    device: ueidOf(keys.value.account.publicKey),
    boot: () => bootCount,
    restored: eventEnd.value,
  })
  for (const cut of journal.cuts) health.set('journal.cut', { code: 'journal.cut', ...cut })
  async function signClockEvent(what: What): Promise<void> {
    const signed = await events.sign(what)
    // The readings say by themselves that the clock was set; only the step's own record is missing.
    if (!signed.ok) log('warn', 'metering', 'what happened to the clock is not on record', signed.fault)
  }
  if (book !== undefined) {
    recordDeals(metering, book, health.set)
    recordDays(metering, book, health.set)
    closers.push(() => book.idle())
  }
  const history = await openSiteHistory(config, world, journal, health)
  if (history !== undefined) {
    closers.push(history.stop)
    metering.onSigned(history.onSigned)
  }
  const metered = metering.start(bootCount)
  if (!metered.ok) return giveUp(metered)
  closers.push(signJournalEvents({ journal, events, timers, log }))
  const worn = watchWear({ journal, metering, clock, timers, log })
  closers.push(() => metering.stop(), worn.stop)

  // --- Ledger
  const bus = await world.openBus(config.brokers)
  if (!bus.ok) return giveUp(bus)
  closers.push(() => bus.value.close())
  const openSource = (source: string) =>
    source.startsWith('mqtt:')
      ? createMqttProvider({ bus: bus.value, relay: source.slice(5), timers, entropy: world.entropy })
      : world.openLedger(source)
  const primary = openSource(config.ledger.primary)
  const witnesses = config.ledger.witnesses.map(openSource)
  if (config.ledger.relayAs !== undefined) {
    const served = { bus: bus.value, name: config.ledger.relayAs, node: primary }
    const relaying = await startMqttRelay({ ...served, clock, timers, log })
    if (!relaying.ok) return giveUp(relaying)
    closers.push(() => relaying.value.stop())
  }
  const headers = await openHeaderStore({
    disk: state.value,
    clock,
    chainId: config.ledger.chain,
    ...(config.bench ? { segmentBytes: BENCH_SEGMENT_BYTES } : {}),
  })
  if (!headers.ok) return giveUp(headers)
  closers.push(() => headers.value.close())
  const plainLight = createLightAgent({
    config: {
      chainId: config.ledger.chain,
      trust: config.ledger.trust,
      trustingPeriodMs: config.ledger.trustingPeriodMs,
      maxClockDriftMs: config.ledger.maxClockDriftMs,
      trustLevel: TRUST_LEVEL,
      followMs: config.ledger.followMs,
      ...(config.ledger.staleAfterMs === undefined ? {} : { staleAfterMs: config.ledger.staleAfterMs }),
    },
    primary,
    witnesses,
    clock,
    timers,
    disk: state.value,
    headers: headers.value,
    verifier: world.verifier,
    log,
  })
  const light = seams.light?.(plainLight) ?? plainLight
  let rulesKnown = false
  async function readRules(): Promise<void> {
    if (rulesKnown) return
    rulesKnown = true
    const proven = await light.prove(utf8(RULES.prefix))
    if (proven.ok) health.set('light.rules', unbondingFault(proven.value.value, config.ledger.trustingPeriodMs))
    else rulesKnown = false
  }
  light.onHealth(now => {
    if (now.state === 'ok') void readRules()
    health.set('light', now.state === 'ok' ? undefined : (now.fault ?? { code: `light.${now.state}` }))
    if (now.state === 'refused' || now.state === 'diverged')
      trading?.onLightRefusal(now.fault ?? { code: 'light.refused' })
  })
  const followed = await light.start()
  closers.push(() => light.stop())
  // Without trust in the ledger no relay closes; the meters are read and signed all the same.
  if (!followed.ok) log('error', 'light', `nothing of the ledger is believed yet: ${followed.fault.code}`)
  const account = createLedgerAccount({
    chainId: config.ledger.chain,
    signer: keys.value.account,
    light,
    nodes: [primary, ...witnesses],
    log,
  })

  // --- Neighbours
  const plainPost = createPost({
    bus: bus.value,
    clock,
    timers,
    entropy: world.entropy,
    signer: keys.value.account,
    sealingKey: keys.value.sealing,
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
  const welds = await readWelds(state.value)
  if (!welds.ok) return giveUp(welds)
  let relays: RelayControl
  const evidence = createEvidence(state.value, clock.now)
  const limitsOf = (line: DirectLineConfig): Limits => {
    const limits = { ...DEFAULT_LIMITS, ...config.safety, phases: line.circuit?.phases ?? 1, limitMa: line.limit }
    return seams.limits?.(limits) ?? limits
  }
  const made = createTrading({
    config,
    limitsOf,
    account,
    signer: keys.value.account,
    post,
    bus: bus.value,
    light,
    metering,
    relays: () => relays,
    clock,
    timers,
    entropy: world.entropy,
    verifier: world.verifier,
    log,
    record: bytes => journal.append(DEAL, bytes, { urgent: true }),
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
    welds: welds.value,
    keepWelds: all => writeWelds(state.value, all),
    onEvent: made.onRelayEvent,
    clock,
    timers,
    log,
  })
  closers.push(() => relays.stop())
  made.restore(deals)
  made.start()
  const peers = Object.entries(config.peers).map(([name, { account: publicKey }]) => ({ name, publicKey }))
  const parts = { journal, clock, log, health: health.set }
  const { verifier } = world
  const heads = createHeads({ ...parts, signer: keys.value.account, peers, post, timers, verifier, evidence })
  // A bench's segments are finished every minute, and its coins are counted.
  if (!config.bench) startAnchors({ ...parts, account, light, heads })
  heads.start()
  closers.push(() => {
    heads.stop()
    made.stop()
    post.stop()
  })
  return ok({
    config,
    metering,
    light,
    relays,
    trading: made,
    post,
    account,
    health,
    history,
    bootCount,
    wear: worn.wear,
    async stop() {
      for (const close of closers.reverse()) await close()
    },
  })
}
