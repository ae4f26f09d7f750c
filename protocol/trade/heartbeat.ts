/**
 * How long ago the other end was certainly alive, by our own monotonic clock alone.
 *
 * A heartbeat that arrives proves nothing about when it was sent: a broker may hold a minute of them back and let them go
 * one by one. So each heartbeat echoes the newest one heard from the other side, and the other end was alive when *we*
 * sent the newest one that it echoes. No clock is compared with another, and a held-back or repeated heartbeat renews
 * nothing.
 */
import type { Mono } from '../time.ts'

/** At three a second: ten seconds, far beyond any lease that could still be granted. */
const REMEMBERED = 32

export interface Pulse {
  /** The next heartbeat's number. */
  readonly next: number
  readonly sent: readonly { readonly sequence: number; readonly at: Mono }[]
  /** The newest heard from the other side. */
  readonly heard?: number
  /** When we sent the newest that the other side echoed. */
  readonly aliveAt?: Mono
}

/** `first` is random, so that echoes of another deal or boot name nothing that was sent in this one. */
export const newPulse = (first: number): Pulse => ({ next: first, sent: [] })

/** The next heartbeat: what to put into it, and the pulse after it. */
export function beat(
  pulse: Pulse,
  now: Mono,
): { readonly pulse: Pulse; readonly sequence: number; readonly echo?: number } {
  const sequence = pulse.next
  const sent = [...pulse.sent.slice(1 - REMEMBERED), { sequence, at: now }]
  return {
    pulse: { ...pulse, next: sequence + 1, sent },
    sequence,
    ...(pulse.heard === undefined ? {} : { echo: pulse.heard }),
  }
}

/** The pulse after a heartbeat of the other side; one that is not newer than the last changes nothing. */
export function hear(pulse: Pulse, sequence: number, echo: number | undefined): Pulse {
  if (pulse.heard !== undefined && sequence <= pulse.heard) return pulse
  const at = pulse.sent.find(one => one.sequence === echo)?.at
  const aliveAt = at !== undefined && (pulse.aliveAt === undefined || at > pulse.aliveAt) ? at : pulse.aliveAt
  return { ...pulse, heard: sequence, ...(aliveAt === undefined ? {} : { aliveAt }) }
}
