/** One side of a deal over the grid, moved input by input in virtual time, and every input of its good path. */
import { toHex } from '../../../protocol/bytes.ts'
import type { Verifier } from '../../../protocol/crypto/verify.ts'
import { micros, milliwattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { type Instant, instant, later, mono } from '../../../protocol/time.ts'
import { type Contract, contractHash, encodeContract, type Party } from '../../../protocol/trade/contract.ts'
import { openDeal, step } from '../../../protocol/trade/deal.ts'
import { decodeDeal, encodeDeal } from '../../../protocol/trade/deal-codec.ts'
import type { Deal, Input, Metered, Output, Proven, ReserveTerms } from '../../../protocol/trade/deal-state.ts'
import { EPOCH, KEYS, signHalf, TERMS } from './deal-street.ts'

export const MARGIN_MS = 600_000
/** 500 Wh from node N1 to node N7 within two minutes, from ten seconds after the agreement on. */
export const GRID_TERMS: Contract = { ...TERMS, line: 'N1', to: 'N7' }
export const GRID_BYTES = encodeContract(GRID_TERMS)
export const HASH = contractHash(GRID_BYTES)
export const HALVES = { seller: signHalf(GRID_BYTES, 'seller'), buyer: signHalf(GRID_BYTES, 'buyer') }
export const SETTLE_BY = (GRID_TERMS.end + GRID_TERMS.receiptWindowMs + GRID_TERMS.disputeWindowMs) as Instant
const TX = new Uint8Array(32).fill(9)
export const PROOF: Proven = { height: 7n, proof: Uint8Array.of(1, 2, 3) }

const signed = (key: Uint8Array, signature: Uint8Array) => `${toHex(key)} ${toHex(signature)}`
const good = new Set((['seller', 'buyer'] as const).map(party => signed(KEYS[party], HALVES[party].subarray(-64))))
/** Knows the two good signatures, each under its key, so that a million checks take no time. */
export const stub: Verifier = { verify: (_alg, key, _message, signature) => good.has(signed(key, signature)) }

export const reading = (register: bigint): Metered => ({
  envelope: new Uint8Array(240),
  context: new Uint8Array(250),
  register: milliwattHours(register),
})

/** A reservation as good as it need be. */
export const RESERVATION = {
  state: 'held',
  chainId: GRID_TERMS.chainId,
  start: GRID_TERMS.start,
  end: GRID_TERMS.end,
  energy: GRID_TERMS.energy,
  expires: later(SETTLE_BY, MARGIN_MS),
} as const

/** The inputs of the good path, by name. */
export const INPUTS = {
  ownHalf: (role: Party): Input => ({ kind: 'half', sign1: HALVES[role] }),
  countersign: (role: Party): Input => ({
    kind: 'message',
    body: { kind: 'countersign', hash: HASH, half: HALVES[role === 'seller' ? 'buyer' : 'seller'] },
  }),
  reserveIn: { kind: 'handed-in', tx: 'reserve', hash: TX },
  reserved: { kind: 'message', body: { kind: 'reserved', hash: HASH, tx: TX } },
  reservation: { kind: 'reservation', hash: HASH, record: RESERVATION, ...PROOF },
  commitIn: { kind: 'handed-in', tx: 'commit', hash: TX },
  committed: { kind: 'message', body: { kind: 'committed', hash: HASH, tx: TX } },
  lock: { kind: 'lock', hash: HASH, record: { state: 'locked', escrow: micros(100_000n) }, height: 9n },
  start: { kind: 'timer', name: 'start' },
  begin: { kind: 'signed-reading', which: 'begin', reading: reading(1_000_000n) },
  end: { kind: 'timer', name: 'end' },
  endReading: { kind: 'signed-reading', which: 'end', reading: reading(1_400_000n) },
  receiptIn: { kind: 'handed-in', tx: 'receipt', hash: TX },
  settlement: {
    kind: 'settlement',
    outcome: { kind: 'settled', paid: micros(80_000n), disputed: false, height: 30n },
  },
  absent: { kind: 'settlement', outcome: { kind: 'absent', proven: PROOF } },
  feeFree: { kind: 'fee-free' },
} as const satisfies Record<string, Input | ((role: Party) => Input)>

export const begun = (role: Party, reserve?: ReserveTerms | false): Deal =>
  must(
    openDeal(
      {
        role,
        bytes: GRID_BYTES,
        sellerKey: KEYS.seller,
        buyerKey: KEYS.buyer,
        reserve: reserve ?? { relayMarginMs: MARGIN_MS },
      },
      { wall: instant(EPOCH), mono: mono(0) },
      stub,
    ),
  ).deal

/** The input that takes a deal one step further along its good path; undefined where nothing is left to come. */
export function helpful(deal: Deal): Input {
  const { role, state, phase } = deal
  const selling = role === 'seller'
  switch (state) {
    case 'proposed':
      return deal.ownHalf === undefined ? INPUTS.ownHalf(role) : INPUTS.countersign(role)
    case 'signed':
      if (deal.reserve === undefined) return selling ? INPUTS.committed : INPUTS.commitIn
      if (selling) return INPUTS.reserveIn
      return deal.peerReady ? INPUTS.reservation : INPUTS.reserved
    case 'reserved':
      return selling ? INPUTS.committed : INPUTS.commitIn
    case 'escrowed':
      return INPUTS.lock
    case 'armed':
      return phase === 'reading' ? INPUTS.begin : INPUTS.start
    case 'started':
      return INPUTS.end
    case 'stopped':
      return phase === 'reading' ? INPUTS.endReading : INPUTS.receiptIn
    case 'aborted':
    case 'expired':
      return deal.fee && !deal.escrow ? INPUTS.feeFree : INPUTS.absent
    default:
      return INPUTS.settlement
  }
}

export class Side {
  deal: Deal
  wall: number = EPOCH
  mono = 0

  constructor(role: Party, reserve?: ReserveTerms | false) {
    this.deal = begun(role, reserve)
  }

  /** What the deal asks for now, journal aside. */
  give(input: Input, atWall?: number): readonly Output[] {
    if (atWall !== undefined) this.pass(atWall - this.wall)
    const after = step(this.deal, input, { wall: instant(this.wall), mono: mono(this.mono) }, stub)
    this.deal = after.deal
    return after.outputs.filter(({ kind }) => kind !== 'record')
  }

  pass(ms: number): void {
    this.wall += ms
    this.mono += ms
  }

  /** Along the good path until it is in a state, its start and end at their times. */
  until(state: Deal['state'], phase?: Deal['phase']): this {
    for (let turns = 0; this.deal.state !== state || (phase !== undefined && this.deal.phase !== phase); turns++) {
      if (turns > 40) throw new Error(`never ${state}: ${this.deal.state}`)
      const input = helpful(this.deal)
      const at =
        input === INPUTS.start ? GRID_TERMS.start : input === INPUTS.end ? GRID_TERMS.end : Math.max(this.wall, EPOCH)
      this.give(input, at)
    }
    return this
  }

  /** The process ends and another reads the journal. */
  restart(): readonly Output[] {
    this.deal = must(decodeDeal(encodeDeal(this.deal)))
    return this.give({ kind: 'restored' })
  }
}

/** An output in a few words. */
export function said(output: Output): string {
  switch (output.kind) {
    case 'send':
      return `say ${output.body.kind}`
    case 'submit':
      return `submit ${output.tx}`
    case 'prove':
      return `prove ${output.what}`
    case 'sign-reading':
      return `sign ${output.which}`
    case 'dispatch':
      return `dispatch ${output.on ? 'on' : 'off'}`
    case 'timer':
      return `timer ${output.name}`
    case 'refused':
      return `refused ${output.fault.code}`
    case 'health':
      return `health ${output.what} ${output.fault?.code ?? 'cleared'}`
    case 'open':
    case 'close':
      return `${output.kind} ${output.contact}`
    default:
      return output.kind
  }
}
