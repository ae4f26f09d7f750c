import { PAGES } from '../../../drivers/meters/catalogue.ts'
import { createModbusMeter } from '../../../drivers/meters/modbus-meter.ts'
import { assert, suite } from '../../harness.ts'
import { CHARACTER_MS, codeOf, makeBus, settled } from '../modbus/bus.ts'

const test = suite('a meter that is not there')

test('it says nothing, and that is said: not what its silence held back', async () => {
  const bus = makeBus({ units: [] })
  const { master, clock } = bus
  await master.open()
  // The identity is as long as some of the values, or is in a table of its own: the second try is held back, or not.
  for (const [unit, name] of ['abb-b23', 'eastron-sdm630'].entries()) {
    const meter = createModbusMeter({
      master,
      page: PAGES.get(name)!,
      unit: unit + 1,
      clock,
      characterMs: CHARACTER_MS,
    })
    assert.is(codeOf(await settled(bus, meter.read())), 'modbus.timeout', name)
  }
})

test.run()
