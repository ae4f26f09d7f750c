/** The services around the trade: their transactions, and what becomes of their records in time. */

import type { Instant } from '../../time.ts'
import type { Kinds } from '../kind.ts'
import { AGREEMENTS, EVENTS, ORDERS, PARTICIPANTS, SCHEDULES } from '../service-tables.ts'
import type { Draft } from '../state.ts'
import type { Table } from '../table.ts'
import { agreementKinds, forgetAgreement } from './agreements.ts'
import { closeEvent, demandKinds, forgetParticipant } from './demand-response.ts'
import { groupKinds } from './groups.ts'
import { forgetPlan, planKinds } from './plans.ts'
import { pointKinds } from './points.ts'

export const serviceKinds = {
  ...agreementKinds,
  ...planKinds,
  ...demandKinds,
  ...pointKinds,
  ...groupKinds,
} satisfies Partial<Kinds>

/** A service's record whose time has come. */
export function serviceDue(draft: Draft, table: Table<unknown> | undefined, id: string, time: Instant): void {
  if (table === AGREEMENTS) forgetAgreement(draft, id, time)
  else if (table === SCHEDULES) forgetPlan(draft, SCHEDULES, id, time)
  else if (table === ORDERS) forgetPlan(draft, ORDERS, id, time)
  else if (table === EVENTS) closeEvent(draft, id, time)
  else if (table === PARTICIPANTS) forgetParticipant(draft, id, time)
}
