/** Which of a machine's GPIO chips has the lines of a bank, and what its kernel calls them. */
import { openGpioLines } from '../../agent/gpio-lines.ts'
import { drainPromises } from '../../drivers/drain.ts'
import { createSimTime } from '../../hw/sim/clock.ts'
import { createSimGpioBank } from '../../hw/sim/gpio-bank.ts'
import { type Fault, fail, must, ok } from '../../protocol/result.ts'
import { assert, suite } from '../harness.ts'

const test = suite('gpio-lines')

/** A machine with these chips, by number, each with its kernel's names or a fault; a line without a name is ''. */
function machine(
  chips: Readonly<Record<number, readonly string[] | Fault>>,
  labels: Readonly<Record<number, string>> = {},
) {
  const { timers } = createSimTime(0, drainPromises)
  const levels: string[] = []
  const openNow = new Set<string>()
  const open = (path: string) => {
    const number = Number(path.replace('/dev/gpiochip', ''))
    const chip = chips[number]
    if (chip === undefined) return fail({ code: 'gpio.no-chip', path })
    if (!Array.isArray(chip)) return fail(chip as Fault)
    const names = (chip as readonly string[]).map((name, offset) => (name === '' ? `#${offset}` : name))
    const lines = names.map(name => ({ name, pull: 0 as const }))
    const onLevel = (line: string, level: number) => void levels.push(`${path} ${line}=${level}`)
    const bank = createSimGpioBank({ name: path, lines, timers, onLevel })
    openNow.add(path)
    const close = () => {
      openNow.delete(path)
      bank.close()
    }
    const named = names.filter(name => !name.startsWith('#'))
    return ok({ ...bank, close, lines: named, label: labels[number] ?? '', lineAt: (offset: number) => names[offset] })
  }
  return { open, levels, openNow }
}

test('the chip that has all lines is found, and they go by their own names', async () => {
  const { open, levels } = machine({ 0: ['WL_ON'], 4: ['ID_SDA', 'SPI_CE0_N', 'GPIO17'] })
  const lines = [{ name: 'GPIO8', kernelNames: ['GPIO8', 'SPI_CE0_N'] }, { name: 'GPIO17' }]
  const bank = must(await openGpioLines(undefined, lines, open))
  assert.equal([bank.name, bank.lines, bank.watchdogMs], ['/dev/gpiochip4', ['GPIO8', 'GPIO17'], undefined])
  assert.ok(bank.setOutput('GPIO8', 1).ok)
  assert.equal(must(bank.read('GPIO8')), 1)
  assert.equal(levels, ['/dev/gpiochip4 SPI_CE0_N=1'])
  bank.close()
  assert.not.ok(bank.setOutput('GPIO8', 1).ok)
})

test('a line lies on the chip of its label, whatever else has its name, and every other chip is let go', async () => {
  const { open, levels, openNow } = machine(
    { 0: ['GPIO17'], 1: ['', 'GPIO17'] },
    { 0: 'usb-expander', 1: 'pinctrl-rp1' },
  )
  const place = { name: 'GPIO17', chip: 'pinctrl-rp1', offset: 1, kernelNames: ['GPIO17'] }
  const bank = must(await openGpioLines(undefined, [place], open))
  assert.ok(bank.setOutput('GPIO17', 1).ok)
  assert.equal(levels, ['/dev/gpiochip1 GPIO17=1'])
  assert.equal([...openNow], ['/dev/gpiochip1'])
  bank.close()
  assert.is(openNow.size, 0)
})

test('a line that this kernel calls otherwise, or not at all, is told by the offset on its chip', async () => {
  const place = { name: 'GPIO17', chip: 'pinctrl-bcm2835', offset: 2, kernelNames: ['GPIO17'] }
  for (const third of ['', 'SOMETHING']) {
    const { open, levels } = machine({ 0: ['a', 'b', 'c'], 1: ['', '', third] }, { 1: 'pinctrl-bcm2835' })
    const bank = must(await openGpioLines(undefined, [place], open))
    assert.ok(bank.setOutput('GPIO17', 1).ok)
    assert.equal(levels, [`/dev/gpiochip1 ${third === '' ? '#2' : third}=1`])
  }
  // Of another chip the offset says nothing.
  const { open, openNow } = machine({ 0: ['a', 'b', 'c'] }, { 0: 'usb-expander' })
  assert.not.ok((await openGpioLines(undefined, [place], open)).ok)
  assert.is(openNow.size, 0)
})

test('lines of one bank may lie on several chips, as on a BeagleBone', async () => {
  const { open, levels, openNow } = machine({ 0: ['P9_22 [spi0_sclk]'], 1: ['P9_12'], 2: ['P8_18'] })
  const lines = [{ name: 'P9_22', kernelNames: ['P9_22 [spi0_sclk]'] }, { name: 'P8_18' }]
  const bank = must(await openGpioLines(undefined, lines, open))
  assert.equal([...openNow], ['/dev/gpiochip0', '/dev/gpiochip2'])
  for (const { name } of lines) assert.ok(bank.setOutput(name, 1).ok)
  assert.equal(levels, ['/dev/gpiochip0 P9_22 [spi0_sclk]=1', '/dev/gpiochip2 P8_18=1'])
  assert.not.ok(bank.setOutput('P9_12', 1).ok)
  bank.close()
  assert.is(openNow.size, 0)
})

test('a named chip is the only one that is looked at', async () => {
  const { open } = machine({ 0: ['GPIO17'], 1: ['GPIO18'] })
  for (const chip of ['gpiochip1', '/dev/gpiochip1']) {
    const opened = await openGpioLines(chip, [{ name: 'GPIO17' }], open)
    assert.is(opened.ok ? 'ok' : opened.fault.code, 'gpio.no-such-line')
  }
})

test('the reason that a person can do something about is the one that is told', async () => {
  const codeOf = async (chips: Parameters<typeof machine>[0]) => {
    const opened = await openGpioLines(undefined, [{ name: 'GPIO17' }], machine(chips).open)
    return opened.ok ? 'ok' : opened.fault.code
  }
  const denied: Fault = { code: 'gpio.permission' }
  assert.is(await codeOf({}), 'gpio.no-chip')
  assert.is(await codeOf({ 0: ['WL_ON'], 1: denied }), 'gpio.permission')
  assert.is(await codeOf({ 0: denied, 1: ['WL_ON'] }), 'gpio.permission')
  assert.is(await codeOf({ 0: ['WL_ON'] }), 'gpio.no-such-line')
  assert.is(await codeOf({ 0: denied, 1: ['GPIO17'] }), 'ok')
})

test('a chip that this machine has not is a fault of the real calls, too', async () => {
  assert.not.ok((await openGpioLines('gpiochip-of-nobody', [{ name: 'GPIO17' }])).ok)
})

test.run()
