import { drainPromises } from '../../../drivers/drain.ts'
import type { Position } from '../../../drivers/ports.ts'
import type { Level } from '../../../drivers/relays/gpio-bank.ts'
import { GpioIo } from '../../../drivers/relays/io-plugin.ts'
import { type GpioContact, openGpioRelays } from '../../../drivers/relays/johnny-five.ts'
import { createSimTime } from '../../../hw/sim/clock.ts'
import { createSimGpioBank } from '../../../hw/sim/gpio-bank.ts'
import { must } from '../../../protocol/result.ts'
import { type RelayUnderTest, relayCases } from '../../contracts/relay.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('relays/johnny-five')

/** A bank of two lines, GPIO17 to drive and GPIO27 as an auxiliary input, each pulled to what means open. */
async function gpio(closedLevel: Level, auxiliary: boolean, watchdogMs?: number) {
  const { clock, timers, advance } = createSimTime(0, drainPromises)
  const open: Level = closedLevel === 1 ? 0 : 1
  const levels: string[] = []
  let contact: Position = 'open'
  let welded = false
  let moves = 0
  const bank = createSimGpioBank({
    name: 'gpiochip0',
    lines: [
      { name: 'GPIO17', pull: open },
      { name: 'GPIO27', pull: 1 },
    ],
    timers,
    ...(watchdogMs === undefined ? {} : { watchdogMs }),
    onLevel: (line, level) => {
      levels.push(`${line}=${level}`)
      if (line !== 'GPIO17') return
      const wanted = level === closedLevel ? 'closed' : 'open'
      if (wanted === contact || (welded && wanted === 'open')) return
      contact = wanted
      moves++
      bank.drive('GPIO27', contact === 'closed' ? 0 : undefined)
    },
  })
  const spec: GpioContact = {
    name: 'L1.line',
    output: 'GPIO17',
    closedLevel,
    ...(auxiliary ? { auxiliary: { line: 'GPIO27', closedLevel: 0 } } : {}),
  }
  const opened = await openGpioRelays({ bank, contacts: [spec], allowUnsupervised: watchdogMs === undefined })
  const [relay] = must(opened)
  const under: RelayUnderTest = {
    relay: relay!,
    clock,
    contact: () => contact,
    moves: () => moves,
    cut: off => {
      const fault = off ? { code: 'gpio.io', errno: 'EIO' } : undefined
      bank.fail('GPIO17', fault)
      bank.fail('GPIO27', fault)
    },
    pass: advance,
  }
  return { under, bank, levels, weld: () => (welded = true) }
}

relayCases(test, 'active high, auxiliary input', async () => (await gpio(1, true, 1000)).under, 0)
relayCases(test, 'active low, no auxiliary input', async () => (await gpio(0, false, 1000)).under, 0)
relayCases(test, 'no watchdog', async () => (await gpio(1, false)).under, 0)

test('an active-low output starts at its open level and never shows another before it is commanded', async () => {
  const { bank, levels } = await gpio(0, false, 1000)
  assert.equal([levels, bank.level('GPIO17')], [[], 1])
})

test('a plugin that sets the direction before the level would close an active-low contact; ours sets both at once', () => {
  const { timers } = createSimTime(0, drainPromises)
  const seen: string[] = []
  const bank = createSimGpioBank({
    name: 'gpiochip0',
    lines: [{ name: 'GPIO17', pull: 1 }],
    timers,
    onLevel: (line, level) => seen.push(`${line}=${level}`),
  })
  new GpioIo(bank, new Map([['GPIO17', 1]])).pinMode('GPIO17', 1)
  assert.equal(seen, [])
  // the same with the level forgotten: the coil is energised at once
  new GpioIo(bank, new Map([['GPIO17', 0]])).pinMode('GPIO17', 1)
  assert.equal(seen, ['GPIO17=0'])
})

test('an auxiliary input sees a weld that the pin level hides', async () => {
  const seeing = await gpio(1, true, 1000)
  const blind = await gpio(1, false, 1000)
  for (const { under, weld } of [seeing, blind]) {
    await under.relay.command('closed')
    weld()
    assert.ok((await under.relay.command('open')).ok)
    assert.is(under.contact(), 'closed')
  }
  assert.equal(await seeing.under.relay.observe(), { seen: 'closed' })
  assert.equal(await blind.under.relay.observe(), { seen: 'open' })
})

test('a bank without a watchdog, an unknown line and a line that does not open are refused by name', async () => {
  const { timers } = createSimTime(0, drainPromises)
  const make = (watchdogMs?: number) =>
    createSimGpioBank({
      name: 'gpiochip0',
      lines: [{ name: 'GPIO17', pull: 0 }],
      timers,
      ...(watchdogMs === undefined ? {} : { watchdogMs }),
    })
  const contacts = [{ name: 'L1.line', output: 'GPIO17', closedLevel: 1 }] as const
  const codeOf = async (options: Parameters<typeof openGpioRelays>[0]) => {
    const result = await openGpioRelays(options)
    return result.ok ? 'ok' : result.fault.code
  }
  assert.is(await codeOf({ bank: make(), contacts }), 'gpio.unsupervised')
  assert.is(await codeOf({ bank: make(), contacts, allowUnsupervised: true }), 'ok')
  assert.is(await codeOf({ bank: make(1000), contacts: [{ ...contacts[0], output: 'GPIO99' }] }), 'gpio.no-such-line')
  const busy = make(1000)
  busy.fail('GPIO17', { code: 'gpio.busy', line: 'GPIO17' })
  assert.is(await codeOf({ bank: busy, contacts }), 'gpio.busy')
})

test('a bank that is closed lets every output go', async () => {
  const { under, bank } = await gpio(1, true, 1000)
  await under.relay.command('closed')
  bank.close()
  assert.is(under.contact(), 'open')
  assert.not.ok((await under.relay.command('closed')).ok)
  assert.is((await under.relay.observe()).seen, 'unknown')
})

test('the library takes over neither the signals nor the standard input of the process', async () => {
  const before = ['SIGINT', 'SIGTERM', 'exit'].map(event => process.listenerCount(event))
  await gpio(1, true, 1000)
  assert.equal(
    ['SIGINT', 'SIGTERM', 'exit'].map(event => process.listenerCount(event)),
    before,
  )
  assert.is(process.stdin.listenerCount('data'), 0)
})

test.run()
