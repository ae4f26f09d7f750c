/**
 * One deal over the grid in virtual time: the tables of a seller and a buyer, a distributor, and the two real ledgers between
 * them. Blocks are signed, headers are followed, proofs are proofs, readings are signed by meters; only time is made up, and
 * it jumps where nothing is to come. Messages take 50 ms and are lost where their receiver is dead.
 */
import { equalBytes, utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import type { Verifier } from '../../../protocol/crypto/verify.ts'
import { dealKey, decodeDealRecord } from '../../../protocol/ledger/deal-record.ts'
import { decodeReservation, reservationKey } from '../../../protocol/ledger/network-tables.ts'
import type { TxContent } from '../../../protocol/ledger/tx.ts'
import { micros, milliwattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant, mono } from '../../../protocol/time.ts'
import {
  assembleSignedContract,
  type Contract,
  contractHash,
  contractToSign,
  encodeContract,
  type Party as Role,
} from '../../../protocol/trade/contract.ts'
import { openDeal, step } from '../../../protocol/trade/deal.ts'
import { decodeDeal, encodeDeal } from '../../../protocol/trade/deal-codec.ts'
import {
  type Deal,
  type Input,
  isDispatched,
  isOver,
  type Metered,
  type Output,
  type Proven,
} from '../../../protocol/trade/deal-state.ts'
import type { Body } from '../../../protocol/trade/message.ts'
import { BEGIN, buyer, contextOf, readingOf, seller, verifier } from '../ledger/parties.ts'
import { distributor } from '../ledger/two-ledgers.ts'
import { GridChains, MARGIN_MS, METERS } from './grid-chains.ts'
import { type Actor, ALL_OVER, GRID_CONTRACT, GRID_SETTLE_BY, type Plan, RECEIPT_BY } from './grid-plan.ts'

const PARTIES = { seller, buyer }

interface End {
  deal: Deal
  journal: Uint8Array
  alive: boolean
  backAt: number | undefined
  done: number
  readonly timers: Map<string, number>
  readonly asked: Set<'lock' | 'settlement' | 'reservation' | 'fee'>
  readonly outputs: Output[]
  sequence: number
}

export class GridStreet extends GridChains {
  readonly bytes: Uint8Array
  readonly contract: Contract
  readonly hash: Uint8Array
  readonly ends: Partial<Record<Role, End>> = {}
  /** Messages sent. */
  readonly said: { readonly from: Role; readonly body: Body }[] = []
  private readonly plan: Plan
  private readonly mail: { readonly at: number; readonly to: Role; readonly body: Body }[] = []
  private readonly distributor = { alive: true, backAt: undefined as number | undefined, done: 0, claimed: false }
  /** The planned crash has happened. */
  crashed = false

  constructor(plan: Plan = {}) {
    super(plan.lax === true)
    this.plan = plan
    this.contract = { ...GRID_CONTRACT, ...plan.contract }
    this.bytes = encodeContract(this.contract)
    this.hash = contractHash(this.bytes)
    this.begin('seller')
  }

  // --- The parties

  private begin(role: Role, peerHalf?: Uint8Array): void {
    const keys = { sellerKey: seller.publicKey, buyerKey: buyer.publicKey }
    const draft = {
      role,
      bytes: this.bytes,
      ...keys,
      reserve: this.plan.unreserved === true ? (false as const) : { relayMarginMs: MARGIN_MS },
    }
    const opened = must(openDeal({ ...draft, ...(peerHalf === undefined ? {} : { peerHalf }) }, this.now(), this.judge))
    this.ends[role] = {
      deal: opened.deal,
      journal: encodeDeal(opened.deal),
      alive: true,
      backAt: undefined,
      done: 0,
      timers: new Map(),
      asked: new Set(),
      outputs: [],
      sequence: 4,
    }
    this.carryOut(role, opened.outputs)
  }

  private get judge(): Verifier {
    return this.plan.cheats?.trusting === true ? { verify: () => true } : verifier
  }

  private now() {
    return { wall: instant(this.time), mono: mono(this.time - BEGIN) }
  }

  give(role: Role, input: Input): void {
    const end = this.ends[role]
    if (end === undefined || !end.alive) return
    const after = step(end.deal, input, this.now(), this.judge)
    if (after.deal.state !== end.deal.state) this.stirred = this.time
    end.deal = after.deal
    this.carryOut(role, after.outputs)
  }

  private carryOut(role: Role, outputs: readonly Output[]): void {
    const end = this.ends[role]!
    for (const output of outputs) {
      if (!end.alive) return
      if (this.dies(role, end)) {
        end.timers.clear()
        end.asked.clear()
        return
      }
      end.done++
      end.outputs.push(output)
      this.stirred = this.time
      this.act(role, end, output)
    }
  }

  private dies(actor: Actor, end: { alive: boolean; done: number; backAt: number | undefined }): boolean {
    const { crash } = this.plan
    if (crash?.actor !== actor || crash.output !== end.done) return false
    this.crashed = true
    end.alive = false
    end.done = Number.NEGATIVE_INFINITY
    end.backAt = crash.backAfterMs === undefined ? undefined : this.time + crash.backAfterMs
    return true
  }

  private act(role: Role, end: End, output: Output): void {
    switch (output.kind) {
      case 'record':
        end.journal = encodeDeal(end.deal)
        return
      case 'timer':
        end.timers.set(output.name, BEGIN + output.at)
        return
      case 'send':
        this.send(role, output.body)
        return
      case 'sign-contract': {
        const party = PARTIES[role]
        const signature = party.sign(contractToSign(this.bytes, party.publicKey))
        return this.give(role, { kind: 'half', sign1: assembleSignedContract(this.bytes, party.publicKey, signature) })
      }
      case 'sign-reading':
        return this.give(role, {
          kind: 'signed-reading',
          which: output.which,
          reading: this.readAt(role, output.which, this.time),
        })
      case 'prove':
        if (output.what === 'lock') end.asked.delete('settlement')
        if (output.what === 'settlement') end.asked.delete('lock')
        end.asked.add(output.what)
        return
      case 'submit':
        return this.submit(role, end.deal, output)
      case 'open':
      case 'close':
        throw new Error(`a contact over the grid: ${output.kind}`)
      default:
    }
  }

  send(from: Role, body: Body): void {
    this.said.push({ from, body })
    const arrived = this.plan.cheats?.message === undefined ? body : this.plan.cheats.message(body)
    const to = from === 'seller' ? 'buyer' : 'seller'
    if (arrived !== undefined) this.mail.push({ at: this.time + 50, to, body: arrived })
  }

  /** What a meter has counted: evenly through the window, 1 % more at the seller's. */
  private register(role: Role, at: number): bigint {
    const { start, end, energy } = this.contract
    const inside = BigInt(Math.min(Math.max(at, start), end) - start)
    const counted = (energy * 1000n * inside) / BigInt(end - start)
    return 7_000_000n + (role === 'seller' ? (counted * 101n) / 100n : counted)
  }

  /** What this end's meter signs at a time, for a deal. */
  readAt(role: Role, which: 'begin' | 'end', at: number, session: Uint8Array = this.bytes): Metered {
    const end = this.ends[role]!
    const { line, to, sellerMeter, buyerMeter } = this.contract
    const terms = {
      meterId: role === 'seller' ? sellerMeter : buyerMeter,
      by: METERS[role],
      direction: role === 'seller' ? ('export' as const) : ('import' as const),
      contract: session,
      line: role === 'seller' ? line : to!,
    }
    const context = contextOf(terms)
    const mWh = this.register(role, at)
    end.sequence++
    const envelope = readingOf(terms, context, { reason: which, mWh, at, sequence: end.sequence })
    return { envelope, context, register: milliwattHours(mWh) }
  }

  private submit(role: Role, deal: Deal, output: Output & { kind: 'submit' }): void {
    const { hash, bytes } = this
    const refused = (() => {
      switch (output.tx) {
        case 'reserve':
          return this.handIn(this.net, PARTIES[role], this.reserveBody())
        case 'commit': {
          const { reservation } = output
          const halves =
            role === 'buyer'
              ? { sellerSign1: deal.peerHalf!, buyerSign1: deal.ownHalf! }
              : { sellerSign1: deal.ownHalf!, buyerSign1: deal.peerHalf! }
          const body = { contract: bytes, ...halves, ...(reservation === undefined ? {} : { reservation }) }
          if (reservation !== undefined) this.follow(this.net, this.energy, PARTIES[role], reservation.height)
          return this.handIn(this.energy, PARTIES[role], { kind: 'commit', body })
        }
        case 'receipt': {
          const { begin, end } = deal
          const contexts = equalBytes(begin!.context, end!.context) ? [begin!.context] : [begin!.context, end!.context]
          const body = { deal: hash, begin: begin!.envelope, end: end!.envelope, contexts }
          return this.handIn(this.energy, PARTIES[role], { kind: 'receipt', body })
        }
        case 'release':
          this.follow(this.energy, this.net, PARTIES[role], output.absence.height)
          return this.handIn(this.net, PARTIES[role], { kind: 'release', body: { deal: hash, ...output.absence } })
      }
    })()
    this.give(
      role,
      refused === undefined
        ? { kind: 'handed-in', tx: output.tx, hash: sha256(utf8(`${role} ${output.tx}`)) }
        : { kind: 'not-handed-in', tx: output.tx, fault: { code: refused } },
    )
  }

  reserveBody(): TxContent {
    return { kind: 'reserve', body: { contract: this.bytes, feeMost: micros(this.plan.feeMost ?? 1_000_000n) } }
  }

  // --- What is proven to it

  private answer(role: Role, end: End): void {
    const { energy, net, hash, contract } = this
    const ask = (what: 'lock' | 'settlement' | 'reservation' | 'fee', judge: () => Input | undefined) => {
      const input = end.alive && end.asked.has(what) ? judge() : undefined
      if (input === undefined) return
      end.asked.delete(what)
      this.give(role, input)
    }
    ask('lock', () => {
      const { value, height } = this.prove(energy, dealKey(hash))
      if (value === undefined) return undefined
      const { state, escrow } = must(decodeDealRecord(value))
      return { kind: 'lock', hash, record: { state, escrow }, height }
    })
    ask('settlement', () => {
      const { value, height, proof, time } = this.prove(energy, dealKey(hash))
      if (value === undefined) {
        if (time < contract.end) return undefined
        return { kind: 'settlement', outcome: { kind: 'absent', proven: { height, proof } } }
      }
      const { state, outcome } = must(decodeDealRecord(value))
      if (state === 'locked' || outcome === undefined) return undefined
      const { paid, disputed, delivered } = outcome
      return { kind: 'settlement', outcome: { kind: state, paid, disputed, height, delivered } }
    })
    ask('reservation', () => {
      const { cheats } = this.plan
      const { value, height, proof, fault } = this.prove(net, reservationKey(hash), cheats?.proof)
      if (value === undefined) return undefined
      if (fault !== undefined && cheats?.trusting !== true) return { kind: 'reservation-refused', fault }
      return { kind: 'reservation', hash, record: must(decodeReservation(value)), height, proof }
    })
    ask('fee', () => {
      const { value, time } = this.prove(net, reservationKey(hash))
      if (value === undefined) return time >= contract.end ? { kind: 'fee-free' } : undefined
      const { state, price, outcome } = must(decodeReservation(value))
      return state === 'held' ? undefined : { kind: 'fee-free', charged: { price, paid: outcome!.paid } }
    })
  }

  /** The distributor claims its fee as soon as the deal is closed: one output, and it looks before it acts. */
  private distribute(): void {
    const { distributor: self } = this
    if (!self.alive || self.claimed) return
    const closed = this.prove(this.energy, dealKey(this.hash))
    if (closed.value === undefined || must(decodeDealRecord(closed.value)).outcome === undefined) return
    if (this.dies('distributor', self)) return
    self.done++
    this.follow(this.energy, this.net, distributor, closed.height)
    if (this.dies('distributor', self)) return
    self.done++
    const by: Proven = { height: closed.height, proof: closed.proof }
    this.handIn(this.net, distributor, { kind: 'claim', body: { deal: this.hash, ...by } })
    self.claimed = true
  }

  // --- Time

  private tick(): void {
    this.time = this.nextTime()
    for (const actor of [this.ends.seller, this.ends.buyer, this.distributor]) {
      if (actor?.backAt === undefined || actor.backAt > this.time) continue
      actor.backAt = undefined
      actor.alive = true
      if ('journal' in actor) this.restart(actor)
    }
    this.blocks()
    for (const letter of this.mail.splice(0).sort((a, b) => a.at - b.at)) {
      if (letter.at > this.time) this.mail.push(letter)
      else this.deliver(letter.to, letter.body)
    }
    for (const role of ['seller', 'buyer'] as const) {
      const end = this.ends[role]
      if (!end?.alive) continue
      for (const [name, at] of [...end.timers].sort((a, b) => a[1] - b[1])) {
        if (at > this.time || !end.alive) continue
        end.timers.delete(name)
        this.give(role, { kind: 'timer', name: name as never })
      }
      this.answer(role, end)
    }
    this.distribute()
  }

  private restart(end: End): void {
    end.deal = must(decodeDeal(end.journal))
    this.give(end.deal.role, { kind: 'restored' })
  }

  private deliver(to: Role, body: Body): void {
    if (body.kind === 'accept' && this.ends[to] === undefined) this.begin(to, body.half)
    else this.give(to, { kind: 'message', body: body as never })
  }

  /** Half a second while anything is going on, else up to the next timer or boundary, in steps that suit the window. */
  private nextTime(): number {
    const { start, end } = this.contract
    const pending = this.mail.length > 0 || this.waiting()
    if (pending || this.time - this.stirred < 1500) return this.time + 500
    const timers = [this.ends.seller, this.ends.buyer].flatMap(one => (one?.alive ? [...one.timers.values()] : []))
    const backs = [this.ends.seller, this.ends.buyer, this.distributor].flatMap(one => one?.backAt ?? [])
    const marks = [...timers, ...backs, start, end, RECEIPT_BY, GRID_SETTLE_BY]
    return Math.max(
      this.time + 100,
      Math.min(this.time + Math.max(15_000, (end - start) / 100), ...marks.filter(at => at > this.time)),
    )
  }

  run(until: number): this {
    while (this.time < until) this.tick()
    return this
  }

  runUntil(done: () => boolean): this {
    while (!done()) {
      if (this.time > ALL_OVER)
        throw new Error(`never: ${this.ends.seller?.deal.state}, ${this.ends.buyer?.deal.state}`)
      this.tick()
    }
    return this
  }

  // --- What became of it

  state(role: Role): Deal['state'] | 'none' {
    return this.ends[role]?.deal.state ?? 'none'
  }

  /** The deal as the energy ledger has it, and its reservation as the other has. */
  ledgers() {
    const deal = this.energy.deal(this.bytes)
    const value = this.net.app.query(utf8(reservationKey(this.hash)), this.net.app.height)!.value
    const reservation = value === undefined ? undefined : must(decodeReservation(value))
    return { deal, reservation }
  }

  dispatched = (role: Role): boolean => this.ends[role] !== undefined && isDispatched(this.ends[role].deal)
  over = (role: Role): boolean => this.ends[role] === undefined || isOver(this.ends[role].deal)
}
