import { type FlexibleLoad, type SupplyStep, scheduleLoads } from '../../../protocol/forecast/schedule-load.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const t = suite('when flexible load runs')

const wh = (n: number) => wattHours(BigInt(n))
const step = (price: number, energy: number): SupplyStep => ({ price: microsPerKwh(BigInt(price)), energy: wh(energy) })
const parted = (name: string, from: number, to: number, energy: number, most: number): FlexibleLoad => ({
  name,
  from,
  to,
  kind: { parted: wh(energy), mostPerSlot: wh(most) },
})
const run = (name: string, from: number, to: number, ...energies: number[]): FlexibleLoad => ({
  name,
  from,
  to,
  kind: { run: energies.map(wh) },
})

t('a car charges from the own surplus first, then when the market is cheap, and by seven', () => {
  const night = [step(300, 5000)]
  const noon = [step(50, 2000), step(300, 5000)]
  const cheap = [step(120, 5000)]
  const plan = must(scheduleLoads([parted('car', 0, 3, 5000, 2500)], [night, noon, cheap, [step(1, 9000)]]))
  assert.equal(plan.energies, [[500n, 2000n, 2500n, 0n]])
  assert.is(plan.cost, 500n * 300n + 2000n * 50n + 2500n * 120n)
})

t('a machine that runs through takes the cheapest two hours in a row, and the car makes way for it', () => {
  const supply = [
    [step(300, 3000)],
    [step(50, 1000), step(300, 3000)],
    [step(60, 1000), step(300, 3000)],
    [step(70, 1000)],
  ]
  const plan = must(scheduleLoads([parted('car', 0, 4, 1000, 1000), run('machine', 0, 3, 1000, 1000)], supply))
  assert.equal(plan.energies, [
    [0n, 0n, 0n, 1000n],
    [0n, 1000n, 1000n, 0n],
  ])
})

t('one load moves another that came before it and can go elsewhere', () => {
  // `wide` is placed first, in the only slot that `narrow` may use.
  const plan = must(
    scheduleLoads([parted('wide', 0, 2, 5, 5), parted('narrow', 0, 1, 5, 5)], [[step(1, 5)], [step(9, 5)]]),
  )
  assert.equal(plan.energies, [
    [0n, 5n],
    [5n, 0n],
  ])
})

t('what cannot be served, or makes no sense, is refused by name', () => {
  const code = (loads: FlexibleLoad[], supply: SupplyStep[][] = [[step(1, 10)], [step(1, 10)]]) => {
    const plan = scheduleLoads(loads, supply)
    return plan.ok || plan.fault.code
  }
  assert.is(code([parted('a', 0, 2, 20, 10)]), true)
  assert.is(code([parted('a', 0, 2, 21, 20)]), 'schedule-load.short')
  assert.is(code([parted('a', 0, 2, 20, 9)]), 'schedule-load.short')
  assert.is(code([run('a', 0, 2, 11)]), 'schedule-load.short')
  assert.is(code([parted('a', 0, 3, 1, 1)]), 'schedule-load.window')
  assert.is(code([parted('a', 1, 1, 1, 1)]), 'schedule-load.window')
  assert.is(code([run('a', 0, 2, 1, 1, 1)]), 'schedule-load.window')
  assert.is(code([parted('a', Number.NaN, 2, 1, 1)]), 'schedule-load.window')
  assert.is(code([parted('a', 0, 2, -1, 1)]), 'schedule-load.energy')
  assert.is(code([], [[step(2, 1), step(1, 1)]]), 'schedule-load.steps')
  assert.is(code([], [[step(2, -1)]]), 'schedule-load.steps')
  const many = Array.from({ length: 5 }, (_, i) => run(`r${i}`, 0, 24, 1))
  assert.is(
    code(
      many,
      Array.from({ length: 24 }, () => [step(1, 100)]),
    ),
    'schedule-load.starts',
  )
})

// --- Brute force

/** Every way in which the loads can be placed, judged by sorting each slot's watt-hours into its steps one at a time. */
function bruteForce(loads: readonly FlexibleLoad[], supply: readonly (readonly SupplyStep[])[]): bigint | undefined {
  const units = supply.map(steps =>
    steps.flatMap(({ price, energy }) => Array.from({ length: Number(energy) }, () => price)),
  )
  const waysOf = ({ from, to, kind }: FlexibleLoad): number[][] => {
    if ('run' in kind) {
      return Array.from({ length: to - from - kind.run.length + 1 }, (_, start) =>
        supply.map((_, slot) => Number(kind.run[slot - from - start] ?? 0n)),
      )
    }
    const fill = (slot: number, left: number): number[][] => {
      if (slot === supply.length) return left === 0 ? [[]] : []
      const most = slot >= from && slot < to ? Math.min(left, Number(kind.mostPerSlot)) : 0
      return Array.from({ length: most + 1 }, (_, here) =>
        fill(slot + 1, left - here).map(rest => [here, ...rest]),
      ).flat()
    }
    return fill(0, Number(kind.parted))
  }
  let best: bigint | undefined
  const visit = (i: number, used: readonly number[]) => {
    if (used.some((energy, slot) => energy > units[slot]!.length)) return
    if (i === loads.length) {
      const cost = used.reduce(
        (sum, energy, slot) => units[slot]!.slice(0, energy).reduce((all, one) => all + one, sum),
        0n,
      )
      if (best === undefined || cost < best) best = cost
      return
    }
    for (const way of waysOf(loads[i]!))
      visit(
        i + 1,
        used.map((energy, slot) => energy + way[slot]!),
      )
  }
  visit(
    0,
    supply.map(() => 0),
  )
  return best
}

const SLOTS = 4
const window = fc.tuple(fc.nat(SLOTS - 1), fc.integer({ min: 1, max: SLOTS })).map(([from, length]) => {
  return [from, Math.min(SLOTS, from + length)] as const
})
const anyLoad = fc
  .record({
    window,
    energy: fc.nat(4),
    most: fc.nat(3),
    run: fc.array(fc.nat(2), { minLength: 1, maxLength: 2 }),
    parted: fc.boolean(),
  })
  .map(({ window: [from, to], energy, most, run: energies, parted: isParted }): FlexibleLoad => {
    return isParted ? parted('p', from, to, energy, most) : run('r', from, to, ...energies.slice(0, to - from))
  })
const anySupply = fc.array(
  fc
    .array(fc.record({ price: fc.nat(5), energy: fc.nat(3) }), { maxLength: 3 })
    .map(steps => steps.sort((a, b) => a.price - b.price).map(({ price, energy }) => step(price, energy))),
  { minLength: SLOTS, maxLength: SLOTS },
)

t('the plan costs what the best of all plans costs, and there is one wherever there is any', () => {
  assertProperty(
    fc.property(fc.array(anyLoad, { minLength: 1, maxLength: 3 }), anySupply, (loads, supply) => {
      const plan = scheduleLoads(loads, supply)
      const best = bruteForce(loads, supply)
      assert.is(plan.ok, best !== undefined)
      if (!plan.ok) return
      assert.is(plan.value.cost, best)
      for (const [i, { from, to, kind }] of loads.entries()) {
        const energies = plan.value.energies[i]!
        const sum = energies.reduce((total, one) => total + one, 0n)
        assert.is(sum, 'parted' in kind ? kind.parted : kind.run.reduce((total, one) => total + one, 0n))
        assert.ok(energies.every((energy, slot) => energy === 0n || (slot >= from && slot < to)))
      }
    }),
    400,
  )
})

t.run()
