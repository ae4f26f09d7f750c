/** What the answers make: a site as its configuration will have it, in the words of that file. */
import type { LineConfig, Role } from '../../config/site-config.ts'
import type { ReadTarget } from '../meters/read-target.ts'

/** Settings in their order, as the file writes them; what is undefined is left out. */
export type Settings = Readonly<Record<string, string | undefined>>

export interface DraftMeter {
  readonly name: string
  readonly line: string
  readonly target: ReadTarget
  readonly settings: Settings
}

export interface DraftLine {
  readonly name: string
  readonly config: LineConfig
}

export interface DraftDirectLine {
  readonly settings: Settings
  readonly contacts: Settings
}

export interface DraftLedger {
  readonly settings: Settings
  readonly trust: Settings
  readonly witnesses: readonly string[]
}

export interface DraftGrid {
  readonly settings: Settings
  readonly sell: Settings | undefined
  readonly buy: Settings | undefined
}

export interface Draft {
  readonly role: Role
  readonly site: string
  readonly data: string
  readonly keys: string
  /** `file`: in a file of its own, made at random; `lent`: by systemd; `asked`: typed at each start. */
  readonly passphrase: 'file' | 'lent' | 'asked'
  readonly board: string | undefined
  readonly lines: readonly DraftLine[]
  readonly meters: readonly DraftMeter[]
  readonly broker: { readonly url: string; readonly tls: Settings | undefined } | undefined
  /** Whether the home is told over MQTT. */
  readonly publish: boolean
  readonly ledger: DraftLedger | undefined
  /** The ledger of the lines, and the lines that this site answers for. */
  readonly distribution: DraftLedger | undefined
  readonly network: Readonly<Record<string, Settings>> | undefined
  readonly relays: Readonly<Record<string, Settings>>
  readonly peers: Readonly<Record<string, Settings>>
  readonly directLines: readonly DraftDirectLine[]
  readonly sell: Settings | undefined
  readonly buy: Settings | undefined
  readonly grid: DraftGrid | undefined
  readonly community: { readonly settings: Settings; readonly tariff: Settings; readonly members: Settings } | undefined
  readonly regulator: { readonly band: Settings; readonly suspend: readonly string[] } | undefined
  readonly fuse: string | undefined
  /** Shows what flows through the main fuse. */
  readonly fuseMeter: string | undefined
  readonly charger: Settings | undefined
  readonly listen: string
  readonly passwordFile: string | undefined
}
