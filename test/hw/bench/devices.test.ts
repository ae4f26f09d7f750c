/** `tieline-bench charger` and `tieline-bench relays`, each met by the product's own Modbus master or by what it prints. */
import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { openAbbTerraCharger } from '../../../drivers/chargers/abb-terra.ts'
import { createSystemTime } from '../../../drivers/clock.ts'
import { createTcpLine } from '../../../drivers/line/tcp.ts'
import { createModbusMaster } from '../../../drivers/modbus/master.ts'
import { tielineBench } from '../../../hw/bench/cli.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { keepTerminal } from '../../terminal.ts'

const test = suite('bench devices')
const { clock, timers } = createSystemTime()
const DEADLINE_MS = 120_000

function start(...args: string[]) {
  const kept = keepTerminal()
  let interrupt = () => {}
  const interrupted = new Promise<void>(resolve => {
    interrupt = resolve
  })
  const exit = tielineBench(args, {
    terminal: kept.terminal,
    columns: () => undefined,
    interruption: () => interrupted,
  })
  const lines = () =>
    kept
      .out()
      .split('\n')
      .filter(line => line.startsWith('{'))
      .map(line => JSON.parse(line))
  return { ...kept, exit, lines, interrupt: () => interrupt() }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await timers.sleep(20)
}

/** A Modbus master before whatever was announced on a port. */
async function before(place: string) {
  const [host = '', port = ''] = place.split(':')
  const line = createTcpLine(host, Number(port), clock, timers)
  const master = createModbusMaster({ line, framing: 'tcp', clock, timers })
  must(await master.open())
  return master
}

test(
  'every controller says where it is, and that its car has all that it comes with until somebody says otherwise',
  async () => {
    for (const controller of ['evse-wb', 'phoenix', 'amperfied', 'abb-terra', 'alfen', 'openevse']) {
      const bench = start('charger', '--controller', controller, '--car', '10A', '--json')
      await until(() => bench.lines().some(({ drawn_ma }) => drawn_ma === 10_000))
      const [place, first] = bench.lines()
      assert.match(place.place, controller === 'alfen' ? /^127\.0\.0\.1:\d+$/ : /^\/dev\//)
      assert.is(place.controller, controller)
      assert.is(place.unit, controller === 'openevse' ? undefined : 1)
      assert.is(first.offered_ma, 16_000, controller)
      bench.interrupt()
      assert.is(await bench.exit, EXIT.ok, bench.err())
    }
  },
  DEADLINE_MS,
)

test(
  'a car comes and goes when it was told to',
  async () => {
    const bench = start('charger', '--controller', 'evse-wb', '--unplugged', '--plug', '1', '--unplug', '4', '--json')
    const states = () => bench.lines().flatMap(({ state }) => (state === undefined ? [] : [state]))
    await until(() => states().filter(state => state === 'A').length >= 2)
    assert.equal(
      states().filter((state, i) => state !== states()[i - 1]),
      ['A', 'C', 'A'],
    )
    bench.interrupt()
    assert.is(await bench.exit, EXIT.ok)
  },
  DEADLINE_MS,
)

test(
  'a driver sets its limit, and the car follows',
  async () => {
    const bench = start('charger', '--controller', 'abb-terra', '--unit', '3', '--tcp', '0', '--json')
    await until(() => bench.lines().length > 0)
    const master = await before(bench.lines()[0].place)
    const charger = must(
      openAbbTerraCharger({ master, unit: 3, clock, name: 'garage', mostMa: 32_000, watchdogMs: 60_000 }),
    )
    const limited = await charger.setLimit(8_000)
    assert.ok(limited.ok, JSON.stringify(limited))
    await until(() => bench.lines().some(({ offered_ma, drawn_ma }) => offered_ma === 8_000 && drawn_ma === 8_000))
    await charger.close()
    await master.close()
    bench.interrupt()
    assert.is(await bench.exit, EXIT.ok)
  },
  DEADLINE_MS,
)

test(
  'a contact that is told to close for a while closes, and opens by itself',
  async () => {
    const bench = start('relays', '--unit', '40', '--channels', '2', '--tcp', '0', '--json')
    await until(() => bench.lines().length > 0)
    assert.equal({ ...bench.lines()[0], place: '' }, { place: '', board: 'register-ms', unit: 40, channels: 2 })
    const master = await before(bench.lines()[0].place)
    const written = await master.write(40, { fn: 6, address: 1, value: 300 })
    assert.ok(written.ok, JSON.stringify(written))
    await until(() => bench.lines().length >= 3)
    assert.equal(bench.lines().slice(1), [
      { channel: 2, position: 'closed' },
      { channel: 2, position: 'open' },
    ])
    await master.close()
    bench.interrupt()
    assert.is(await bench.exit, EXIT.ok)
  },
  DEADLINE_MS,
)

test('each board says what the wizard asks for', async () => {
  for (const board of ['register-ms', 'waveshare', 'r421a', 'ryn4', 'plain', 'lcus']) {
    const bench = start('relays', '--board', board, '--channels', '2')
    await until(() => bench.out().includes('init'))
    assert.match(
      bench.out(),
      new RegExp(`^/dev/\\S+\\n${board}${board === 'lcus' ? '' : ', unit 1'}, channels 1 to 2:`),
    )
    bench.interrupt()
    assert.is(await bench.exit, EXIT.ok)
  }
})

test('what cannot be is told in one line', async () => {
  for (const [says, ...args] of [
    [/unknown controller "alfn", did you mean "alfen"/, 'charger', '--controller', 'alfn'],
    [/required option '--controller/, 'charger'],
    [/--car must be a current from 6A/, 'charger', '--controller', 'alfen', '--car', '5A'],
    [/--unit must be a whole number from 1 to 247/, 'charger', '--controller', 'alfen', '--unit', '0'],
    [/OpenEVSE is on a serial line/, 'charger', '--controller', 'openevse', '--tcp', '0'],
    [/unknown board "waveshar", did you mean "waveshare"/, 'relays', '--board', 'waveshar'],
    [/--channels must be a whole number from 1 to 8/, 'relays', '--channels', '9'],
    [/LCUS board is on a serial line/, 'relays', '--board', 'lcus', '--tcp', '0'],
  ] as const) {
    const bench = start(...args)
    assert.is(await bench.exit, EXIT.usage, args.join(' '))
    assert.match(bench.err(), says)
    assert.match(bench.err(), /^tieline-bench (charger|relays): [^\n]+\n$/)
    assert.is(bench.out(), '')
  }
})

test.run()
