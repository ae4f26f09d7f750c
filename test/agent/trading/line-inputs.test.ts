import type { Latest } from '../../../agent/metering/run.ts'
import { type LineNow, lineInputs } from '../../../agent/trading/line-inputs.ts'
import { milliamps, millivolts, milliwattHours } from '../../../protocol/quantity.ts'
import { DEFAULT_LIMITS } from '../../../protocol/safety/facts.ts'
import { OBIS } from '../../../protocol/telegram/obis.ts'
import { mono } from '../../../protocol/time.ts'
import type { Deal } from '../../../protocol/trade/deal-state.ts'
import { assert, suite } from '../../harness.ts'

const t = suite('inputs of a line')

const limits = { ...DEFAULT_LIMITS, limitMa: milliamps(20_000) }
const NOW = mono(100_000)
const seen = (agoMs: number, mv: number, exportedWh = 5n): Latest =>
  ({
    voltage: millivolts(mv),
    power: undefined,
    reading: {
      takenMono: mono(NOW - agoMs),
      values: [{ obis: OBIS.energyExport, value: exportedWh, scaler: 0, unit: 'Wh' }],
    },
  }) as unknown as Latest
const now = (change: Partial<LineNow>): LineNow => ({
  mono: NOW,
  limits,
  contact: 'closed',
  own: 'open',
  latest: seen(100, 230_000),
  brokersUp: 1,
  aliveAt: mono(NOW - 200),
  distrust: undefined,
  ...change,
})
const seller = { role: 'seller', begin: { register: milliwattHours(2_000n) } } as unknown as Deal
const kinds = (change: Partial<LineNow>) => lineInputs(seller, now(change)).map(input => input.kind)

t('a line in order gives its facts and what was metered since begin, and no fault', () => {
  assert.equal(lineInputs(seller, now({})), [
    { kind: 'facts', facts: { contact: 'closed', own: 'open', line: 'live' } },
    { kind: 'metered', side: 'own', energy: 3n },
  ])
})

t('a reading older than its limit is no reading: the line is unknown, and stale is said', () => {
  const [facts, stale] = lineInputs(seller, now({ latest: seen(1_501, 230_000) }))
  assert.equal(facts, { kind: 'facts', facts: { contact: 'closed', own: 'open', line: 'unknown' } })
  assert.equal(stale, { kind: 'meter-stale', ageMs: 1_501 })
  assert.ok(kinds({ latest: undefined }).includes('meter-stale'))
  assert.not(kinds({ latest: seen(1_500, 230_000) }).includes('meter-stale'))
})

t('dead and live are told apart at the limit', () => {
  const line = (mv: number) => {
    const [facts] = lineInputs(seller, now({ latest: seen(0, mv) }))
    return facts?.kind === 'facts' ? facts.facts.line : undefined
  }
  assert.is(line(limits.deadMv - 1), 'dead')
  assert.is(line(limits.deadMv), 'live')
})

t('a lost heartbeat, a dead bus and a distrusted ledger are each said once', () => {
  assert.equal(kinds({ aliveAt: mono(NOW - 1_001) }).filter(kind => kind === 'heartbeat-lost').length, 1)
  assert.not(kinds({ aliveAt: mono(NOW - 1_000) }).includes('heartbeat-lost'))
  assert.ok(kinds({ brokersUp: 0 }).includes('broker-down'))
  assert.ok(kinds({ distrust: { code: 'light.diverged' } }).includes('lock-refused'))
})

t('a register that stands below its begin is not taken for energy', () => {
  assert.not(kinds({ latest: seen(0, 230_000, 1n) }).includes('metered'))
})

t.run()
