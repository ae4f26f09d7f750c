/**
 * The ledger of a site that names none: it reads and signs, and nothing can ever be proven to it, so that no contact closes and
 * nothing is traded. Its configuration has no section that would need one (agent/config/ledger-checks.ts).
 */
import type { Log, Signer } from '../drivers/ports.ts'
import { fail } from '../protocol/result.ts'
import type { Mono } from '../protocol/time.ts'
import type { LightAgent } from './light/light.ts'
import type { LedgerView } from './roles/part.ts'
import { createLedgerAccount } from './trading/account.ts'

/** No chain has an empty id. */
const NO_CHAIN = ''

export function withoutLedger(signer: Signer, since: Mono, log: Log): LedgerView {
  const none = { code: 'ledger.none', hint: 'the configuration has no ledger section' }
  const refused = async () => fail(none)
  const light: LightAgent = {
    start: refused,
    async stop() {},
    head: () => undefined,
    aheadOfLedger: () => undefined,
    follow: refused,
    prove: refused,
    proveTx: refused,
    headerAt: refused,
    pathTo: async block => [block],
    health: () => ({ state: 'no-witness', since, fault: none }),
    onHealth: () => () => {},
    sources: () => [],
    stats: () => ({ headersVerified: 0, proofsVerified: 0, refusals: 0 }),
  }
  return {
    chainId: NO_CHAIN,
    light,
    account: createLedgerAccount({ chainId: NO_CHAIN, signer, light, nodes: [], log }),
    nodes: [],
  }
}
