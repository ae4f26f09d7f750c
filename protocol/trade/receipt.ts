/**
 * What each side's readings say was delivered, and what the ledger should therefore have paid: the agents' own sum, made
 * without the ledger's code, by which they judge its settlement.
 */
import {
  costFloor,
  type Energy,
  type Money,
  micros,
  milliwattHours,
  type WattHours,
  wholeWattHours,
} from '../quantity.ts'
import { type ErrorFlag, type Reading, registerEnergy } from '../reading/reading.ts'
import { fail, ok, type Result } from '../result.ts'
import { OBIS } from '../telegram/obis.ts'
import type { Contract, Party } from './contract.ts'

export type ReceiptFault =
  | { readonly code: 'receipt.errors'; readonly sequence: number; readonly errors: readonly ErrorFlag[] }
  | { readonly code: 'receipt.no-register'; readonly obis: string }
  | { readonly code: 'receipt.backwards'; readonly begin: bigint; readonly end: bigint }
  | { readonly code: 'receipt.order'; readonly begin: number; readonly end: number }

/** The register that counts: energy sent into the line at the seller's end, taken from it at the buyer's. */
export const dealRegister = (party: Party): string => (party === 'seller' ? OBIS.energyExport : OBIS.energyImport)

/**
 * 4.6 PWh, in mWh: what lies between two registers is then a number of watt-hours that journal and ledger can write down.
 * Whoever has a meter's key can sign any number.
 */
const MAX_REGISTER = 2n ** 62n

/**
 * What this party's line register stands at in a reading; one beyond every meter's range is none, and neither is one below
 * zero, which the ledger refuses. A reading that says of itself that its energy or its time is not to be settled on is not.
 */
export function dealEnergy(reading: Reading, party: Party): Result<Energy, ReceiptFault> {
  const { sequence, errors } = reading
  if (errors.length > 0) return fail({ code: 'receipt.errors', sequence, errors })
  const energy = registerEnergy(reading, dealRegister(party))
  return energy === undefined || energy < 0n || energy > MAX_REGISTER
    ? fail({ code: 'receipt.no-register', obis: dealRegister(party) })
    : ok(energy)
}

/** Whole watt-hours between two registers, rounded down: a fraction is nobody's. */
export const wholeBetween = (begin: Energy, end: Energy): WattHours => wholeWattHours(milliwattHours(end - begin))

/** What one party's line meter counted from `begin` to `end`, both already verified. */
export function deliveredWh(begin: Reading, end: Reading, party: Party): Result<WattHours, ReceiptFault> {
  if (end.sequence <= begin.sequence) {
    return fail({ code: 'receipt.order', begin: begin.sequence, end: end.sequence })
  }
  const from = dealEnergy(begin, party)
  if (!from.ok) return from
  const to = dealEnergy(end, party)
  if (!to.ok) return to
  return to.value < from.value
    ? fail({ code: 'receipt.backwards', begin: from.value, end: to.value })
    : ok(wholeBetween(from.value, to.value))
}

/** What one party's meter counted: all of the deal once its end was read, and until then what it can only exceed. */
export interface Count {
  readonly energy: WattHours
  readonly final: boolean
}

/**
 * Where the payment must lie, by what this side knows: over a direct line exactly, where the ends of both meters are known
 * and both receipts counted. Over the grid a meter's count is parted among all its contracts of the window (deviation.ts), of which
 * one side does not know the other's: then there is only a most.
 */
export function expectedPayment(
  contract: Contract,
  own: Count | undefined,
  peer: Count | undefined,
  disputed: boolean,
): { readonly least: Money; readonly most: Money } {
  const cost = (...energies: readonly (WattHours | undefined)[]) =>
    costFloor(
      energies.reduce(
        (least: WattHours, energy) => (energy !== undefined && energy < least ? energy : least),
        contract.energy,
      ),
      contract.price,
    )
  const none = micros(0n)
  const known = contract.to === undefined && own !== undefined && peer !== undefined
  const least = known ? cost(own.energy, peer.energy) : none
  // The other side's last word may be lost with a broker, and its receipt on the ledger all the same.
  const [ownMost, peerMost] = [own, peer].map(count => (count?.final ? count.energy : undefined))
  // One receipt only: ours or theirs, whichever came, so at most the larger of the two counts and at least the smaller.
  if (disputed) {
    const [a, b] = [cost(ownMost), cost(peerMost)]
    return { least, most: a > b ? a : b }
  }
  return { least, most: cost(ownMost, peerMost) }
}
