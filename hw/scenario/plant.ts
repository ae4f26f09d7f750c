/** Loads, generators and stores that do what deals ask of them: a site's profile that follows its agent's dispatch. */
import type { GridView } from '../../agent/grid/run.ts'
import { toHex } from '../../protocol/bytes.ts'
import type { Instant } from '../../protocol/time.ts'
import type { Deal } from '../../protocol/trade/deal-state.ts'
import type { Profile, SiteProfile } from '../sim/profile.ts'

export interface Plant {
  readonly profile: SiteProfile
  /** To be called of every agent of this site that starts. */
  follow(grid: Pick<GridView, 'onDispatch'>): void
}

/** Beside what it uses and makes anyway, it takes what its running purchases say and gives what its running sales say, evenly. */
export function createPlant(base: SiteProfile): Plant {
  const running = new Map<string, Deal>()
  const dispatched = (role: Deal['role'], at: Instant): number => {
    let mw = 0
    for (const { role: own, contract } of running.values()) {
      if (own !== role || at < contract.start || at >= contract.end) continue
      mw += Math.round((Number(contract.energy) * 3_600_000_000) / (contract.end - contract.start))
    }
    return mw
  }
  const beside =
    (profile: Profile, role: Deal['role']): Profile =>
    at =>
      profile(at) + dispatched(role, at)
  return {
    profile: { load: beside(base.load, 'buyer'), generation: beside(base.generation, 'seller') },
    follow(grid) {
      grid.onDispatch((deal, on) => {
        if (on) running.set(toHex(deal.hash), deal)
        else running.delete(toHex(deal.hash))
      })
    },
  }
}
