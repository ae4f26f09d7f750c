/**
 * The Optimiser port by HiGHS (Huangfu and Hall, "Parallelizing the dual revised simplex method", 2018) in WebAssembly. One
 * native model serves every program in turn: each replaces the one before it, basis included, so that an answer depends on
 * its program alone. Programs go in and answers come out as doubles, never as text.
 *
 * Duals are derivatives of the objective by a bound in either sense of optimising, as HiGHS has them: maximising, a scarce
 * supply has a positive dual; minimising, a demand that must be met has.
 */
import * as highs from 'highs'
import type { LinearProgram, Optimiser, OptimiserFault, Optimum } from '../../protocol/market/optimiser.ts'
import { fail, ok, type Result } from '../../protocol/result.ts'

/** A program that takes longer than this would hold up the agent's other work: the solver does not yield. */
const TIME_LIMIT_S = 30
/**
 * HiGHS's presolve takes quadratic time in the length of a row: 0.4 s for one of 2,000 terms that the solver alone is through
 * with in 15 ms, and more than the limit for 20,000.
 */
const LONG_ROW = 1000

/** From so many variables on the interior-point method, which ends in a corner too, is sooner there: 1 s for 200,000. */
const MANY_VARIABLES = 10_000

/** HiGHS leaves such coefficients out and goes on (`small_matrix_value`): its answer would be to another program. */
const DROPPED = 1e-9

// The package's types are those of its CommonJS build, one `default` deeper than its ES module.
const load = highs.default as unknown as typeof highs.default.default

let before: Promise<unknown> = Promise.resolve()

/**
 * A solver with its own memory, loaded after those that were asked for before it: who has one knows that they are there. A program
 * with a number that is none, or a variable twice in a constraint, throws.
 */
export function openOptimiser(): Promise<Optimiser> {
  const opened = before.then(open)
  before = opened.catch(() => undefined)
  return opened
}

async function open(): Promise<Optimiser> {
  const runtime = await load()
  const { modelStatus } = runtime.constants
  const nameOf = new Map<number, string>(Object.entries(modelStatus).map(([name, code]) => [code, name]))
  const model = runtime.createModel()
  model.options.set({ output_flag: false, time_limit: TIME_LIMIT_S })

  function run(presolve: 'choose' | 'off'): number {
    model.options.set('presolve', presolve)
    model.zeroAllClocks()
    return model.run().modelStatus
  }

  function solve(program: LinearProgram): Result<Optimum, OptimiserFault> {
    const { variables, constraints } = program
    if (variables.length === 0) return solveEmpty(constraints)
    model.passModel({
      numCols: variables.length,
      numRows: constraints.length,
      sense: runtime.constants.objectiveSense[program.sense === 'maximise' ? 'maximize' : 'minimize'],
      colCost: variables.map(one => one.cost),
      colLower: variables.map(one => one.lower),
      colUpper: variables.map(one => one.upper),
      rowLower: constraints.map(one => one.lower),
      rowUpper: constraints.map(one => one.upper),
      matrix: matrixOf(program),
    })
    model.options.set('solver', variables.length < MANY_VARIABLES ? 'choose' : 'ipm')
    let status = run(constraints.some(({ terms }) => terms.length > LONG_ROW) ? 'off' : 'choose')
    // Presolve may prove that there is no optimum without telling which of the two it is.
    if (status === modelStatus.unboundedOrInfeasible) status = run('off')
    if (status === modelStatus.infeasible) return fail({ code: 'optimiser.infeasible' })
    if (status === modelStatus.unbounded) return fail({ code: 'optimiser.unbounded' })
    if (status !== modelStatus.optimal) {
      return fail({ code: 'optimiser.gave-up', status: nameOf.get(status) ?? String(status) })
    }
    const { colValue, colDual, rowDual } = model.getSolution()
    return ok({
      objective: model.getObjectiveValue(),
      values: Array.from(colValue, plain),
      duals: Array.from(rowDual, plain),
      reducedCosts: Array.from(colDual, plain),
    })
  }

  return { solve }
}

/** A program without variables, which HiGHS does not judge: each sum is 0. */
const solveEmpty = (constraints: LinearProgram['constraints']): Result<Optimum, OptimiserFault> =>
  constraints.every(({ lower, upper }) => lower <= 0 && upper >= 0)
    ? ok({ objective: 0, values: [], duals: constraints.map(() => 0), reducedCosts: [] })
    : fail({ code: 'optimiser.infeasible' })

/** Row by row, as the constraints come. */
function matrixOf({ variables, constraints }: LinearProgram) {
  const starts = [0]
  const indices: number[] = []
  const values: number[] = []
  for (const { terms } of constraints) {
    for (const [variable, coefficient] of terms) {
      if (coefficient === 0) continue
      if (Math.abs(coefficient) <= DROPPED)
        throw new RangeError(`the solver takes a coefficient of ${coefficient} for 0`)
      indices.push(variable)
      values.push(coefficient)
    }
    starts.push(indices.length)
  }
  return { format: 'csr', numRows: constraints.length, numCols: variables.length, starts, indices, values } as const
}

/** -0 would print and encode unlike 0. */
const plain = (value: number): number => (value === 0 ? 0 : value)
