/** What the ledger keeps of agreements, plans, demand response, points and groups. */
import { toHex } from '../bytes.ts'
import { sha256 } from '../crypto/hash.ts'
import type { WattHours } from '../quantity.ts'
import { big, type Codec, encodeAs, flag, integer, list, record, text, word } from '../record.ts'
import { address, energy, hash32, meterId, money, name, price, time } from './fields.ts'
import type { Table } from './table.ts'

/** Above zero: nothing is planned, promised or taken by halves. */
export const someEnergy = big<WattHours>(1n, 2n ** 53n)

/** Terms under which a store takes energy in and gives it back, until one side ends them. */
export const agreementTerms = {
  /** The account that runs the store. */
  storage: [1, address],
  meterId: [2, meterId],
  from: [3, time],
  /** What the store pays for a kWh that it takes in, and asks for one that it gives back. */
  storePrice: [4, price],
  returnPrice: [5, price],
  /** At most this much in a quarter of an hour, either way. */
  most: [6, someEnergy],
  /** From saying so to the end: at most a year. */
  noticeMs: [7, integer(0, 366 * 86_400_000)],
  /** The offer stands until then. */
  answerBy: [8, time],
} as const

/** What points that the store issues are to become for the owner; points, where it says nothing. */
export const agreementChoice = { reward: [13, word('points', 'coin', 'bill-credit')] } as const

const agreement = record(
  {
    ...agreementTerms,
    /** The account that offered it: the meter's owner. */
    owner: [9, address],
    state: [10, word('proposed', 'rejected', 'accepted', 'ending')],
  },
  {
    /** Why the store rejected it. */
    reason: [11, text(/^[\x20-\x7e]{1,120}$/)],
    /** When it ends: it is kept until then. */
    ends: [12, time],
    ...agreementChoice,
  },
)

/** Quarters of an hour in a day of UTC. */
const SLOTS_A_DAY = 96

/** What a meter will take (above zero) or give (below) in a slot. */
const plannedEnergy = big(-(2n ** 53n), 2n ** 53n)
export const plan = list(plannedEnergy, SLOTS_A_DAY, SLOTS_A_DAY)

const schedule = record({ owner: [1, address], plan: [2, plan], kept: [3, time] })
const order = record({ owner: [1, address], energy: [2, someEnergy], limit: [3, price], kept: [4, time] })

export const eventTerms = {
  start: [1, time],
  end: [2, time],
  /** Reports come until then; what is left of the deposit goes back. */
  reportBy: [3, time],
  /** Paid for each kWh less than the baseline. */
  price: [4, price],
  /** The deposit pays for so much. */
  most: [5, someEnergy],
} as const

const event = record(
  {
    ...eventTerms,
    announcer: [6, address],
    /** Locked from the announcer's balance: `most` at `price`, rounded up. */
    deposit: [7, money],
    /** Sum of what the admitted participants may be paid for. */
    admitted: [8, energy],
    paid: [9, money],
  },
  {
    /** Only meters behind this feeder. */
    feeder: [10, name],
  },
)

const participant = record(
  {
    owner: [1, address],
    /** What the meter would take in the event's window without it, as both sides see it. */
    baseline: [2, energy],
    /** It is paid for no more than this. */
    most: [3, someEnergy],
    admitted: [4, flag],
    /** When this record goes: the event's start, once admitted its last moment. */
    until: [5, time],
  },
  {
    /** What it took, by its signed readings, and was paid. */
    report: [6, record({ taken: [1, energy], paid: [2, money], begin: [3, hash32], end: [4, hash32] })],
  },
)

/** Events that a meter is promised to at one time: a week of four a day, and some. */
export const MAX_PROMISED = 32

const promised = record({
  windows: [1, list(record({ event: [1, hash32], start: [2, time], end: [3, time] }), 1, MAX_PROMISED)],
})

/** minted - burnt = what holders have. A point is a watt-hour. */
const pool = record({ minted: [1, energy], burnt: [2, energy] })
const points = record({ amount: [1, someEnergy] })
/** The record is read and written whole. */
export const MAX_PARTS = 64
const rewarded = record(
  { holder: [1, address], amount: [2, someEnergy] },
  {
    /** Whose energy a store gave, where `holder`, the store, said so: they hold the points, and `amount` is their sum. */
    parts: [3, list(record({ holder: [1, address], amount: [2, someEnergy] }), 1, MAX_PARTS)],
  },
)

/** Enough for a street; the record is read and written whole. */
export const MAX_MEMBERS = 100
/** Who was invited first is forgotten first. */
export const MAX_INVITED = 16

const group = record({
  gateway: [1, address],
  members: [2, list(address, 1, MAX_MEMBERS)],
  invited: [3, list(address, 0, MAX_INVITED)],
})
const membership = record({ group: [1, name] })

type ValueOf<C> = C extends Codec<infer T> ? T : never
export type Agreement = ValueOf<typeof agreement>
export type DemandEvent = ValueOf<typeof event>
export type Participant = ValueOf<typeof participant>
export type Pool = ValueOf<typeof pool>
export type Group = ValueOf<typeof group>
export type Rewarded = ValueOf<typeof rewarded>

/** By `agreementId`, until they end. */
export const AGREEMENTS: Table<Agreement> = {
  prefix: 'agreement/',
  codec: agreement,
  due: ({ state, answerBy, ends }) => (state === 'accepted' ? undefined : (ends ?? answerBy)),
}
/** Under `schedule/<day>/<meter>`; days and slots are numbered from the Unix epoch, in UTC. */
export const SCHEDULES: Table<ValueOf<typeof schedule>> = {
  prefix: 'schedule/',
  codec: schedule,
  due: ({ kept }) => kept,
}
/** Under `order/<slot>/<buy or sell>/<meter>`. */
export const ORDERS: Table<ValueOf<typeof order>> = { prefix: 'order/', codec: order, due: ({ kept }) => kept }
/** By `eventId`, until its last moment. */
export const EVENTS: Table<DemandEvent> = { prefix: 'event/', codec: event, due: ({ reportBy }) => reportBy }
/** Under `participant/<event>/<meter>`. */
export const PARTICIPANTS: Table<Participant> = {
  prefix: 'participant/',
  codec: participant,
  due: ({ until }) => until,
}
/** Which times of a meter are promised to events. */
export const PROMISED: Table<ValueOf<typeof promised>> = { prefix: 'promised/', codec: promised }
/** By issuer. */
export const POOLS: Table<Pool> = { prefix: 'pool/', codec: pool }
/** Under `points/<issuer>/<holder>`. */
export const POINTS: Table<ValueOf<typeof points>> = { prefix: 'points/', codec: points }
/** Under `rewarded/<issuer>/<deal>`: no deal is rewarded twice. */
export const REWARDED: Table<Rewarded> = { prefix: 'rewarded/', codec: rewarded }
export const GROUPS: Table<Group> = { prefix: 'group/', codec: group }
/** The group of an account: one at most, so that nothing is netted twice. */
export const MEMBERSHIPS: Table<ValueOf<typeof membership>> = { prefix: 'membership/', codec: membership }

export const SERVICE_TABLES = [
  ...[AGREEMENTS, SCHEDULES, ORDERS, EVENTS, PARTICIPANTS, PROMISED],
  ...[POOLS, POINTS, REWARDED, GROUPS, MEMBERSHIPS],
] as readonly Table<unknown>[]

const agreementName = record({ ...agreementTerms, owner: [9, address] }, agreementChoice)
const eventName = record({ ...eventTerms, announcer: [6, address] }, { feeder: [10, name] })

/** An agreement's name: SHA-256 of its terms and of who offers them. */
export const agreementId = (terms: ValueOf<typeof agreementName>): Uint8Array => sha256(encodeAs(agreementName, terms))

/** An event's name, which its participants' readings carry: SHA-256 of its terms and of who announces it. */
export const eventId = (terms: ValueOf<typeof eventName>): Uint8Array => sha256(encodeAs(eventName, terms))

export const participantId = (event: Uint8Array, meter: string): string => `${toHex(event)}/${meter}`
