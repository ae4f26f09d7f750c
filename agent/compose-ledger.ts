/** One ledger as a site sees it, from its configuration to a followed head and an account: compose.ts opens one or two. */
import { createMqttProvider } from '../drivers/headers/mqtt-provider.ts'
import { startMqttRelay } from '../drivers/headers/mqtt-relay.ts'
import type { Bus, Disk, Signer } from '../drivers/ports.ts'
import { openHeaderStore } from '../drivers/store/headers.ts'
import { utf8 } from '../protocol/bytes.ts'
import { RULES } from '../protocol/ledger/tables.ts'
import { type Fault, ok, type Result } from '../protocol/result.ts'
import type { LedgerConfig } from './config/site-config.ts'
import { createLightAgent, type LightAgent } from './light/run.ts'
import { unbondingFault } from './light/unbonding.ts'
import { withoutLedger } from './no-ledger.ts'
import type { LedgerView } from './roles/part.ts'
import { createLedgerAccount } from './trading/account.ts'
import type { World } from './world.ts'

/** Of CometBFT: a third of the trusted power vouches for a header that was skipped to. */
const TRUST_LEVEL = { numerator: 1, denominator: 3 }

export interface LedgerOpening {
  /** Undefined: nothing is followed, and nothing can be proven. */
  readonly ledger: LedgerConfig | undefined
  /** Under which its health is shown. */
  readonly name: string
  readonly world: World
  readonly bus: Bus
  /** A folder of this ledger's own. */
  readonly disk: Disk
  readonly segmentBytes: number | undefined
  readonly signer: Signer
  health(what: string, fault: Fault | undefined): void
  /** A source of headers was caught in a lie. */
  onRefusal(fault: Fault): void
  seam: ((light: LightAgent) => LightAgent) | undefined
  /** What was opened, to be closed in reverse order. */
  closing(close: () => Promise<unknown> | unknown): void
}

export async function openLedgerView(opening: LedgerOpening): Promise<Result<LedgerView>> {
  const { ledger, name, world, bus, disk, segmentBytes, closing } = opening
  const { clock, timers, log, entropy, verifier } = world
  if (ledger === undefined) return ok(withoutLedger(opening.signer, clock.mono(), log))
  const { trustingPeriodMs } = ledger
  const openSource = (source: string) =>
    source.startsWith('mqtt:')
      ? createMqttProvider({ bus, relay: source.slice(5), timers, entropy })
      : world.openLedger(source)
  const primary = openSource(ledger.primary)
  const witnesses = ledger.witnesses.map(openSource)
  if (ledger.relayAs !== undefined) {
    const relaying = await startMqttRelay({ bus, name: ledger.relayAs, node: primary, clock, timers, log })
    if (!relaying.ok) return relaying
    closing(() => relaying.value.stop())
  }
  const segments = segmentBytes === undefined ? {} : { segmentBytes }
  const headers = await openHeaderStore({ disk, clock, chainId: ledger.chain, ...segments })
  if (!headers.ok) return headers
  closing(() => headers.value.close())
  const plainLight = createLightAgent({
    config: {
      chainId: ledger.chain,
      trust: ledger.trust,
      trustingPeriodMs,
      maxClockDriftMs: ledger.maxClockDriftMs,
      trustLevel: TRUST_LEVEL,
      followMs: ledger.followMs,
      ...(ledger.staleAfterMs === undefined ? {} : { staleAfterMs: ledger.staleAfterMs }),
    },
    primary,
    witnesses,
    clock,
    timers,
    disk,
    headers: headers.value,
    verifier,
    log,
  })
  const light = opening.seam?.(plainLight) ?? plainLight
  let rulesKnown = false
  async function readRules(): Promise<void> {
    if (rulesKnown) return
    rulesKnown = true
    const proven = await light.prove(utf8(RULES.prefix))
    if (proven.ok) opening.health(`${name}.rules`, unbondingFault(proven.value.value, trustingPeriodMs))
    else rulesKnown = false
  }
  light.onHealth(now => {
    if (now.state === 'ok') void readRules()
    opening.health(name, now.state === 'ok' ? undefined : (now.fault ?? { code: `light.${now.state}` }))
    if (now.state === 'refused' || now.state === 'diverged') opening.onRefusal(now.fault ?? { code: 'light.refused' })
  })
  const followed = await light.start()
  closing(() => light.stop())
  // Without trust in the ledger no relay closes; the meters are read and signed all the same.
  if (!followed.ok) log('error', 'light', `nothing of ${ledger.chain} is believed yet: ${followed.fault.code}`)
  const nodes = [primary, ...witnesses]
  const account = createLedgerAccount({ chainId: ledger.chain, signer: opening.signer, light, nodes, log })
  return ok({ chainId: ledger.chain, light, account, nodes })
}
