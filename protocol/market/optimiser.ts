/**
 * The linear-program solver as the market sees it: a port. Numbers in here are floats of a solver; what leaves a market rule
 * is rounded to whole watt-hours and micro-units and checked against the rule's own constraints again.
 */
import type { Result } from '../result.ts'

/** One variable: its coefficient in the objective and its bounds, both included; infinite where there is none. */
export interface Variable {
  readonly cost: number
  readonly lower: number
  readonly upper: number
}

/** lower <= sum of coefficient * variable <= upper; equal bounds make an equation. */
export interface Constraint {
  readonly lower: number
  readonly upper: number
  readonly terms: readonly (readonly [variable: number, coefficient: number])[]
}

export interface LinearProgram {
  readonly sense: 'maximise' | 'minimise'
  readonly variables: readonly Variable[]
  readonly constraints: readonly Constraint[]
}

export interface Optimum {
  readonly objective: number
  readonly values: readonly number[]
  /** What one more unit of each constraint's bound would add to the objective. */
  readonly duals: readonly number[]
  /** The same for each variable's bound. */
  readonly reducedCosts: readonly number[]
}

export type OptimiserFault =
  | { readonly code: 'optimiser.infeasible' }
  | { readonly code: 'optimiser.unbounded' }
  | { readonly code: 'optimiser.gave-up'; readonly status: string }

/** Synchronous: a program of a day's slots takes a fraction of a second. */
export interface Optimiser {
  solve(program: LinearProgram): Result<Optimum, OptimiserFault>
}
