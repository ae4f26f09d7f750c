/** The Optimiser port by HiGHS: programs small enough to solve by hand, and what has no optimum. */
import { openOptimiser } from '../../../drivers/optimiser/highs.ts'
import type { LinearProgram } from '../../../protocol/market/optimiser.ts'
import { faultLine, must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('drivers/optimiser/highs')
const optimiser = await openOptimiser()

const whyNot = (program: LinearProgram): string => {
  const answer = optimiser.solve(program)
  return answer.ok ? `optimum ${answer.value.objective}` : faultLine(answer.fault)
}

/** 3x + 5y, x at most 4, x + 2y at most 10: x = 4, y = 3. */
const most: LinearProgram = {
  sense: 'maximise',
  variables: [
    { cost: 3, lower: 0, upper: 4 },
    { cost: 5, lower: 0, upper: Number.POSITIVE_INFINITY },
  ],
  constraints: [
    {
      lower: Number.NEGATIVE_INFINITY,
      upper: 10,
      terms: [
        [0, 1],
        [1, 2],
      ],
    },
  ],
}

test('an optimum with its duals is the one found by hand, maximising and minimising', () => {
  assert.equal(must(optimiser.solve(most)), { objective: 27, values: [4, 3], duals: [2.5], reducedCosts: [0.5, 0] })
  // The same polytope from below: x + 2y at least 6 is met by y = 3 alone, at 2.5 a unit; an x would cost 0.5 more.
  const least: LinearProgram = {
    ...most,
    sense: 'minimise',
    constraints: [{ ...most.constraints[0]!, lower: 6 }],
  }
  assert.equal(must(optimiser.solve(least)), { objective: 15, values: [0, 3], duals: [2.5], reducedCosts: [0.5, 0] })
})

test('a dual is what one more unit of the bound adds to the objective, in either sense', () => {
  const bounds = fc.record({
    sense: fc.constantFrom('maximise' as const, 'minimise' as const),
    costs: fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 2, maxLength: 8 }),
    needed: fc.integer({ min: 1, max: 50 }),
  })
  const property = fc.property(bounds, ({ sense, costs, needed }) => {
    const demand = (quantity: number): LinearProgram => ({
      sense,
      variables: costs.map((cost, i) => ({ cost, lower: 0, upper: 10 + i })),
      constraints: [{ lower: quantity, upper: quantity, terms: costs.map((_, i) => [i, 1] as const) }],
    })
    const room = costs.reduce((sum, _, i) => sum + 10 + i, 0)
    // Half a unit either way of a whole quantity and a half crosses no corner.
    const at = Math.min(needed, room - 1) + 0.5
    const { objective, duals } = must(optimiser.solve(demand(at)))
    const more = must(optimiser.solve(demand(at + 0.25))).objective
    assert.ok(Math.abs((more - objective) / 0.25 - duals[0]!) < 1e-6, `${more - objective} for 0.25, dual ${duals[0]}`)
  })
  assertProperty(property, 100)
})

test('the objective is the sum of bounds times duals: nothing is left between primal and dual', () => {
  const costs = [7, 3, 9, 1]
  const program: LinearProgram = {
    sense: 'maximise',
    variables: costs.map(cost => ({ cost, lower: 0, upper: 5 })),
    constraints: [{ lower: 0, upper: 12, terms: costs.map((_, i) => [i, 1] as const) }],
  }
  const { objective, duals, reducedCosts } = must(optimiser.solve(program))
  assert.is(objective, 9 * 5 + 7 * 5 + 3 * 2)
  assert.equal(duals, [3])
  assert.is(12 * duals[0]! + reducedCosts.reduce((sum, cost) => sum + 5 * Math.max(0, cost), 0), objective)
})

test('what cannot be met is infeasible, by rows, by bounds and by a row of nothing', () => {
  assert.is(whyNot({ ...most, constraints: [{ ...most.constraints[0]!, lower: 11 }] }), 'optimiser.infeasible')
  assert.is(
    whyNot({ ...most, variables: [{ cost: 1, lower: 2, upper: 1 }, most.variables[1]!] }),
    'optimiser.infeasible',
  )
  const nothing = { sense: 'minimise', variables: [], constraints: [{ lower: 1, upper: 2, terms: [] }] } as const
  assert.is(whyNot(nothing), 'optimiser.infeasible')
})

test('what has no end is unbounded', () => {
  assert.is(whyNot({ ...most, constraints: [] }), 'optimiser.unbounded')
  const apart: LinearProgram = {
    sense: 'maximise',
    variables: [
      { cost: 1, lower: 0, upper: Number.POSITIVE_INFINITY },
      { cost: 0, lower: 0, upper: Number.POSITIVE_INFINITY },
    ],
    constraints: [
      {
        lower: 0,
        upper: 0,
        terms: [
          [0, 1],
          [1, -1],
        ],
      },
    ],
  }
  assert.is(whyNot(apart), 'optimiser.unbounded')
})

test('a degenerate program, many of whose corners are one, ends at its optimum', () => {
  // Beale's example, on which the plain simplex method cycles for ever: -1/20 at x = (1/25, 0, 1, 0).
  const beale: LinearProgram = {
    sense: 'minimise',
    variables: [-0.75, 150, -0.02, 6].map(cost => ({ cost, lower: 0, upper: Number.POSITIVE_INFINITY })),
    constraints: [
      [0.25, -60, -0.04, 9],
      [0.5, -90, -0.02, 3],
      [0, 0, 1, 0],
    ].map((row, i) => ({
      lower: Number.NEGATIVE_INFINITY,
      upper: i === 2 ? 1 : 0,
      terms: row.map((coefficient, j) => [j, coefficient] as const),
    })),
  }
  assert.ok(Math.abs(must(optimiser.solve(beale)).objective + 0.05) < 1e-9)
})

test('a program of nothing has the optimum nothing', () => {
  const nothing = { sense: 'maximise', variables: [], constraints: [] } as const
  assert.equal(must(optimiser.solve(nothing)), { objective: 0, values: [], duals: [], reducedCosts: [] })
})

test('an answer depends on its program alone, whatever was solved before', () => {
  const alone = must(optimiser.solve(most))
  whyNot({ ...most, constraints: [] })
  whyNot({ ...most, constraints: [{ ...most.constraints[0]!, lower: 11 }] })
  assert.equal(must(optimiser.solve(most)), alone)
})

test('a program that is none throws: it is a bug of ours, and never another program’s answer', () => {
  const terms = (...all: (readonly [number, number])[]): LinearProgram => ({
    ...most,
    constraints: [{ lower: 0, upper: 1, terms: all }],
  })
  for (const bad of [
    terms([0, 1], [0, 1]),
    terms([2, 1]),
    terms([0, Number.NaN]),
    terms([0, 1e-12]),
    { ...most, variables: [{ cost: Number.NaN, lower: 0, upper: 1 }, most.variables[1]!] },
  ]) {
    assert.throws(() => optimiser.solve(bad))
  }
  assert.is(must(optimiser.solve(most)).objective, 27)
})

test('quantities of a district in watt-hours and prices in micro-units lose nothing', () => {
  // 2^33 Wh at up to 10^9 micro-units: the objective needs more than a double holds; values and duals do not.
  const costs = [999_999_999, 999_999_998, 3]
  const program: LinearProgram = {
    sense: 'maximise',
    variables: costs.map(cost => ({ cost, lower: 0, upper: 2 ** 33 + 1 })),
    constraints: [{ lower: 0, upper: 2 ** 34 + 1, terms: costs.map((_, i) => [i, 1] as const) }],
  }
  const { values, duals } = must(optimiser.solve(program))
  assert.equal(values, [2 ** 33 + 1, 2 ** 33, 0])
  assert.equal(duals, [999_999_998])
})

test('a row of 20,000 terms is solved in seconds, to the corner that merging both sides by hand finds', () => {
  const bids = Array.from({ length: 10_000 }, (_, i) => ({ price: 300_000 - 20 * i, quantity: 1 + (i % 7) }))
  const offers = Array.from({ length: 10_000 }, (_, i) => ({ price: 50_001 + 20 * i, quantity: 1 + (i % 5) }))
  const variables = [
    ...bids.map(({ price, quantity }) => ({ cost: price, lower: 0, upper: quantity })),
    ...offers.map(({ price, quantity }) => ({ cost: -price, lower: 0, upper: quantity })),
  ]
  const terms = variables.map((_, i) => [i, i < bids.length ? 1 : -1] as const)
  const constraints = [{ lower: 0, upper: 0, terms }]
  const { objective, values } = must(optimiser.solve({ sense: 'maximise', variables, constraints }))
  let gain = 0
  for (let b = 0, s = 0, wanted = 1, left = 1; bids[b]!.price >= offers[s]!.price; ) {
    const traded = Math.min(wanted, left)
    gain += traded * (bids[b]!.price - offers[s]!.price)
    wanted -= traded
    left -= traded
    if (wanted === 0) wanted = bids[++b]!.quantity
    if (left === 0) left = offers[++s]!.quantity
  }
  assert.is(Math.round(objective), gain)
  assert.ok(values.every(value => Math.abs(value - Math.round(value)) < 1e-6))
})

test.run()
