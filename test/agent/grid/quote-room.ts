/** Buyers and sellers that ask each other for quotes, with letters in order and time that a test moves. */
import type { GridConfig } from '../../../agent/config/site-config.ts'
import { type Asking, createAsking } from '../../../agent/grid/ask.ts'
import { createFeeDesk, type FeeDesk } from '../../../agent/grid/fees.ts'
import { createOffering, type Offering } from '../../../agent/grid/offer.ts'
import type { Clock } from '../../../drivers/ports.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { microsPerKwh, type Price, type WattHours, wattHours } from '../../../protocol/quantity.ts'
import { done, type Fault, ok, type Result } from '../../../protocol/result.ts'
import { type Instant, instant, type Mono } from '../../../protocol/time.ts'
import { type Contract, decodeContract, encodeContract } from '../../../protocol/trade/contract.ts'
import type { Body, BodyOf } from '../../../protocol/trade/message.ts'

export const price = (coins: number): Price => microsPerKwh(BigInt(Math.round(coins * 1_000_000)))
export const wh = (energy: number): WattHours => wattHours(BigInt(energy))
const START: Instant = instant(1_800_000_000_000)
export const WINDOW = { start: START, end: instant(START + 900_000) }

export interface Letter {
  readonly from: string
  readonly to: string
  readonly body: Body
}

export interface Trader {
  readonly asking: Asking
  readonly offering: Offering
  readonly fees: FeeDesk
  /** What it could still sell. */
  left: WattHours
  /** Contracts that it made or took, with the fee where it sells. */
  readonly agreed: { readonly peer: string; readonly contract: Contract; readonly fee?: Price }[]
  readonly broken: string[]
  readonly log: string[]
}

type Over = Partial<Pick<GridConfig, 'way' | 'sell' | 'buy' | 'premium' | 'strict' | 'refuse' | 'source'>> & {
  readonly left?: number
}

export interface QuoteRoom {
  readonly traders: ReadonlyMap<string, Trader>
  of(name: string): Trader
  /** Everything that was sent, in order. */
  readonly letters: Letter[]
  /** Bodies of one kind. */
  sent<K extends Body['kind']>(kind: K): readonly BodyOf<K>[]
  /** Delivers until nobody writes any more. */
  deliver(): void
  advance(ms: number): void
  /** A letter that nobody of the room wrote, or one that somebody forged in its own name. */
  put(from: string, to: string, body: Body): void
  /** What the distributor does with a question; by default a cent for every kWh. */
  distributor: (from: string, body: BodyOf<'fee-wanted'>) => Body | undefined
  /** What a seller reads from the distribution ledger by itself; by default nothing comes. */
  proven: (query: Omit<BodyOf<'fee-wanted'>, 'kind' | 'id'>) => Promise<Result<Price>>
  readonly clock: Clock
  /** Letters that are lost. */
  lose: (letter: Letter) => boolean
}

export function openRoom(people: Readonly<Record<string, Over>>): QuoteRoom {
  let ms = START - 60_000
  const clock: Clock = {
    now: () => instant(ms),
    mono: () => (ms - 1_700_000_000_000) as Mono,
    quality: () => 'synchronised',
    fine: () => (ms - 1_700_000_000_000) as Mono,
  }
  const letters: Letter[] = []
  const box: Letter[] = []
  const keyOf = (name: string) => sha256(utf8(`key ${name}`))
  let drawn = 0
  const entropy = { bytes: (count: number) => sha256(utf8(`${drawn++}`)).slice(0, count) }
  const traders = new Map<string, Trader>()
  const send = (from: string) => (to: string, body: Body) => {
    const letter = { from, to, body }
    letters.push(letter)
    box.push(letter)
  }

  const room: QuoteRoom = {
    traders,
    of: name => traders.get(name)!,
    letters,
    sent: <K extends Body['kind']>(kind: K) =>
      letters.map(({ body }) => body).filter((body): body is BodyOf<K> => body.kind === kind),
    deliver() {
      for (let letter = box.shift(); letter !== undefined; letter = box.shift()) if (!room.lose(letter)) take(letter)
    },
    advance(by) {
      ms += by
      for (const { asking, offering, fees } of traders.values()) {
        fees.sweep()
        asking.sweep()
        offering.sweep()
      }
      room.deliver()
    },
    put: (from, to, body) => send(from)(to, body),
    distributor: (_, { id }) => ({ kind: 'fee-offer', id, price: price(0.01), until: WINDOW.end }),
    clock,
    proven: () => new Promise(() => {}),
    lose: () => false,
  }

  function take({ from, to, body }: Letter): void {
    if (to === 'wires') {
      const answer = body.kind === 'fee-wanted' ? room.distributor(from, body) : undefined
      if (answer !== undefined) send('wires')(from, answer)
      return
    }
    const trader = traders.get(to)
    if (trader === undefined) return
    switch (body.kind) {
      case 'want':
      case 'reveal':
      case 'award':
        return trader.offering.hear(from, body)
      case 'bid':
      case 'sealed-bid':
      case 'accept':
        return trader.asking.hear(from, body)
      case 'fee-offer':
        return void trader.fees.hear(from, body)
      case 'decline':
        if (trader.fees.hear(from, body)) return
        trader.asking.hear(from, body)
        trader.offering.hear(from, body)
    }
  }

  for (const [name, { left = 0, ...over }] of Object.entries(people)) {
    const grid: GridConfig = {
      ...{ meter: 'grid', node: `node-${name}`, source: 'solar', slotMs: 900_000, leadMs: 60_000, way: 'matching' },
      ...{ premium: {}, strict: false, refuse: [], receiptWindowMs: 60_000, disputeWindowMs: 120_000 },
      ...over,
    }
    const peers = new Map(Object.keys(people).flatMap(peer => (peer === name ? [] : [[peer, keyOf(peer)] as const])))
    const log: string[] = []
    const fees = createFeeDesk({
      distributor: {
        name: 'wires',
        key: keyOf('wires'),
        paths: { provenPrice: query => room.proven(query), forget: () => {} },
      },
      ...{ clock, verifier: { verify: () => false } as never, log: () => {}, send: send(name) },
    })
    const own = {
      ...{ grid, chainId: 'energy-1', ownKey: keyOf(name), peers, clock, entropy, send: send(name) },
      log: (level: string, _: string, text: string, fault?: Fault) =>
        void log.push(`${level} ${text} ${fault?.code ?? ''}`),
      ownMeter: () => `meter-${name}`,
    }
    const trader: Trader = {
      asking: createAsking({
        ...own,
        worth: (_, energy) => energy,
        promisesOf: () => ({ kept: 1_000_000, broken: 0 }),
        agreed(peer, contract) {
          const read = decodeContract(contract)
          if (!read.ok) return read
          trader.agreed.push({ peer, contract: read.value })
          return done
        },
        broken: peer => void trader.broken.push(peer),
      }),
      offering: createOffering({
        ...own,
        fees,
        left: () => trader.left,
        offerable: () => trader.left,
        closed: () => undefined,
        agreed(peer, contract, fee) {
          trader.agreed.push({ peer, contract, fee })
          trader.left = wattHours(trader.left - contract.energy)
          const half = new Uint8Array(80)
          send(name)(peer, { kind: 'accept', id: contract.nonce, contract: encodeContract(contract), half })
          return ok(undefined)
        },
      }),
      fees,
      left: wh(left),
      agreed: [],
      broken: [],
      log,
    }
    traders.set(name, trader)
  }
  return room
}
