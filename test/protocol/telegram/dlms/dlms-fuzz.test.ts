import { concat, hex } from '../../../../protocol/bytes.ts'
import { decodeDlms } from '../../../../protocol/telegram/dlms/dlms.ts'
import { encodePush } from '../../../../protocol/telegram/dlms/write.ts'
import type { TelegramKeys } from '../../../../protocol/telegram/telegram.ts'
import { assert, suite } from '../../../harness.ts'
import { type FuzzTask, fuzz, fuzzLine } from '../fuzz.ts'
import { blocks, hdlc, hdlcSegments, KEYS, mbusSegments, seal, x25 } from './seal.ts'

const test = suite('dlms under damage')

const pushOf = (sequence: number) =>
  encodePush({
    meterId: 'TEST1',
    sequence,
    values: [
      { obis: '1-0:1.8.0', value: 4_408_736n + BigInt(sequence), scaler: 0, unit: 'Wh' },
      { obis: '1-0:16.7.0', value: -2_893n, scaler: -1, unit: 'W' },
      { obis: '1-0:32.7.0', value: 2_307n, scaler: -1, unit: 'V' },
      { obis: '1-0:31.7.0', value: 75n * BigInt(sequence), scaler: -2, unit: 'A' },
    ],
  })
const PUSHES = [pushOf(1), pushOf(2)]
const SEALED = PUSHES.map((push, i) => seal(push, 700 + i))

const decodeBy =
  (keys: TelegramKeys, framing: 'linked' | 'raw' = 'linked'): FuzzTask['decode'] =>
  bytes =>
    decodeDlms(bytes, keys, framing)

/** Blocks of 60, each in an HDLC frame with or without LLC header. */
const inBlocks = (apdu: Uint8Array) =>
  concat(...blocks(apdu, 60).map((block, i) => hdlc(concat(hex(i === 0 ? 'e6e700' : ''), block))))

const LINKED: readonly (readonly [string, readonly Uint8Array[], TelegramKeys])[] = [
  ['hdlc, plain, whole and segmented', PUSHES.map((p, i) => concat(...hdlcSegments(p, 1000 - 940 * i))), {}],
  ['hdlc, sealed, in blocks', SEALED.map(inBlocks), KEYS],
  ['hdlc, sealed, no tag checked', SEALED.map(p => concat(...hdlcSegments(p, 64))), { encryption: KEYS.encryption }],
  ['m-bus, sealed, segmented', SEALED.map((p, i) => concat(...mbusSegments(p, 240 - 180 * i))), KEYS],
]

test('100,000 mutated telegrams of every framing give no wrong value and no throw, and hide none behind them', () => {
  for (const [n, [what, telegrams, keys]] of LINKED.entries()) {
    const seen = fuzz({ telegrams, decode: decodeBy(keys), count: 25_000, seed: 40 + n })
    process.stdout.write(fuzzLine(`dlms ${what}`, seen))
    assert.is(seen.thrown, 0, seen.example)
    assert.is(seen.wrong, 0, seen.example)
    assert.is(seen.hidden, 0, seen.example)
    assert.ok(seen.intact < 2_500, `${seen.intact} of them harmless: the mutations are too weak`)
  }
})

test('with their checksums made good again HDLC mutants give wrong values, and none where a tag is checked', () => {
  const task = { count: 10_000, seed: 50, mend: resealed }
  const plain = PUSHES.map(push => hdlc(concat(hex('e6e700'), push)))
  const sealed = SEALED.map(push => hdlc(concat(hex('e6e700'), push)))
  const open = fuzz({ ...task, telegrams: plain, decode: decodeBy({}) })
  assert.ok(open.wrong > 100, `${open.wrong} wrong values: the checksums keep out nothing`)
  assert.is(open.thrown, 0, open.example)
  const loose = fuzz({ ...task, telegrams: sealed, decode: decodeBy({ encryption: KEYS.encryption }) })
  assert.ok(loose.wrong > 100, `${loose.wrong} wrong values without the tag`)
  const tight = fuzz({ ...task, telegrams: sealed, decode: decodeBy(KEYS) })
  assert.is(tight.wrong, 0, tight.example)
})

test("what M-Bus' sum of eight bits and a bare APDU let through is never called checked", () => {
  for (const [what, telegrams, framing] of [
    ['m-bus, plain', PUSHES.map(p => concat(...mbusSegments(p, 200))), 'linked'],
    ['bare, plain', PUSHES, 'raw'],
  ] as const) {
    let checked = 0
    const decode: FuzzTask['decode'] = bytes => {
      const pull = decodeDlms(bytes, {}, framing)
      if (pull.kind === 'frame' && pull.value.checked) checked++
      return pull
    }
    const seen = fuzz({ telegrams, decode, count: 10_000, seed: 60, behind: 3 })
    process.stdout.write(fuzzLine(`dlms ${what}`, seen))
    assert.is(seen.thrown, 0, seen.example)
    assert.is(checked, 0)
    assert.ok(seen.wrong > 0, 'the weak check lets nothing through: it could be trusted')
  }
})

/** A single HDLC frame of the old length, its FCS made good again. */
function resealed(mutant: Uint8Array): Uint8Array {
  if (mutant.length < 12) return mutant
  const out = mutant.slice()
  out.set(x25(out.subarray(1, -3)), out.length - 3)
  return out
}

test.run()
