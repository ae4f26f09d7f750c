import { drainPromises } from '../../../drivers/drain.ts'
import { createTelegramMeter } from '../../../drivers/meters/telegram-meter.ts'
import { TELEGRAMS } from '../../../drivers/meters/telegrams.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { type DlmsMeterOptions, startDlmsMeter } from '../../../hw/sim/dlms-meter.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { hex } from '../../../protocol/bytes.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { findValue, OBIS, type Obis } from '../../../protocol/telegram/obis.ts'
import type { TelegramKeys } from '../../../protocol/telegram/telegram.ts'
import { assert, suite } from '../../harness.ts'
import { KEYS, TITLE } from '../../protocol/telegram/dlms/seal.ts'

const test = suite('dlms meters')

const SEAL = { key: KEYS.encryption, authKey: KEYS.authentication, systemTitle: TITLE }

async function bench(keys: TelegramKeys, more: Partial<DlmsMeterOptions> = {}) {
  const time = createSimTime(Date.UTC(2026, 5, 21), drainPromises)
  const { clock, timers, advance } = time
  const wire = createMemoryLine({ name: 'han', characterMs: 10 / 9.6, clock, timers })
  const decode = TELEGRAMS.get('dlms')!(keys)
  const meter = createTelegramMeter({ page: 'dlms', line: wire.port, decode, clock, timers })
  const state = {
    voltageMv: 230_450,
    currentMa: 4_349,
    powerMw: -1_002_260,
    frequencyMhz: 50_020,
    imported: 7_000_999n,
    exported: 3_000_000n,
  }
  const speaking = startDlmsMeter({
    end: wire.device,
    measure: () => ({ ...state }),
    characterMs: 0,
    clock,
    timers,
    random: seededRandom(5),
    meterId: 'TLN0042',
    ...more,
  })
  must(await meter.open())
  const read = async () => {
    let result: Awaited<ReturnType<typeof meter.read>> | undefined
    void meter.read().then(one => {
      result = one
    })
    while (result === undefined) await advance(10)
    return result
  }
  return { read, state, speaking, close: meter.close }
}

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

for (const [name, keys, more] of [
  ['plain over HDLC', {}, {}],
  ['sealed over M-Bus', KEYS, { seal: SEAL }],
] as const) {
  test(`${name}: what flows is read as it is, through the name that configuration uses`, async () => {
    const { read, close } = await bench(keys, more)
    const { values, meterId } = must(await read())
    const show = (obis: Obis) => {
      const value = findValue(values, obis)
      return value && `${value.value}e${value.scaler} ${value.unit}`
    }
    assert.is(meterId, 'TLN0042')
    assert.is(show(OBIS.energyImport), '7000e0 Wh')
    assert.is(show(OBIS.energyExport), '3000e0 Wh')
    assert.is(show(OBIS.power), '-1002e0 W')
    assert.is(show(OBIS.voltageL1), '2304e-1 V')
    assert.is(show(OBIS.currentL1), '434e-2 A')
    await close()
  })

  test(`${name}: a reading a second while bits flip on the wire, and not one wrong value`, async () => {
    const { read, state, speaking, close } = await bench(keys, more)
    // About one telegram in five is damaged.
    speaking.faults.flippedBits = 0.0001
    let right = 0
    for (let i = 0; i < 200; i++) {
      state.imported += 3_000n
      const before = state.imported
      const result = await read()
      if (!result.ok) continue
      right++
      assert.is(findValue(result.value.values, OBIS.energyImport)?.value, before / 1000n)
    }
    assert.ok(right >= 100, `${right} readings`)
    await close()
  })
}

test('a key that is missing or wrong is what the meter driver names', async () => {
  for (const [keys, code] of [
    [{}, 'dlms.no-key'],
    [{ encryption: hex('ff'.repeat(16)) }, 'dlms.key'],
  ] as const) {
    const { read, close } = await bench(keys, { seal: SEAL })
    const result = await read()
    assert.is(codeOf(result), code)
    assert.ok(!result.ok && result.fault.hint !== undefined)
    await close()
  }
})

test.run()
