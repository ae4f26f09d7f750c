import type { Seams } from '../../agent/compose.ts'

/** Several faults may have a hand in one agent; each keeps its own. */
export function joinSeams(all: readonly Seams[]): Seams {
  const chain = <T>(pick: (seams: Seams) => ((value: T) => T) | undefined) => {
    const steps = all.flatMap(seams => pick(seams) ?? [])
    return (value: T): T => steps.reduce((made, step) => step(made), value)
  }
  return {
    world: chain(seams => seams.world),
    light: chain(seams => seams.light),
    limits: chain(seams => seams.limits),
    post: chain(seams => seams.post),
    lateAnswerDefence: all.every(seams => seams.lateAnswerDefence !== false),
  }
}
