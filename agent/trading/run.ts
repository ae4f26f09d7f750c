/**
 * Trading at one site: asks and answers for energy, runs each deal, and tells the interlock what it may know of a line.
 */
import { equalBytes } from '../../protocol/bytes.ts'
import { type WattHours, wattHours } from '../../protocol/quantity.ts'
import { ok, type Result } from '../../protocol/result.ts'
import type { Mono } from '../../protocol/time.ts'
import { decodeDeal } from '../../protocol/trade/deal-codec.ts'
import {
  type Deal,
  type DealKind,
  type HealthName,
  heartbeatsDue,
  holdsLine,
  type Input,
  isOver,
  type Metered,
  overGrid,
  type Step,
} from '../../protocol/trade/deal-state.ts'
import { beat, hear, newPulse } from '../../protocol/trade/heartbeat.ts'
import type { BodyOf, Message } from '../../protocol/trade/message.ts'
import { dealEnergy } from '../../protocol/trade/receipt.ts'
import { createDealRunner, type DealRunner } from './deal-runner.ts'
import { available, type BuyerLine, decideAsk, RETRY_MS } from './decide.ts'
import { type EndRun, firstBeat } from './end-run.ts'
import { factsOf } from './interlock-facts.ts'
import { lineInputs } from './line-inputs.ts'
import { createNegotiator } from './negotiate.ts'
import { createPeerMeters } from './peer-meter.ts'
import type { DealInfo, Trading, TradingOptions } from './trading.ts'

/** How often a buyer thinks of its next window, and old talk is swept out. */
const STRATEGY_MS = 1000
/** Facts of a line reach its deal this often; heartbeats leave as often, five within the second that they are good for. */
const PULSE_MS = 200
/** Signed readings go to the other side this often while power flows. */
const EXCHANGE_MS = 10_000
/** The seller's upstream contact and the buyer's own wait for a reading of the dead line, which comes within two seconds. */
const REST_AFTER_MS = 10_000
/** Ended deals that the page still shows. */
const KEPT_DEALS = 50

type DealMessage = 'reading' | 'receipt-copy' | Exclude<DealKind, 'accept' | 'decline' | 'reserved'>

export function createTrading(options: TradingOptions): Trading {
  const { config, clock, timers, log, metering, post, light } = options
  const cancels: (() => void)[] = []
  const deals: DealInfo[] = []
  const peerMeters = createPeerMeters(options, 'trading')
  let proposed = 0
  let closing = false
  let paused = false
  /** Nothing is begun that could not be kept. */
  let unwritable = false

  const ends = new Map<string, EndRun>(
    config.directLines.map(line => [
      line.id,
      {
        trade: {
          config: line,
          peerKey: config.peers[line.peer]!.account,
          ownMeter: () => metering.latest(line.meter)?.reading.meterId,
        },
        limits: options.limitsOf(line),
        peer: line.peer,
        runner: undefined,
        pulse: newPulse(firstBeat(options.entropy)),
        beatAt: undefined,
        peerContact: 'unknown',
        peerWelded: false,
        exchangedAt: clock.mono(),
        lastUsed: undefined,
        notBefore: clock.mono(),
        soldUntil: clock.now(),
        pausedUntil: clock.mono(),
        wantedAt: clock.mono(),
        resting: false,
      },
    ]),
  )

  const negotiator = createNegotiator({
    chainId: config.ledger?.chain ?? '',
    ownKey: options.signer.publicKey,
    trade: config.trade,
    ends: [...ends.values()].map(end => end.trade),
    clock,
    entropy: options.entropy,
    verifier: options.verifier,
    log,
    send: (peer, body) => post.send(peer, body, { reliable: true }),
    onHand: (line, start, end) => onHand(line, start, end),
    agreed: (line, step, requested) => begin(ends.get(line)!, step, requested),
    failed: line => {
      const end = ends.get(line)!
      end.lastUsed = clock.mono()
      // A circuit that trades seldom is in no hurry to try again either.
      end.notBefore = (clock.mono() + Math.max(RETRY_MS, config.trade.pauseMs / 8)) as Mono
    },
    proposed: () => {
      proposed++
    },
  })

  // --- Deals

  function begin(end: EndRun, { deal, outputs }: Step, requested: Mono): DealRunner {
    const { config: line } = end.trade
    end.lastUsed = clock.mono()
    end.soldUntil = deal.contract.end
    const { pauseMs } = config.trade
    if (pauseMs > 0) end.pausedUntil = (clock.mono() + (deal.contract.end - clock.now()) + pauseMs) as Mono
    end.pulse = newPulse(firstBeat(options.entropy))
    end.beatAt = undefined
    end.peerContact = 'unknown'
    const runner = createDealRunner(deal, outputs, {
      clock,
      timers,
      verifier: options.verifier,
      log,
      signer: options.signer,
      light,
      account: options.account,
      send: body => post.send(end.peer, body, { reliable: true }),
      open: (contact, because) => {
        if (contact === 'own') return options.relays().wish(line.id, 'energise')
        if (because === undefined) return options.relays().wish(line.id, 'de-energise')
        options.relays().openNow(line.id, because)
      },
      // The relay control runs the whole changeover on one wish; giving the circuit its own supply back is its default.
      close: contact => {
        if (contact === 'line') options.relays().wish(line.id, 'energise')
        else options.relays().wish(line.id, 'de-energise')
      },
      signReading: which => signFor(line.meter, runner.deal(), which),
      record: options.record,
      health: (what: HealthName, fault) => options.health(`${what}.${line.id}`, fault),
      onRefused: (fault, bytes = []) => options.saveEvidence(fault, bytes),
      onChange: () => {},
    })
    end.runner = runner
    deals.unshift({ runner, peer: end.peer, requested })
    // Deals that are over leave from the old end; one that is not stays however old.
    for (let at = deals.length - 1; at >= KEPT_DEALS; at--) if (deals[at]!.runner.over()) deals.splice(at, 1)
    return runner
  }

  async function signFor(meter: string, deal: Deal, reason: 'begin' | 'end' | 'periodic'): Promise<Result<Metered>> {
    const direction = deal.role === 'seller' ? ('export' as const) : ('import' as const)
    const signed = await metering.sign(meter, reason, { contract: deal.hash, line: deal.contract.line, direction })
    if (!signed.ok) return signed
    const register = dealEnergy(signed.value.reading, deal.role)
    if (!register.ok) return register
    return ok({ envelope: signed.value.envelope, context: signed.value.context, register: register.value })
  }

  // --- What comes in

  function onMessage(peer: string, { body }: Message): void {
    switch (body.kind) {
      case 'request':
        if (closing || paused || unwritable || lineBusy(body.line)) {
          post.send(peer, { kind: 'decline', id: body.id, reason: 'negotiate.busy' }, { reliable: true })
          return
        }
        return negotiator.hear(peer, body)
      case 'offer':
        return negotiator.hear(peer, body)
      case 'accept':
      case 'decline': {
        const known = deals.find(({ runner }) => equalBytes(runner.deal().contract.nonce, body.id))
        if (known === undefined) return negotiator.hear(peer, body)
        if (known.peer === peer) known.runner.feed({ kind: 'message', body })
        return
      }
      case 'receipt-wanted':
        return
      default:
        // A direct line's deals know nothing of reservations; everything else is another part's.
        if ('hash' in body && body.kind !== 'reserved') onDealMessage(peer, body)
    }
  }

  function onDealMessage(peer: string, body: BodyOf<DealMessage>): void {
    const known = deals.find(({ runner }) => equalBytes(runner.deal().hash, body.hash))
    if (known === undefined || known.peer !== peer) return
    const { runner } = known
    if (body.kind === 'receipt-copy') return peerMeters.hearReceipt(runner, peer, body)
    if (body.kind === 'reading') return void peerMeters.hear(runner, peer, body.reading)
    if (body.kind === 'heartbeat') {
      const end = ends.get(body.line)
      if (end?.runner !== runner) return
      end.pulse = hear(end.pulse, body.sequence, body.echo)
      end.peerContact = body.contact
      end.peerWelded = body.welded
    }
    // What flows is counted from the peer's begin reading, which comes with the word that its end is closed.
    if (body.kind === 'ready' || body.kind === 'started') peerMeters.hear(runner, peer, body.begin)
    runner.feed({ kind: 'message', body })
  }

  // --- What is known of a line

  function onHand(line: string, start: Deal['contract']['start'], end: Deal['contract']['end']): WattHours {
    const { sell } = config.trade
    if (sell === undefined || !light.head()) return wattHours(0n)
    const promised = [...ends.values()].flatMap(({ runner, trade }) => {
      const deal = runner?.deal()
      if (deal === undefined || deal.role !== 'seller' || trade.config.id === line || runner?.over()) return []
      const { contract, state } = deal
      return [{ energy: contract.energy, start: contract.start, end: contract.end, flowing: state === 'started' }]
    })
    const onHand = available(sell, metering.latest('grid')?.power, promised, start, end)
    const over = options.soldOverGrid({ start, end })
    const left = onHand > over ? onHand - over : 0n
    const spare = options.spare === undefined ? left : (options.spare() ?? 0n)
    return wattHours(left < spare ? left : spare)
  }

  const active = (runner: DealRunner | undefined): boolean => {
    if (runner === undefined) return false
    const { state, phase } = runner.deal()
    return !['settled', 'refunded', 'aborted', 'expired', 'receipted', 'disputed'].includes(state) &&
      phase !== 'receipt'
      ? true
      : holdsLine(runner.deal())
  }

  const latched = (line: string): boolean => (options.relays().view(line)?.welds.length ?? 1) > 0

  function lineBusy(line: string): boolean {
    const end = ends.get(line)
    return end === undefined || active(end.runner) || negotiator.busy(line) || latched(line) || end.peerWelded
  }

  function interrupt(input: Input): void {
    for (const { runner } of deals) if (active(runner)) runner.feed(input)
  }

  function think(): void {
    negotiator.sweep()
    if (closing || paused || unwritable || light.health().state !== 'ok' || light.aheadOfLedger() !== undefined) return
    const mine = [...ends.values()].filter(({ trade }) => trade.config.side === 'buyer')
    const circuitOf = ({ trade }: EndRun) => trade.config.circuit?.name ?? trade.config.id
    for (const circuit of new Set(mine.map(circuitOf))) {
      const lines = mine.filter(end => circuitOf(end) === circuit)
      const busy = lines.some(
        ({ runner, trade, pausedUntil }) =>
          active(runner) || negotiator.busy(trade.config.id) || clock.mono() < pausedUntil,
      )
      const choices = lines.map(
        ({ trade, lastUsed, notBefore, peerWelded, soldUntil }): BuyerLine => ({
          id: trade.config.id,
          latched: latched(trade.config.id) || peerWelded || metering.latest(trade.config.meter) === undefined,
          lastUsed,
          notBefore,
          soldUntil,
        }),
      )
      const ask = decideAsk(choices, busy, config.trade, clock.now(), clock.mono())
      if (ask !== undefined) negotiator.ask(ask)
    }
  }

  function pulse(): void {
    for (const end of ends.values()) {
      const { runner } = end
      letRest(end)
      if (runner === undefined) continue
      const deal = runner.deal()
      if (heartbeatsDue(deal, clock.now())) sendHeartbeat(end, deal)
      if (!holdsLine(deal)) continue
      feedFacts(end, runner)
      if (deal.state === 'started') exchange(end, runner)
    }
  }

  /** A line meter rests when nobody has wanted its line for a while, and the circuit has its own supply back. */
  function letRest(end: EndRun): void {
    const { id, meter } = end.trade.config
    const now = clock.mono()
    if (active(end.runner) || negotiator.busy(id)) end.wantedAt = now
    const idle = now - end.wantedAt > REST_AFTER_MS
    if (idle === end.resting) return
    const contacts = idle ? options.relays().view(id)?.contacts : undefined
    if (contacts?.some(({ role, commanded }) => role === 'buyer.own' && commanded === 'open')) return
    end.resting = idle
    metering.rest(meter, end.resting)
  }

  function sendHeartbeat(end: EndRun, deal: Deal): void {
    const next = beat(end.pulse, clock.mono())
    end.pulse = next.pulse
    const line = end.trade.config.id
    const body: BodyOf<'heartbeat'> = {
      kind: 'heartbeat',
      hash: deal.hash,
      line,
      contact: options.relays().view(line)?.position ?? 'unknown',
      sequence: next.sequence,
      welded: latched(line),
      ...(next.echo === undefined ? {} : { echo: next.echo }),
    }
    post.send(end.peer, body, { reliable: false })
    end.beatAt = clock.mono()
  }

  function feedFacts(end: EndRun, runner: DealRunner): void {
    const { config: line } = end.trade
    const view = options.relays().view(line.id)
    const seen = (role: string) => view?.contacts.find(contact => contact.role.endsWith(role))?.seen ?? 'unknown'
    const { state, fault } = light.health()
    const inputs = lineInputs(runner.deal(), {
      mono: clock.mono(),
      limits: end.limits,
      contact: seen('.line'),
      own: seen('.own'),
      latest: metering.latest(line.meter),
      brokersUp: options.bus.health().up,
      aliveAt: end.pulse.aliveAt,
      distrust: state === 'diverged' ? (fault ?? { code: 'light.diverged' }) : undefined,
    })
    for (const input of inputs) runner.feed(input)
  }

  function exchange(end: EndRun, runner: DealRunner): void {
    const now = clock.mono()
    if (now - end.exchangedAt < EXCHANGE_MS) return
    end.exchangedAt = now
    const deal = runner.deal()
    void signFor(end.trade.config.meter, deal, 'periodic').then(signed => {
      if (!signed.ok) return
      const { envelope, context } = signed.value
      post.send(end.peer, { kind: 'reading', hash: deal.hash, reading: { envelope, context } }, { reliable: false })
    })
  }

  return {
    restore(records) {
      for (const bytes of records) {
        const read = decodeDeal(bytes)
        if (!read.ok) {
          log('error', 'trading', 'a deal in the journal cannot be read', read.fault)
          options.health('trading.journal', read.fault)
          continue
        }
        const deal = read.value
        const end = overGrid(deal) ? undefined : ends.get(deal.contract.line)
        if (end === undefined || isOver(deal)) continue
        begin(end, { deal, outputs: [] }, clock.mono()).feed({ kind: 'restored' })
      }
    },
    start() {
      post.onMessage(onMessage)
      cancels.push(timers.every(STRATEGY_MS, think), timers.every(PULSE_MS, pulse))
    },
    facts: line => factsOf(ends.get(line), light),
    onLightRefusal: fault => interrupt({ kind: 'lock-refused', fault }),
    onJournal(fault) {
      unwritable = fault !== undefined
      if (fault !== undefined) interrupt({ kind: 'fault', fault })
    },
    onRelayEvent(event) {
      if (event.kind === 'weld') {
        for (const [line, end] of ends) {
          if (event.weld.contact.startsWith(`${line}.`)) end.runner?.feed({ kind: 'fault', fault: event.weld.sign })
        }
        options.health(`relay.welded.${event.weld.contact}`, event.weld.sign)
      } else if (event.kind === 'tripped' || event.kind === 'gave-up') {
        const fault = event.because[0] ?? { code: `relay.${event.kind}` }
        ends.get(event.line)?.runner?.feed({ kind: 'fault', fault })
      }
    },
    deals: () => deals,
    stats: () => ({ proposed }),
    windDown() {
      closing = true
    },
    pause(on) {
      paused = on
    },
    stop() {
      for (const cancel of cancels) cancel()
      for (const { runner } of deals) runner.stop()
    },
  }
}
