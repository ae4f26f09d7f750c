import { readdirSync } from 'node:fs'
import { TELEGRAMS } from '../../../../drivers/meters/telegrams.ts'
import { fromHex, hex } from '../../../../protocol/bytes.ts'
import { type DlmsReading, decodeDlms } from '../../../../protocol/telegram/dlms/dlms.ts'
import { DLMS_UNIT, findValue, obisBytes } from '../../../../protocol/telegram/obis.ts'
import type { TelegramKeys } from '../../../../protocol/telegram/telegram.ts'
import { noSharedData, sharedPath, sharedText } from '../../../data.ts'
import { assert, suite } from '../../../harness.ts'
import { Gather } from '../gather.ts'

const test = suite('dlms captures')

interface Capture {
  readonly name: string
  readonly bytes: Uint8Array
  readonly keys: TelegramKeys
  readonly framing: 'linked' | 'raw'
  /** What another decoder printed beside it. */
  readonly log: string
}

const CAPTURES: readonly Capture[] = noSharedData
  ? []
  : readdirSync(sharedPath('dlms'))
      .filter(file => file.endsWith('.log') && !file.endsWith('_decoded.log'))
      .map(file => {
        const name = file.slice(0, -'.log'.length)
        const key = (ending: string) =>
          readdirSync(sharedPath('dlms')).includes(name + ending)
            ? hex(sharedText(`dlms/${name}${ending}`).trim())
            : undefined
        const [encryption, authentication] = [key('.key'), key('.gak')]
        return {
          name,
          bytes: fromHex(sharedText(`dlms/${file}`).replace(/[\s:]/g, ''))!,
          keys: { ...(encryption && { encryption }), ...(authentication && { authentication }) },
          framing: name.startsWith('raw') ? 'raw' : 'linked',
          log: sharedText(`dlms/${name}_decoded.log`),
        }
      })
const READABLE = CAPTURES.filter(({ name }) => !/zmf100|kmswest/.test(name))

const decoderOf =
  ({ keys, framing }: Capture) =>
  (bytes: Uint8Array) =>
    decodeDlms(bytes, keys, framing)

function read(capture: Capture, keys = capture.keys): DlmsReading {
  const pull = decodeDlms(capture.bytes, keys, capture.framing)
  if (pull.kind !== 'frame')
    throw new Error(`${capture.name}: ${pull.kind === 'junk' ? pull.fault.code : `need ${pull.bytes}`}`)
  assert.is(pull.used, capture.bytes.length)
  return pull.value
}

/** As `1.0.1.8.0.255 1000 -3 30`. */
const seen = ({ values }: DlmsReading): string[] =>
  values.map(v => `${obisBytes(v.obis)!.join('.')} ${v.value} ${v.scaler} ${DLMS_UNIT[v.unit]}`).sort()

/** Scaler and unit where the telegram itself says none, by maker's documents: [names, scaler, unit code]. */
const UNSAID: Readonly<Record<string, readonly (readonly [RegExp, number, number])[]>> = {
  hdlc_kamstrup_omnipower: [
    [/^1\.1\.(1|2|21|22|41|42|61|62)\.8\.0\./, 1, 30],
    [/^1\.1\.[34]\.8\.0\./, 1, 32],
    [/^1\.1\.(1|2|21|22|41|42|61|62)\.7\.0\./, 0, 27],
    [/^1\.1\.[34]\.7\.0\./, 0, 29],
    [/^1\.1\.[357]1\.7\.0\./, -2, 33],
    [/^1\.1\.(32|52|72)\.7\.0\./, 0, 35],
    [/^1\.1\.[1357]3\.7\.0\./, -2, 255],
  ],
  hdlc_landis_gyr_e450: [
    [/^1\.0\.[12]\.8\./, 0, 30],
    [/^1\.0\.[34]\.8\./, 0, 32],
    [/^1\.0\.[12]\.7\./, 0, 27],
    [/^1\.0\.[34]\.7\./, 0, 29],
  ],
  raw_sagecom_xt211: [
    [/^1\.0\.[12]\.8\./, 0, 30],
    [/^1\.0\.(1|2|21|22|41|42|61|62)\.7\./, 0, 27],
  ],
}
/** The order of a three-phase KFM_001 list behind its three strings. */
const KFM = [
  ...['1.0.1.7.0.255 0 27', '1.0.2.7.0.255 0 27', '1.0.3.7.0.255 0 29', '1.0.4.7.0.255 0 29'],
  ...['1.0.31.7.0.255 -3 33', '1.0.51.7.0.255 -3 33', '1.0.71.7.0.255 -3 33'],
  ...['1.0.32.7.0.255 -1 35', '1.0.52.7.0.255 -1 35', '1.0.72.7.0.255 -1 35'],
]

/** The values that the other decoder's log states. */
function stated({ name, log }: Capture): string[] {
  const payload = log.slice(log.indexOf('=== AXDR payload'))
  const tokens = [...payload.matchAll(/OBIS (\d+(?:\.\d+){5})|(U?INT\d+) = (-?\d+)|ENUM = (\d+)/g)]
  const out: string[] = []
  if (name.includes('kaifa'))
    return tokens
      .filter(([, , type]) => type === 'UINT32')
      .map(([, , , value], i) => KFM[i]!.replace(' ', ` ${value} `))
      .sort()
  for (const [i, [, obis]] of tokens.entries()) {
    const [, , type, value] = tokens[i + 1] ?? []
    if (obis === undefined || type === undefined) continue
    const [, , scalerType, scaler] = tokens[i + 2] ?? []
    const [, , , , unit] = tokens[i + 3] ?? []
    if (scalerType === 'INT8' && unit !== undefined) out.push(`${obis} ${value} ${scaler} ${unit}`)
    const unsaid = UNSAID[name]?.find(([names]) => names.test(obis))
    if (unsaid !== undefined) out.push(`${obis} ${value} ${unsaid[1]} ${unsaid[2]}`)
  }
  return out.sort()
}

test.skipIf(
  noSharedData,
  'every value of every capture is what another decoder says of it, and none is missing',
  () => {
    assert.is(CAPTURES.length, 9)
    let values = 0
    for (const capture of READABLE) {
      const expected = stated(capture)
      // Equal or not is all that may be printed: these are somebody's meters.
      assert.ok(JSON.stringify(seen(read(capture))) === JSON.stringify(expected), capture.name)
      assert.ok(expected.length >= 6, `${capture.name}: ${expected.length} values`)
      values += expected.length
    }
    assert.is(values, 116)
  },
)

test.skipIf(noSharedData, 'meter, clock and frame counter are what another decoder says of them', () => {
  const line = (log: string, pattern: RegExp) => pattern.exec(log)?.[1]
  for (const capture of READABLE) {
    const { log, name } = capture
    const { meterId, time, counter, checked } = read(capture)
    const strings = [...log.matchAll(/= "([^"]*)"/g)].map(([, text]) => text)
    // A name of its own, or else the system title of who sealed it; one of the meters has neither.
    const title = log
      .match(/system title length = 8\s+((?:[0-9A-F]{2} ){8})/)?.[1]
      ?.replaceAll(' ', '')
      .toLowerCase()
    const serial = line(log, /OBIS 1\.1\.0\.0\.1\.255[\s\S]*?UINT32 = (\d+)/)
    const known = [...strings, title, serial]
    if (name.endsWith('3phase')) assert.is(meterId, undefined)
    else assert.ok(meterId !== undefined && known.includes(meterId), `${name}: another meter`)
    const clock = line(log, /= (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)/)?.replace(' ', 'T')
    assert.ok(time?.slice(0, 19) === clock, `${name}: another time`)
    assert.ok(String(counter) === String(line(log, /frame counter = (\d+)/)), `${name}: another counter`)
    assert.is(checked, capture.framing === 'linked')
  }
})

test.skipIf(noSharedData, 'the one whose checksum is wrong is refused, and the one without a key says so', () => {
  const zmf = CAPTURES.find(({ name }) => name.includes('zmf100'))!
  assert.ok(zmf.log.includes('FCS: 45 5A (FAIL)'))
  const { frames, faults } = new Gather(decoderOf(zmf)).push(zmf.bytes)
  assert.is(frames.length, 0)
  assert.is(faults[0]?.code, 'dlms.crc')
  const west = CAPTURES.find(({ name }) => name.includes('kmswest'))!
  const pull = decoderOf(west)(west.bytes)
  assert.is(pull.kind === 'junk' && pull.fault.code, 'dlms.no-key')
  assert.is(pull.kind === 'junk' && pull.skip, west.bytes.length)
  assert.is(pull.kind === 'junk' && pull.fault['maker'], 'ELS')
})

test.skipIf(noSharedData, 'sealed captures open without the authentication key, too, and with no other key', () => {
  const sealed = READABLE.filter(({ keys }) => keys.authentication !== undefined)
  assert.is(sealed.length, 2)
  for (const capture of sealed) {
    const { encryption, authentication } = capture.keys
    assert.ok(JSON.stringify(seen(read(capture, { encryption: encryption! }))) === JSON.stringify(seen(read(capture))))
    const wrong = encryption!.map((byte, i) => (i === 3 ? byte ^ 1 : byte))
    for (const keys of [
      { encryption: wrong },
      { encryption: wrong, authentication: authentication! },
      { encryption: encryption!, authentication: wrong },
    ]) {
      const pull = decodeDlms(capture.bytes, keys)
      assert.is(pull.kind === 'junk' && pull.fault.code, 'dlms.key', capture.name)
    }
    const none = decodeDlms(capture.bytes, {})
    assert.is(none.kind === 'junk' && none.fault.code, 'dlms.no-key', capture.name)
  }
})

test.skipIf(noSharedData, 'cut at every byte a capture is waited for, never read', () => {
  for (const capture of CAPTURES) {
    for (let length = 0; length < capture.bytes.length; length++) {
      const pull = decoderOf(capture)(capture.bytes.subarray(0, length))
      assert.is(pull.kind, 'need', `${capture.name} at ${length}`)
      const most = capture.bytes.length - length
      assert.ok(pull.kind === 'need' && pull.bytes >= 1 && pull.bytes <= most, `${capture.name} at ${length}`)
    }
  }
})

test.skipIf(noSharedData, 'with any one bit flipped no capture over a link says anything else', () => {
  let flips = 0
  let frames = 0
  for (const capture of CAPTURES.filter(({ framing }) => framing === 'linked')) {
    const right = capture.name.includes('zmf') ? undefined : JSON.stringify(seenOf(capture))
    for (let bit = 0; bit < 8 * capture.bytes.length; bit++) {
      const bytes = Uint8Array.from(capture.bytes)
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      flips++
      for (const { value } of new Gather(decoderOf(capture)).push(bytes).frames) {
        frames++
        assert.ok(JSON.stringify(seen(value)) === right, `${capture.name}, bit ${bit}`)
      }
    }
  }
  // Only the opening flag may be anything: the frame behind it is covered by its own checks.
  assert.ok(frames <= 8 * READABLE.length, `${frames} frames`)
  assert.ok(flips > 20_000)
})

const seenOf = (capture: Capture): string[] | undefined =>
  READABLE.includes(capture) ? seen(read(capture)) : undefined

test.skipIf(noSharedData, 'under the one name `dlms` every framing is read, bare ones as unchecked', () => {
  for (const capture of READABLE) {
    for (const size of [1, 7, 64, capture.bytes.length]) {
      const gather = new Gather(TELEGRAMS.get('dlms')!(capture.keys))
      let frames = 0
      for (let round = 0; round < 2; round++)
        for (let at = 0; at < capture.bytes.length; at += size)
          for (const { value } of gather.push(capture.bytes.subarray(at, at + size)).frames) {
            frames++
            assert.is(value.checked, capture.framing === 'linked')
          }
      assert.is(frames, 2, `${capture.name} in ${size}`)
    }
  }
  const kamstrup = READABLE.find(({ name }) => name.includes('kamstrup'))!
  const pull = TELEGRAMS.get('dlms')!(kamstrup.keys)(kamstrup.bytes)
  assert.ok(pull.kind === 'frame')
  const value = (obis: string) => findValue(pull.value.values, obis)?.value
  assert.ok(value('1-0:1.8.0') !== undefined && value('1-0:1.8.0') === value('1-1:1.8.0'))
  assert.ok(value('1-0:16.7.0') === value('1-1:1.7.0')! - value('1-1:2.7.0')!)
})

test.run()
