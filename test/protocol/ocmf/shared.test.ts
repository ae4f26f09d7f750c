import { parseOcmf } from '../../../protocol/ocmf/parse.ts'
import { verifyOcmf } from '../../../protocol/ocmf/verify.ts'
import { noSharedData, sharedText } from '../../data.ts'
import { assert, suite } from '../../harness.ts'
import { verifier } from './foreign.ts'
import { sweepBytes } from './tamper.ts'

const test = suite('ocmf of real stations')

interface Sample {
  readonly path: string
  readonly i: number
  readonly ocmf: string
  readonly publicKey: string | null
  readonly expected: 'valid' | 'invalid' | 'noKey'
}
const samples = noSharedData ? [] : (JSON.parse(sharedText('ocmf/records.json')) as readonly Sample[])
const verdictOf = ({ ocmf, publicKey }: Sample) => verifyOcmf([ocmf], publicKey ?? undefined, verifier)

/**
 * Where our verdict is stricter than the one that comes with the data, which is of the signature alone: the station itself
 * says in these that the readings are not to be used, and the specification has a verifier fail on that ("Signing and
 * verification process": error conditions must lead to an error).
 */
const STRICTER: Readonly<Record<string, readonly string[]>> = {
  // EF names energy and time as unusable, and the state of the meter is E.
  'xml/20211007-device-with-evt-ocmf-sss-ses.xml 0': ['ocmf.error-flags', 'ocmf.meter-state'],
  'xml/20211007-device-with-evt-ocmf-sss-ses.xml 1': ['ocmf.error-flags', 'ocmf.meter-state'],
  // The second reading has the reason X: from it on time or energy are not usable.
  'xml/test_ocmf_transaction_two_values.xml 0': ['ocmf.exception'],
}

test.skipIf(noSharedData, 'each record is authentic where it should be, and not where not', () => {
  assert.is(samples.length, 22)
  for (const sample of samples)
    assert.is(verdictOf(sample).authentic, sample.expected === 'valid', `${sample.path} ${sample.i}`)
})

test.skipIf(noSharedData, 'no rule is broken by a valid record, unless the station itself says so', () => {
  for (const sample of samples.filter(({ expected }) => expected === 'valid')) {
    const name = `${sample.path} ${sample.i}`
    const codes = verdictOf(sample).broken.map(({ code }) => code)
    assert.equal(codes, STRICTER[name] ?? [], name)
  }
})

test.skipIf(noSharedData, 'an invalid record is refused for its reason', () => {
  const reasonOf = (path: string) => verdictOf(samples.find(sample => sample.path === path)!).broken[0]!.code
  // Text in front of the signature's digits; r and s bare where DER is due; a key on another curve; no key at all.
  assert.is(reasonOf('log4j_test3.xml'), 'ocmf.signature-encoding')
  assert.is(reasonOf('xml/isa-ocmf/OCMF-receipt-with_import_and_export.xml'), 'ocmf.signature-der')
  assert.is(reasonOf('xml/second_key_fail_ocmf.xml'), 'ocmf.curve-differs')
  assert.is(reasonOf('xml/signature_16955306_ALL.xml'), 'ocmf.no-key')
})

test.skipIf(noSharedData, 'energies are those that the digits say', () => {
  const energiesOf = (path: string) => {
    const verdict = verdictOf(samples.find(sample => sample.path === path)!)
    return verdict.transactions.flatMap(({ energies }) =>
      energies.map(({ obis, direction, value, scaler }) => `${obis} ${direction ?? '-'} ${value}e${scaler} Wh`),
    )
  }
  // 0.2597 - 0.2596 kWh; 58.685 - 57.584 and 4.405 - 4.405 kWh; 1.0 - 0.0 and 2.0 - 1.0 kWh.
  assert.equal(energiesOf('fromweb.xml'), ['1-b:1.8.0 import 1e-1 Wh'])
  assert.equal(energiesOf('xml/VW_OCMF_load.xml'), ['1-0:1.8.0 import 1101e0 Wh', '1-0:2.8.0 export 0e0 Wh'])
  assert.equal(energiesOf('xml/Ocmf_Example_OBIS_98.8.0_2.8.0.xml'), [
    '1-0:98.8.0.FF - 10e2 Wh',
    '1-0:2.8.0.FF export 10e2 Wh',
  ])
})

test.skipIf(noSharedData, 'records of one file make a run: two of a transaction, eight of a station', () => {
  const runOf = (path: string) => {
    const parts = samples.filter(sample => sample.path === path)
    return verifyOcmf(
      parts.map(({ ocmf }) => ocmf),
      parts[0]!.publicKey!,
      verifier,
    )
  }
  const pair = runOf('xml/OCMF_Test_Data_00.xml')
  assert.equal([pair.ok, pair.complete, pair.transactions.length], [true, true, 1])
  assert.is(pair.transactions[0]!.energies[0]!.value, 0n)
  const series = runOf('xml/keba_test.xml')
  assert.equal([series.ok, series.complete, series.transactions.length], [true, true, 8])
})

test.skipIf(
  noSharedData,
  'every byte of every valid record, changed, is refused or says the same',
  () => {
    const valid = samples.filter(({ expected }) => expected === 'valid')
    for (const { ocmf, publicKey } of valid) assert.ok(sweepBytes(ocmf, publicKey!, verifier) > 2 * ocmf.length - 2)
  },
  90_000,
)

test.skipIf(noSharedData, 'every field of every valid record, left out, is missed', () => {
  for (const { ocmf, publicKey, expected } of samples) {
    if (expected !== 'valid') continue
    const [, payloadText, signature] = ocmf.split('|')
    const payload = JSON.parse(payloadText!) as Record<string, unknown>
    for (const name of Object.keys(payload)) {
      const { [name]: _, ...rest } = payload
      const text = `OCMF|${JSON.stringify(rest)}|${signature}`
      assert.not(verifyOcmf([text], publicKey!, verifier).authentic, name)
    }
    assert.ok(parseOcmf(ocmf).record !== undefined)
  }
})

test.run()
