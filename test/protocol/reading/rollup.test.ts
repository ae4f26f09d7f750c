import { boundariesOf, type OffsetAt } from '../../../protocol/reading/calendar.ts'
import type { Reading } from '../../../protocol/reading/reading.ts'
import {
  type Asked,
  type Bucket,
  bucketsOf,
  joinSpans,
  type Placed,
  QUARTER_MS,
  quarterOf,
  type Spans,
  spanCodec,
  spansOf,
} from '../../../protocol/reading/rollup.ts'
import { decodeAs, encodeAs } from '../../../protocol/record.ts'
import { must } from '../../../protocol/result.ts'
import { OBIS } from '../../../protocol/telegram/obis.ts'
import { type Instant, instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'

const test = suite('rollup')

const NOON = instant(Date.UTC(2026, 5, 1, 12))
const minutes = (n: number): Instant => instant(NOON + n * 60_000)

/** A reading so many minutes after noon, of so many watt-hours; a gap where there are none. */
const at = (sequence: number, minute: number, wh: number | undefined, change: Partial<Reading> = {}): Reading => ({
  context: new Uint8Array(8),
  sequence,
  operatingSeconds: 0,
  time: minutes(minute),
  quality: 'synchronised',
  registers: wh === undefined ? [] : [{ obis: OBIS.energyImport, value: BigInt(wh), scaler: 0, unit: 'Wh' }],
  status: [],
  errors: [],
  reason: wh === undefined ? 'gap' : 'periodic',
  ...(sequence === 1 ? {} : { previous: new Uint8Array(32) }),
  ...change,
})

const placed = ({ quarters }: Spans, meterId = 'M'): Placed[] =>
  [...quarters].map(([quarter, span]) => ({ meterId, quarter, span }))

const quarters = (from: number, to: number): Instant[] =>
  Array.from({ length: (to - from) / 15 + 1 }, (_, i) => minutes(from + 15 * i))

const asked = (boundaries: readonly Instant[]): Asked => ({
  obis: OBIS.energyImport,
  boundaries,
  toleranceMs: 60_000,
})

/** One bucket in short: watt-hours or why none, minutes reached, what it was touched by. */
const short = ({ start, energy, reach, absent, complete, touched }: Bucket): string => {
  const minute = (time: Instant) => String((time - NOON) / 60_000)
  const value =
    energy === undefined ? absent!.join('+') : `${energy / 1000n} Wh ${minute(reach!.from)}..${minute(reach!.to)}`
  return [`${minute(start)}:`, value, ...(complete ? ['complete'] : []), ...touched].join(' ')
}
const roll = (readings: readonly Reading[], from = 0, to = 45) =>
  bucketsOf(placed(spansOf(readings)), asked(quarters(from, to))).map(short)

test('a bucket is the difference of the counter at the last readings at or before its ends', () => {
  const readings = [at(1, 0, 100), at(2, 7, 110), at(3, 15, 125), at(4, 29.5, 150), at(5, 31, 151), at(6, 44, 170)]
  assert.equal(roll(readings), [
    '0: 25 Wh 0..15 complete',
    '15: 25 Wh 15..29.5 complete',
    '30: 20 Wh 29.5..44 complete',
  ])
})

test('without a reading before it, the first bucket counts from its own first, and says so', () => {
  assert.equal(roll([at(1, 4, 100), at(2, 15, 125), at(3, 30, 130)], 0, 30), [
    '0: 25 Wh 4..15',
    '15: 5 Wh 15..30 complete',
  ])
  assert.equal(roll([at(1, 4, 100), at(2, 20, 125)], 0, 30), ['0: one-reading', '15: 25 Wh 4..20'])
})

test('a gap leaves a quarter without readings without a number; what was used meanwhile is in the next, which says so', () => {
  const readings = [at(1, 0, 100), at(2, 14, 110), at(3, 17, undefined), at(4, 40, 140, { status: ['gap-before'] })]
  assert.equal(roll(readings), ['0: 10 Wh 0..14 complete', '15: no-reading gap', '30: 30 Wh 14..40 gap'])
  assert.equal(bucketsOf(placed(spansOf(readings)), asked([minutes(0), minutes(60)])).map(short), [
    '0: 40 Wh 0..40 gap',
  ])
})

test('a restart marks the bucket in which it was', () => {
  const readings = [at(1, 0, 100), at(2, 15, 110), at(3, 20, 120, { status: ['restarted'] }), at(4, 30, 130)]
  assert.equal(roll(readings, 0, 30), ['0: 10 Wh 0..15 complete', '15: 20 Wh 15..30 complete restarted'])
})

test('a flagged energy leaves its bucket without a number, and the next one where it would count from it', () => {
  const flagged = { errors: ['energy'] } as const
  const inside = [at(1, 0, 100), at(2, 5, 105, flagged), at(3, 15, 110), at(4, 30, 120)]
  assert.equal(roll(inside, 0, 30), ['0: energy-error', '15: 10 Wh 15..30 complete'])
  const atEnd = [at(1, 0, 100), at(2, 5, 105), at(3, 15, 110, flagged), at(4, 30, 120), at(5, 45, 130)]
  assert.equal(roll(atEnd), ['0: energy-error', '15: energy-error', '30: 10 Wh 30..45 complete'])
  // A flagged reading that lost the register stands behind the value that the next would count from.
  const lost = { ...flagged, registers: [{ obis: OBIS.energyExport, value: 1n, scaler: 0, unit: 'Wh' }] } as const
  assert.equal(roll([at(1, 0, 100), at(2, 14, 105), at(3, 15, 0, lost), at(4, 30, 120)], 0, 30), [
    '0: energy-error',
    '15: energy-error',
  ])
})

test('a counter that fell gives no number, in a quarter or over its end', () => {
  assert.equal(roll([at(1, 0, 100), at(2, 5, 90), at(3, 15, 110)], 0, 15), ['0: counter-fell'])
  assert.equal(roll([at(1, 0, 100), at(2, 15, 110), at(3, 20, 105), at(4, 30, 120)], 0, 30), [
    '0: 10 Wh 0..15 complete',
    '15: counter-fell',
  ])
})

test('a reading that is missing gives no number, and neither do two that deny each other', () => {
  assert.equal(roll([at(1, 0, 100), at(3, 15, 110), at(5, 30, 120), at(6, 45, 130)]), [
    '0: out-of-order',
    '15: out-of-order',
    '30: 10 Wh 30..45 complete',
  ])
  // The second is missing behind the last value: what it said of the counter is not known.
  assert.equal(roll([at(1, 1, 100), at(3, 2, undefined), at(4, 16, 120)], 0, 30), [
    '0: one-reading+out-of-order gap',
    '15: out-of-order',
  ])
  assert.equal(roll([at(1, 0, 100), at(2, 15, 110), at(2, 15, 111)], 0, 15), ['0: conflict'])
})

test('a clock set back into another quarter leaves both without a number, and the day that holds both has one', () => {
  const readings = [
    at(1, 0, 100),
    at(2, 14, 110),
    at(3, 16, 112),
    at(4, 10, 113, { status: ['clock-set'] }),
    at(5, 16, 116),
    at(6, 30, 120),
    at(7, 45, 130),
  ]
  assert.equal(roll(readings), ['0: out-of-order clock-set', '15: out-of-order', '30: 10 Wh 30..45 complete'])
  assert.equal(bucketsOf(placed(spansOf(readings)), asked([minutes(0), minutes(45)])).map(short), [
    '0: 30 Wh 0..45 clock-set',
  ])
})

test('a counter that fell when its clock was set back gives no number to the hour that holds both', () => {
  const readings = [at(1, 16, 100), at(2, 31, 400), at(3, 17, 300), at(4, 32, 500)]
  const hour = (all: readonly Reading[]) => bucketsOf(placed(spansOf(all)), asked([minutes(0), minutes(60)])).map(short)
  assert.equal(hour(readings), ['0: counter-fell'])
  assert.equal(hour(readings.with(2, at(3, 17, 400))), ['0: 400 Wh 16..32'])
})

test('a time that was never compared with another places a reading, and its bucket is not complete', () => {
  const unsure = { status: ['before-sync'], quality: 'informative' } as const
  assert.equal(roll([at(1, 0, 100), at(2, 15, 110, unsure)], 0, 15), ['0: 10 Wh 0..15 before-sync'])
})

test('a reading of a clock that was not set belongs to the next whose time is known, and is no end of a bucket', () => {
  const early = { status: ['restarted'], quality: 'unknown', time: instant(5000) } as const
  const readings = [at(1, 0, 100), at(2, 15, 110), at(3, 0, 112, early), at(4, 22, 115), at(5, 30, 120)]
  assert.equal(roll(readings, 0, 30), ['0: 10 Wh 0..15 complete', '15: 10 Wh 15..30 complete restarted untimed'])
  const open = spansOf(readings.slice(0, 3))
  assert.is(open.pending?.records, 1)
  const later = spansOf(readings.slice(3), open.pending)
  assert.equal([...later.quarters], [...spansOf(readings).quarters].slice(2))
})

test('an exchanged meter begins anew, and no difference is taken from one counter to the other', () => {
  const [a, b, c] = [
    spansOf([at(1, 0, 100), at(2, 15, 110), at(3, 20, 115)]),
    spansOf([at(1, 25, 7), at(2, 30, 9), at(3, 45, 12)]),
    spansOf([at(4, 50, 400), at(5, 60, 500)]),
  ]
  const spans = [...placed(b, 'B'), ...placed(a, 'A'), ...placed(c, 'A')]
  assert.equal(
    bucketsOf(spans, asked(quarters(0, 60))).map(one => `${one.meterId} ${short(one)}`),
    [
      'A 0: 10 Wh 0..15 complete',
      'A 15: 5 Wh 15..20 exchanged',
      'B 15: 2 Wh 25..30 exchanged',
      'B 30: 3 Wh 30..45 complete',
      // Back after having counted elsewhere.
      'A 45: 100 Wh 50..60',
    ],
  )
})

test('a register that the meter does not give is not zero', () => {
  const spans = placed(spansOf([at(1, 0, 100), at(2, 15, 110)]))
  const [bucket] = bucketsOf(spans, { ...asked(quarters(0, 15)), obis: OBIS.energyExport })
  assert.is(short(bucket!), '0: no-reading')
  assert.is(bucketsOf([], asked(quarters(0, 15))).map(short)[0], '0: no-reading')
})

/** An honest run: steps of up to 20 minutes and 5 kWh, now and then a gap or a restart. */
const run = fc
  .array(
    fc.tuple(fc.integer({ min: 1, max: 1_200_000 }), fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 9 })),
    {
      minLength: 1,
      maxLength: 60,
    },
  )
  .map(steps => {
    let [ms, wh] = [0, 1000]
    return steps.map(([wait, more, what], i): Reading => {
      ms += wait
      wh += more
      return at(i + 1, ms / 60_000, what === 0 ? undefined : wh, what === 1 ? { status: ['restarted'] } : {})
    })
  })

test('the buckets of an honest run add up to the difference of its ends, however they are cut', () => {
  assertProperty(
    fc.property(run, fc.uniqueArray(fc.integer({ min: 1, max: 79 }), { maxLength: 20 }), (readings, cuts) => {
      const boundaries = [0, ...cuts.sort((a, b) => a - b), 80].map(n => minutes(15 * n))
      const buckets = bucketsOf(placed(spansOf(readings)), asked(boundaries))
      const values = readings.flatMap(({ registers }) => registers.map(({ value }) => value * 1000n))
      const sum = buckets.reduce((all, { energy }) => all + (energy ?? 0n), 0n)
      assert.is(sum, values.length === 0 ? 0n : values.at(-1)! - values[0]!)
      const given = buckets.filter(({ energy }) => energy !== undefined)
      for (const [i, { reach }] of given.entries()) if (i > 0) assert.is(reach!.from, given[i - 1]!.reach!.to)
    }),
  )
})

test('every number given is one that the readings themselves give, whatever is done to them', () => {
  const spoilt = fc.tuple(
    run,
    fc.array(fc.tuple(fc.nat(59), fc.constantFrom('drop', 'flag', 'less', 'early', 'late', 'untimed')), {
      maxLength: 4,
    }),
  )
  assertProperty(
    fc.property(spoilt, ([honest, spoils]) => {
      let readings = honest
      for (const [i, how] of spoils) {
        readings = readings.flatMap((one, k): Reading[] => {
          if (k !== i) return [one]
          if (how === 'drop') return []
          if (how === 'flag') return [{ ...one, errors: ['energy'] }]
          if (how === 'untimed') return [{ ...one, errors: ['time'] }]
          if (how === 'less') return [{ ...one, registers: one.registers.map(r => ({ ...r, value: r.value - 4000n })) }]
          return [{ ...one, time: instant(one.time + (how === 'early' ? -1 : 1) * 4_000_000) }]
        })
      }
      const quartersOfRun = Array.from({ length: 90 }, (_, n) => minutes(15 * (n - 5)))
      for (const { energy, reach, start, end } of bucketsOf(placed(spansOf(readings)), asked(quartersOfRun))) {
        if (energy === undefined) continue
        const timed = readings.filter(one => one.registers.length > 0 && !one.errors.includes('time'))
        const value = (one: Reading) => one.registers[0]!.value * 1000n
        const closing = timed.filter(one => one.time > start && one.time <= end).at(-1)!
        assert.is(closing.time, reach!.to)
        const opening = timed.findLast(one => one.time === reach!.from)!
        assert.is(energy, value(closing) - value(opening))
        const between = readings.filter(one => one.sequence >= opening.sequence && one.sequence <= closing.sequence)
        assert.is(between.length, closing.sequence - opening.sequence + 1)
        assert.not.ok(between.some(one => one.errors.includes('energy')))
      }
    }),
    500,
  )
})

test('late and repeated readings change nothing, nor does their order', () => {
  assertProperty(
    fc.property(
      run.chain(readings =>
        fc.tuple(
          fc.constant(readings),
          fc.shuffledSubarray([...readings, ...readings], { minLength: 2 * readings.length }),
        ),
      ),
      ([readings, shuffled]) => {
        const sorted = (spans: Spans) => [...spans.quarters].sort(([a], [b]) => a - b)
        assert.equal(sorted(spansOf(shuffled)), sorted(spansOf(readings)))
      },
    ),
  )
})

test('spans joined from parts are those of the whole, and keep their bytes', () => {
  assertProperty(
    fc.property(run, fc.nat(60), (readings, cut) => {
      const whole = spansOf(readings)
      const parts = [readings.slice(0, cut), readings.slice(cut)].map(part => spansOf(part))
      for (const [quarter, span] of whole.quarters) {
        const both = parts.flatMap(({ quarters }) => quarters.get(quarter) ?? [])
        assert.equal(both.toReversed().reduce(joinSpans), span)
        assert.equal(must(decodeAs(spanCodec, encodeAs(spanCodec, span), 'span', 10_000)), span)
      }
    }),
  )
})

test('a meter that calls its counters by ever new names makes no span that cannot be read again, and gives no number', () => {
  const readings = Array.from({ length: 20 }, (_, i) => {
    const names = Array.from({ length: 31 }, (_, k) => `1-${i}:1.8.${k}*255`)
    const registers = [OBIS.energyImport, ...names].map(obis => ({ obis, value: 5n, scaler: 0, unit: 'Wh' as const }))
    return at(i + 1, 1 + i / 2, 0, { registers })
  })
  const { quarters: found } = spansOf(readings)
  for (const span of found.values())
    assert.equal(must(decodeAs(spanCodec, encodeAs(spanCodec, span), 'span', 65_536)), span)
  assert.equal(roll(readings, 0, 15), ['0: conflict'])
})

// --- Calendar

/** The offset of a time zone by the system's own tables. */
const offsetIn = (timeZone: string): OffsetAt => {
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  })
  return time => {
    const part = Object.fromEntries(format.formatToParts(time).map(({ type, value }) => [type, Number(value)]))
    return (
      Date.UTC(part['year']!, part['month']! - 1, part['day']!, part['hour']!, part['minute']!) -
      Math.floor(time / 60_000) * 60_000
    )
  }
}
const berlin = offsetIn('Europe/Berlin')
const utc = (text: string): Instant => instant(Date.parse(text))
const iso = (times: readonly Instant[]): string[] => times.map(time => new Date(time).toISOString().slice(0, 16))
const hours = (times: readonly Instant[]): number[] => times.slice(1).map((end, i) => (end - times[i]!) / 3_600_000)

test('days in Berlin have 23 hours when summer time begins and 25 when it ends', () => {
  const spring = boundariesOf('day', utc('2026-03-28T10:00Z'), utc('2026-03-30T10:00Z'), berlin)
  assert.equal(iso(spring), ['2026-03-27T23:00', '2026-03-28T23:00', '2026-03-29T22:00', '2026-03-30T22:00'])
  assert.equal(hours(spring), [24, 23, 24])
  const autumn = boundariesOf('day', utc('2026-10-24T10:00Z'), utc('2026-10-26T10:00Z'), berlin)
  assert.equal(hours(autumn), [24, 25, 24])
  assert.equal(hours(boundariesOf('month', utc('2026-02-10T00:00Z'), utc('2026-04-10T00:00Z'), berlin)), [
    28 * 24,
    31 * 24 - 1,
    30 * 24,
  ])
  assert.equal(iso(boundariesOf('quarter', utc('2026-01-01T00:07Z'), utc('2026-01-01T00:30Z'), berlin)), [
    '2026-01-01T00:00',
    '2026-01-01T00:15',
    '2026-01-01T00:30',
  ])
})

test('days and months of many zones begin where the system says that its calendar turns a page', () => {
  for (const timeZone of [
    'Europe/Berlin',
    'America/Santiago',
    'Asia/Kathmandu',
    'Australia/Lord_Howe',
    'UTC',
    'Pacific/Apia',
  ]) {
    const day = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' })
    const [from, to] = [utc('2025-12-20T05:00Z'), utc('2026-12-20T05:00Z')]
    const offsetAt = offsetIn(timeZone)
    for (const period of ['day', 'month'] as const) {
      const times = boundariesOf(period, from, to, offsetAt)
      assert.ok(times[0]! <= from && times.at(-1)! >= to && times.at(-2)! < to)
      for (const time of times) {
        const [before, after] = [day.format(time - 1), day.format(time)]
        assert.ok(before < after, `${timeZone} ${before} ${after}`)
        if (period === 'month') assert.ok(after.endsWith('-01'))
        assert.is(time % QUARTER_MS, 0)
      }
    }
  }
})

test('a day of 25 hours has all that was used in them', () => {
  const [start, end] = boundariesOf('day', utc('2026-10-25T10:00Z'), utc('2026-10-25T11:00Z'), berlin) as [
    Instant,
    Instant,
  ]
  const readings = Array.from({ length: 27 }, (_, i) => at(i + 1, (start - NOON) / 60_000 + 60 * (i - 1), 1000 * i))
  const [bucket] = bucketsOf(placed(spansOf(readings)), asked([start, end]))
  assert.is(bucket!.energy, 25_000_000n)
  assert.ok(bucket!.complete)
})

test('a reading on the dot closes the quarter before', () => {
  assert.is(quarterOf(minutes(15)), minutes(0))
  assert.is(quarterOf(instant(minutes(15) + 1)), minutes(15))
})

test('boundaries that are no quarters, or do not rise, are our own bug', () => {
  assert.throws(() => bucketsOf([], asked([minutes(0), minutes(7)])))
  assert.throws(() => bucketsOf([], asked([minutes(15), minutes(0)])))
})

test.run()
