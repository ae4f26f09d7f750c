/**
 * Community groups: who nets its energy with whom. An account is in one group at most, so nothing is netted twice.
 *
 * Members invite, the invited join, and whoever is tired leaves. One member's gateway speaks for the group; any member
 * can name another, so a gateway that is broken or dishonest holds nobody. The last to leave ends the group.
 */
import { equalBytes, toHex } from '../../bytes.ts'
import { ok, type Result } from '../../result.ts'
import { type LedgerFault, refuse } from '../fault.ts'
import type { Kinds } from '../kind.ts'
import { GROUPS, type Group, MAX_INVITED, MAX_MEMBERS, MEMBERSHIPS } from '../service-tables.ts'
import { accountId, type Draft, type State } from '../state.ts'
import { ACCOUNTS } from '../tables.ts'
import type { BodyOf } from '../tx.ts'
import { hasRole } from './roles.ts'

const NO_DATA = new Uint8Array(0)

type Answer = Result<Uint8Array, LedgerFault>

export const groupKinds = {
  found: { gas: 1n, apply: applyFound },
  invite: { gas: 1n, apply: applyInvite },
  join: { gas: 1n, apply: applyJoin },
  leave: { gas: 1n, apply: applyLeave },
  gateway: { gas: 1n, apply: applyGateway },
} satisfies Partial<Kinds>

const isIn = (list: readonly Uint8Array[], one: Uint8Array): boolean => list.some(other => equalBytes(other, one))
const without = (list: readonly Uint8Array[], one: Uint8Array) => list.filter(other => !equalBytes(other, one))

function groupOf(state: State, name: string): Result<Group, LedgerFault> {
  const group = state.get(GROUPS, name)
  return group === undefined ? refuse('ledger.no-group', { group: name }) : ok(group)
}

function groupOfMember(state: State, name: string, member: Uint8Array): Result<Group, LedgerFault> {
  const group = groupOf(state, name)
  return group.ok && !isIn(group.value.members, member) ? refuse('ledger.not-a-member', { group: name }) : group
}

function checkFree(state: State, account: Uint8Array): Result<void, LedgerFault> {
  const membership = state.get(MEMBERSHIPS, accountId(account))
  return membership === undefined ? ok(undefined) : refuse('ledger.member', { group: membership.group })
}

function applyFound(draft: Draft, sender: Uint8Array, { group }: BodyOf<'found'>): Answer {
  if (!hasRole(draft, 'community', sender)) {
    return refuse('ledger.role-only', { role: 'community', sender: toHex(sender) })
  }
  if (draft.get(GROUPS, group) !== undefined) return refuse('ledger.group-taken', { group })
  const free = checkFree(draft, sender)
  if (!free.ok) return free
  draft.put(GROUPS, group, { gateway: sender, members: [sender], invited: [] })
  draft.put(MEMBERSHIPS, accountId(sender), { group })
  return ok(NO_DATA)
}

function applyInvite(draft: Draft, sender: Uint8Array, { group, account }: BodyOf<'invite'>): Answer {
  const found = groupOfMember(draft, group, sender)
  if (!found.ok) return found
  if (draft.get(ACCOUNTS, accountId(account)) === undefined) return refuse('ledger.no-account', { to: toHex(account) })
  if (isIn(found.value.members, account)) return refuse('ledger.member', { group })
  const invited = [...without(found.value.invited, account), account].slice(-MAX_INVITED)
  draft.put(GROUPS, group, { ...found.value, invited })
  return ok(NO_DATA)
}

function applyJoin(draft: Draft, sender: Uint8Array, { group }: BodyOf<'join'>): Answer {
  const found = groupOf(draft, group)
  if (!found.ok) return found
  const { gateway, members, invited } = found.value
  const free = checkFree(draft, sender)
  if (!free.ok) return free
  if (!isIn(invited, sender)) return refuse('ledger.not-invited', { group })
  if (members.length >= MAX_MEMBERS) return refuse('ledger.group-full', { group, members: members.length })
  draft.put(GROUPS, group, { gateway, members: [...members, sender], invited: without(invited, sender) })
  draft.put(MEMBERSHIPS, accountId(sender), { group })
  return ok(NO_DATA)
}

function applyLeave(draft: Draft, sender: Uint8Array, { group }: BodyOf<'leave'>): Answer {
  const found = groupOfMember(draft, group, sender)
  if (!found.ok) return found
  const members = without(found.value.members, sender)
  const [eldest] = members
  if (eldest === undefined) draft.remove(GROUPS, group)
  else {
    const gateway = equalBytes(found.value.gateway, sender) ? eldest : found.value.gateway
    draft.put(GROUPS, group, { ...found.value, gateway, members })
  }
  draft.remove(MEMBERSHIPS, accountId(sender))
  return ok(NO_DATA)
}

function applyGateway(draft: Draft, sender: Uint8Array, { group, gateway }: BodyOf<'gateway'>): Answer {
  const found = groupOfMember(draft, group, sender)
  if (!found.ok) return found
  if (!isIn(found.value.members, gateway)) return refuse('ledger.not-a-member', { group, gateway: toHex(gateway) })
  draft.put(GROUPS, group, { ...found.value, gateway })
  return ok(NO_DATA)
}
