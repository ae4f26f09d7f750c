/**
 * Readings as SenML in JSON (RFC 8428), one pack of them:
 *
 *     [{"bver":26,"bn":"urn:dev:ueid:01fe...06_19041234:","bt":1795000000.000,"n":"sequence","u":"count","v":1},
 *      {"n":"1-0:1.8.0","u":"Wh","v":123456789}, ...
 *      {"n":"operating-time","u":"s","v":12},
 *      {"n":"time-quality","vs":"synchronised"},
 *      {"n":"reason","vs":"periodic"},
 *      {"n":"status/restarted","vb":true}, {"n":"error/energy","vb":true}     a flag that is set
 *      {"n":"context","vd":"..."}, {"n":"envelope","vd":"..."}                 as signed; a context once while it holds
 *      {"bn":...                                                              the next reading
 *
 * The base name is the gateway as a DEV URN (RFC 9039) by its UEID, a subtype that RFC 9711 registers, then the meter's
 * serial: letters, digits and dots as they are, any other character as `-` and two hexadecimal digits. Values have all digits of the meter and no exponent. Version
 * 26 is 10 and the secondary units (RFC 9100 section 4), which Wh is (RFC 8798 section 3).
 *
 * What has no name here (session, nonce, previous hash, the context's fields) is in the envelopes, and so are registers in
 * VAh or m3/h, for which SenML has no unit.
 */
import { toHex } from '../bytes.ts'
import { toBase64 } from '../chain/base64.ts'
import { decimalText, type Json, JsonNumber, writeJson } from '../json-write.ts'
import { fail, ok, type Result } from '../result.ts'
import type { Obis, UnitName } from '../telegram/obis.ts'
import type { Instant } from '../time.ts'
import type { Context } from './context.ts'
import type { Reading } from './reading.ts'

/** A reading and its context, each as read and as signed. */
export interface EnvelopedReading {
  readonly reading: Reading
  readonly context: Context
  readonly envelope: Uint8Array
  readonly contextEnvelope: Uint8Array
}

export type SenmlFault = {
  readonly code: 'senml.time'
  readonly sequence: number
  readonly time: number
  readonly hint: string
}

const VERSION = 26

/** Primary units of RFC 8428 section 12.1 and RFC 8798 section 2, and Wh and varh of the secondary ones. */
const UNIT: Readonly<Partial<Record<UnitName, string>>> = {
  degC: 'Cel',
  m3: 'm3',
  J: 'J',
  W: 'W',
  VA: 'VA',
  var: 'var',
  Wh: 'Wh',
  varh: 'varh',
  A: 'A',
  V: 'V',
  Hz: 'Hz',
  '1': '/',
}

/** Seconds: a lesser time is relative to when the pack is read (RFC 8428 section 4.5.3). In 1978. */
const FIRST_ABSOLUTE = 2 ** 28

/** The text of a pack; a fault where a reading was made by a clock that stood before 1978. */
export function writeSenml(readings: readonly EnvelopedReading[]): Result<string, SenmlFault> {
  const records: Json[] = []
  let context: string | undefined
  for (const { reading, envelope, contextEnvelope, ...one } of readings) {
    const { sequence, time } = reading
    if (time < FIRST_ABSOLUTE * 1000) {
      return fail({ code: 'senml.time', sequence, time, hint: 'SenML has no such time; the journal has the reading' })
    }
    const before = context
    context = base64url(contextEnvelope)
    records.push(
      {
        bver: records.length === 0 ? count(VERSION) : undefined,
        bn: baseName(one.context),
        bt: seconds(time),
        n: 'sequence',
        u: 'count',
        v: count(sequence),
      },
      ...reading.registers.flatMap(({ obis, value, scaler, unit }) => {
        const u = UNIT[unit]
        return u === undefined ? [] : [{ n: registerName(obis), u, v: new JsonNumber(decimalText(value, scaler)) }]
      }),
      { n: 'operating-time', u: 's', v: count(reading.operatingSeconds) },
      { n: 'time-quality', vs: reading.quality },
      { n: 'reason', vs: reading.reason },
      ...reading.status.map(flag => ({ n: `status/${flag}`, vb: true })),
      ...reading.errors.map(flag => ({ n: `error/${flag}`, vb: true })),
      ...(context === before ? [] : [{ n: 'context', vd: context }]),
      { n: 'envelope', vd: base64url(envelope) },
    )
  }
  return ok(writeJson(records))
}

const count = (value: number): JsonNumber => new JsonNumber(String(value))

const seconds = (time: Instant): JsonNumber => new JsonNumber(decimalText(BigInt(time), -3))

/** Of the characters that a name may have (RFC 8428 section 4.5.1), `*` is none. */
const registerName = (obis: Obis): string => obis.replace('*', '.')

const baseName = ({ device, meterId }: Context): string => {
  const meter = meterId.replace(/[^A-Za-z0-9.]/g, c => `-${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
  return `urn:dev:ueid:${toHex(device)}_${meter}:`
}

/** RFC 4648 section 5, without padding. */
const base64url = (bytes: Uint8Array): string =>
  toBase64(bytes).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
