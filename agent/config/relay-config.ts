/** Relay banks as the agent uses them: part of agent/config/site-config.ts. */
import type { CoilBoardKind } from '../../drivers/relays/coil-boards.ts'
import type { Level } from '../../drivers/relays/gpio-bank.ts'

/**
 * Banks with `allowUnsupervised` may leave contacts closed when the agent dies, and have to where their driver knows no
 * dead-man timer: loadConfig refuses one that does so and does not say it.
 */
export type RelayBankConfig =
  | {
      readonly driver: 'modbus-coils'
      readonly line: string
      readonly unit: number
      readonly board: CoilBoardKind
      /** A contact opens by itself this long after its last close command; rounded down to the board's steps. */
      readonly timedMs?: number
      readonly allowUnsupervised: boolean
    }
  /** A bank that the world brings along: the bench's. */
  | { readonly driver: 'johnny-five'; readonly bank: string }
  | {
      readonly driver: 'gpio'
      /** Of the machine's GPIO chips, as in gpiochip0; left out, the one that has the lines. */
      readonly chip?: string
      /** By channel, from 1; or a relay hat of the site's board, which has its own. */
      readonly contacts?: readonly GpioContactConfig[]
      readonly hat?: string
      readonly allowUnsupervised: boolean
    }
  | {
      readonly driver: 'firmata'
      readonly line: string
      readonly firmware: 'tieline' | 'standard'
      readonly deadManMs?: number
      /** By channel, from 1. */
      readonly contacts: readonly FirmataContactConfig[]
      readonly allowUnsupervised: boolean
    }
  | { readonly driver: 'lcus'; readonly line: string; readonly channels: number; readonly allowUnsupervised: boolean }
  | {
      readonly driver: 'shelly'
      /** Its topic prefix, by default the device's id. */
      readonly device: string
      /** The broker that it is connected to, where that is none of the site's. */
      readonly broker?: string
      readonly timedMs?: number
      readonly allowUnsupervised: boolean
    }

export interface GpioContactConfig {
  readonly output: string
  readonly closedLevel: Level
  /** A resistor keeps the contact open where nothing drives the line. */
  readonly undrivenOpen?: true
  readonly auxiliary?: { readonly line: string; readonly closedLevel: Level }
}

export interface FirmataContactConfig {
  readonly pin: number
  readonly closedLevel: Level
  readonly auxiliary?: { readonly pin: number; readonly closedLevel: Level }
}

/** One contact: the bank's name and the channel on it, counted from 1. */
export interface ContactRef {
  readonly bank: string
  readonly channel: number
}
