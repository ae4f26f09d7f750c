/** The deals over the grid of one site: begun, carried through both ledgers, and remembered for what they say of a peer. */
import { equalBytes, toHex, utf8 } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { PEERS } from '../../protocol/ledger/network-tables.ts'
import type { Promises } from '../../protocol/market/reverse-auction.ts'
import { costCeil, type Price, wattHours } from '../../protocol/quantity.ts'
import { registerEnergy } from '../../protocol/reading/reading.ts'
import { decodeAs } from '../../protocol/record.ts'
import { done, fail, ok, type Result } from '../../protocol/result.ts'
import type { Instant, Mono } from '../../protocol/time.ts'
import type { Party } from '../../protocol/trade/contract.ts'
import { openDeal } from '../../protocol/trade/deal.ts'
import { decodeDeal } from '../../protocol/trade/deal-codec.ts'
import { type Deal, type Input, isOver, type Metered, overGrid, type Step } from '../../protocol/trade/deal-state.ts'
import type { Body, BodyOf } from '../../protocol/trade/message.ts'
import { dealEnergy, dealRegister, wholeBetween } from '../../protocol/trade/receipt.ts'
import type { GridConfig } from '../config/site-config.ts'
import type { PartOptions } from '../roles/part.ts'
import type { Across } from '../trading/deal-ledgers.ts'
import { createDealRunner, type DealRunner } from '../trading/deal-runner.ts'
import { createPeerMeters } from '../trading/peer-meter.ts'
import type { DealInfo } from '../trading/trading.ts'
import { createBring } from './bring.ts'
import type { Agreed } from './decide.ts'

/** Ended deals that are still shown: two days of quarter hours. */
const KEPT_DEALS = 200
/** A begin reading waits so long for the end readings of the slot before: two tries of a meter that does not answer. */
const BOUNDARY_MS = 8_000
const BOUNDARY_LOOK_MS = 100
/** MAX_FOLLOWED heights of at most nine bytes, and six fields. */
const MAX_PEER_BYTES = 2048

export interface GridDealsOptions extends PartOptions {
  readonly grid: GridConfig
  /** Those who are traded with, by name. */
  readonly peers: ReadonlyMap<string, Uint8Array>
  recordDeal(bytes: Uint8Array): Promise<Result<unknown>>
  /** A reservation was handed in for this contract hash: what it holds is to be paid or given back. */
  reserved(deal: Uint8Array): void
  /** The distributor's signed offer for a contract; undefined where its tariffs hold. */
  feeOffer(deal: Deal): Promise<Result<Uint8Array | undefined>>
  /** Loads, generation or storage of this site, for or no longer for a deal. */
  dispatch(deal: Deal, on: boolean): void
}

export interface GridDeals {
  /** Either our own contract, to be signed first by us, or one that comes with the other's half. `fee` is for a seller. */
  open(
    peer: string,
    role: Party,
    bytes: Uint8Array,
    requested: Mono,
    more: { readonly half?: Uint8Array; readonly fee?: Price },
  ): Result<void>
  /** Whether a deal of this negotiation is known; it hears the word. */
  hearOf(peer: string, body: BodyOf<'decline' | 'accept'>): boolean
  hear(peer: string, body: BodyOf<'countersign' | 'reserved' | 'committed' | 'stop' | 'stopped' | 'receipt-copy'>): void
  restore(records: Iterable<Uint8Array>): void
  /** What the own meter has counted so far goes to the deals that flow. */
  count(): void
  /** What is not in vain for ever is given to every deal that is not over. */
  feedAll(input: Input): void
  contracted(): readonly Agreed[]
  promisesOf(peer: string): Promises | undefined
  broken(peer: string): void
  all(): readonly DealInfo[]
  stats(): { readonly signed: number; readonly settled: number; readonly paid: bigint; readonly earned: bigint }
  /** How long a reservation outlives its deal is asked for until it is known. */
  learnMargin(): void
  stop(): void
}

export function createGridDeals(options: GridDealsOptions): GridDeals {
  const { grid, config, clock, timers, log, metering, post, energy, distribution, peers } = options
  const deals: DealInfo[] = []
  const promises = new Map<string, Promises>()
  const judged = new WeakSet<DealRunner>()
  const peerMeters = createPeerMeters(options, 'grid')
  const counts = { signed: 0, settled: 0, paid: 0n, earned: 0n }
  let relayMarginMs: number | undefined
  const send = (peer: string, body: Body) => void post.send(peer, body, { reliable: true })
  const bring = { clock, timers, log }
  const across: Omit<Across, 'feeMost' | 'feeOffer'> | undefined =
    distribution === undefined
      ? undefined
      : {
          distribution,
          toEnergy: createBring({ from: distribution, to: energy, ...bring }),
          toDistribution: createBring({ from: energy, to: distribution, ...bring }),
        }

  function open(
    peer: string,
    role: Party,
    bytes: Uint8Array,
    requested: Mono,
    more: { readonly half?: Uint8Array; readonly fee?: Price },
  ): Result<void> {
    const peerKey = peers.get(peer)!
    const [sellerKey, buyerKey] =
      role === 'seller' ? [options.signer.publicKey, peerKey] : [peerKey, options.signer.publicKey]
    const draft = {
      ...{ role, bytes, sellerKey, buyerKey },
      ...(more.half === undefined ? {} : { peerHalf: more.half }),
      reserve: distribution === undefined ? (false as const) : { relayMarginMs: relayMarginMs ?? 0 },
    }
    // A second runner of one contract would overwrite, and end, what the journal keeps of the first.
    if (deals.some(({ runner }) => equalBytes(runner.deal().bytes, bytes)))
      return fail({ code: 'grid.contract-known', peer, role })
    const opened = openDeal(draft, { wall: clock.now(), mono: clock.mono() }, options.verifier)
    if (!opened.ok) return opened
    counts.signed++
    begin(peer, opened.value, requested, more.fee)
    return done
  }

  function begin(peer: string, { deal, outputs }: Step, requested: Mono, fee: Price | undefined): DealRunner {
    const name = toHex(deal.hash).slice(0, 8)
    const runner: DealRunner = createDealRunner(deal, outputs, {
      ...{ clock, timers, log, verifier: options.verifier, signer: options.signer },
      ...{ light: energy.light, account: energy.account },
      ...(across === undefined
        ? {}
        : {
            across: {
              ...across,
              feeOffer: options.feeOffer,
              // After a restart the offer is gone; more than the buyer pays the seller never gives on.
              feeMost: ({ contract }) => costCeil(contract.energy, fee ?? contract.price),
            },
          }),
      send(body) {
        send(peer, body)
        if ((body.kind !== 'reserved' && body.kind !== 'committed') || config.distribution === undefined) return
        // The fee is the distributor's to claim. A seller that keeps silent would have it back, so the buyer tells as well.
        send(config.distribution.distributor, { ...body, kind: 'reserved' })
        // Where the distributor is gone, it is the seller's to close.
        if (body.kind === 'reserved') options.reserved(body.hash)
      },
      open: () => {},
      close: () => {},
      dispatch: on => options.dispatch(runner.deal(), on),
      signReading: which => signFor(runner.deal(), which),
      record: options.recordDeal,
      health: (what, fault) => options.health(`${what}.${name}`, fault),
      onRefused: (fault, bytes = []) => options.saveEvidence(fault, bytes),
      onChange: () => timers.after(0, () => judge(peer, runner)),
    })
    deals.unshift({ runner, peer, requested })
    for (let at = deals.length - 1; at >= KEPT_DEALS; at--) if (deals[at]!.runner.over()) deals.splice(at, 1)
    return runner
  }

  /** What a deal says of its peer, once it is over. */
  function judge(peer: string, runner: DealRunner): void {
    const { role, state, settlement, contract, ownWh, cause } = runner.deal()
    if (judged.has(runner) || !['settled', 'refunded', 'aborted', 'expired'].includes(state)) return
    judged.add(runner)
    const paid = settlement?.paid ?? 0n
    if (state === 'settled') {
      counts.settled++
      if (role === 'buyer') counts.paid += paid
      else counts.earned += paid
    }
    if (role === 'seller') return
    if (paid * 10n >= costCeil(contract.energy, contract.price) * 9n) keep(peer, true)
    else if (ownWh !== undefined && ownWh >= contract.energy) keep(peer, false)
    else if (cause !== undefined && /^deal\.(peer-|declined|not-reserved|reservation-)/.test(cause.code))
      keep(peer, false)
  }

  function keep(peer: string, kept: boolean): void {
    const before = promises.get(peer) ?? { kept: 0, broken: 0 }
    promises.set(peer, kept ? { ...before, kept: before.kept + 1 } : { ...before, broken: before.broken + 1 })
  }

  /**
   * A begin reading comes after the end readings of the slot before: what two windows of a meter have counted never overlaps.
   */
  async function signFor(deal: Deal, which: 'begin' | 'end'): Promise<Result<Metered>> {
    if (which === 'begin') {
      const until = clock.mono() + BOUNDARY_MS
      while (clock.mono() < until && deals.some(({ runner }) => countsUntil(runner.deal(), deal.contract.start)))
        await timers.sleep(BOUNDARY_LOOK_MS)
    }
    const direction = deal.role === 'seller' ? ('export' as const) : ('import' as const)
    const session = { contract: deal.hash, line: grid.node, direction }
    const signed = await metering.sign(grid.meter, which, session)
    if (!signed.ok) return signed
    const register = dealEnergy(signed.value.reading, deal.role)
    if (!register.ok) return register
    return ok({ envelope: signed.value.envelope, context: signed.value.context, register: register.value })
  }

  /** The meter's count so far, parted among the contracts of its window as the ledger will. */
  function count(): void {
    const latest = metering.latest(grid.meter)?.reading
    if (latest === undefined) return
    const flowing = deals.filter(({ runner }) => runner.deal().state === 'started' && runner.deal().begin !== undefined)
    for (const { runner } of flowing) {
      const { role, begin, contract } = runner.deal()
      const register = registerEnergy({ registers: latest.values }, dealRegister(role))
      if (register === undefined || register < begin!.register) continue
      const sum = flowing
        .map(one => one.runner.deal())
        .filter(other => other.role === role && other.contract.start === contract.start)
        .reduce((all, other) => all + other.contract.energy, 0n)
      const counted = wholeBetween(begin!.register, register)
      runner.feed({ kind: 'metered', side: 'own', energy: wattHours((counted * contract.energy) / sum) })
    }
  }

  let reading = false
  async function readMargin(chain: string): Promise<void> {
    if (reading || energy.light.health().state !== 'ok') return
    reading = true
    const proven = await energy.light.prove(utf8(`${PEERS.prefix}${chain}`))
    reading = false
    if (!proven.ok || proven.value.value === undefined) return
    const read = decodeAs(PEERS.codec, proven.value.value, 'peer', MAX_PEER_BYTES)
    if (read.ok) relayMarginMs = read.value.relayMarginMs
  }

  return {
    open,
    hearOf(peer, body) {
      const known = deals.find(one => one.peer === peer && equalBytes(one.runner.deal().contract.nonce, body.id))
      known?.runner.feed({ kind: 'message', body })
      return known !== undefined
    },
    hear(peer, body) {
      const known = deals.find(one => one.peer === peer && equalBytes(one.runner.deal().hash, body.hash))
      if (known === undefined) return
      if (body.kind !== 'receipt-copy') return known.runner.feed({ kind: 'message', body })
      peerMeters.hearReceipt(known.runner, peer, body)
    },
    restore(records) {
      for (const bytes of records) {
        const read = decodeDeal(bytes)
        // What cannot be read is direct trading's to report.
        if (!read.ok || !overGrid(read.value) || isOver(read.value)) continue
        const deal = read.value
        const other = addressOf(deal.role === 'seller' ? deal.buyerKey : deal.sellerKey)
        const peer = [...peers].find(([, key]) => equalBytes(addressOf(key), other))?.[0]
        if (peer === undefined) {
          options.health('grid.restore', { code: 'grid.no-such-peer', deal: toHex(deal.hash), peer: toHex(other) })
          continue
        }
        begin(peer, { deal, outputs: [] }, clock.mono(), undefined).feed({ kind: 'restored' })
      }
    },
    count,
    feedAll(input) {
      for (const { runner } of deals) if (!runner.over()) runner.feed(input)
    },
    contracted: () =>
      deals.flatMap(({ runner }) => {
        const { role, state, contract } = runner.deal()
        const dead = state === 'aborted' || state === 'expired' || state === 'refunded'
        const { nonce: id, start, end, energy } = contract
        return dead ? [] : [{ id, role, start, end, energy }]
      }),
    promisesOf: peer => promises.get(peer),
    broken: peer => keep(peer, false),
    all: () => deals,
    stats: () => counts,
    learnMargin() {
      if (relayMarginMs === undefined && distribution !== undefined) void readMargin(distribution.chainId)
    },
    stop() {
      for (const { runner } of deals) runner.stop()
    },
  }
}

/** A deal whose end reading is due at this boundary and not there yet. */
const countsUntil = ({ state, phase, contract }: Deal, boundary: Instant): boolean =>
  contract.end <= boundary && (state === 'started' || (state === 'stopped' && phase === 'reading'))
