import { readFileSync } from 'node:fs'
import { assert, suite } from '../harness.ts'
import { judgeDescriptors, judgeSlope, lowsOf, slopeOf, worstOf } from './soak-verdict.ts'

const t = suite('footprint, flood and soak')

const MB_PER_HOUR = 0.75
/** Half an hour, a sample every two seconds: a floor that grows, and above it what a collector has not fetched yet. */
const memory = (growth: number, unrest: number, minutes = 30) =>
  Array.from({ length: 30 * minutes }, (_, n) => {
    const hours = (2 * n) / 3600
    // A saw-tooth of seven samples, and a slower one of the lows.
    return { hours, mb: 42 + growth * hours + 3 * (n % 7) + unrest * ((Math.floor(n / 30) * 7) % 5) }
  })
const verdict = (...of: Parameters<typeof memory>) => judgeSlope(slopeOf(lowsOf(memory(...of))), MB_PER_HOUR)

t('a leak is told from unrest, and neither is called sound because it could be', () => {
  assert.is(verdict(0, 0.01), 'sound')
  assert.is(verdict(2, 0.01), 'NOT SOUND')
  assert.is(verdict(0, 5), 'inconclusive')
  assert.is(verdict(2, 5), 'inconclusive')
  assert.is(verdict(0, 0, 3), 'inconclusive')
})

t('the interval of the slope is that of the tables', () => {
  // By hand: the mean is -0.1, the slope (-2 + 1 + 1 - 1) / 10, the squares left over 4.1, and t of three degrees of freedom 3.182.
  const { perHour, within } = slopeOf([1, -1, -1, 1, -0.5].map((mb, hours) => ({ hours, mb })))
  assert.is(perHour.toFixed(3), '-0.100')
  assert.ok(Math.abs(within / (3.182 * Math.sqrt(4.1 / 3 / 10)) - 1) < 0.02)
})

t('descriptors that do not come back are seen, and listeners that come and go are none of them', () => {
  assert.is(judgeDescriptors([38, 41, 38, 40, 38, 39], 4), 'sound')
  assert.is(judgeDescriptors([38, 40, 41, 43, 44, 46], 4), 'NOT SOUND')
  assert.is(judgeDescriptors([38], 4), 'inconclusive')
  assert.is(worstOf(['sound', 'inconclusive']), 'inconclusive')
  assert.is(worstOf(['sound', 'inconclusive', 'NOT SOUND']), 'NOT SOUND')
})

t('the launcher starts its process as the program would be, with what keeps it small', () => {
  const firstLine = (file: string) =>
    readFileSync(new URL(`../../agent/${file}`, import.meta.url), 'utf8').split('\n')[0]
  assert.is(firstLine('update/main.ts'), firstLine('main.ts'))
  assert.match(firstLine('main.ts')!, 'MALLOC_ARENA_MAX=1')
})

t.run()
