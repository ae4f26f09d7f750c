/** firmata-io, as far as it is used. It has no types of its own. */
declare module 'firmata-io' {
  import type { EventEmitter } from 'node:events'

  export class Firmata extends EventEmitter {
    constructor(transport: EventEmitter, options: { skipCapabilities: true })
    isReady: boolean
    name: string
    readonly MODES: { readonly INPUT: 0; readonly OUTPUT: 1; readonly PULLUP: 11 }
    pins: {
      readonly supportedModes: readonly number[]
      mode: number | undefined
      value: number
      /** Of the last answer to a pin state query: of an output the level that was written to it. */
      state?: number
    }[]
    /** Levels of sixteen ports of eight pins, as they were last written. */
    readonly ports: number[]
    readonly firmware: { readonly name?: string }
    /** The message that is being heard. */
    readonly buffer: number[]
    readonly reportVersionTimeoutId: NodeJS.Timeout
    pinMode(pin: number, mode: number): void
    digitalWrite(pin: number, value: number): void
    reportDigitalPin(pin: number, on: 0 | 1): void
    sysexCommand(message: readonly number[]): void
    sysexResponse(command: number, handler: (this: Firmata, data: readonly number[]) => void): void
  }

  const bind: { readonly Firmata: typeof Firmata }
  export default bind
}
