import { PAGES } from '../../../drivers/meters/catalogue.ts'
import { sdm630Bank } from '../../../hw/sim/eastron-image.ts'
import type { ModbusBank } from '../../../hw/sim/modbus-slave.ts'
import { fail } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { codeOf, MEASURED, makeStreetLine, settled } from './street-line.ts'

const test = suite('model register')

const SDM120 = PAGES.get('eastron-sdm120')!
const SDM630 = PAGES.get('eastron-sdm630')!

/** An SDM630's registers with this code in its model register, and how often that was asked for. */
function coded(code: number | undefined) {
  const bank = sdm630Bank({ serial: 41_000_001, measure: () => MEASURED })
  const asked = { times: 0 }
  const registers: ModbusBank['registers'] = () => {
    const rest = bank.registers!()
    return (table, address) => {
      if (table !== 'holding' || address < 0xfc02 || address > 0xfc03) return rest(table, address)
      if (address === 0xfc02) asked.times++
      return address === 0xfc02 ? code : 0x0102
    }
  }
  return { bank: { ...bank, registers }, asked }
}

test("another product of the maker is no reading, and its page is named; an unknown code or none is the page's word", async () => {
  for (const [page, code, says] of [
    [SDM630, 0x0089, 'eastron-sdm72-v2'],
    [SDM630, 0x0020, 'eastron-sdm120'],
    [SDM120, 0x0070, 'eastron-sdm630'],
    [SDM630, 0x0070, undefined],
    // An SDM630MCT: its registers are not known to differ.
    [SDM630, 0x0079, undefined],
    [SDM630, undefined, undefined],
  ] as const) {
    const { bank, asked } = coded(code)
    const bus = makeStreetLine([bank])
    await bus.master.open()
    const meter = bus.meter(page)
    const [first, second] = [await settled(bus, meter.read()), await settled(bus, meter.read())]
    if (says === undefined) {
      assert.is(codeOf(first), 'ok')
      assert.is(asked.times, 1, 'once is enough')
    } else {
      assert.is(codeOf(first), 'meter.other-model')
      assert.is(!first.ok && first.fault['fits'], says)
      assert.is(!first.ok && first.fault['received'], code.toString(16).padStart(4, '0'))
      assert.is(codeOf(second), 'meter.other-model', 'nor the next time')
    }
    // Without the defence the same registers are a reading.
    const { model: _, ...unaware } = page
    assert.is(codeOf(await settled(bus, bus.meter(unaware).read())), 'ok')
    await bus.master.close()
  }
})

test('a slave that says nothing when asked for its model is read all the same, later', async () => {
  const bus = makeStreetLine([sdm630Bank({ serial: 41_000_001, measure: () => MEASURED })])
  await bus.master.open()
  let asked = 0
  const mute: typeof bus.master = {
    ...bus.master,
    readRegisters: async (unit, table, address, count, options) => {
      if (address !== 0xfc02) return bus.master.readRegisters(unit, table, address, count, options)
      asked++
      return fail({ code: 'modbus.timeout', unit })
    },
  }
  const meter = bus.meter(SDM630, { master: mute })
  assert.is(codeOf(await settled(bus, meter.read())), 'modbus.timeout')
  assert.is(codeOf(await settled(bus, meter.read())), 'ok')
  assert.is(codeOf(await settled(bus, meter.read())), 'ok')
  assert.is(asked, 3)
})

test('a late answer to the question for the model is not taken for the identity, which is as long', async () => {
  // Some of these meet the canary that follows the time-out.
  for (let lateMs = 100; lateMs < 800; lateMs += 6) {
    const { bank } = coded(0x0070)
    const bus = makeStreetLine([bank])
    await bus.master.open()
    const unit = bus.units.get(1)!
    let asked = 0
    const late: typeof bus.master = {
      ...bus.master,
      readRegisters: (id, table, address, count, options) => {
        // The first question for the model, and none after it.
        if (address === 0xfc02 && asked++ === 0) Object.assign(unit.faults, { lateNext: 1, lateMs })
        return bus.master.readRegisters(id, table, address, count, options)
      },
    }
    const meter = bus.meter(SDM630, { master: late })
    const codes: string[] = []
    for (let reads = 0; reads < 10; reads++) {
      const reading = await settled(bus, meter.read())
      codes.push(codeOf(reading))
      if (reading.ok) assert.is(reading.value.meterId, '41000001')
      await bus.advance(1_000)
    }
    assert.not.ok(codes.includes('meter.identity'), `${lateMs}: ${codes}`)
    assert.is(codes.at(-1), 'ok', `${codes}`)
    await bus.master.close()
  }
}, 90_000)

test.run()
