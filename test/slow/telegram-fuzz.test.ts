/** Ten million damaged telegrams of each kind: no wrong readings, and none may hide the good one behind it. */
import { TELEGRAMS } from '../../drivers/meters/telegrams.ts'
import { hex } from '../../protocol/bytes.ts'
import { encodeDsmr } from '../../protocol/telegram/dsmr-write.ts'
import type { MeterValue } from '../../protocol/telegram/obis.ts'
import { encodeSml } from '../../protocol/telegram/sml-write.ts'
import type { TelegramKeys } from '../../protocol/telegram/telegram.ts'
import { assert, suite } from '../harness.ts'
import { fuzz, fuzzLine } from '../protocol/telegram/fuzz.ts'
import { P1_KEYS, sealP1 } from '../protocol/telegram/seal-p1.ts'

const test = suite('telegram fuzz')

const MUTATIONS = 10_000_000
/**
 * A checksum of 16 bits alone would let one in 65,536 through, 150 of these. The form behind it leaves none in most runs;
 * a new seed may find one, and a check that was lost finds dozens.
 */
const WRONG_MOST = 2
const DEADLINE_MS = 3_000_000
const seed = Number(process.env['TIELINE_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
process.stdout.write(`TIELINE_SEED=${seed}\n`)

const values = (watthours: bigint, watts: bigint): readonly MeterValue[] => [
  { obis: '1-0:1.8.0', value: watthours, scaler: 0, unit: 'Wh' },
  { obis: '1-0:1.7.0', value: watts, scaler: 0, unit: 'W' },
]
const PAIRS = [values(123_456_000n, 4_000n), values(123_456_011n, 3_911n)]

const at = (second: number) => `17010219200${second}W`
const p1 = PAIRS.map((pair, i) => encodeDsmr({ model: 'TLN5', equipmentId: 'E0041', timestamp: at(i), values: pair }))
const sealed = p1.map((telegram, i) => sealP1(telegram, 1_000 + i))
const sml = PAIRS.map((pair, i) =>
  encodeSml({ serverId: hex('0a0102030405'), maker: 'TLN', seconds: 9 + i, sequence: 1 + i, values: pair }),
)
const { encryption } = P1_KEYS

interface Kind {
  readonly what: string
  readonly kind: string
  readonly keys?: TelegramKeys
  readonly telegrams: readonly Uint8Array[]
  readonly wrongMost?: number
  readonly hiddenMost?: number
}

/** Where title and length are damaged at once the telegram behind is only found when the one after it has come. */
const REACHING = MUTATIONS / 50_000

const KINDS: readonly Kind[] = [
  { what: 'SML', kind: 'sml', telegrams: sml },
  { what: 'DSMR P1', kind: 'dsmr', telegrams: p1 },
  // Its tag of 96 bits leaves nothing to chance.
  { what: 'encrypted P1', kind: 'dsmr', keys: P1_KEYS, telegrams: sealed, wrongMost: 0, hiddenMost: REACHING },
  { what: 'encrypted P1, tag unread', kind: 'dsmr', keys: { encryption }, telegrams: sealed, hiddenMost: REACHING },
]

for (const { what, kind, keys = {}, telegrams, wrongMost = WRONG_MOST, hiddenMost = 0 } of KINDS) {
  test(
    what,
    () => {
      const seen = fuzz({ telegrams, decode: TELEGRAMS.get(kind)!(keys), count: MUTATIONS, seed })
      process.stdout.write(fuzzLine(what, seen))
      assert.is(seen.thrown, 0, seen.example)
      assert.ok(seen.hidden <= hiddenMost, `${seen.hidden} hidden, as by ${seen.example}`)
      assert.ok(seen.wrong <= wrongMost, `${seen.wrong} wrong readings, as of ${seen.example}`)
    },
    DEADLINE_MS,
  )
}

test.run()
