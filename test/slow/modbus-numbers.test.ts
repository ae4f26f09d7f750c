import { must } from '../../protocol/result.ts'
import { codeOf, makeBus, settled } from '../drivers/modbus/bus.ts'
import { assert, suite } from '../harness.ts'

const test = suite('modbus tcp numbers, once round')

test('over TCP the number of an unanswered request is not used again while its answer may come', async () => {
  const bus = makeBus({ framing: 'tcp', units: [], answers: { initialMs: 10, floorMs: 10, ceilingMs: 10 } })
  must(await settled(bus, bus.master.open()))
  const numbers: number[] = []
  bus.wire.device.onBytes(request => {
    const number = (request[0]! << 8) | request[1]!
    numbers.push(number)
    // The first is never answered.
    if (numbers.length > 1)
      bus.wire.device.write(Uint8Array.of(...request.subarray(0, 2), 0, 0, 0, 7, 1, 4, 4, 0, 7, 0, 7))
  })
  assert.is(codeOf(await settled(bus, bus.master.readRegisters(1, 'input', 0, 1))), 'modbus.timeout')
  let reading = true
  void (async () => {
    // Of another length: what the owed answer could seem to answer is not asked.
    for (let i = 0; i < 0x1_0010; i++) await bus.master.readRegisters(1, 'input', 0, 2)
    reading = false
  })()
  while (reading) await bus.advance(1_000)
  assert.is(numbers.filter(number => number === numbers[0]).length, 1)
  assert.is(numbers.filter(number => number === numbers[1]).length, 2)
}, 60_000)

test.run()
