/** What a ledger keeps of other ledgers, and what a distribution ledger keeps of its lines. */
import { toHex } from '../bytes.ts'
import type { Price } from '../quantity.ts'
import { big, bytes, type Codec, decodeAs, integer, list, type RecordFault, record, word } from '../record.ts'
import type { Result } from '../result.ts'
import { address, energy, hash32, money, name, price, time } from './fields.ts'
import type { Table } from './table.ts'

export const height = big(1n, 2n ** 63n - 1n)

/**
 * Followed headers that are kept of a peer; the oldest goes first. A chain makes one a second, so nobody can push out a
 * header within a minute, and whoever comes later follows a newer one first.
 */
export const MAX_FOLLOWED = 64

/** A light block of 100 validators has 19 kB. */
export const lightBlockBytes = bytes(1, 23 * 1024)

/** How another ledger is believed; `anchor` is where that began, or begins again. */
const peerTerms = {
  /** How long that chain's validators answer for what they signed. */
  trustingPeriodMs: [1, integer(1000, 366 * 86_400_000)],
  /** How far its clock may be ahead of ours. */
  maxClockDriftMs: [2, integer(0, 3_600_000)],
  /** How long a claim may take from one ledger to the other: a reservation outlives its deal by so much. */
  relayMarginMs: [3, integer(0, 30 * 86_400_000)],
} as const

export const anchor = record({ height: [1, height], hash: [2, hash32] })

const peer = record(
  {
    ...peerTerms,
    /** Heights of the followed headers, rising. */
    heights: [4, list(height, 0, MAX_FOLLOWED)],
  },
  {
    /** Absent until the operator has named one. */
    anchor: [5, anchor],
    /** Two headers of one height that both verified: nothing more is believed of this chain. */
    frozen: [6, record({ height: [1, height], followed: [2, hash32], other: [3, hash32] })],
  },
)

const followed = record({
  hash: [1, hash32],
  /** Root of that chain's state before this block. */
  appHash: [2, bytes(32)],
  /** The header's time, to the millisecond below. */
  time: [3, time],
  /** The light block, which the next one is verified from. */
  block: [4, lightBlockBytes],
})

/** A thousand coins for a kWh, as for energy itself: the sum over a path stays a price. */
export const tariffPrice = big<Price>(0n, 1_000_000_000n)

/** Tariffs of one line that are in force or announced: a year of months, and some. */
export const MAX_TARIFFS = 16

const line = record(
  {
    /** Who says what it carries and costs, and is paid. */
    distributor: [1, address],
    /** What it carries in a slot. */
    capacity: [2, energy],
    /** The one in force and those to come, by rising time. */
    tariffs: [3, list(record({ from: [1, time], price: [2, tariffPrice] }), 0, MAX_TARIFFS)],
  },
  {
    /** The line that it hangs from. */
    feeder: [4, name],
    /** Block time from which on it is reserved with the distributor's signed offer only; absent: its tariffs hold. */
    offersSince: [5, time],
  },
)

/** A line and the feeders above it, at most: house, street, transformer, field, and as many again. */
export const MAX_PATH = 8

/** What is reserved of a line in one slot: towards the root and without a direction, and away from the root. */
const slot = record({ energy: [1, energy], end: [2, time] }, { down: [3, energy] })

const reservation = record(
  {
    state: [1, word('held', 'claimed', 'released')],
    /** The ledger on which the deal is made. */
    chainId: [2, name],
    /**
     * A direct line's contract: the line first, then the feeders above it. Over the grid: the lines from the seller's node
     * to the buyer's; none where both are one node.
     */
    path: [3, list(name, 0, 2 * MAX_PATH)],
    start: [4, time],
    end: [5, time],
    energy: [6, energy],
    /** Sum of the path's tariffs, or what the distributor offered, per kWh. */
    price: [7, price],
    /** Locked from the payer's balance: the fee for the whole contract, rounded up. */
    escrow: [8, money],
    payer: [9, address],
    distributor: [10, address],
    /** The first block at or after this time gives the escrow back. */
    expires: [11, time],
  },
  {
    /** paid + refunded = escrow. `at` is block time. */
    outcome: [12, record({ delivered: [1, energy], paid: [2, money], refunded: [3, money], at: [4, time] })],
    /** Over the grid: so many lines of the path lead towards the root, the others away from it. */
    up: [13, integer(0, MAX_PATH)],
    /** Until when the signed offer held that it was made with; present where a line of the path required one. */
    offered: [14, time],
  },
)

type ValueOf<C> = C extends Codec<infer T> ? T : never
export type Peer = ValueOf<typeof peer>
export type Followed = ValueOf<typeof followed>
export type Line = ValueOf<typeof line>
export type Slot = ValueOf<typeof slot>
export type Reservation = ValueOf<typeof reservation>

/** Other ledgers, by chain id. */
export const PEERS: Table<Peer> = { prefix: 'peer/', codec: peer }
/** Under `followed/<chain id>/<height>`. */
export const FOLLOWED: Table<Followed> = { prefix: 'followed/', codec: followed }
export const LINES: Table<Line> = { prefix: 'line/', codec: line }
/** Under `slot/<line>/<number>`, while anything is reserved in it and it is not over. */
export const SLOTS: Table<Slot> = { prefix: 'slot/', codec: slot, due: ({ end }) => end }
/** By contract hash. */
export const RESERVATIONS: Table<Reservation> = {
  prefix: 'reservation/',
  codec: reservation,
  due: ({ state, expires }) => (state === 'held' ? expires : undefined),
}

export const NETWORK_TABLES = [PEERS, FOLLOWED, LINES, SLOTS, RESERVATIONS] as readonly Table<unknown>[]

/** The state key of a reservation: utf8 of this text. */
export const reservationKey = (contractHash: Uint8Array): string => RESERVATIONS.prefix + toHex(contractHash)

/** A reservation's record from the value that a proof vouches for. */
export const decodeReservation = (value: Uint8Array): Result<Reservation, RecordFault> =>
  decodeAs(reservation, value, 'reservation', 2048)
