/** Fuses and chargers as the agent uses them: part of agent/config/site-config.ts. */
import type { Price } from '../../protocol/quantity.ts'
import type { Phase } from '../../protocol/safety/charger-hold.ts'
import type { PerPhase } from '../../protocol/safety/site-guard.ts'

/**
 * Controllers by the buses that they speak on, whether they stop by themselves when this agent dies, and the currents that they
 * can then fall back to: any, none, or at least 6 A.
 */
export const CONTROLLERS = {
  'evse-wb': { on: 'modbus', supervised: false, failsafe: 'none' },
  phoenix: { on: 'modbus', supervised: false, failsafe: 'none' },
  amperfied: { on: 'modbus', supervised: true, failsafe: 'any' },
  'abb-terra': { on: 'modbus', supervised: true, failsafe: 'none' },
  alfen: { on: 'modbus', supervised: true, failsafe: 'any' },
  openevse: { on: 'serial', supervised: true, failsafe: 'charging' },
  everest: { on: 'mqtt', supervised: true, failsafe: 'any' },
} as const
export type ControllerName = keyof typeof CONTROLLERS

/** `full`: as much as there is; `surplus`: what generation leaves over; `deal`: while a deal over the grid buys. */
export type ChargingMode = 'full' | 'surplus' | 'deal'

export interface ChargerConfig {
  readonly controller: ControllerName
  /** Of all but those on MQTT. */
  readonly line?: string
  /** Of a controller on Modbus. */
  readonly unit?: number
  /** Of an EVerest station. */
  readonly station?: StationConfig
  /** What the controller calls itself; another is refused. */
  readonly id?: string
  /** The most that its own wiring carries, per phase in mA. */
  readonly mostMa: number
  /** The site's phase of each of its conductors. */
  readonly conductors: readonly Phase[]
  readonly fuse: string
  /** What counts for each car by itself, and the price of a kWh that its driver was told; absent: nobody is billed. */
  readonly counts?: { readonly meter: string; readonly tariff: Price }
  /** The higher is served first. */
  readonly priority: number
  readonly mode: ChargingMode
  /** What it goes to by itself when this agent falls silent. */
  readonly failsafeMa: number
  /** What it lets a car draw after it was switched on, before it is told anything; its most, where nobody knows. */
  readonly powerOnMa: number
  readonly watchdogMs?: number
  /** Accepts a controller that keeps its limit when the agent dies. */
  readonly allowUnsupervised: boolean
}

export interface StationConfig {
  /** The station's own broker: whoever can publish there sets its limits, so that it is none of the neighbourhood's. */
  readonly broker: string
  /** Ids of its modules evse_manager_consumer_API and external_energy_limits_consumer_API. */
  readonly evse: string
  readonly limits: string
}

export interface ChargingConfig {
  readonly fuses: Readonly<Record<string, FuseConfig>>
  readonly chargers: Readonly<Record<string, ChargerConfig>>
}

export interface FuseConfig {
  /** The fuse that feeds it; absent for the connection to the grid. */
  readonly under?: string
  readonly ratingMa: PerPhase
  /** Shows what flows through it, by its name under `meters`. */
  readonly meter?: string
  /** Set aside for loads behind it that no meter shows. */
  readonly othersMa: PerPhase
}
