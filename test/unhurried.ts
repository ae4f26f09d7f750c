import type { Timers } from '../drivers/ports.ts'

/** As drivers/bus/mqtt-link.ts waits for an acknowledgement. */
const ACK_MS = 2000

/** Timers by which the bus waits ten times longer for an acknowledgement: how late one comes depends on the machine. */
export const unhurried = (timers: Timers): Timers => ({
  ...timers,
  after: (ms, act) => timers.after(ms === ACK_MS ? 10 * ms : ms, act),
})
