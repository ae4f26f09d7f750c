/** What a maker says of one register, and what a meter refuses: each read through the real master. */
import {
  A,
  Hz,
  holding,
  input,
  kWh,
  type MeterPage,
  type Quantity,
  type Register,
  readRegister,
  steps,
  V,
  W,
  Wh,
} from '../../../drivers/meters/page.ts'
import { hex } from '../../../protocol/bytes.ts'
import { type Fault, must } from '../../../protocol/result.ts'
import { findValue, OBIS } from '../../../protocol/telegram/obis.ts'
import { assert, suite } from '../../harness.ts'
import { fc } from '../../property.ts'
import { type Image, identified, identityOf, put, servePage } from './page-bench.ts'

const test = suite('registers and their traits')

const PAGE: MeterPage = {
  name: 'test-page',
  products: ['one on paper'],
  sources: [],
  replay: 'synthetic',
  framing: 'rtu',
  wordOrder: 'high-first',
  identity: { table: 'holding', address: 0xfc00, count: 2, as: 'u32' },
  maxRegisters: 40,
  turnaroundMs: 5,
  holes: 'readable',
  resolution: { power: -1 },
  registers: {},
  caveats: [],
}

const shown = (page: MeterPage, register: Register<Quantity>, bytes: string, scale?: string): string => {
  const value = readRegister(page, register, hex(bytes), scale === undefined ? undefined : hex(scale))
  return value === undefined ? 'absent' : `${value.value}e${value.scaler} ${value.unit}`
}

test('a number that the maker counts the other way is turned, whole numbers and floats alike', () => {
  assert.is(shown(PAGE, holding(0, 'i16', W), 'ff 38'), '-200e0 W')
  assert.is(shown(PAGE, holding(0, 'i16', W, { negated: true }), 'ff 38'), '200e0 W')
  // 230.2 as a single.
  assert.is(shown(PAGE, holding(0, 'f32', W, { negated: true }), '43 66 33 33'), '-2302e-1 W')
  assert.is(shown(PAGE, holding(0, 'i16', W, { negated: true }), '00 00'), '0e0 W')
})

test('of a counter whose sign nobody agrees on, the size is read', () => {
  const register = holding(0, 'i32', Wh, { magnitude: true })
  assert.is(shown(PAGE, register, '00 00 03 e8'), '1000e0 Wh')
  assert.is(shown(PAGE, register, 'ff ff fc 18'), '1000e0 Wh')
})

test('one register may stand in another word order than its page', () => {
  assert.is(shown(PAGE, holding(0, 'u32', Wh), '00 01 00 02'), '65538e0 Wh')
  assert.is(shown(PAGE, holding(0, 'u32', Wh, { wordOrder: 'low-first' }), '00 01 00 02'), '131073e0 Wh')
})

test('a sentinel of the page counts for its type, one of a register for it alone', () => {
  const page: MeterPage = { ...PAGE, sentinels: { u16: [0xffffn] } }
  assert.is(shown(page, holding(0, 'u16', V), 'ff ff'), 'absent')
  assert.is(shown(page, holding(0, 'i16', V), 'ff ff'), '-1e0 V')
  assert.is(shown(page, holding(0, 'u16', V, { sentinels: [0n] }), '00 00'), 'absent')
  assert.is(shown(page, holding(0, 'u16', V, { sentinels: [0n] }), 'ff ff'), 'absent')
  assert.is(shown(PAGE, holding(0, 'u16', V), 'ff ff'), '65535e0 V')
})

test('a range that was exceeded to either side is no number, and the last one within it is', () => {
  const page: MeterPage = { ...PAGE, overflow: { i32: 0x7fff_0000n } }
  assert.is(shown(page, holding(0, 'i32', W), '7f fe ff ff'), '2147418111e0 W')
  // High word 7FFFh, and 8000h below.
  for (const bytes of ['7f ff 00 00', '7f ff 12 34', '7f ff ff ff', '80 00 00 00', '80 00 ff ff'])
    assert.is(shown(page, holding(0, 'i32', W), bytes), 'absent')
  assert.is(shown(page, holding(0, 'i32', W), '80 01 00 01'), '-2147418111e0 W')
  assert.is(shown(page, holding(0, 'i32', W), 'ff ff ff ff'), '-1e0 W')
})

test('a scale register shifts the decimal point; without it, or beyond its reach, there is no number', () => {
  const scaledBy = { table: 'holding', address: 9, count: 1 } as const
  const register = holding(0, 'i16', W, { scaledBy })
  assert.is(shown(PAGE, register, '00 7b', 'ff fe'), '123e-2 W')
  assert.is(shown(PAGE, register, '00 7b', '00 03'), '123e3 W')
  assert.is(shown(PAGE, register, '00 7b'), 'absent')
  assert.is(shown(PAGE, register, '00 7b', '80 00'), 'absent')
  assert.is(shown(PAGE, register, '00 7b', '00 0b'), 'absent')
  assert.is(shown(PAGE, register, '00 7b', 'ff f5'), 'absent')
  // 10 itself is within SunSpec's reach, and beyond what a signed record says.
  assert.is(shown(PAGE, register, '00 7b', '00 0a'), 'absent')
})

test('a scale register is read in the same request as its number', async () => {
  const page: MeterPage = {
    ...PAGE,
    registers: {
      power: holding(100, 'i16', W, { scaledBy: { table: 'holding', address: 130, count: 1 } }),
      frequency: holding(99, 'u16', steps(-2, Hz)),
    },
  }
  const image = identified(page)
  // A scale that moves with every answer: 1,230 W is 123 x 10^1, then 1230 x 10^0, never one number with the other's scale.
  put(image, { table: 'holding', address: 99 }, [5001, 123])
  for (let address = 101; address < 130; address++) put(image, { table: 'holding', address }, [0])
  put(image, { table: 'holding', address: 130 }, [1])
  const served = servePage(page, image)
  const first = must(await served.read())
  assert.equal(findValue(first.values, OBIS.power), { obis: OBIS.power, value: 123n, scaler: 1, unit: 'W' })
  // Identity, and everything else in one.
  assert.is(served.master.health().counts.sent, 2)
  put(image, { table: 'holding', address: 130 }, [0x8000])
  const second = must(await served.read())
  assert.equal(
    second.values.map(({ obis }) => obis),
    [OBIS.frequency],
  )
})

const NAMELESS: MeterPage = {
  ...PAGE,
  identity: { table: 'holding', address: 6, count: 2, as: 'none', why: 'it has no serial number' },
  registers: { voltageL1: input(0, 'u16', steps(-1, V)) },
}

test('a meter without a serial number is read only under a configured one, as long as it stays the same kind', async () => {
  const image = identified(NAMELESS)
  put(image, { table: 'input', address: 0 }, [2302])
  const { meterId: _, ...unnamed } = { meterId: '' }
  const without = await servePage(NAMELESS, image, { ...unnamed, meterId: undefined as unknown as string }).read()
  assert.is(without.ok ? 'ok' : without.fault.code, 'meter.needs-id')
  const { read } = servePage(NAMELESS, image)
  const reading = must(await read())
  assert.is(reading.meterId, identityOf(NAMELESS))
  assert.is(findValue(reading.values, OBIS.voltageL1)?.value, 2302n)
  // Another kind of meter answers at this address now.
  put(image, NAMELESS.identity, [0, 0x0203])
  const other = await read()
  assert.is(other.ok ? 'ok' : other.fault.code, 'meter.identity')
  assert.is(other.ok ? '' : other.fault['expected'], '00000102')
})

const four = {
  voltageL1: input(0, 'u16', steps(-1, V)),
  currentL1: input(1, 'u16', steps(-2, A)),
  power: input(2, 'i16', W),
  energyImported: input(3, 'u32', kWh),
}

function fourOf(): Image {
  const image = identified(PAGE)
  put(image, { table: 'input', address: 0 }, [2302, 131, 301, 0, 77])
  return image
}

test('a register that the meter lacks is named once, absent, and does not slow the others', async () => {
  const page: MeterPage = { ...PAGE, registers: four }
  const image = fourOf()
  image.delete('input 1')
  const faults: Fault[] = []
  const served = servePage(page, image, { log: (_level, _room, _text, fault) => fault && faults.push(fault) })
  const values = async () => must(await served.read()).values.map(({ obis, value }) => `${obis} ${value}`)
  const others = [`${OBIS.voltageL1} 2302`, `${OBIS.power} 301`, `${OBIS.energyImport} 77`]
  assert.equal(await values(), others)
  assert.equal(
    faults.map(({ code, channel, address }) => [code, channel, address]),
    [['meter.no-register', 'currentL1', 1]],
  )
  const sent = () => served.master.health().counts.sent
  const before = sent()
  for (let i = 0; i < 10; i++) assert.equal(await values(), others)
  // Identity and the two sides of the gap, ten times: nothing refused is asked for again.
  assert.is(sent() - before, 30)
  assert.is(faults.length, 1)
  // It is tried again, rarely: this one appears with the meter's next start.
  put(image, { table: 'input', address: 1 }, [131])
  await served.advance(600_000)
  assert.equal(await values(), [`${OBIS.voltageL1} 2302`, `${OBIS.currentL1} 131`, ...others.slice(1)])
})

test('a meter that lacks all that its page has is a fault', async () => {
  const page: MeterPage = { ...PAGE, registers: { voltageL1: four.voltageL1 } }
  const { read } = servePage(page, identified(page))
  for (let i = 0; i < 3; i++) {
    const result = await read()
    assert.is(result.ok ? 'ok' : result.fault.code, 'modbus.exception')
  }
})

test('a meter that refuses everything while it starts is read as soon as it has started', async () => {
  const page: MeterPage = { ...PAGE, registers: four }
  let starts = true
  const served = servePage(page, fourOf(), { refuse: table => (starts && table === 'input' ? 2 : undefined) })
  assert.not.ok((await served.read()).ok)
  starts = false
  assert.is(must(await served.read()).values.length, 4)
})

test('a register that was refused once together with a scale that it shares silences no other', async () => {
  const scaledBy = { table: 'holding', address: 12, count: 1 } as const
  const page: MeterPage = {
    ...PAGE,
    registers: {
      currentL1: holding(10, 'i16', A, { scaledBy }),
      currentL2: holding(11, 'i16', A, { scaledBy }),
      energyImported: holding(13, 'u32', Wh),
    },
  }
  const image = identified(page)
  put(image, { table: 'holding', address: 10 }, [435, 436, 0xfffe, 0, 77])
  let starts = true
  // All of it and the second current are refused once, as by a meter that still starts.
  const refuse = (_table: string, address: number, count: number) =>
    starts && (count > 3 || address === 11) && address < 0x100 ? 2 : undefined
  const served = servePage(page, image, { refuse })
  const values = async () => must(await served.read()).values.map(({ obis, value }) => `${obis} ${value}`)
  const others = [`${OBIS.currentL1} 435`, `${OBIS.energyImport} 77`]
  assert.equal(await values(), others)
  starts = false
  assert.equal(await values(), others)
  await served.advance(600_000)
  assert.equal(await values(), [others[0], `${OBIS.currentL2} 436`, others[1]])
})

test('values are none when the meter does not say who it is by the end of the batch', async () => {
  const page: MeterPage = { ...PAGE, maxRegisters: 3, registers: four }
  const image = fourOf()
  // While the second request is answered, what answers loses its identity: it is refused as busy, and everything read again.
  const refuse = (table: string, address: number) => {
    if (table !== 'input' || address < 3) return undefined
    put(image, page.identity, [0, 0])
    return 6
  }
  const result = await servePage(page, image, { refuse }).read()
  assert.is(result.ok ? 'ok' : result.fault.code, 'meter.no-identity')
})

test('a meter that takes shorter requests than its page says is read in shorter ones', async () => {
  const page: MeterPage = { ...PAGE, registers: four }
  const refuse = (_table: string, _address: number, count: number) => (count > 3 ? 3 : undefined)
  const served = servePage(page, fourOf(), { refuse })
  for (let i = 0; i < 4; i++) assert.is(must(await served.read()).values.length, 4)
  const before = served.master.health().counts.sent
  assert.is(must(await served.read()).values.length, 4)
  assert.is(served.master.health().counts.sent - before, 3)
})

test('a meter without the identity register of its page is told so', async () => {
  const page: MeterPage = { ...PAGE, registers: four }
  const image = fourOf()
  image.delete('holding 64512')
  const result = await servePage(page, image).read()
  assert.is(result.ok ? 'ok' : result.fault.code, 'meter.no-identity')
  assert.match(result.ok ? '' : String(result.fault.hint), /another model/)
})

test('a refusal that passes (busy) is nothing to learn from', async () => {
  const page: MeterPage = { ...PAGE, registers: four }
  let busy = 2
  const served = servePage(page, fourOf(), { refuse: table => (table === 'input' && busy-- > 0 ? 6 : undefined) })
  assert.not.ok((await served.read()).ok)
  assert.is(must(await served.read()).values.length, 4)
})

test('whatever a meter refuses and when, what it gives is right, and in the end it is all there', async () => {
  const scaledBy = { table: 'holding', address: 12, count: 1 } as const
  const registers = {
    ...four,
    currentL2: holding(10, 'i16', A, { scaledBy }),
    currentL3: holding(11, 'i16', A, { scaledBy }),
    energyExported: holding(15, 'u32', Wh),
  } as const
  const page: MeterPage = { ...PAGE, registers }
  const names = Object.keys(registers).length
  const answer = fc.constantFrom(undefined, undefined, 2, 3, 4, 6)
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(answer, { minLength: 1, maxLength: 30 }), { maxLength: 6 }), async rounds => {
      const image = fourOf()
      let refused: readonly (number | undefined)[] = []
      let asked = 0
      const served = servePage(page, image, { refuse: () => refused[asked++] })
      const readAll = async (round: number) => {
        // Every number is of its round, so that none of another can pass for it.
        put(image, { table: 'holding', address: 10 }, [100 + round, 200 + round, 0xfffe, 0, 0, 0, 300 + round])
        put(image, { table: 'input', address: 0 }, [400 + round, 500 + round, 600 + round, 0, 700 + round])
        asked = 0
        const result = await served.read()
        const values = result.ok ? result.value.values : []
        for (const { obis, value } of values) {
          const base = { '31': 500, '32': 400, '51': 100, '71': 200, '16': 600, '1': 700, '2': 300 }[
            obis.split(/[:.]/)[1]!
          ]
          assert.is(value, BigInt(base! + round), obis)
        }
        return values.length
      }
      for (const [round, list] of rounds.entries()) {
        refused = list
        await readAll(round)
        await served.advance(1_000)
        // Whatever it made the reader believe to be missing, the next reading is not empty.
        refused = []
        assert.ok((await readAll(round)) > 0)
        await served.advance(1_000)
      }
      refused = []
      await served.advance(600_000)
      await readAll(rounds.length)
      assert.is(await readAll(rounds.length), names)
    }),
    { numRuns: 200 },
  )
})

test.run()
