/** What is said of signed charging records, whichever their format: who measured, when, how much, and every broken rule. */
import type { Fault } from '../result.ts'
import type { Instant, TimeQuality } from '../time.ts'

/** A rule that a record breaks. `record` counts from 1 in the order given; absent where the fault is not one record's. */
export type BrokenRule = Fault & { readonly record?: number }

export interface Who {
  /** SHA-256 of the public key's SubjectPublicKeyInfo, hex. */
  readonly fingerprint: string
  readonly curve: string
  /** The station or what signs in it. */
  readonly gatewaySerial?: string
  readonly meterSerial?: string
}

/** Energy that went through one register between the begin and the end of a transaction: value x 10^scaler in Wh. */
export interface ChargedEnergy {
  readonly obis: string
  /** Into the vehicle or out of it; absent where the register's name does not say. */
  readonly direction?: 'import' | 'export'
  readonly value: bigint
  readonly scaler: number
  readonly unit: 'Wh'
}

export interface Transaction {
  /** Whom the station took the user for: OCMF's ID or ALFEN's UID, as written. */
  readonly user?: string
  readonly begin?: { readonly at: Instant; readonly quality: TimeQuality }
  readonly end?: { readonly at: Instant; readonly quality: TimeQuality }
  /** Begin and end are both there. */
  readonly whole: boolean
  /** Empty unless the transaction is whole and no rule is broken anywhere: a doubtful number is none. */
  readonly energies: readonly ChargedEnergy[]
}

export interface ChargingVerdict {
  /** Every record is well-formed and signed by the key. Says nothing of whose key it is, nor of what the records say. */
  readonly authentic: boolean
  /** No rule is broken. What is billed needs `complete` as well. */
  readonly ok: boolean
  /** There is a transaction, each is whole, and each says an energy. */
  readonly complete: boolean
  readonly who?: Who
  readonly transactions: readonly Transaction[]
  readonly broken: readonly BrokenRule[]
  /** What a reader should know although it breaks no rule. */
  readonly notes: readonly BrokenRule[]
}
