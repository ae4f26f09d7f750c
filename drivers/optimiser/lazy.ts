/** A solver whose code is loaded beside everything else, and only where one is asked for. */
import type { Optimiser } from '../../protocol/market/optimiser.ts'
import { fail } from '../../protocol/result.ts'

let loading: Promise<unknown> = Promise.resolve()

/** Nothing waits for it but the schedule of the next day, which is made in hours; until then `optimiser.gave-up`. */
export function openLazily(): Optimiser {
  let opened: Optimiser | undefined
  const mine = import('./highs.ts')
    .then(({ openOptimiser }) => openOptimiser())
    .then(solver => {
      opened = solver
    })
  loading = Promise.all([loading, mine])
  return { solve: program => opened?.solve(program) ?? fail({ code: 'optimiser.gave-up', status: 'not loaded yet' }) }
}

/** Every solver that was asked for until now is there: hours of virtual time may pass before the disk answers. */
export const optimisersLoaded = (): Promise<unknown> => loading
