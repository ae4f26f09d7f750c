import { seededRandom } from '../../../hw/sim/random.ts'
import { verifyOcmf } from '../../../protocol/ocmf/verify.ts'
import { cpuMs } from '../../cpu-time.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { BEGIN, CURVE_NAMES, END, payloadOf, signed, stationOn, verifier } from './foreign.ts'
import { hammer, meaningOf, sweepBytes } from './tamper.ts'

const test = suite('ocmf under tampering')

test('every byte changed is refused or says the same', () => {
  const record = signed(payloadOf(), stationOn('secp256r1'), { SM: 'application/x-der', XA: 'of the maker' })
  sweepBytes(record, stationOn('secp256r1').key, verifier)
})

test('random changes never throw and are never taken for another record', () => {
  const records = CURVE_NAMES.map(curve => ({
    text: signed(payloadOf({ ID: curve }), stationOn(curve)),
    key: stationOn(curve).key,
  }))
  assertProperty(
    fc.property(fc.noShrink(fc.nat()), seed => void hammer(records, verifier, 5000, seededRandom(seed))),
    1,
  )
}, 60_000)

test('every field of a reading carries weight: changed and signed anew, the verdict is another', () => {
  const key = stationOn('secp256r1').key
  const meaning = meaningOf([signed(payloadOf())], key, verifier)
  for (const change of [
    { TM: '2024-02-29T13:00:00,001+0100 S' },
    { RV: 110.76 },
    { RI: '1-0:2.8.0' },
    { RU: 'Wh' },
    { EF: 't' },
    { ST: 'S' },
    { TX: 'C' },
  ])
    assert.not(
      meaningOf([signed(payloadOf({}, BEGIN, { ...END, ...change }))], key, verifier) === meaning,
      JSON.stringify(change),
    )
})

test('a hostile text costs time in proportion to its length', () => {
  const blanks = ' '.repeat(200_000)
  const digits = '1'.repeat(200_000)
  const key = stationOn('secp256r1').key
  const texts = [
    `OCMF|${blanks}x${blanks}|{}`,
    signed(payloadOf({}, { ...BEGIN, RV: `1${blanks}1` }, END)),
    signed(payloadOf({}, { ...BEGIN, RV: digits, TM: digits, RI: `1-0:${digits}` }, END)),
    signed(payloadOf({ PG: `T${digits}`, GS: `${blanks}\u0000` })),
    signed(payloadOf(), stationOn('secp256r1'), { SA: `ECDSA-${digits}`, SD: digits }),
    `OCMF${'|'.repeat(2_000_000)}`,
    `OCMF|${'['.repeat(200_000)}|${'{"a":'.repeat(40_000)}`,
  ]
  const ms = cpuMs(() => {
    for (const text of texts) assert.not(verifyOcmf([text], key, verifier).authentic)
    assert.not(verifyOcmf([signed(payloadOf())], `${blanks}${key}`, verifier).authentic)
  })
  // Any step that is quadratic in 200,000 takes ten seconds and more by itself.
  assert.ok(ms < 5000, `${ms} ms`)
})

test('the sweep itself fails where a check is switched off', () => {
  const yes = { verify: () => true }
  const record = signed(payloadOf())
  assert.ok(verifyOcmf([record], stationOn('secp256r1').key, yes).ok)
  let why = ''
  try {
    sweepBytes(record, stationOn('secp256r1').key, yes)
  } catch (error) {
    why = (error as Error).message
  }
  assert.match(why, /is signed/)
})

test.run()
