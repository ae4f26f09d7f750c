/**
 * Trading over the grid at one site: asks and offers for the slots that come, and carries each deal through both ledgers.
 * No contact joins the parties; what is switched for a deal is the `dispatch` port's.
 */
import { toHex } from '../../protocol/bytes.ts'
import { addressOf } from '../../protocol/crypto/hash.ts'
import { microsPerKwh, type WattHours, wattHours } from '../../protocol/quantity.ts'
import type { Fault } from '../../protocol/result.ts'
import type { Instant, Mono } from '../../protocol/time.ts'
import { encodeContract, type Party } from '../../protocol/trade/contract.ts'
import type { Deal } from '../../protocol/trade/deal-state.ts'
import type { Body, Message } from '../../protocol/trade/message.ts'
import { createPathPrices } from '../roles/fee-quote.ts'
import type { Part } from '../roles/part.ts'
import type { Pseudonyms } from '../roles/pseudonyms.ts'
import type { DealInfo } from '../trading/trading.ts'
import { type AskView, createAsking } from './ask.ts'
import { type CallAuction, createCallAuction } from './auction.ts'
import { createGridDeals, type GridDealsOptions } from './deals.ts'
import {
  type Agreed,
  type Contracted,
  leftToBuy,
  leftToSell,
  look,
  netOf,
  type Outlook,
  openSlot,
  overlaps,
  type Window,
} from './decide.ts'
import { createFeeDesk, type FeeDeskOptions } from './fees.ts'
import { createOffering } from './offer.ts'
import { aboveFeedIn, type Outlet, sharePurchase, shareSale } from './routing.ts'
import { createStanding, type Standing } from './standing.ts'

const THINK_MS = 1_000
/** What the own meter has counted reaches the deals this often, as readings of a line do. */
const COUNT_MS = 10_000
/** What this site does not promise a second time: energy of its direct lines in a window, that its meter does not show yet. */
export interface PromisedElsewhere {
  readonly sold: WattHours
  readonly bought: WattHours
}

export interface GridOptions extends Omit<GridDealsOptions, 'peers' | 'dispatch' | 'feeOffer'> {
  /** One-time keys for the orders of the call auction; absent where they are in the site's own name. */
  readonly pseudonyms?: Pick<Pseudonyms, 'keyOf' | 'judge'> | undefined
  elsewhere(window: Window): PromisedElsewhere
  /** What the meter is forecast to count over a window, Wh; undefined where nobody knows: then it is as it was lately. */
  forecast(window: Window): bigint | undefined
  /** What the buyers on direct lines will take in a window, where its surplus does not show it. */
  direct(window: Window): readonly Outlet[]
  /** Whether slots can be awarded under the agreement with the store. */
  storeLive(): boolean
  /** What the site's battery spares; absent where none limits what is sold, undefined where nobody knows. */
  readonly spare?: () => WattHours | undefined
}

export interface GridStats {
  readonly asked: number
  readonly signed: number
  readonly settled: number
  /** Paid by this site as a buyer and to it as a seller, in settled deals; micro-units. */
  readonly paid: bigint
  readonly earned: bigint
  /** Of the distributor's fees, offered or agreed. */
  readonly offering: ReturnType<ReturnType<typeof createOffering>['stats']>
}

/** What a page, a scenario or a judge sees of it. */
export interface GridView {
  /** Newest first. */
  deals(): readonly DealInfo[]
  requests(): readonly AskView[]
  /** Books of the call auction that this site has cleared, the newest last. */
  cleared(): ReturnType<CallAuction['cleared']>
  /** What this site expects its meter to show, import positive. */
  outlook(): Outlook | undefined
  /** The same over a window, whole watt-hours; undefined where nobody knows. */
  expected(window: Window): bigint | undefined
  contracted(): readonly Agreed[]
  /** Energy of the contracts that overlap a window, on one side, and of those that this site has given its word on. */
  promised(window: Window, as: Party): WattHours
  /** Hears when loads, generation or storage of this site are to be on for a deal, and when no longer. */
  onDispatch(listener: (deal: Deal, on: boolean) => void): void
  stats(): GridStats
}

export interface GridTrading extends Part, GridView {
  /** Nothing can be written: nothing is begun until it is called without a fault. */
  onJournal(fault: Fault | undefined): void
  /** What is left to sell to, or to buy from, the store in a window, where nothing else is better. */
  forStore(window: Window, as: Party): WattHours
  /** Contracts under standing agreements. */
  readonly standing: Pick<Standing, 'awarded' | 'granted'>
  /** Serial of the grid meter; undefined until it has been read. */
  ownMeter(): string | undefined
}

export function createGridTrading(options: GridOptions): GridTrading {
  const { pseudonyms, grid, config, clock, timers, log, metering, post, energy, distribution } = options
  const cancels: (() => void)[] = []
  let outlook: Outlook | undefined
  let lookedAt: Mono | undefined
  let countedAt = clock.mono()
  let asked: Instant | undefined
  let requests = 0
  let closing = false
  let unwritable = false

  const distributor = config.distribution?.distributor
  const peers = new Map(
    Object.entries(config.peers).flatMap(([name, { account }]) =>
      name === distributor ? [] : [[name, account] as const],
    ),
  )
  const dispatched: ((deal: Deal, on: boolean) => void)[] = []
  const deals = createGridDeals({
    ...options,
    peers,
    feeOffer: deal => fees.signedFor(deal),
    dispatch(deal, on) {
      log('info', 'grid', `${on ? 'on' : 'off'} for deal ${toHex(deal.hash).slice(0, 8)}`)
      for (const listener of dispatched) listener(deal, on)
    },
  })
  const send = (peer: string, body: Body) => void post.send(peer, body, { reliable: true })
  const ownMeter = () => metering.latest(grid.meter)?.reading.meterId
  const fees = createFeeDesk({ distributor: feesOf(), clock, verifier: options.verifier, log, send })
  const own = {
    grid,
    chainId: options.energy.chainId,
    ownKey: options.signer.publicKey,
    peers,
    clock,
    log,
    send,
    ownMeter,
  }
  const asking = createAsking({
    ...own,
    entropy: options.entropy,
    worth: (window, rest, quotes) =>
      sharePurchase(rest, window, settings(), { quotes, limit: grid.buy?.limit ?? microsPerKwh(0n) })['ad-hoc'],
    promisesOf: deals.promisesOf,
    agreed: (peer, bytes, half, requested) => deals.open(peer, 'buyer', bytes, requested, { half }),
    broken: deals.broken,
  })
  const offering = createOffering({
    ...own,
    grid: aboveFeedIn(grid),
    entropy: options.entropy,
    fees,
    left: window => left(window, 'seller'),
    offerable,
    closed,
    agreed: (peer, contract, fee, requested) =>
      deals.open(peer, 'seller', encodeContract(contract), requested, { fee }),
  })
  const standing = createStanding({ ...own, fees, open: deals.open })

  const auction =
    grid.way !== 'auction'
      ? undefined
      : createCallAuction({
          ...own,
          ...{ fees, signer: options.signer, light: energy.light, verifier: options.verifier },
          asked: offering.asked,
          awarded: standing.awarded,
          granted: standing.granted,
          saveEvidence: options.saveEvidence,
          ...(pseudonyms === undefined || grid.pseudonyms === undefined
            ? {}
            : { anonymous: { ...pseudonyms, feeder: grid.pseudonyms.feeder, entropy: options.entropy } }),
        })

  /** Whom the fees are paid to, and what is proven of them. */
  function feesOf(): FeeDeskOptions['distributor'] {
    if (distribution === undefined || distributor === undefined) return undefined
    // A distributor that sells something, too, asks its own ledger.
    const key = config.peers[distributor]?.account ?? options.signer.publicKey
    return { name: distributor, key, paths: createPathPrices(distribution.light, clock, addressOf(key)) }
  }

  // --- What is promised

  /** In contracts, or given word of on the way to one: a direct line is not to sell it again either. */
  const agreed = (): readonly Contracted[] => [
    ...deals.contracted(),
    ...standing.pending(),
    ...(auction?.pending() ?? []),
  ]

  function left(window: Window, as: Party): WattHours {
    const { sold, bought } = options.elsewhere(window)
    if (as === 'buyer') return leftToBuy(grid, outlookOf(window), agreed(), bought, window)
    const left = leftToSell(grid, outlookOf(window), agreed(), sold, window)
    const spare = options.spare === undefined ? left : (options.spare() ?? wattHours(0n))
    return left < spare ? left : spare
  }

  /** Of a window: by its forecast, or else as it was lately. */
  function outlookOf(window: Window): Outlook | undefined {
    const net = options.forecast(window)
    if (net === undefined) return outlook
    return { meanMw: Math.round((Number(net) * 3_600_000_000) / (window.end - window.start)), seenMs: 0 }
  }

  const settings = () => ({ ...grid, live: options.storeLive() })

  /** What quotes may have of what is left: the rest is expected to bring more elsewhere. */
  function offerable(window: Window): WattHours {
    const beside = { asked: offering.asked(), direct: options.direct(window) }
    return shareSale(left(window, 'seller'), window, settings(), beside)['ad-hoc']
  }

  /** What is for the store once quotes are over. */
  function forStore(window: Window, as: Party): WattHours {
    const energy = left(window, as)
    const { store } = grid
    if (store === undefined) return wattHours(0n)
    return as === 'seller'
      ? shareSale(energy, window, settings(), { asked: undefined, direct: options.direct(window) }).storage
      : sharePurchase(energy, window, settings(), { quotes: [], limit: store.returnPrice }).storage
  }

  function closed(): string | undefined {
    if (closing) return 'grid.closing'
    if (unwritable) return 'grid.journal'
    const views = distribution === undefined ? [energy] : [energy, distribution]
    const believed = views.every(({ light }) => light.health().state === 'ok' && light.aheadOfLedger() === undefined)
    return believed ? undefined : 'grid.ledger-not-followed'
  }

  // --- What comes in

  function onMessage(peer: string, { body }: Message): void {
    switch (body.kind) {
      case 'want':
      case 'reveal':
        return offering.hear(peer, body)
      case 'award':
        // Under a standing agreement it is for the part that knows the agreement.
        if (body.agreement === undefined && auction?.hearAward(peer, body) !== true) offering.hear(peer, body)
        return
      case 'order':
        return auction?.hear(peer, body)
      case 'passed':
        return auction?.hearPassed(peer, body)
      case 'sealed-bid':
      case 'bid':
        return asking.hear(peer, body)
      case 'fee-offer':
        return void fees.hear(peer, body)
      case 'accept':
      case 'decline':
        if (body.kind === 'decline' && fees.hear(peer, body)) return
        if (deals.hearOf(peer, body) || standing.hear(peer, body)) return
        asking.hear(peer, body)
        if (body.kind === 'decline') offering.hear(peer, body)
        return
      case 'countersign':
      case 'reserved':
      case 'committed':
      case 'stop':
      case 'stopped':
      case 'receipt-copy':
        deals.hear(peer, body)
    }
  }

  // --- From moment to moment

  function think(): void {
    const now = clock.mono()
    const power = metering.latest(grid.meter)?.power
    if (power !== undefined) {
      outlook = look(outlook, power, lookedAt === undefined ? 0 : now - lookedAt, grid.slotMs)
      lookedAt = now
    }
    fees.sweep()
    asking.sweep()
    offering.sweep()
    standing.sweep()
    auction?.sweep()
    if (now - countedAt >= COUNT_MS) {
      countedAt = now
      deals.count()
    }
    deals.learnMargin()
    const slot = openSlot(grid, clock.now())
    if (slot === undefined || slot.start === asked || closed() !== undefined) return
    // Who only has a standing agreement asks nobody else.
    const wanted = grid.buy === undefined ? wattHours(0n) : left(slot, 'buyer')
    if (auction !== undefined) {
      asked = slot.start
      return auction.order(slot, wanted, offerable(slot))
    }
    if (wanted === 0n) return
    asked = slot.start
    requests++
    asking.ask(slot, wanted)
  }

  return {
    restore: deals.restore,
    start() {
      post.onMessage(onMessage)
      cancels.push(timers.every(THINK_MS, think))
    },
    onJournal(fault) {
      unwritable = fault !== undefined
      if (fault !== undefined) deals.feedAll({ kind: 'fault', fault })
    },
    forStore,
    standing,
    ownMeter,
    deals: deals.all,
    requests: asking.open,
    cleared: () => auction?.cleared() ?? [],
    outlook: () => outlook,
    expected(window) {
      const expected = outlookOf(window)
      return expected && netOf(expected, window)
    },
    contracted: deals.contracted,
    promised: (window, as) =>
      wattHours(
        agreed()
          .filter(one => one.role === as && overlaps(one, window))
          .reduce((sum, { energy }) => sum + energy, 0n),
      ),
    onDispatch: listener => void dispatched.push(listener),
    stats: () => ({ ...deals.stats(), asked: requests, offering: offering.stats() }),
    windDown() {
      closing = true
    },
    stop() {
      for (const cancel of cancels) cancel()
      deals.stop()
    },
  }
}
