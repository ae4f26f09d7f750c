/** Keeps an agent small for the hours in which nothing happens: what its start has used of the program's file is let go. */
import type { Cancel, Log, Timers } from '../drivers/ports.ts'
import { unmapUnusedProgram } from '../drivers/process/program-pages.ts'

/** By then a deal's first code has been compiled; the compiler itself is 5 MB. */
const FIRST_MS = 20_000
/** What is in use comes back page by page within a second, without the disk: some hundred times 2 us. */
const EVERY_MS = 300_000

export function startShedding({ timers, log }: { readonly timers: Timers; readonly log: Log }): Cancel {
  async function shed(): Promise<void> {
    const unmapped = await unmapUnusedProgram()
    if (unmapped.ok) return
    stop()
    log('info', 'agent', 'unused pages of the program stay in memory', unmapped.fault)
  }
  const cancels = [timers.after(FIRST_MS, () => void shed()), timers.every(EVERY_MS, () => void shed())]
  const stop = () => {
    for (const cancel of cancels) cancel()
  }
  return stop
}
