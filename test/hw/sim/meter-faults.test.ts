import { FAULT_FORMS, noiseOf, readMeterFault, strike } from '../../../hw/sim/meter-faults.ts'
import { createUnit } from '../../../hw/sim/modbus-slave.ts'
import { noise } from '../../../hw/sim/noise.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('meter faults')

test('each form is read as it is written', () => {
  const cases: readonly (readonly [string, object])[] = [
    ['late=0.02:150ms', { kind: 'late', share: 0.02, ms: 150, queued: false }],
    ['late=1:1.5s:queued', { kind: 'late', share: 1, ms: 1500, queued: true }],
    ['lost=0.01', { kind: 'lost', share: 0.01 }],
    ['extra=.5', { kind: 'extra', share: 0.5 }],
    ['noise=1e-5', { kind: 'noise', share: 0.00001 }],
    ['parity=0', { kind: 'parity', share: 0 }],
    ['wrong-unit=0.01', { kind: 'wrong-unit', share: 0.01 }],
    ['dead=3', { kind: 'dead', unit: 3 }],
    ['unplug=30s', { kind: 'unplug', everyMs: 30_000 }],
    ['second-master=5s', { kind: 'second-master', everyMs: 5000 }],
    ['echo', { kind: 'echo' }],
    ['frozen', { kind: 'frozen' }],
    ['garbled', { kind: 'garbled' }],
  ]
  for (const [text, fault] of cases) assert.equal(must(readMeterFault(text)), fault, text)
  for (const [form, example] of FAULT_FORMS) assert.ok(readMeterFault(example).ok, form)
})

test('what is written otherwise is told in which form it goes', () => {
  for (const text of [
    ...[
      'late',
      'late=0.02',
      'late=150ms',
      'late=2:150ms',
      'late=0.02:150',
      'late=0.02:150ms:later',
      'late=0.1:1s:queued:x',
    ],
    ...['lost', 'lost=', 'lost=1.1', 'lost=-1', 'lost=2%', 'noise=1e5', 'dead', 'dead=0', 'dead=248', 'dead=x'],
    ...['unplug', 'unplug=30', 'unplug=0s', 'unplug=90000s', 'echo=1', 'frozen=0.1'],
  ]) {
    const read = readMeterFault(text)
    assert.ok(!read.ok, text)
    assert.match(read.fault.hint!, new RegExp(`^it is written ${text.split('=')[0]}`), text)
  }
  for (const text of ['', 'meteor', 'Late=0.02:150ms', '=1']) {
    const read = readMeterFault(text)
    assert.ok(!read.ok && read.fault.hint!.startsWith('there are late=SHARE:TIME'), text)
  }
})

test('a fault strikes every unit, a dead one its own only, and those of the line the line', () => {
  const units = new Map([1, 3].map(number => [number, createUnit({})]))
  const line = { echo: false, secondMasterMs: 0 }
  for (const text of [
    'late=0.5:20ms:queued',
    'noise=0.25',
    'lost=0.125',
    'wrong-unit=1',
    'dead=3',
    'frozen',
    'echo',
    'second-master=2s',
  ])
    strike(must(readMeterFault(text)), units, line)
  const [one, three] = [units.get(1)!.faults, units.get(3)!.faults]
  assert.equal([one.dead, three.dead], [false, true])
  for (const { lateShare, lateMs, lateQueued, flippedBits, lostBytes, wrongUnitShare, frozen } of [one, three])
    assert.equal(
      [lateShare, lateMs, lateQueued, flippedBits, lostBytes, wrongUnitShare, frozen],
      [0.5, 20, true, 0.25, 0.125, 1, true],
    )
  assert.equal(line, { echo: true, secondMasterMs: 2000 })
})

test('noise of each kind does what its name says, and none leaves the bytes alone', () => {
  const quiet = { flippedBits: 0, lostBytes: 0 }
  const bytes = new Uint8Array(10_000).fill(0x55)
  const after = (text: string) => noise(bytes, { ...quiet, ...noiseOf(must(readMeterFault(text))) }, seededRandom(4))
  const share = (kept: number) => kept / bytes.length
  for (const text of ['noise=0', 'lost=0', 'extra=0', 'parity=0', 'echo']) assert.is(after(text), bytes, text)
  const extra = share(after('extra=0.1').length)
  assert.ok(extra > 1.08 && extra < 1.12, `${extra}`)
  const parity = share(after('parity=0.1').filter(byte => byte === 0).length)
  assert.ok(parity > 0.08 && parity < 0.12, `${parity}`)
  const garbled = after('garbled')
  assert.is(garbled.length, bytes.length)
  assert.ok(garbled.every(byte => byte !== 0x55))
})

test.run()
