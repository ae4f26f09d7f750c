/** A scenario: a district of its own, what happens in it, and what it shows. */
import type { Log } from '../../drivers/ports.ts'

export interface ScenarioSettings {
  readonly seed: number
  /** Real signatures instead of the simulator's stub. */
  readonly realSigner: boolean
  readonly onProgress: (text: string) => void
  readonly logOf?: (site: string) => Log
}

/** What every scenario says of itself; most say more. */
export interface ScenarioResult {
  /** Nothing that must hold was broken. */
  readonly ok: boolean
  readonly scenario: string
  readonly seed: number
  /** What the scenario is about. */
  readonly facts: Readonly<Record<string, unknown>>
  /** Why `ok` is false, one sentence each. */
  readonly problems: readonly string[]
}

export interface Scenario {
  readonly name: string
  /** One sentence for the list. */
  readonly what: string
  /** No row of the paper is shown by it: a test of its own runs it. */
  readonly apart?: true
  run(settings: ScenarioSettings): Promise<ScenarioResult>
}
