import { assert, suite } from '../harness.ts'
import { BEGIN, CURVE_NAMES, END, payloadOf, signed, stationOn, verifier } from '../protocol/ocmf/foreign.ts'
import { hammer, sweepBytes } from '../protocol/ocmf/tamper.ts'

const test = suite('ocmf under tampering, all of it')

test('every byte of a record, changed to every other value, is refused or says the same', () => {
  for (const curve of CURVE_NAMES) {
    const station = stationOn(curve)
    const record = signed(payloadOf(), station)
    const tried = sweepBytes(record, station.key, verifier, 'all')
    assert.is(tried, 255 * Buffer.byteLength(record))
  }
}, 1_800_000)

test('a hundred thousand random changes: none throws, none is taken for another record', () => {
  const records = CURVE_NAMES.map(curve => {
    const text = signed(
      payloadOf({ ID: curve }, BEGIN, { ...BEGIN, RI: '1-0:2.8.0' }, END, { ...END, RI: '1-0:2.8.0' }),
      stationOn(curve),
    )
    return { text, key: stationOn(curve).key }
  })
  hammer(records, verifier, 100_000, Math.random)
}, 1_800_000)

test.run()
