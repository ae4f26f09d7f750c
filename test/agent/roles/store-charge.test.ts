/** What is in a battery, by the meters around it. */
import { createStoreCharge } from '../../../agent/roles/store-charge.ts'
import { wattHours } from '../../../protocol/quantity.ts'
import { ok } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const TERMS = { capacity: wattHours(10_000n), chargePermille: 900, dischargePermille: 800 }

function openBattery(stored?: bigint, kept: Uint8Array[] = []) {
  /** Import and export of each meter, Wh; a meter that is not here has not been read. */
  const meters = new Map<string, readonly [number, number]>()
  const serials = new Map<string, string>()
  const records: Uint8Array[] = []
  const faults: string[] = []
  const due: (() => void)[] = []
  const register = (obis: string, wh: number) => ({ obis, value: BigInt(wh), scaler: 0, unit: 'Wh' })
  const battery = createStoreCharge(
    {
      metering: {
        latest(name: string) {
          const read = meters.get(name)
          if (read === undefined) return undefined
          return {
            reading: {
              meterId: serials.get(name) ?? name,
              values: [register('1-0:1.8.0', read[0]), register('1-0:2.8.0', read[1])],
            },
          }
        },
      } as never,
      timers: {
        every(_: number, run: () => void) {
          due.push(run)
          return () => {}
        },
      } as never,
      health: (_, fault) => void (fault && faults.push(fault.code)),
      record: async bytes => {
        records.push(bytes)
        return ok(undefined)
      },
    },
    ['grid', 'cable'],
    { ...TERMS, ...(stored === undefined ? {} : { stored: wattHours(stored) }) },
  )
  battery.restore?.(kept)
  battery.start()
  async function tick(): Promise<void> {
    due[0]!()
    await Promise.resolve()
  }
  return { battery, meters, serials, records, faults, tick }
}

const test = suite('store charge')

test('what it took counts less what is lost on the way in, what it gave with what is lost on the way out', async () => {
  const { battery, meters, tick } = openBattery(5_000n)
  meters.set('grid', [100, 0]).set('cable', [0, 40])
  await tick()
  assert.is(battery.stored(), wattHours(5_000n))
  meters.set('grid', [1_100, 0])
  assert.is(battery.stored(), wattHours(5_900n))
  // 400 Wh over the cable took 500 out of it.
  meters.set('cable', [0, 440])
  assert.is(battery.stored(), wattHours(5_400n))
  meters.set('grid', [9_999_999, 0])
  assert.is(battery.stored(), wattHours(10_000n), 'it holds no more')
  meters.set('grid', [1_100, 9_999_999])
  assert.is(battery.stored(), wattHours(0n))
})

test('where any of its meters is not read, or nobody said what was in it, nobody knows', async () => {
  const { battery, meters, tick } = openBattery(5_000n)
  meters.set('grid', [100, 0])
  await tick()
  assert.is(battery.stored(), undefined)
  meters.set('cable', [0, 0])
  await tick()
  assert.is(battery.stored(), wattHours(5_000n))
  meters.delete('cable')
  assert.is(battery.stored(), undefined)
  const unknown = openBattery()
  unknown.meters.set('grid', [1, 1]).set('cable', [1, 1])
  await unknown.tick()
  assert.is(unknown.battery.stored(), undefined)
})

test('after a restart it is counted from where it was, not from what the configuration says', async () => {
  const first = openBattery(5_000n)
  first.meters.set('grid', [100, 0]).set('cable', [0, 0])
  await first.tick()
  const second = openBattery(5_000n, first.records)
  second.meters.set('grid', [1_100, 0]).set('cable', [0, 0])
  await second.tick()
  assert.is(second.battery.stored(), wattHours(5_900n))
  assert.is(second.records.length, 0)
  const broken = openBattery(5_000n, [new Uint8Array(3)])
  assert.ok(broken.faults[0]!.startsWith('cbor.') || broken.faults[0]!.startsWith('record.'), broken.faults[0])
  broken.meters.set('grid', [1_100, 0]).set('cable', [0, 0])
  await broken.tick()
  assert.is(broken.battery.stored(), undefined, 'what the configuration says was long ago')
})

test('a meter that was changed or set back leaves nobody knowing, and says so', async () => {
  for (const change of ['other', 'back'] as const) {
    const { battery, meters, serials, faults, tick } = openBattery(5_000n)
    meters.set('grid', [1_000, 0]).set('cable', [0, 40])
    await tick()
    meters.set('grid', change === 'back' ? [900, 0] : [5_000, 0])
    assert.is(battery.stored() === undefined, change === 'back')
    if (change === 'other') serials.set('grid', 'a new one')
    assert.is(battery.stored(), undefined)
    assert.equal([...new Set(faults)], ['storage.other-meter'])
  }
})

test.run()
