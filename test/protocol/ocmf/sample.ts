/** What the tests of OCMF, SenML and OCPP share: any reading at all, and whether openssl can be asked. */
import { execFileSync } from 'node:child_process'
import type { Reading } from '../../../protocol/reading/reading.ts'
import { type MeterValue, OBIS } from '../../../protocol/telegram/obis.ts'
import { instant } from '../../../protocol/time.ts'
import { fc } from '../../property.ts'

function opensslRuns(): boolean {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    // Not installed.
    return false
  }
}
export const openssl = { missing: opensslRuns() ? undefined : 'no-openssl' }

const register: fc.Arbitrary<MeterValue> = fc.record(
  {
    obis: fc.constantFrom(...Object.values(OBIS), '1-0:176.8.0', '1-0:1.8.1', '0-1:24.2.1*7'),
    value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    scaler: fc.integer({ min: -9, max: 9 }),
    unit: fc.constant('Wh'),
  },
  { noNullPrototype: true },
)

/** Energy registers of any size and scaler, with every flag, quality and reason but a gap. */
export const anyReading = fc.record(
  {
    sequence: fc.integer({ min: 2, max: Number.MAX_SAFE_INTEGER }),
    operatingSeconds: fc.maxSafeNat(),
    time: fc.integer({ min: 0, max: 253_402_300_799_999 }).map(instant),
    quality: fc.constantFrom('unknown', 'informative', 'synchronised', 'relative'),
    registers: fc.uniqueArray(register, { minLength: 1, maxLength: 8, selector: value => value.obis }),
    status: fc.subarray(['restarted', 'gap-before', 'clock-set', 'before-sync']),
    errors: fc.subarray(['energy', 'time']),
    reason: fc.constantFrom('periodic', 'begin', 'end', 'exception', 'power-fail'),
  },
  { noNullPrototype: true },
) as fc.Arbitrary<Omit<Reading, 'context'>>
