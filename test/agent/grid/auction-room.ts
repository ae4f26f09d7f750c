/** Boards of a call auction in one room, where every letter is handed over at once: what the tests of auctions share. */
import type { GridConfig } from '../../../agent/config/site-config.ts'
import { type CallAuction, type CallAuctionOptions, createCallAuction } from '../../../agent/grid/auction.ts'
import { createFeeDesk } from '../../../agent/grid/fees.ts'
import type { LightAgent } from '../../../agent/light/run.ts'
import { createSigner } from '../../../drivers/crypto/signer.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import type { Clock } from '../../../drivers/ports.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import type { Fault } from '../../../protocol/result.ts'
import { instant, type Mono } from '../../../protocol/time.ts'
import type { Body, BodyOf } from '../../../protocol/trade/message.ts'
import { price, WINDOW, wh } from './quote-room.ts'

/** How long before its window an auction begins. */
export const LEAD = 60_000
const verifier = createVerifier()

interface Board {
  readonly auction: CallAuction
  readonly awarded: BodyOf<'award'>[]
  readonly granted: { readonly peer: string; readonly award: BodyOf<'award'> }[]
  readonly log: string[]
  readonly evidence: { readonly fault: Fault; readonly bytes: readonly Uint8Array[] }[]
}

/** Boards with limits in coins: bids above zero, offers below; each under the keys that it is given, or under its own. */
export function openBoards(
  limits: Readonly<Record<string, number>>,
  anonymousOf: (name: string) => Pick<CallAuctionOptions, 'anonymous'> = () => ({}),
) {
  let ms = WINDOW.start - LEAD
  const clock: Clock = {
    now: () => instant(ms),
    mono: () => (ms - 1_700_000_000_000) as Mono,
    fine: () => (ms - 1_700_000_000_000) as Mono,
    quality: () => 'synchronised',
  }
  const signers = new Map(Object.keys(limits).map(name => [name, createSigner(sha256(utf8(name)))]))
  const boards = new Map<string, Board>()
  const box: { readonly from: string; readonly to: string; readonly body: Body }[] = []
  // One header a second; its hash says which.
  const headOf = (time: number) => ({
    height: BigInt(Math.floor(time / 1000)),
    time: instant(time),
    hash: sha256(utf8(String(time))),
  })
  const light = {
    head: () => headOf(Math.floor(ms / 1000) * 1000),
    headerAt: async (height: bigint) => {
      const { hash, time } = headOf(Number(height) * 1000)
      return { ok: true, value: { hash, header: { time: { seconds: BigInt(time / 1000), nanos: 0 } } } }
    },
  } as unknown as LightAgent
  const declined: string[] = []
  const sent: { readonly from: string; readonly to: string; readonly body: Body }[] = []
  /** Boards that hear of no header before a time. */
  const deaf = new Map<string, number>()

  function open(name: string): void {
    const coins = limits[name]!
    const grid: GridConfig = {
      ...{ meter: 'grid', node: `node-${name}`, source: 'solar', slotMs: 900_000, leadMs: LEAD, way: 'auction' },
      ...{ premium: {}, strict: false, refuse: [], receiptWindowMs: 60_000, disputeWindowMs: 120_000 },
      ...(coins > 0
        ? { buy: { limit: price(coins), opening: price(0), least: wh(1) } }
        : { sell: { reserve: price(-coins), opening: price(-coins) } }),
    }
    const peers = new Map(
      [...signers].flatMap(([peer, { publicKey }]) => (peer === name ? [] : [[peer, publicKey] as const])),
    )
    const board: Board = {
      evidence: [],
      awarded: [],
      granted: [],
      log: [],
      auction: createCallAuction({
        ...{ grid, chainId: 'energy-1', signer: signers.get(name)!, peers, clock, verifier },
        light: { ...light, head: () => (ms < (deaf.get(name) ?? 0) ? undefined : light.head()) },
        saveEvidence: (fault, bytes) => void board.evidence.push({ fault, bytes }),
        fees: createFeeDesk({ distributor: undefined, verifier, log: () => {}, clock, send: () => {} }),
        log: (_level: string, _room: string, _text: string, fault?: Fault) => void board.log.push(fault?.code ?? ''),
        send(to, body) {
          if (body.kind === 'decline') declined.push(body.reason)
          box.push({ from: name, to, body })
        },
        ownMeter: () => `meter-${name}`,
        asked: () => price(-coins),
        ...anonymousOf(name),
        awarded: (_, award) => void board.awarded.push(award),
        granted: (peer, award) => void board.granted.push({ peer, award }),
      }),
    }
    boards.set(name, board)
  }
  for (const name of Object.keys(limits)) open(name)

  const settle = async () => {
    for (let n = 0; n < 40; n++) await Promise.resolve()
    for (let letter = box.shift(); letter !== undefined; letter = box.shift()) {
      const { from, to, body } = letter
      sent.push(letter)
      if (body.kind === 'passed') boards.get(to)!.auction.hearPassed(from, body)
      if (body.kind === 'order') boards.get(to)!.auction.hear(from, body)
      if (body.kind === 'award') boards.get(to)!.auction.hearAward(from, body)
      await Promise.resolve()
    }
  }
  return {
    boards,
    declined,
    box,
    sent,
    deaf,
    /** A board as after a restart: it knows nothing. */
    open,
    signers,
    of: (name: string) => boards.get(name)!,
    async run(seconds: number) {
      for (let n = 0; n < seconds; n++) {
        ms += 1000
        for (const { auction } of boards.values()) auction.sweep()
        for (let round = 0; round < 4; round++) await settle()
      }
    },
    settle,
  }
}

/** The same, each with an order for a hundred watt-hours. */
export function orderedBoards(...open: Parameters<typeof openBoards>) {
  const room = openBoards(...open)
  for (const [name, coins] of Object.entries(open[0]))
    room.of(name).auction.order(WINDOW, coins > 0 ? wh(100) : wh(0), coins > 0 ? wh(0) : wh(100))
  return room
}
