import { createDrive } from '../../../agent/relays/drive.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { drainPromises } from '../../../drivers/drain.ts'
import { openPty } from '../../../drivers/line/pty.ts'
import { createSerialLine } from '../../../drivers/line/serial.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import { COIL_BOARD_KINDS, type CoilBoardKind } from '../../../drivers/relays/coil-boards.ts'
import { coilRelays } from '../../../drivers/relays/modbus-coil.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createCoilBoard } from '../../../hw/sim/coil-board.ts'
import { createMemoryLine } from '../../../hw/sim/memory-line.ts'
import { serveModbus } from '../../../hw/sim/modbus-slave.ts'
import { seededRandom } from '../../../hw/sim/random.ts'
import { must } from '../../../protocol/result.ts'
import { type RelayUnderTest, relayCases } from '../../contracts/relay.ts'
import { assert, suite } from '../../harness.ts'
import { follow } from '../followed-bytes.ts'

const test = suite('relays/modbus-coil')

const UNIT = 9
const CHARACTER_MS = 10_000 / 9600

/** A board of four channels at 9600 baud, contacts on channels 2 and 3. */
async function board(timedMs?: number, channels = 4, kind: CoilBoardKind = 'register-ms') {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const wire = createMemoryLine({ name: 'rs485', characterMs: CHARACTER_MS, clock, timers })
  let moves = 0
  const coils = createCoilBoard({ kind, channels, moved: () => moves++, clock, timers })
  serveModbus(wire.device, new Map([[UNIT, coils.unit]]), {
    framing: 'rtu',
    characterMs: 0,
    turnaroundMs: 5,
    clock,
    timers,
    random: seededRandom(1),
  })
  let requests = 0
  const port = {
    ...wire.port,
    write: (bytes: Uint8Array) => {
      requests++
      return wire.port.write(bytes)
    },
  }
  const master = createModbusMaster({ line: port, clock, timers, framing: 'rtu' })
  must(await master.open())
  const relays = must(
    coilRelays({
      name: 'board',
      master,
      unit: UNIT,
      board: kind,
      contacts: [
        { name: 'L1.line', channel: 2 },
        { name: 'L1.upstream', channel: 3 },
      ],
      ...(timedMs === undefined ? { allowUnsupervised: true } : { timedMs }),
    }),
  )
  const under: RelayUnderTest = {
    relay: relays[0]!,
    clock,
    contact: () => coils.position(1),
    moves: () => moves,
    cut: off => {
      coils.unit.faults.dead = off
    },
    pass: advance,
  }
  return { under, relays, master, coils, advance, requests: () => requests }
}

relayCases(test, 'timed-on', async () => (await board(1000)).under, 200)
relayCases(test, 'plain coils', async () => (await board()).under, 200)
const TIMED = COIL_BOARD_KINDS.filter(kind => kind !== 'plain')
for (const kind of TIMED)
  for (const channels of [4, 8, 16])
    relayCases(test, `${kind}, ${channels} channels`, async () => (await board(2_500, channels, kind)).under, 300)
relayCases(test, 'plain board', async () => (await board(undefined, 4, 'plain')).under, 200)

test('a dead board with eight contacts holds up neither another board on its line nor what is read there', async () => {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const wire = createMemoryLine({ name: 'rs485', characterMs: CHARACTER_MS, clock, timers })
  const coils = createCoilBoard({ kind: 'plain', channels: 4, moved: () => {}, clock, timers })
  const timing = { characterMs: 0, turnaroundMs: 5, clock, timers, random: seededRandom(1) }
  serveModbus(wire.device, new Map([[UNIT, coils.unit]]), { framing: 'rtu', ...timing })
  const master = createModbusMaster({ line: wire.port, clock, timers, framing: 'rtu' })
  must(await master.open())
  const boards = { master, board: 'plain', allowUnsupervised: true } as const
  const contacts = Array.from({ length: 8 }, (_, n) => ({ name: `dead.${n + 1}`, channel: n + 1 }))
  const dead = must(coilRelays({ ...boards, name: 'dead', unit: UNIT + 1, contacts }))
  const [well] = must(coilRelays({ ...boards, name: 'well', unit: UNIT, contacts: [{ name: 'well.1', channel: 1 }] }))
  const control = { clock, timers, log: () => {} }
  const drives = dead.map(relay => createDrive(relay.name, relay, 1000, control, () => {}))
  timers.every(100, () => {
    for (const drive of drives) drive.tend(false)
  })
  let [asked, read] = [0, 0]
  timers.every(1000, () => {
    asked++
    void master.readRegisters(UNIT, 'holding', 0, 1, { deadlineMs: 1000 }).then(answer => {
      // The board has no such register, and says so: it was asked.
      if (!answer.ok && answer.fault.code === 'modbus.exception') read++
    })
  })
  await advance(10_000)
  for (let n = 0; n < 20; n++) {
    const closing = well!.command('closed')
    await advance(2_500)
    assert.ok((await closing).ok, 'closed')
    void well!.command('open')
    // The wait for the dead board that is under way, and its own frame.
    await advance(700)
    assert.is(coils.position(0), 'open', `opening ${n + 1}`)
    await advance(37 * n)
  }
  assert.ok(read > 0.8 * asked, `${read} of ${asked} read`)
})

const ends: (() => Promise<void>)[] = []
/** A board behind a pseudo-terminal, opened as any serial device. */
async function onSerial(kind: CoilBoardKind): Promise<RelayUnderTest> {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const followed = follow()
  const pty = must(await openPty())
  let moves = 0
  const coils = createCoilBoard({ kind, channels: 4, moved: () => moves++, clock, timers })
  const timing = { characterMs: CHARACTER_MS, turnaroundMs: 5, clock, timers, random: seededRandom(1) }
  const stop = serveModbus(followed.device(pty), new Map([[UNIT, coils.unit]]), { framing: 'rtu', ...timing })
  const line = followed.line(createSerialLine({ path: pty.path, baudRate: 9600 }, clock, createSystemTime().timers))
  const master = createModbusMaster({ line, clock, timers, framing: 'rtu' })
  must(await master.open())
  const contacts = [{ name: 'L1.line', channel: 2 }]
  const relays = must(coilRelays({ name: 'board', master, unit: UNIT, board: kind, contacts, timedMs: 1_000 }))
  ends.push(async () => {
    await master.close()
    stop()
    await pty.close()
  })
  return {
    relay: relays[0]!,
    clock,
    contact: () => coils.position(1),
    moves: () => moves,
    cut: off => {
      coils.unit.faults.dead = off
    },
    pass: ms => followed.pass(advance, ms),
  }
}
relayCases(test, 'on a serial device', () => onSerial('waveshare'), 300)

test("a time is rounded down to the board's steps, and declared as it is written", async () => {
  for (const [kind, declaredMs] of [
    ['register-ms', 2_567],
    ['waveshare', 2_500],
    ['r421a', 2_000],
    ['ryn4', 2_000],
  ] as const) {
    const { relays, under, advance } = await board(2_567, 4, kind)
    const { onAgentDeath } = relays[0]!
    assert.equal(onAgentDeath.kind === 'opens' && onAgentDeath.withinMs, declaredMs, kind)
    void relays[0]!.observe()
    await advance(200)
    void relays[0]!.command('closed')
    await advance(declaredMs - 10)
    assert.is(under.contact(), 'closed', kind)
    // The command itself took some of it: the board's time began when it had come.
    await advance(60)
    assert.is(under.contact(), 'open', kind)
  }
})

test('a board whose "off" does nothing while its time runs is opened all the same', async () => {
  const { relays, master, under, advance } = await board(10_000, 4, 'ryn4')
  const close = async () => {
    void relays[0]!.command('closed')
    await advance(200)
  }
  await close()
  // What other boards of this make open by is acknowledged, and the contact stays.
  const off = master.writeRegister(UNIT, 1, 0x0200)
  await advance(200)
  assert.equal([(await off).ok, under.contact()], [true, 'closed'])
  const opening = relays[0]!.command('open')
  await advance(200)
  assert.equal([(await opening).ok, under.contact()], [true, 'open'])
})

test('a closing that comes after an opening in two parts is not undone by the second', async () => {
  const { relays, under, advance } = await board(10_000, 4, 'ryn4')
  void relays[0]!.observe()
  await advance(200)
  void relays[0]!.command('open')
  await advance(5)
  void relays[0]!.command('closed')
  await advance(400)
  assert.is(under.contact(), 'closed')
})

test('a register that is neither 0 nor 1 is no position', async () => {
  const { relays, coils, advance } = await board(2_000, 4, 'r421a')
  Object.assign(coils.unit.bank, { registers: () => () => 0x0100 })
  const looking = relays[0]!.observe()
  await advance(200)
  const seen = await looking
  assert.is(seen.seen === 'unknown' ? seen.why.code : seen.seen, 'coil.answer')
})

test('contacts that are looked at in one turn share one read of the board', async () => {
  const { relays, requests, advance } = await board(1000)
  void relays[1]!.command('closed')
  await advance(200)
  const before = requests()
  const looks = Promise.all(relays.map(relay => relay.observe()))
  await advance(200)
  assert.equal(await looks, [{ seen: 'open' }, { seen: 'closed' }])
  assert.is(requests() - before, 1)
})

test('an opening goes before twenty meter reads that were asked for earlier', async () => {
  const { relays, master, coils, advance } = await board(5000)
  void relays[0]!.command('closed')
  await advance(200)
  for (let n = 0; n < 20; n++) void master.readRegisters(1, 'holding', n, 2)
  void relays[0]!.command('open')
  // the read under way runs into its timeout first: 500 ms of a slave that never answered, and the wire
  await advance(650)
  assert.is(coils.position(1), 'open')
})

/** The next answer is lost: it comes when nobody waits for it any more. */
const loseAnswer = (coils: { unit: { faults: { lateNext: number; lateMs: number } } }) =>
  Object.assign(coils.unit.faults, { lateNext: 1, lateMs: 600_000 })

for (const [name, timedMs, kind] of [
  ['timed-on', 5_000, 'register-ms'],
  ['plain coils', undefined, 'register-ms'],
  ['steps of 100 ms', 5_000, 'waveshare'],
  ['seconds', 5_000, 'ryn4'],
] as const)
  test(`${name}: after a lost echo the next command of the same kind is not in doubt`, async () => {
    const { relays, coils, advance } = await board(timedMs, 4, kind)
    // The first read on a line shows whether its adapter hears itself.
    void relays[0]!.observe()
    await advance(200)
    const command = async (position: 'open' | 'closed') => {
      const sent = relays[0]!.command(position)
      await advance(650)
      const result = await sent
      return result.ok ? 'ok' : result.fault.code
    }
    for (const position of ['closed', 'open'] as const) {
      loseAnswer(coils)
      assert.is(await command(position), 'modbus.timeout')
      assert.is(await command(position), 'ok', position)
      assert.is(coils.position(1), position)
    }
  })

test('an opening is not undone by the closing before it, when the board refuses that and it takes its second form', async () => {
  const { relays, coils, advance } = await board()
  void relays[0]!.observe()
  await advance(200)
  loseAnswer(coils)
  void relays[0]!.command('closed')
  await advance(650)
  // Function 15, after which this board wants function 5; its refusal is on its way when the opening is asked for.
  const { writeCoil } = coils.unit.bank
  let refuse = true
  Object.assign(coils.unit.bank, {
    writeCoil: (at: number, on: boolean) => {
      if (!refuse) return writeCoil!(at, on)
      refuse = false
      return false
    },
  })
  const closing = relays[0]!.command('closed')
  await advance(1)
  const opening = relays[0]!.command('open')
  await advance(650)
  assert.equal([(await opening).ok, coils.position(1)], [true, 'open'])
  assert.not.ok((await closing).ok)
})

test('function 15 switches one coil and leaves its neighbours alone', async () => {
  const { relays, coils, advance } = await board(undefined, 16)
  void relays[1]!.command('closed')
  await advance(200)
  for (const position of ['closed', 'open'] as const) {
    loseAnswer(coils)
    void relays[0]!.command(position)
    await advance(650)
    const again = relays[0]!.command(position)
    await advance(650)
    assert.equal([(await again).ok, coils.position(1), coils.position(2)], [true, position, 'closed'])
    assert.ok(Array.from({ length: 16 }, (_, i) => i).every(i => i === 1 || i === 2 || coils.position(i) === 'open'))
  }
})

test('after a lost look the next one sees the contact at once, on a board that has more coils', async () => {
  const { relays, coils, advance } = await board(5_000, 16)
  const look = async () => {
    const looking = relays[0]!.observe()
    await advance(650)
    const seen = await looking
    return seen.seen === 'unknown' ? seen.why.code : seen.seen
  }
  loseAnswer(coils)
  assert.equal([await look(), await look(), await look()], ['modbus.timeout', 'open', 'open'])
})

test('a board without more coils refuses the wider look once, and is seen again when the lost answer is dead', async () => {
  const { relays, coils, advance } = await board(60_000)
  const look = async () => {
    const looking = relays[0]!.observe()
    await advance(650)
    const seen = await looking
    return seen.seen === 'unknown' ? seen.why.code : seen.seen
  }
  loseAnswer(coils)
  assert.is(await look(), 'modbus.timeout')
  assert.is(await look(), 'modbus.exception')
  assert.is(await look(), 'modbus.quarantined')
  await advance(30_000)
  assert.is(await look(), 'open')
})

test('a welded contact is not seen on its coil: that is for the line meter', async () => {
  const { relays, coils, advance } = await board(1000)
  void relays[0]!.command('closed')
  await advance(200)
  coils.weld(1, true)
  void relays[0]!.command('open')
  const look = relays[0]!.observe()
  await advance(200)
  assert.equal([await look, coils.position(1)], [{ seen: 'open' }, 'closed'])
})

test('a board without timed-on, a time that no register holds and a channel that no board has are refused by name', async () => {
  const { master } = await board(1000)
  const codeOf = (change: object) => {
    const result = coilRelays({ name: 'b', master, unit: 1, contacts: [{ name: 'c', channel: 1 }], ...change })
    return result.ok ? 'ok' : result.fault.code
  }
  assert.equal(
    [codeOf({}), codeOf({ allowUnsupervised: true }), codeOf({ timedMs: 65_535 })],
    ['coil.unsupervised', 'ok', 'ok'],
  )
  assert.equal(
    [codeOf({ board: 'plain', timedMs: 1000 }), codeOf({ board: 'plain', allowUnsupervised: true })],
    ['coil.not-timed', 'ok'],
  )
  assert.equal(
    [codeOf({ board: 'waveshare', timedMs: 99 }), codeOf({ board: 'r421a', timedMs: 999 })],
    ['coil.timed', 'coil.timed'],
  )
  // Its coil 255 is all relays at once.
  assert.is(codeOf({ board: 'waveshare', timedMs: 1000, contacts: [{ name: 'c', channel: 256 }] }), 'coil.channel')
  assert.equal(
    [codeOf({ timedMs: 0 }), codeOf({ timedMs: 65_536 }), codeOf({ timedMs: 0.5 })],
    Array(3).fill('coil.timed'),
  )
  assert.is(codeOf({ timedMs: 1000, contacts: [{ name: 'c', channel: 0 }] }), 'coil.channel')
})

test('what this file opened is closed', async () => {
  for (const end of ends) await end()
})

test.run()
