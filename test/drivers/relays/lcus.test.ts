import { createSystemTime } from '../../../drivers/clock.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { openPty } from '../../../drivers/line/pty.ts'
import { createSerialLine } from '../../../drivers/line/serial.ts'
import type { Observed } from '../../../drivers/ports.ts'
import { type LcusOptions, lcusRelays, readStatus } from '../../../drivers/relays/lcus.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createLcusBoard, type LcusBoardOptions } from '../../../hw/sim/lcus-board.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { must } from '../../../protocol/result.ts'
import { type RelayUnderTest, relayCases } from '../../contracts/relay.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { follow } from '../followed-bytes.ts'

const test = suite('relays/lcus')

const CHARACTER_MS = 10_000 / 9600
const CONTACTS = [
  { name: 'L1.line', channel: 2 },
  { name: 'L1.upstream', channel: 3 },
] as const

type Change = Partial<Pick<LcusBoardOptions, 'reply' | 'deafMs'>> & {
  readonly channels?: number
  readonly said?: number
}

/** A board of four channels in memory. */
async function board({ channels = 4, said = channels, reply = 'text', deafMs = 10 }: Change = {}) {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const { port, device } = createMemoryLine({ name: 'usb', characterMs: CHARACTER_MS, clock, timers })
  let moves = 0
  const lcus = createLcusBoard({
    ...{ end: device, channels, reply, characterMs: 0, deafMs, clock, timers },
    moved: () => moves++,
  })
  const options = {
    name: 'usb',
    line: port,
    clock,
    timers,
    channels: said,
    contacts: CONTACTS,
    allowUnsupervised: true,
  }
  const relays = must(await lcusRelays(options))
  const after = async <T>(work: Promise<T>, ms = 400): Promise<T> => {
    await advance(ms)
    return work
  }
  const under: RelayUnderTest = {
    relay: relays[0]!,
    clock,
    contact: () => lcus.position(1),
    moves: () => moves,
    cut: off => {
      lcus.faults.dead = off
    },
    pass: advance,
  }
  return { under, relays, lcus, advance, after, device, options }
}

relayCases(test, 'text', async () => (await board()).under, 300)
relayCases(test, 'bytes', async () => (await board({ reply: 'bytes', channels: 8 })).under, 300)

const ends: (() => Promise<void>)[] = []
relayCases(
  test,
  'on a serial device',
  async () => {
    const { clock, timers, advance } = createSimTime(0, drainPromises)
    const followed = follow()
    const pty = must(await openPty())
    let moves = 0
    const timing = { characterMs: CHARACTER_MS, clock, timers }
    const end = followed.device(pty)
    const lcus = createLcusBoard({ end, channels: 4, reply: 'text', moved: () => moves++, ...timing })
    const line = followed.line(createSerialLine({ path: pty.path, baudRate: 9600 }, clock, createSystemTime().timers))
    const options = { name: 'usb', line, clock, timers, channels: 4, contacts: CONTACTS, allowUnsupervised: true }
    const relays = must(await lcusRelays(options))
    ends.push(async () => {
      const closed = Promise.all(relays.map(relay => relay.close()))
      await followed.pass(advance, 1_000)
      await closed
      await pty.close()
    })
    return {
      relay: relays[0]!,
      clock,
      contact: () => lcus.position(1),
      moves: () => moves,
      cut: off => {
        lcus.faults.dead = off
      },
      pass: ms => followed.pass(advance, ms),
    }
  },
  300,
)

const codeOf = (seen: Observed) => (seen.seen === 'unknown' ? seen.why.code : seen.seen)

test('a command that the board did not take is not believed: it acknowledges nothing', async () => {
  const { relays, lcus, after } = await board()
  lcus.faults.stuck = 1
  const result = await after(relays[0]!.command('closed'))
  assert.equal(result.ok ? 'ok' : result.fault.code, 'lcus.not-taken')
  assert.is(codeOf(await after(relays[0]!.observe())), 'open')
})

test('contacts that are commanded and looked at together are heard by a board that is deaf after each frame', async () => {
  const { relays, lcus, after } = await board({ deafMs: 25 })
  const all = Promise.all([...relays.map(relay => relay.command('closed')), relays[0]!.command('closed')])
  assert.ok((await after(all, 600)).every(result => result.ok))
  assert.equal([lcus.position(1), lcus.position(2)], ['closed', 'closed'])
})

test('an answer that comes late is not taken for the next one', async () => {
  const { relays, lcus, after, advance } = await board()
  lcus.faults.lateMs = 350
  const looking = relays[0]!.observe()
  assert.is(codeOf(await after(looking)), 'lcus.no-answer')
  // It says open, and comes while the contact closes.
  const closing = await after(relays[0]!.command('closed'))
  assert.equal([closing.ok ? 'ok' : closing.fault.code, lcus.position(1)], ['lcus.late-feared', 'closed'])
  assert.is(codeOf(await after(relays[0]!.observe())), 'lcus.late-feared')
  await advance(4_000)
  assert.is(codeOf(await after(relays[0]!.observe())), 'closed')
})

test('an opening is sent however much doubt there is, and before closings that wait', async () => {
  const { relays, lcus, after, advance } = await board()
  await after(relays[0]!.command('closed'))
  lcus.faults.lateMs = 5_000
  await after(relays[0]!.observe())
  void relays[1]!.command('closed')
  void relays[1]!.command('closed')
  void relays[0]!.command('open')
  await advance(45)
  assert.is(lcus.position(1), 'open')
})

test('an opening does not wait for an answer that does not come', async () => {
  const { relays, lcus, after, advance } = await board()
  await after(relays[0]!.command('closed'))
  lcus.faults.lateMs = 10_000
  void relays[1]!.observe()
  await advance(20)
  void relays[0]!.command('open')
  // Four characters on the wire.
  await advance(6)
  assert.is(lcus.position(1), 'open')
})

test('a board of one channel that says nothing is never known to be open', async () => {
  const { relays, after } = await board({ reply: 'none' })
  assert.is(codeOf(await after(relays[0]!.observe())), 'lcus.no-answer')
})

test('a board of more channels than were named is not believed', async () => {
  for (const reply of ['text', 'bytes'] as const) {
    const { relays, after } = await board({ reply, channels: 8, said: 4 })
    assert.match(codeOf(await after(relays[0]!.observe())), /lcus\.more-channels|lcus\.late-feared/)
  }
})

test('an adapter that is pulled out and put in again works again', async () => {
  const { relays, device, after, advance } = await board()
  device.unplug()
  await advance(10)
  assert.is(codeOf(await after(relays[0]!.observe())), 'line.unplugged')
  assert.not.ok((await after(relays[0]!.command('open'))).ok)
  device.plug()
  await advance(2_000)
  assert.ok((await after(relays[0]!.command('closed'))).ok)
})

test('an agent that does not accept contacts that stay closed, and channels that no board has, are refused by name', async () => {
  const { options } = await board()
  const refused = async (change: Partial<LcusOptions>) => {
    const result = await lcusRelays({ ...options, ...change })
    return result.ok ? 'ok' : result.fault.code
  }
  assert.is(await refused({ allowUnsupervised: false }), 'lcus.unsupervised')
  assert.is(await refused({ channels: 9 }), 'lcus.channels')
  assert.is(await refused({ channels: 2 }), 'lcus.channel')
})

test('any bytes are a status, no status yet or refused; a status shows each channel once', () => {
  const line = fc.constantFrom('CH1: ON\r\n', 'CH2:OFF\n', 'CH1: OFF\r\n', 'CH2: ON\r\n', 'CH9: ON\n', 'x')
  const text = fc.array(line, { maxLength: 4 }).map(lines => new TextEncoder().encode(lines.join('')))
  const any = fc.oneof(fc.uint8Array({ maxLength: 40 }), text)
  assertProperty(
    fc.property(any, bytes => {
      const pull = readStatus(bytes, 2)
      if (pull.kind === 'frame') assert.ok(pull.value.length === 2 && pull.used <= bytes.length)
      if (pull.kind === 'need') assert.ok(bytes.length < 2 * 12)
    }),
  )
  const read = (text: string) => readStatus(new TextEncoder().encode(text), 2)
  assert.equal(read('CH1: ON\r\nCH2: OFF\r\n'), { kind: 'frame', value: [true, false], used: 19 })
  assert.is(read('CH2: ON\r\nCH1: OFF\r\n').kind, 'junk')
  assert.equal(readStatus(Uint8Array.of(0, 1), 2), { kind: 'frame', value: [false, true], used: 2 })
  assert.is(readStatus(Uint8Array.of(1, 2), 2).kind, 'junk')
})

test('what this file opened is closed', async () => {
  for (const end of ends) await end()
})

test.run()
