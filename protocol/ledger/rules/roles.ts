/** Who holds which role: the operator grants them and takes them back. A role is the right to send certain kinds of transaction. */
import { equalBytes, toHex } from '../../bytes.ts'
import { ok, type Result } from '../../result.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { ROLE_NAMES } from '../fields.ts'
import type { Applying, Kinds } from '../kind.ts'
import { accountId, type Draft, type State } from '../state.ts'
import { ACCOUNTS, ROLES } from '../tables.ts'
import type { BodyOf } from '../tx.ts'

/**
 * enroller: enrols and revokes meters. regulator: sets the price band, suspends meters. distributor: line capacities and fees.
 * storage, community, aggregator: run a store, a community's gateway, demand response. validator: joins as one.
 * issuer: reward points. registrar: publishes the keys that certify one-time keys. mint: publishes the keys of blind coins.
 */
export type Role = (typeof ROLE_NAMES)[number]

const NO_DATA = new Uint8Array(0)

export const roleId = (role: Role, holder: Uint8Array): string => `${role}/${toHex(holder)}`

/** Whether an account holds a role now. */
export const hasRole = (state: State, role: Role, holder: Uint8Array): boolean =>
  state.get(ROLES, roleId(role, holder)) !== undefined

/** Gives an account a role from a height on. */
export const grantRole = (draft: Draft, role: Role, holder: Uint8Array, height: bigint): void =>
  draft.put(ROLES, roleId(role, holder), { since: height })

export const roleKinds = { role: { gas: 1n, apply: applyRole } } satisfies Partial<Kinds>

function applyRole(
  draft: Draft,
  sender: Uint8Array,
  { role, holder, held }: BodyOf<'role'>,
  { rules, height }: Applying,
): Result<Uint8Array, LedgerFault> {
  if (!equalBytes(sender, rules.operator)) {
    return refuse('ledger.operator-only', { operator: toHex(rules.operator), sender: toHex(sender) })
  }
  if (draft.get(ACCOUNTS, accountId(holder)) === undefined) {
    return refuse('ledger.no-account', { holder: toHex(holder) })
  }
  if (hasRole(draft, role, holder) === held)
    return refuse('ledger.role-unchanged', { role, holder: toHex(holder), held })
  if (held) grantRole(draft, role, holder, height)
  else draft.remove(ROLES, roleId(role, holder))
  return ok(NO_DATA)
}
