/** Crash states by the hundred: traces of many runs, each cut at every point. */
import { seededRandom } from '../../../hw/sim/random.ts'
import { countLost, judgeCrash, resume, runTrial, type Workload } from './journal-trials.ts'
import { judgeLogCrash, runLogTrial } from './log-trials.ts'
import { crashPoints } from './traced-disk.ts'

export interface Count {
  readonly states: number
  /** Writes that no sync had settled, removes that were undone, commits found half written, over all states. */
  readonly unsettled: number
  readonly undone: number
  readonly cuts: number
  readonly acknowledged: number
  /** States of a second cut, after the first. */
  readonly again: number
}

/** Cuts runs of a workload until there are so many states; every one must pass. */
export async function countCrashStates(workload: Workload, atLeast: number): Promise<Count> {
  let [states, unsettled, undone, cuts, acknowledged, again] = [0, 0, 0, 0, 0, 0]
  for (let seed = 1; states < atLeast; seed++) {
    const trial = await runTrial(workload, seed)
    for (const point of crashPoints(trial.events)) {
      const verdict = await judgeCrash(trial, point, seed * 100_000 + point)
      states++
      unsettled += verdict.state.unsettled
      undone += verdict.state.undone
      cuts += verdict.cuts
      acknowledged += verdict.acknowledged
      if (states % 4 !== 0) continue
      // Opened and written on, and the power goes again, perhaps while it is being opened.
      const resumed = await resume(trial, point, seed * 100_000 + point)
      const random = seededRandom(point)
      const points = crashPoints(resumed.events).filter(at => at > verdict.state.files.size * 2)
      await judgeCrash(resumed, points[Math.floor(random() * points.length)]!, point)
      again++
    }
  }
  return { states, unsettled, undone, cuts, acknowledged, again }
}

export async function countLogStates(atLeast: number): Promise<number> {
  let states = 0
  for (let seed = 1; states < atLeast; seed++) {
    const trial = await runLogTrial(seed)
    for (const point of crashPoints(trial.events)) {
      await judgeLogCrash(trial, point, seed * 100_000 + point)
      states++
    }
  }
  return states
}

/** The share of states of a disk whose sync does nothing that lost something acknowledged, of those where there was any. */
export async function shareLostWithoutSync(workload: Workload, atLeast: number): Promise<number> {
  let [states, losing] = [0, 0]
  for (let seed = 1; states < atLeast; seed++) {
    const trial = await runTrial({ ...workload, syncs: false }, seed)
    for (const point of crashPoints(trial.events)) {
      const { acknowledged, lost } = await countLost(trial, point, seed * 100_000 + point)
      if (acknowledged === 0) continue
      states++
      if (lost > 0) losing++
    }
  }
  return losing / states
}
