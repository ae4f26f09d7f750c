/** `npm run bench:telegram`: telegrams a second through every decoder, and what one flipped bit does to each. */
import { readdirSync } from 'node:fs'
import { TELEGRAMS, type TelegramDecoder } from '../../drivers/meters/telegrams.ts'
import { concat, hex } from '../../protocol/bytes.ts'
import { encodePush, inHdlc, inMbus, sealPush } from '../../protocol/telegram/dlms/write.ts'
import { encodeDsmr } from '../../protocol/telegram/dsmr-write.ts'
import { dataMessageText, onWire } from '../../protocol/telegram/iec62056-write.ts'
import type { MeterValue } from '../../protocol/telegram/obis.ts'
import { encodeSml } from '../../protocol/telegram/sml-write.ts'
import type { TelegramKeys } from '../../protocol/telegram/telegram.ts'
import { noSharedData, sharedBytes, sharedPath } from '../data.ts'
import { Gather } from '../protocol/telegram/gather.ts'
import { dice } from '../protocol/telegram/mutate.ts'
import { P1_KEYS, P1_TITLE, sealP1 } from '../protocol/telegram/seal-p1.ts'
import { type Contestant, race } from './measure.ts'
import { type BenchOptions, type Row, rateRow, runBench } from './report.ts'
import { type PeerDecoder, p1Peer, smlPeer } from './smartmeter-obis.ts'

/** One decoder with telegrams that it takes. */
interface Subject {
  readonly id: string
  readonly what: string
  readonly kind: string
  readonly keys?: TelegramKeys
  readonly telegrams: readonly Uint8Array[]
  readonly peer?: () => PeerDecoder
  /** What the design asks for, in MB/s. */
  readonly asked?: string
}

/** What a house with PV says, a second later each time. */
const valuesAt = (second: number): readonly MeterValue[] => {
  const [into, out] = [BigInt(12_345_678 + second), BigInt(2_345_678)]
  return [
    { obis: '1-0:1.8.1', value: into, scaler: 0, unit: 'Wh' },
    { obis: '1-0:1.8.2', value: into + 7n, scaler: 0, unit: 'Wh' },
    { obis: '1-0:2.8.1', value: out, scaler: 0, unit: 'Wh' },
    { obis: '1-0:2.8.2', value: out + 9n, scaler: 0, unit: 'Wh' },
    { obis: '1-0:1.7.0', value: BigInt(1_000 + 37 * second), scaler: 0, unit: 'W' },
    { obis: '1-0:2.7.0', value: 0n, scaler: 0, unit: 'W' },
    ...['32', '52', '72'].map((c, i) => voltage(`1-0:${c}.7.0`, 2301 + i)),
    ...['31', '51', '71'].map(
      (c, i): MeterValue => ({ obis: `1-0:${c}.7.0`, value: BigInt(2 + i), scaler: 0, unit: 'A' }),
    ),
  ]
}
const voltage = (obis: string, tenths: number): MeterValue => ({ obis, value: BigInt(tenths), scaler: -1, unit: 'V' })

const SECONDS = Array.from({ length: 16 }, (_, i) => i)
const ID = 'TLN0000001'
const p1At = (second: number): Uint8Array =>
  encodeDsmr({
    model: 'TLN5\\bench',
    equipmentId: ID,
    timestamp: `1701021920${String(second).padStart(2, '0')}W`,
    values: valuesAt(second),
  })
const pushAt = (second: number): Uint8Array =>
  sealPush(encodePush({ meterId: ID, sequence: second, values: valuesAt(second) }), {
    key: P1_KEYS.encryption,
    authKey: P1_KEYS.authentication,
    systemTitle: P1_TITLE,
    counter: second,
  })
/** IEC 62056-21 data lines, in kWh and kW where its meters write those. */
const iecAt = (second: number): Uint8Array =>
  onWire(
    `/TLN5bench\r\n${dataMessageText([
      '0.0.0(00000001)',
      ...new TextDecoder()
        .decode(p1At(second))
        .split('\r\n')
        .filter(line => line.includes('*'))
        .map(line => line.replace('1-0:', '')),
    ])}`,
    'even-in-bit-7',
  )

/** RSP_UD of an electricity meter 00000001 TLN with energy (04 03, Wh) and power (04 2B, W). */
function mbusAt(second: number): Uint8Array {
  const little = (value: number): readonly number[] => [0, 8, 16, 24].map(shift => (value >>> shift) & 0xff)
  const energy = [0x04, 0x03, ...little(12_345_678 + second)]
  const power = [0x04, 0x2b, ...little(1_000 + 37 * second)]
  //             C     A     CI    number       maker       version medium access status signature
  const body = [0x08, 0x01, 0x72, 1, 0, 0, 0, 0x8e, 0x51, 0x01, 0x02, second, 0x00, 0x00, 0x00, ...energy, ...power]
  const sum = body.reduce((total, byte) => total + byte, 0) & 0xff
  return Uint8Array.of(0x68, body.length, body.length, 0x68, ...body, sum, 0x16)
}

const SUBJECTS: readonly Subject[] = [
  {
    id: 'sml',
    what: 'SML',
    kind: 'sml',
    telegrams: SECONDS.map(second =>
      encodeSml({
        serverId: hex('0a01544c4e0000000001'),
        maker: 'TLN',
        seconds: 1_000 + second,
        sequence: second,
        values: valuesAt(second),
      }),
    ),
    peer: smlPeer,
    asked: '40-84 (1.5 x libsml)',
  },
  { id: 'dsmr', what: 'DSMR P1', kind: 'dsmr', telegrams: SECONDS.map(p1At), peer: p1Peer },
  {
    id: 'dsmr-encrypted',
    what: 'DSMR P1, encrypted',
    kind: 'dsmr',
    keys: P1_KEYS,
    telegrams: SECONDS.map(second => sealP1(p1At(second), second)),
  },
  {
    id: 'dlms-hdlc',
    what: 'DLMS, encrypted, HDLC',
    kind: 'dlms',
    keys: P1_KEYS,
    telegrams: SECONDS.map(second => inHdlc(pushAt(second))),
  },
  {
    id: 'dlms-mbus',
    what: 'DLMS, encrypted, M-Bus',
    kind: 'dlms',
    keys: P1_KEYS,
    telegrams: SECONDS.map(second => inMbus(pushAt(second))),
  },
  { id: 'dlms-raw', what: 'DLMS, encrypted, raw', kind: 'dlms-raw', keys: P1_KEYS, telegrams: SECONDS.map(pushAt) },
  { id: 'iec62056', what: 'IEC 62056-21 with BCC', kind: 'iec62056', telegrams: SECONDS.map(iecAt) },
  { id: 'mbus', what: 'M-Bus, wired', kind: 'mbus', telegrams: SECONDS.map(mbusAt) },
]

const decoderOf = ({ kind, keys = {} }: Subject): TelegramDecoder => {
  const make = TELEGRAMS.get(kind)
  if (make === undefined) throw new Error(`no kind of telegram is called ${kind}`)
  return make(keys)
}

/** Decodes every frame of `bytes`; how many there were. */
function countFrames(decode: TelegramDecoder, bytes: Uint8Array): number {
  let frames = 0
  for (let at = 0; at < bytes.length; ) {
    const pull = decode(bytes.subarray(at))
    if (pull.kind === 'need') break
    if (pull.kind === 'frame') frames++
    at += pull.kind === 'frame' ? pull.used : pull.skip
  }
  return frames
}

async function rateRows(subjects: readonly Subject[], { effort }: BenchOptions): Promise<readonly Row[]> {
  const contestants = subjects.flatMap((subject): readonly Contestant[] => {
    const { id, telegrams, peer } = subject
    const [decode, other] = [decoderOf(subject), peer?.()]
    const every = (what: string, good: (telegram: Uint8Array) => boolean) => () => {
      for (const telegram of telegrams) if (!good(telegram)) throw new Error(`${what} refused a good telegram`)
      return telegrams.length
    }
    return [
      { name: id, run: every(id, telegram => countFrames(decode, telegram) === 1) },
      ...(other ? [{ name: `${id} peer`, run: every(`${id} peer`, telegram => other(telegram).length > 0) }] : []),
    ]
  })
  const timed = await race(contestants, effort)
  return subjects.flatMap(({ id, what, telegrams, asked }) => {
    const rate = timed.get(id)!
    const peer = timed.get(`${id} peer`)
    const megabytes = concat(...telegrams).length / telegrams.length / 1e6
    const floor = peer && { what: 'smartmeter-obis', value: peer.median, unit: 'telegrams/s by smartmeter-obis' }
    const note = peer && `${(rate.median / peer.median).toFixed(1)} times as many`
    return [
      rateRow(
        { id: `${id}.telegrams`, what, unit: 'telegrams/s', ...(floor && { floor }), ...(note && { note }) },
        rate,
      ),
      {
        id: `${id}.bytes`,
        what: `${what}, ${Math.round(1e6 * megabytes)} bytes each`,
        value: rate.median * megabytes,
        lowest: rate.lowest * megabytes,
        highest: rate.highest * megabytes,
        unit: 'MB/s',
        ...(asked && { asked }),
      },
    ]
  })
}

/** Captures of real meters as they came, noise and all, where they are there. */
async function captureRows({ effort }: BenchOptions): Promise<readonly Row[]> {
  if (noSharedData !== undefined) return []
  const kinds = (['sml', 'dsmr'] as const).map(kind => ({
    kind,
    captures: readdirSync(sharedPath(kind))
      .filter(name => /\.(bin|txt)$/.test(name))
      .map(name => sharedBytes(`${kind}/${name}`)),
  }))
  const timed = await race(
    kinds.map(({ kind, captures }) => {
      const decode = TELEGRAMS.get(kind)!({})
      return {
        name: kind,
        run: () => captures.reduce((sum, bytes) => sum + (countFrames(decode, bytes) && bytes.length), 0),
      }
    }),
    effort,
  )
  return kinds.map(({ kind, captures }) => {
    const { median, lowest, highest } = timed.get(kind)!
    const value = { value: median / 1e6, lowest: lowest / 1e6, highest: highest / 1e6, unit: 'MB/s' }
    return { id: `${kind}.captures`, what: `${kind}, ${captures.length} captures of real meters`, ...value }
  })
}

interface Outcome {
  wrong: number
  /** Wrong, but marked as unchecked: not believed before a second telegram says the same. */
  doubted: number
  right: number
  refused: number
  threw: number
}

type Read = (bytes: Uint8Array) => { readonly values: readonly string[]; readonly checked: boolean }

/** One bit flipped in a telegram, again and again: whether a value comes out that the telegram did not have. */
function flip(telegrams: readonly Uint8Array[], trials: number, read: Read): Outcome {
  const roll = dice(92)
  const known = telegrams.map(telegram => new Set(read(telegram).values))
  const outcome: Outcome = { wrong: 0, doubted: 0, right: 0, refused: 0, threw: 0 }
  for (let n = 0; n < trials; n++) {
    const which = roll(telegrams.length)
    const bytes = telegrams[which]!.slice()
    bytes[roll(bytes.length)]! ^= 1 << roll(8)
    try {
      const { values, checked } = read(bytes)
      if (values.length === 0) outcome.refused++
      else if (values.every(value => known[which]!.has(value))) outcome.right++
      else if (checked) outcome.wrong++
      else outcome.doubted++
    } catch {
      // A parser that throws at least says nothing wrong.
      outcome.threw++
    }
  }
  return outcome
}

const textOf = ({ obis, value, scaler, unit }: MeterValue): string => `${obis} ${value} ${scaler} ${unit}`

function flippedRow(subject: Subject, trials: number): Row {
  const { id, what, telegrams, peer } = subject
  const ours = flip(telegrams, trials, bytes => {
    const found = new Gather(decoderOf(subject)).push(bytes).frames.map(({ value }) => value)
    return { values: found.flatMap(({ values }) => values.map(textOf)), checked: found.every(({ checked }) => checked) }
  })
  const decode = peer?.()
  const other = decode && flip(telegrams, trials, bytes => ({ values: decode(bytes), checked: true }))
  const percent = ({ wrong }: Outcome) => (100 * wrong) / trials
  const words = (outcome: Outcome) =>
    `${outcome.right} unharmed, ${outcome.refused} refused, ${outcome.doubted} left to a second telegram, ${outcome.threw} thrown`
  return {
    id: `${id}.flipped`,
    what: `${what}: wrong readings with one bit flipped`,
    value: percent(ours),
    unit: '%',
    asked: '0',
    ...(other && { floor: { what: 'smartmeter-obis', value: percent(other), unit: '% by smartmeter-obis' } }),
    note: `of ${trials}: ${words(ours)}${other ? `; smartmeter-obis: ${words(other)}` : ''}`,
  }
}

await runBench(
  'bench:telegram',
  'Telegrams a second and megabytes a second through every decoder, and how often one flipped bit makes a wrong reading.',
  async bench => [
    ...(await rateRows(SUBJECTS, bench)),
    ...(await captureRows(bench)),
    ...SUBJECTS.map(subject => flippedRow(subject, bench.quick ? 1_000 : 20_000)),
  ],
)
