/**
 * Brings a site into its community group on the ledger: founds it where the site is to and there is none, invites the peers
 * that its configuration names, and accepts an invitation to the group that it names itself. Nobody else's group is joined.
 */
import { equalBytes } from '../../protocol/bytes.ts'
import { GROUPS } from '../../protocol/ledger/service-tables.ts'
import type { TxContent } from '../../protocol/ledger/tx.ts'
import type { Part, PartOptions } from './part.ts'
import { proveRecord } from './prove-record.ts'

/** A group is founded once and grows by a member now and then; some blocks of time for each step. */
const LOOK_MS = 30_000

export interface MembershipOptions extends Pick<PartOptions, 'energy' | 'timers' | 'log' | 'health'> {
  readonly group: string
  readonly found: boolean
  /** Accounts that belong to it, as this site's owner says. */
  readonly members: readonly Uint8Array[]
}

export function createMembership(options: MembershipOptions): Part {
  const { energy, timers, log, group: name, members } = options
  const { light, account } = energy
  let cancel = () => {}
  let busy = false
  let closing = false
  const among = (list: readonly Uint8Array[], one: Uint8Array) => list.some(other => equalBytes(other, one))

  /** The next step; undefined where nothing is to be done, or nothing can be. */
  async function next(): Promise<TxContent | undefined> {
    const found = await proveRecord(light, GROUPS, name)
    if (!found.ok) return undefined
    const group = found.value
    if (group === undefined) return options.found ? { kind: 'found', body: { group: name } } : undefined
    if (!among(group.members, account.address)) {
      return among(group.invited, account.address) ? { kind: 'join', body: { group: name } } : undefined
    }
    // One member asks the others in; two would only be refused in turn.
    if (!equalBytes(group.gateway, account.address)) return undefined
    const missing = members.find(one => !among(group.members, one) && !among(group.invited, one))
    return missing === undefined ? undefined : { kind: 'invite', body: { group: name, account: missing } }
  }

  async function look(): Promise<void> {
    if (busy || closing || light.health().state !== 'ok') return
    busy = true
    const step = await next()
    if (step !== undefined && !closing) {
      const handed = await account.submit(step)
      options.health('community.membership', handed.ok ? undefined : handed.fault)
      if (handed.ok) log('info', 'community', `${step.kind} of ${name} is handed in`)
    }
    busy = false
  }

  return {
    start() {
      cancel = timers.every(LOOK_MS, () => void look())
    },
    windDown() {
      closing = true
    },
    stop() {
      closing = true
      cancel()
    },
  }
}
