/**
 * Two deals, one at each end of a line, with a wire that knows nothing of them: contacts obey, power flows only while both
 * are closed, and what must never happen is counted. Messages take `delayMs`; time goes in ticks of 100 ms.
 */
import { ed25519 } from '@noble/curves/ed25519.js'
import { addressOf } from '../../../protocol/crypto/hash.ts'
import { nobleVerifier, type Verifier } from '../../../protocol/crypto/verify.ts'
import { costCeil, microsPerKwh, milliwattHours, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { instant, mono } from '../../../protocol/time.ts'
import {
  assembleSignedContract,
  type Contract,
  contractToSign,
  encodeContract,
  type Party,
} from '../../../protocol/trade/contract.ts'
import { openDeal, step } from '../../../protocol/trade/deal.ts'
import { decodeDeal, encodeDeal } from '../../../protocol/trade/deal-codec.ts'
import {
  type Deal,
  type DealTx,
  heartbeatsDue,
  type Input,
  type Now,
  type Output,
  type TimerName,
  wishOf,
} from '../../../protocol/trade/deal-state.ts'
import type { Body } from '../../../protocol/trade/message.ts'
import { expectedPayment } from '../../../protocol/trade/receipt.ts'

const SECRETS: Record<Party, Uint8Array> = {
  seller: new Uint8Array(32).fill(1),
  buyer: new Uint8Array(32).fill(2),
}
export const KEYS = { seller: ed25519.getPublicKey(SECRETS.seller), buyer: ed25519.getPublicKey(SECRETS.buyer) }
export const EPOCH = 1_800_000_000_000

export const TERMS: Contract = {
  chainId: 'street-1',
  line: 'L1',
  seller: addressOf(KEYS.seller),
  buyer: addressOf(KEYS.buyer),
  sellerMeter: '21000001',
  buyerMeter: '21000002',
  start: instant(EPOCH + 10_000),
  end: instant(EPOCH + 130_000),
  energy: wattHours(500n),
  price: microsPerKwh(200_000n),
  lossPermille: 20,
  receiptWindowMs: 30_000,
  disputeWindowMs: 30_000,
  nonce: new Uint8Array(16).fill(7),
}

const verdicts = new Map<string, boolean>()
/** The real verifier with a memory: the same few halves are judged again and again here. */
export const verifier: Verifier = {
  verify: (alg, key, message, signature) => {
    const id = [key, message, signature].join('|')
    const known = verdicts.get(id) ?? nobleVerifier.verify(alg, key, message, signature)
    verdicts.set(id, known)
    return known
  },
}

export const signHalf = (bytes: Uint8Array, party: Party): Uint8Array =>
  assembleSignedContract(bytes, KEYS[party], ed25519.sign(contractToSign(bytes, KEYS[party]), SECRETS[party]))

interface End {
  deal: Deal
  contact: 'open' | 'closed'
  own: 'open' | 'closed'
  welded: boolean
  alive: boolean
  meter: boolean
  /** Milliwatt-hours in this end's line register. */
  register: bigint
  journal: Uint8Array
  timers: Map<TimerName, number>
  outputs: Output[]
  heartbeats: number
  /** Outputs carried out. */
  done: number
}

export interface Ledger {
  state: 'none' | 'locked' | 'settled' | 'refunded'
  receipts: Map<Party, bigint>
  paid: bigint
  disputed: boolean
  refuse: boolean
  /** Nothing can be proven. */
  hold: boolean
  escrow: bigint
}

/** `crash`: this end dies just before its nth output is carried out. */
export function createStreet(crash?: { readonly party: Party; readonly output: number }) {
  const terms = TERMS
  const delayMs = 50
  const bytes = encodeContract(terms)
  const violations: string[] = []
  const moves: string[] = []
  const ledger: Ledger = {
    state: 'none',
    receipts: new Map(),
    paid: 0n,
    disputed: false,
    refuse: false,
    hold: false,
    escrow: costCeil(terms.energy, terms.price),
  }
  let time = 0
  let wallShift = 0
  let brokerUp = true
  let powerMw = 7_200_000n
  const mail: { at: number; to: Party; body: Body }[] = []
  const now = (): Now => ({ wall: instant(EPOCH + time + wallShift), mono: mono(time) })
  const ends = {} as Record<Party, End>
  const peerOf = (party: Party): Party => (party === 'seller' ? 'buyer' : 'seller')

  function begin(role: Party, peerHalf?: Uint8Array): void {
    const opened = must(
      openDeal(
        { role, bytes, sellerKey: KEYS.seller, buyerKey: KEYS.buyer, ...(peerHalf ? { peerHalf } : {}) },
        now(),
        verifier,
      ),
    )
    ends[role] = {
      deal: opened.deal,
      contact: 'open',
      own: 'closed',
      welded: false,
      alive: true,
      meter: true,
      register: 1_000_000n,
      journal: encodeDeal(opened.deal),
      timers: new Map(),
      outputs: [],
      heartbeats: 0,
      done: 0,
    }
    carryOut(role, opened.outputs)
  }

  function give(party: Party, input: Input): void {
    const end = ends[party]
    if (end === undefined || !end.alive) return
    const after = step(end.deal, input, now(), verifier)
    end.deal = after.deal
    carryOut(party, after.outputs)
  }

  function carryOut(party: Party, outputs: readonly Output[]): void {
    const end = ends[party]
    for (const output of outputs) {
      if (!end.alive) return
      if (crash?.party === party && crash.output === end.done) {
        kill(party)
        return
      }
      end.done++
      end.outputs.push(output)
      const before = positions()
      if (output.kind === 'open') {
        if (output.contact === 'own') end.own = 'open'
        else if (!end.welded) end.contact = 'open'
      } else if (output.kind === 'record') end.journal = encodeDeal(end.deal)
      else if (output.kind === 'send' && brokerUp)
        mail.push({ at: time + delayMs, to: peerOf(party), body: output.body })
      else if (output.kind === 'timer') end.timers.set(output.name, output.at)
      else if (output.kind === 'close') closeContact(party, output.contact)
      else if (output.kind === 'sign-contract') give(party, { kind: 'half', sign1: signHalf(bytes, party) })
      else if (output.kind === 'submit') submit(party, output.tx)
      else if (output.kind === 'sign-reading') sign(party, output.which)
      if (positions() !== before && (output.kind === 'open' || output.kind === 'close')) moves.push(positions())
    }
  }

  const positions = () => `own ${ends.buyer?.own}, buyer ${ends.buyer?.contact}, seller ${ends.seller.contact}`

  function closeContact(party: Party, contact: 'line' | 'own'): void {
    const end = ends[party]
    if (contact === 'own') {
      if (end.contact === 'closed') violations.push('own supply closed onto a joined line')
      end.own = 'closed'
      return
    }
    if (wishOf(end.deal).line !== 'closed') violations.push('closed without a wish')
    if (ledger.state !== 'locked') violations.push('closed without a locked payment')
    if (party === 'buyer' && end.own === 'closed') violations.push('paralleled')
    if (party === 'buyer' && ends.seller.contact === 'closed') violations.push('closed onto a live line')
    if (party === 'seller' && ends.buyer.own === 'closed' && ends.buyer.contact === 'closed')
      violations.push('paralleled')
    end.contact = 'closed'
  }

  function submit(party: Party, tx: DealTx): void {
    const hash = new Uint8Array(32).fill(9)
    if (ledger.refuse) return give(party, { kind: 'not-handed-in', tx, fault: { code: 'rpc.refused' } })
    if (tx === 'commit') ledger.state = 'locked'
    else if (ledger.state === 'locked') {
      const { begin, end } = ends[party].deal
      ledger.receipts.set(party, (end!.register - begin!.register) / 1000n)
      if (ledger.receipts.size === 2) settle(false)
    }
    give(party, { kind: 'handed-in', tx, hash })
  }

  function settle(disputed: boolean): void {
    const [a, b] = [ledger.receipts.get('seller'), ledger.receipts.get('buyer')]
    ledger.paid = expectedPayment(
      ...[terms, { energy: wattHours(a ?? b!), final: true }, { energy: wattHours(b ?? a!), final: true }, false],
    ).most
    ledger.state = 'settled'
    ledger.disputed = disputed
  }

  function sign(party: Party, which: 'begin' | 'end'): void {
    const end = ends[party]
    if (!end.meter) return give(party, { kind: 'no-reading', which, fault: { code: 'meter.silent' } })
    const register = milliwattHours(end.register)
    give(party, {
      kind: 'signed-reading',
      which,
      reading: { envelope: new Uint8Array(240), context: new Uint8Array(250), register },
    })
  }

  function tick(): void {
    time += 100
    const live = ends.seller.contact === 'closed'
    if (live && ends.buyer?.contact === 'closed') {
      if (ends.buyer.own === 'closed') violations.push('paralleled')
      const energy = (powerMw * 100n) / 3_600_000n
      ends.seller.register += energy
      ends.buyer.register += energy
    }
    for (const due of mail.filter(one => one.at <= time)) {
      mail.splice(mail.indexOf(due), 1)
      const { body, to } = due
      if (body.kind === 'accept' && ends[to] === undefined) begin(to, body.half)
      else if (body.kind === 'receipt-copy')
        give(to, {
          kind: 'metered',
          side: 'peer',
          ended: true,
          energy: wattHours((ends[peerOf(to)].deal.end!.register - ends[peerOf(to)].deal.begin!.register) / 1000n),
        })
      else give(to, { kind: 'message', body: body as never })
    }
    const over = time + wallShift + EPOCH - terms.end - terms.receiptWindowMs - terms.disputeWindowMs
    if (ledger.state === 'locked' && over >= 0) {
      if (ledger.receipts.size > 0) settle(true)
      else ledger.state = 'refunded'
    }
    for (const party of ['seller', 'buyer'] as const) if (ends[party]?.alive) turn(party)
  }

  function turn(party: Party): void {
    const end = ends[party]
    const line =
      ends.seller.contact === 'closed' || (ends.buyer?.contact === 'closed' && ends.buyer.own === 'closed')
        ? 'live'
        : 'dead'
    for (const [name, at] of [...end.timers]) {
      if (at > time) continue
      end.timers.delete(name)
      give(party, { kind: 'timer', name })
    }
    give(party, { kind: 'facts', facts: { contact: end.contact, own: end.own, line: end.meter ? line : 'unknown' } })
    if (!ends[peerOf(party)]?.alive) give(party, { kind: 'heartbeat-lost', ageMs: 1100 })
    if (heartbeatsDue(end.deal, now().wall)) {
      end.heartbeats++
      if (brokerUp)
        mail.push({
          at: time + delayMs,
          to: peerOf(party),
          body: {
            kind: 'heartbeat',
            hash: end.deal.hash,
            line: 'L1',
            contact: end.contact,
            sequence: end.heartbeats,
            welded: false,
          },
        })
    }
    const asked = (what: string) =>
      !ledger.hold && end.outputs.some(output => output.kind === 'prove' && output.what === what)
    const { state } = end.deal
    if (state === 'escrowed' && asked('lock') && ledger.state === 'locked') {
      give(party, {
        kind: 'lock',
        hash: end.deal.hash,
        record: { state: 'locked', escrow: costCeil(terms.energy, terms.price) },
        height: 12n,
      })
    }
    if (
      asked('settlement') &&
      !['started', 'armed'].includes(state) &&
      (ledger.state === 'settled' || ledger.state === 'refunded')
    ) {
      if (end.deal.settlement === undefined)
        give(party, {
          kind: 'settlement',
          outcome: { kind: ledger.state, paid: ledger.paid as never, disputed: ledger.disputed, height: 20n },
        })
    }
    const neverThere = ledger.state === 'none' && now().wall > terms.end + terms.receiptWindowMs + terms.disputeWindowMs
    if (asked('settlement') && neverThere) give(party, { kind: 'settlement', outcome: { kind: 'absent' } })
    if (state === 'started' && end.meter && time % 1000 === 0) {
      give(party, {
        kind: 'metered',
        side: 'own',
        energy: wattHours((end.register - end.deal.begin!.register) / 1000n),
      })
    }
  }

  function kill(party: Party): void {
    const end = ends[party]
    end.alive = false
    // Every supervised driver opens by itself when the agent dies.
    end.contact = 'open'
    end.timers.clear()
  }

  /** The seller has accepted: its half goes to the buyer. */
  begin('seller')
  return {
    ends,
    ledger,
    violations,
    moves,
    give,
    now,
    states: () => [ends.seller.deal.state, ends.buyer?.deal.state ?? 'none'],
    run(ms: number): void {
      for (const until = time + ms; time < until; ) tick()
    },
    runUntil(done: () => boolean, limitMs = 300_000): void {
      for (const until = time + limitMs; !done(); ) {
        if (time >= until)
          throw new Error(`not reached after ${limitMs} ms: ${ends.seller.deal.state}, ${ends.buyer?.deal.state}`)
        tick()
      }
    },
    flowing: () => ends.seller.contact === 'closed' && ends.buyer?.contact === 'closed',
    setBroker(up: boolean): void {
      brokerUp = up
      if (!up) for (const party of ['seller', 'buyer'] as const) give(party, { kind: 'broker-down' })
    },
    setPower(mw: bigint): void {
      powerMw = mw
    },
    shiftWall(ms: number): void {
      wallShift += ms
    },
    kill,
    revive(party: Party): void {
      const end = ends[party]
      end.deal = must(decodeDeal(end.journal))
      end.alive = true
      end.done = Number.NEGATIVE_INFINITY
      give(party, { kind: 'restored' })
    },
  }
}
export type Street = ReturnType<typeof createStreet>
