/** What boards, lines and neighbours do to relays over Firmata; where contacts are is read off the processor's pins. */
import { EventEmitter } from 'node:events'
import bind from 'firmata-io'
import type { Line, Position } from '../../../drivers/ports.ts'
import type { FirmataRelayOptions } from '../../../drivers/relays/firmata.ts'
import type { FirmataContact } from '../../../drivers/relays/firmata-contact.ts'
import { createFirmataLink } from '../../../drivers/relays/firmata-link.ts'
import { done, must, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { noStandardFirmata, onStandardFirmata, STANDARD_HEX } from '../../hw/firmata/standard-firmata.ts'
import { assertProperty, fc } from '../../property.ts'
import { type FirmataBench, firmataBench, OUR_HEX } from './firmata-bench.ts'

const test = suite('relays/firmata, disturbed')

const LINE: FirmataContact = { name: 'L1.line', pin: 7, closedLevel: 1 }
/** On the same port of the processor, so that StandardFirmata writes both at once. */
const UPSTREAM: FirmataContact = { name: 'L1.upstream', pin: 5, closedLevel: 1 }
const STANDARD = { firmware: 'standard', allowUnsupervised: true } as const
const BOTH = [LINE, UPSTREAM] as const

async function settled<T>(bench: FirmataBench, work: Promise<T>, withinMs = 5000): Promise<T> {
  let answer: { readonly value: T } | undefined
  void work.then(value => {
    answer = { value }
  })
  const until = bench.clock.mono() + withinMs
  await bench.pass(0)
  while (answer === undefined && bench.clock.mono() < until) await bench.pass(5)
  if (answer === undefined) throw new Error(`no answer within ${withinMs} ms`)
  return answer.value
}

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

/** StandardFirmata greets for 1.88 s. */
const GREETING_CYCLES = 32_000_000

/** One for all tests, at a tenth of the real speed, and of the work: StandardFirmata never sleeps. */
let standard: FirmataBench | undefined
async function standardBench(): Promise<FirmataBench> {
  if (standard === undefined) {
    standard = firmataBench(STANDARD_HEX, 10)
    standard.board.run(GREETING_CYCLES)
  }
  await standard.quiet()
  return standard
}

const contacts = (bench: FirmataBench): readonly Position[] => BOTH.map(contact => bench.contact(contact))

const FIRMWARES = [
  ['own firmware', async () => firmataBench(OUR_HEX), {}],
  ['StandardFirmata', standardBench, STANDARD],
] as const satisfies readonly (readonly [string, () => Promise<FirmataBench>, Partial<FirmataRelayOptions>])[]

for (const [name, make, options] of FIRMWARES) {
  const on = options === STANDARD ? onStandardFirmata(test) : test
  on(
    `${name}: a board that is reset opens everything, is prepared anew, and closes one contact when told to close one`,
    async () => {
      const bench = await make()
      const relays = must(await bench.open({ contacts: BOTH, ...options }))
      for (const relay of relays) must(await settled(bench, relay.command('closed')))
      assert.equal(contacts(bench), ['closed', 'closed'])
      bench.board.pressReset()
      assert.equal(contacts(bench), ['open', 'open'])
      const from = bench.events.length
      for (let n = 0; n < 200 && !bench.logged.includes('firmata.board-reset'); n++) await bench.pass(200)
      assert.ok(bench.logged.includes('firmata.board-reset'))
      await bench.pass(2000)
      must(await settled(bench, relays[0]!.command('closed')))
      assert.equal(contacts(bench), ['closed', 'open'])
      assert.ok(!bench.events.slice(from).some(({ pin, drive }) => pin === UPSTREAM.pin && drive === 'high'))
    },
    60_000,
  )

  on(`${name}: a line that passes nothing more is a fault in time, and heals`, async () => {
    const bench = await make()
    const [relay] = must(await bench.open({ contacts: [LINE], ...options }))
    must(await settled(bench, relay!.command('closed')))
    bench.mute(true)
    assert.is(codeOf(await settled(bench, relay!.command('closed'))), 'firmata.no-answer')
    const seen = await settled(bench, relay!.observe())
    assert.is(seen.seen, 'unknown')
    await bench.pass(10_000)
    assert.is(bench.contact(LINE), options === STANDARD ? 'closed' : 'open')
    bench.mute(false)
    await bench.pass(15_000)
    // Prepared anew, which opens.
    assert.is(bench.contact(LINE), 'open')
    must(await settled(bench, relay!.command('closed')))
    assert.is(bench.contact(LINE), 'closed')
  })

  on(`${name}: an auxiliary input shows the weld that the pin's level hides`, async () => {
    const bench = await make()
    const watched: FirmataContact = { ...LINE, auxiliary: { pin: 10, closedLevel: 0 } }
    const other: FirmataContact = { ...UPSTREAM, auxiliary: { pin: 11, closedLevel: 1 } }
    bench.board.drive(10, 1)
    const relays = must(await bench.open({ contacts: [watched, other], ...options }))
    assert.equal([bench.board.pin(10), bench.board.pin(11)], ['pulled-up', 'pulled-up'])
    const seen = async () => (await settled(bench, Promise.all(relays.map(relay => relay.observe())))).map(s => s.seen)
    assert.equal(await seen(), ['open', 'open'])
    must(await settled(bench, relays[0]!.command('closed')))
    bench.board.drive(10, 0)
    bench.board.drive(11, 1)
    assert.equal(await seen(), ['closed', 'closed'])
    must(await settled(bench, relays[0]!.command('open')))
    assert.equal([bench.contact(LINE), ...(await seen())], ['open', 'closed', 'closed'])
  })

  on(`${name}: a board that is not there when relays are opened is used when it comes`, async () => {
    const bench = await make()
    bench.line.device.unplug()
    const [relay] = must(await bench.open({ contacts: [LINE], ...options }))
    assert.is(codeOf(await settled(bench, relay!.command('closed'))), 'line.unplugged')
    bench.line.device.plug()
    await bench.pass(5000)
    must(await settled(bench, relay!.command('closed')))
    assert.is(bench.contact(LINE), 'closed')
  })

  on(`${name}: the other firmware is refused by name, and relays say so`, async () => {
    const bench = await make()
    const wrong = options === STANDARD ? {} : STANDARD
    const [relay] = must(await bench.open({ contacts: [LINE], ...wrong }))
    assert.is(codeOf(await settled(bench, relay!.command('closed'))), 'firmata.other-firmware')
    assert.is(bench.contact(LINE), 'open')
    await settled(bench, relay!.close())
  })
}

for (const [name, hex, options] of [
  ['own firmware', OUR_HEX, {}],
  ['StandardFirmata', STANDARD_HEX, STANDARD],
] as const) {
  const on = options === STANDARD ? onStandardFirmata(test) : test
  on(
    `${name}: a board that is reset by the opening of its port, and deaf while its boot loader waits, is waited for`,
    async () => {
      const bench = firmataBench(hex)
      const line: Line = {
        ...bench.line.port,
        async open(listener) {
          bench.board.pressReset()
          bench.mute(true)
          bench.timers.after(1600, () => {
            // The program starts when the loader ends.
            bench.board.pressReset()
            bench.mute(false)
          })
          return bench.line.port.open(listener)
        },
      }
      const [relay] = must(await bench.open({ contacts: [LINE], line, ...options }))
      must(await settled(bench, relay!.command('closed')))
      assert.is(bench.contact(LINE), 'closed')
      assert.equal(bench.logged, [])
    },
  )
}

test.skipIf(
  noStandardFirmata,
  'firmata-io by itself closes the neighbour after a reset, at the next write to another pin',
  async () => {
    const bench = await standardBench()
    const transport = Object.assign(new EventEmitter(), {
      write: (bytes: Uint8Array, written: () => void) => void bench.line.port.write(bytes).then(written),
    })
    must(await bench.line.port.open({ bytes: chunk => transport.emit('data', chunk), down: () => {} }))
    const io = new bind.Firmata(transport, { skipCapabilities: true })
    clearTimeout(io.reportVersionTimeoutId)
    io.pins = Array.from({ length: 20 }, () => ({ supportedModes: [], mode: undefined, value: 0 }))
    for (const { pin } of BOTH) io.digitalWrite(pin, 1)
    await bench.pass(200)
    assert.equal(contacts(bench), ['closed', 'closed'])
    bench.board.pressReset()
    bench.board.run(GREETING_CYCLES)
    assert.equal(contacts(bench), ['open', 'open'])
    io.digitalWrite(LINE.pin, 1)
    await bench.pass(200)
    assert.equal(contacts(bench), ['closed', 'closed'])
  },
)

test.skipIf(
  noStandardFirmata,
  'StandardFirmata drives every pin low when it starts: a contact that closes at low is refused on it',
  async () => {
    const bench = await standardBench()
    assert.is(bench.board.pin(4), 'low')
    const low = { ...LINE, closedLevel: 0 } as const
    assert.is(codeOf(await bench.open({ contacts: [low], ...STANDARD })), 'firmata.closes-at-start')
    // The other firmware, until somebody arms it: an input.
    const own = firmataBench(OUR_HEX)
    own.board.run(1_000_000)
    assert.is(own.board.pin(4), 'input')
  },
)

test('what cannot be right is refused by name, and nothing is opened', async () => {
  const bench = firmataBench(OUR_HEX)
  const code = async (options: Parameters<FirmataBench['open']>[0]) => codeOf(await bench.open(options))
  const contact = (pin: number): FirmataContact => ({ ...LINE, pin })
  assert.is(await code({ contacts: [LINE], firmware: 'standard' }), 'firmata.unsupervised')
  assert.is(await code({ contacts: [] }), 'firmata.pins')
  assert.is(await code({ contacts: Array.from({ length: 17 }, (_, n) => contact(2 + n)) }), 'firmata.pins')
  for (const pin of [0, 1, 20, 2.5, -1]) assert.is(await code({ contacts: [contact(pin)] }), 'firmata.no-such-pin')
  const watching = { ...contact(4), auxiliary: { pin: 7, closedLevel: 0 } } as const
  assert.is(await code({ contacts: [LINE, watching] }), 'firmata.pin-twice')
  for (const deadManMs of [49, 5001, 99.5]) assert.is(await code({ contacts: [LINE], deadManMs }), 'firmata.dead-man')
  assert.equal(bench.events, [])
})

test('a trip is told, the board is armed anew by itself, and the contact waits for its next closing', async () => {
  const bench = firmataBench(OUR_HEX)
  const relays = must(await bench.open({ contacts: BOTH, deadManMs: 100 }))
  for (const relay of relays) must(await settled(bench, relay.command('closed')))
  await bench.pass(500)
  assert.equal(contacts(bench), ['open', 'open'])
  assert.ok(bench.logged.includes('firmata.tripped'))
  must(await settled(bench, relays[1]!.command('closed')))
  assert.equal(contacts(bench), ['open', 'closed'])
})

test('a program of the board that stands still opens its contacts, and is heard of', async () => {
  const bench = firmataBench(OUR_HEX)
  const [relay] = must(await bench.open({ contacts: [LINE], deadManMs: 5000 }))
  must(await settled(bench, relay!.command('closed')))
  const mend = bench.board.stick()
  await bench.pass(150)
  mend()
  assert.is(bench.contact(LINE), 'open')
  await bench.pass(1000)
  assert.ok(bench.logged.includes('firmata.board-reset'))
  must(await settled(bench, relay!.command('closed')))
})

test('bytes of a gateway that is gone close nothing in the session of the next', async () => {
  const bench = firmataBench(OUR_HEX)
  const said: Uint8Array[] = []
  const line = {
    ...bench.line.port,
    write(bytes: Uint8Array) {
      said.push(bytes)
      return bench.line.port.write(bytes)
    },
  }
  const [first] = must(await bench.open({ contacts: [LINE], line }))
  must(await settled(bench, first!.command('closed')))
  const closing = said.at(-1)!
  await settled(bench, first!.close())
  const [second] = must(await bench.open({ contacts: [LINE] }))
  must(await settled(bench, second!.command('open')))
  await settled(bench, bench.line.port.write(closing))
  await bench.pass(100)
  assert.is(bench.contact(LINE), 'open')
  assert.equal(await settled(bench, second!.observe()), { seen: 'open' })
})

test('the last relay of a board that is closed lets the line go, and not before', async () => {
  const bench = firmataBench(OUR_HEX)
  const relays = must(await bench.open({ contacts: BOTH }))
  await settled(bench, relays[0]!.close())
  must(await settled(bench, relays[1]!.command('closed')))
  await settled(bench, relays[1]!.close())
  assert.equal(contacts(bench), ['open', 'open'])
  assert.is(codeOf(await settled(bench, relays[1]!.command('closed'))), 'firmata.closed')
  must(await bench.line.port.open({ bytes: () => {}, down: () => {} }))
})

test('whatever comes from the board ends nothing and is not kept without end', async () => {
  const bench = firmataBench(OUR_HEX)
  const hear: ((bytes: Uint8Array) => void)[] = []
  const line = {
    ...bench.line.port,
    open: async (listener: Parameters<typeof bench.line.port.open>[0]) => {
      hear.push(bytes => listener.bytes(bytes, bench.clock.mono()))
      return done
    },
    write: async () => done,
  }
  const log = () => {}
  const link = createFirmataLink({ line, timers: bench.timers, log, pin: 4, prepare: async () => done })
  const opening = link.open()
  await bench.pass(0)
  const byte = fc.oneof(
    fc.integer({ min: 0, max: 255 }),
    fc.constantFrom(0xf0, 0xf7, 0xf9, 0x79, 0x6e, 0x6c, 0x0e, 0x90),
  )
  assertProperty(
    fc.property(fc.array(byte, { maxLength: 60 }), bytes => hear.at(-1)!(Uint8Array.from(bytes))),
    2000,
  )
  hear.at(-1)!(Uint8Array.of(0xf0))
  for (let n = 0; n < 1000; n++) hear.at(-1)!(new Uint8Array(100).fill(0x55))
  assert.ok(link.io.buffer.length <= 1000)
  await link.close()
  await opening
})

test('on a line that changes bytes both ways, what is seen is where the contact is', async () => {
  let seed = 1
  const random = () => {
    seed = (seed * 48_271) % 2_147_483_647
    return seed / 2_147_483_647
  }
  const bench = firmataBench(OUR_HEX, 1, bytes =>
    bytes.map(byte => (random() < 0.002 ? byte ^ (1 << Math.floor(random() * 8)) : byte)),
  )
  const relays = must(await bench.open({ contacts: BOTH }))
  let seen = 0
  let faults = 0
  for (let n = 0; n < 300; n++) {
    const at = n % 2
    const position: Position = random() < 0.5 ? 'open' : 'closed'
    const answer = await settled(bench, relays[at]!.command(position))
    if (answer.ok) assert.is(bench.contact(BOTH[at]!), position)
    const before = contacts(bench)[at]!
    const look = await settled(bench, relays[at]!.observe())
    if (look.seen !== 'unknown' && before === contacts(bench)[at]) {
      assert.is(look.seen, before)
      seen++
    }
    if (answer.ok && look.seen !== 'unknown') continue
    faults++
    await bench.pass(2000)
  }
  assert.ok(seen > 100 && faults > 10, `${seen} seen, ${faults} faults`)
}, 60_000)

test.run()
