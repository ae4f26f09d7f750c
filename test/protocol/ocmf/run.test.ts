import { assert, suite } from '../../harness.ts'
import { BEGIN, END, judged, type Loose, payloadOf, rulesBroken } from './foreign.ts'

const test = suite('ocmf runs')

const first = (over: Loose = {}, entry: Loose = {}) => payloadOf(over, { ...BEGIN, ...entry })
const between = (over: Loose = {}, entry: Loose = {}) =>
  payloadOf({ PG: 'T8', ...over }, { ...BEGIN, TX: 'C', TM: '2024-02-29T12:30:00,000+0100 S', RV: 105, ...entry })
const last = (over: Loose = {}, entry: Loose = {}) => payloadOf({ PG: 'T8', ...over }, { ...END, ...entry })

test('begin and end may come in two records or more', () => {
  for (const run of [
    [first(), last()],
    [first(), between(), last({ PG: 'T9' })],
    [first(), between({}, { TX: 'S' }), between({ PG: 'T9' }, { TX: 'T', RV: 106 }), last({ PG: 'T10' })],
  ]) {
    const verdict = judged(...run)
    assert.equal([verdict.ok, verdict.complete, verdict.transactions.length], [true, true, 1])
    assert.is(verdict.transactions[0]!.energies[0]!.value, 1025n)
  }
  for (const TX of ['E', 'L', 'R', 'A', 'P']) assert.ok(judged(first(), last({}, { TX })).complete, TX)
})

test('a part of a transaction breaks no rule and says no energy', () => {
  for (const run of [[first()], [last()], [between()], [first(), between()], [between(), last({ PG: 'T9' })]]) {
    const verdict = judged(...run)
    assert.equal([verdict.ok, verdict.complete, verdict.transactions[0]!.energies], [true, false, []])
    assert.not(verdict.transactions[0]!.whole)
  }
  assert.equal([judged().ok, judged().authentic, judged().complete], [false, false, false])
})

test('a record left out, put twice or swapped is seen', () => {
  assert.equal(rulesBroken(first(), last({ PG: 'T9' })), ['ocmf.page-gap'])
  assert.equal(rulesBroken(first(), first(), last()), ['ocmf.page-back', 'ocmf.begun-twice'])
  assert.equal(rulesBroken(last(), first()), ['ocmf.page-back', 'ocmf.time-back', 'ocmf.register-fell'])
  assert.equal(rulesBroken(first(), between({ PG: 'T9' }), last({ PG: 'T8' })).slice(0, 2), [
    'ocmf.page-gap',
    'ocmf.page-back',
  ])
  assert.equal(judged(first(), last({ PG: 'T9' })).transactions[0]!.energies, [])
})

test('pages of transactions and of fiscal readings count apart, and far', () => {
  const fiscal = (page: string, RV: number) => payloadOf({ PG: page }, { ...BEGIN, TX: undefined, RV })
  assert.equal(rulesBroken(first(), fiscal('F1', 101), last()), [])
  assert.equal(rulesBroken(fiscal('F1', 101), fiscal('F3', 102)), ['ocmf.page-gap'])
  assert.equal(rulesBroken(fiscal('F1', 101), fiscal('F2', 100)), ['ocmf.register-fell'])
  // 2^53 and the next: a float would see one number.
  assert.equal(rulesBroken(first({ PG: 'T9007199254740992' }), last({ PG: 'T9007199254740993' })), [])
  assert.equal(rulesBroken(first({ PG: 'T9007199254740992' }), last({ PG: 'T9007199254740992' })), ['ocmf.page-back'])
})

test('a transaction does not begin before the one that it follows has ended, whatever its registers', () => {
  // A register of the transaction starts anew, and says nothing of the one before.
  const whole = (PG: string, hour: number) =>
    payloadOf(
      { PG },
      { ...BEGIN, RI: '01-00:B2.08.00*FF', TM: `2024-02-29T${hour}:00:00,000+0100 S`, RV: 0 },
      { ...END, RI: '01-00:B2.08.00*FF', TM: `2024-02-29T${hour + 1}:00:00,000+0100 S`, RV: 5 },
    )
  assert.equal(rulesBroken(whole('T1', 12), whole('T2', 13)), [])
  assert.equal(rulesBroken(whole('T1', 12), whole('T2', 12)), ['ocmf.time-back'])
})

test('two registers that measure one thing tell one energy, to their last digits', () => {
  const told = (c: string, begun: unknown, ended: unknown) => {
    const RI = `01-00:${c}.08.00*FF`
    return [
      { ...BEGIN, RI, RV: begun },
      { ...END, RI, RV: ended },
    ] as const
  }
  const codes = (...pairs: (readonly [Loose, Loose])[]) =>
    rulesBroken(payloadOf({}, ...pairs.map(([begun]) => begun), ...pairs.map(([, ended]) => ended)))
  // 10.25 kWh in all: within the transaction 10.25, 10.2 or 10.3, and not 99 or 10.4.
  for (const within of [10.25, 10.2, 10.3]) assert.equal(codes(told('B0', 100.5, 110.75), told('B2', 0, within)), [])
  for (const within of [99, 10.4, 10.1])
    assert.equal(codes(told('B0', 100.5, 110.75), told('B2', 0, within)), ['ocmf.registers-differ'], String(within))
  assert.equal(codes(told('C1', 0, 5), told('C3', 0, 9)), ['ocmf.registers-differ'])
  // At the mains and at the vehicle, in and out, and by tariff: other things.
  for (const c of ['B1', 'B3', 'C0', 'C2']) assert.equal(codes(told('B0', 0, 5), told(c, 0, 9)), [], c)
  const [begun, ended] = told('B2', 0, 9)
  const RI = '01-00:B2.08.01*FF'
  assert.equal(
    codes(told('B0', 0, 5), [
      { ...begun, RI },
      { ...ended, RI },
    ]),
    [],
  )
})

test('no number of broken rules is too many', () => {
  const flagged = `{"TM":"2024-02-29T12:00:00,000+0100 S","TX":"X","RV":1,"RI":"1-0:1.8.0","RU":"kWh","EF":"E","ST":"E"}`
  const many = (entries: string) => payloadOf().replace(/"RD":.*/, `"RD":[${entries}]}`)
  assert.is(judged(many(`{}${',{}'.repeat(80_000)}`)).broken.length, 240_003)
  // An exception, a flag and a state each; of the second a fall, from 1 to 0.
  assert.is(judged(many(flagged + ',{"RV":0}'.repeat(28_000))).broken.length, 3 * 28_001 + 1)
})

test('all records come from one station and one meter', () => {
  assert.equal(rulesBroken(first(), last({ GS: 'G-2' })), ['ocmf.serial-changed'])
  assert.equal(rulesBroken(first(), last({ MS: undefined })), ['ocmf.serial-changed'])
  assert.equal(rulesBroken(first(), last({ GS: 'G-2', MS: 'M-2' })), ['ocmf.serial-changed', 'ocmf.serial-changed'])
})

test('a register does not fall, change its unit or go back in time', () => {
  assert.equal(rulesBroken(first(), last({}, { RV: 100.4999 })), ['ocmf.register-fell'])
  assert.equal(rulesBroken(first(), last({}, { RV: 100.5 })), [])
  assert.equal(rulesBroken(first(), last({}, { RU: 'Wh' })), ['ocmf.unit-changed'])
  assert.equal(rulesBroken(first(), last({}, { TM: '2024-02-29T11:59:59,999+0100 S' })), ['ocmf.time-back'])
  // An hour later by the wall, the same moment by UTC.
  assert.equal(rulesBroken(first(), last({}, { TM: '2024-02-29T12:59:59,999+0200 S' })), ['ocmf.time-back'])
  assert.equal(rulesBroken(first(), between({}, { RV: 111 }), last({ PG: 'T9' })), ['ocmf.register-fell'])
})

test('what the station itself says is unusable is not used', () => {
  assert.equal(rulesBroken(first(), last({}, { EF: 'E' })), ['ocmf.error-flags'])
  assert.equal(rulesBroken(first(), last({}, { EF: 't' })), ['ocmf.error-flags'])
  assert.equal(rulesBroken(first(), between({}, { EF: 'Et' }), last({ PG: 'T9' })), ['ocmf.error-flags'])
  for (const ST of ['N', 'T', 'D', 'R', 'M', 'X', 'I', 'O', 'S', 'E', 'F'])
    assert.equal(rulesBroken(first(), last({}, { ST })), ['ocmf.meter-state'], ST)
  assert.equal(rulesBroken(first(), between({}, { TX: 'X' }), last({ PG: 'T9' })), ['ocmf.exception'])
  for (const IL of ['MISMATCH', 'INVALID', 'OUTDATED', 'UNKNOWN'])
    assert.equal(rulesBroken(first(), last({ IL })), ['ocmf.identification'], IL)
  assert.equal(rulesBroken(first({ FV: '0.4' }, { EI: 7 }), last({ FV: '0.4' }, { EI: 8 })), ['ocmf.event'])
  assert.equal(rulesBroken(first({}, { TM: '2024-02-29T12:00:00,000+0100 R' }), last()), ['ocmf.time-quality'])
  assert.equal(rulesBroken(first({}, { CL: 0.1 }), last({}, { CL: 0.2 })), ['ocmf.loss-not-reset'])
  assert.equal(rulesBroken(first({}, { CL: '0.000' }), last({}, { CL: 0.2 })), [])
})

test('one user charges from begin to end, but may be known only later', () => {
  assert.equal(rulesBroken(first(), last({ ID: 'another' })), ['ocmf.user-changed'])
  assert.equal(rulesBroken(first({ IS: false, IL: 'NONE', ID: '' }), last()), [])
})

test('each register has one begin and one end', () => {
  const other = { RI: '1-0:2.8.0', RV: 4 }
  assert.equal(rulesBroken(payloadOf({}, BEGIN, END, END)), ['ocmf.ended-twice', 'ocmf.order'])
  assert.equal(rulesBroken(payloadOf({}, BEGIN, BEGIN, END)), ['ocmf.begun-twice'])
  assert.equal(rulesBroken(payloadOf({}, END, { ...BEGIN, TM: END.TM, RV: 111 })), ['ocmf.order'])
  assert.equal(rulesBroken(payloadOf({}, BEGIN, { ...BEGIN, ...other }, END)), ['ocmf.not-ended'])
  const energies = (...entries: Loose[]) => judged(payloadOf({}, ...entries)).transactions[0]!.energies
  assert.equal(
    energies(BEGIN, { ...BEGIN, ...other }, END, { ...END, ...other, RV: 4.25 }).map(({ obis, value, scaler }) => [
      obis,
      value,
      scaler,
    ]),
    [
      ['1-0:1.8.0', 1025n, 1],
      ['1-0:2.8.0', 25n, 1],
    ],
  )
  // A further word of the meter at the end, of energy or not, says no energy and breaks no rule.
  assert.is(energies(BEGIN, END, { ...END, RI: '1-b:1.9.0', RV: 0 }).length, 1)
  assert.is(energies(BEGIN, END, { ...END, RI: '01-00:00.08.06.FF', RU: 'sec', RV: 30 }).length, 1)
})

test('several transactions follow one another, and a total register joins them', () => {
  const next = (over: Loose = {}, entry: Loose = {}) =>
    payloadOf(
      { PG: 'T8', ...over },
      { ...BEGIN, TM: '2024-02-29T14:00:00,000+0100 S', RV: 110.75, ...entry },
      { ...END, TM: '2024-02-29T15:00:00,000+0100 S', RV: 120 },
    )
  const verdict = judged(payloadOf(), next())
  assert.equal([verdict.ok, verdict.complete, verdict.transactions.length], [true, true, 2])
  assert.equal(rulesBroken(payloadOf(), next({}, { RV: 110 })), ['ocmf.register-fell'])
  assert.equal(rulesBroken(payloadOf(), next({}, { TM: '2024-02-29T12:59:00,000+0100 S' })), ['ocmf.time-back'])
  assert.equal(rulesBroken(payloadOf(), last()), ['ocmf.not-begun'])
})

test('places of broken rules are those of the file', () => {
  const verdict = judged(first(), 'not json', last({ PG: 'T9' }, { ST: 'E' }))
  assert.equal(
    verdict.broken.map(({ code, record }) => `${record} ${code}`),
    ['2 json.syntax', '3 ocmf.page-gap', '3 ocmf.meter-state'],
  )
  assert.not(verdict.authentic)
})

test.run()
