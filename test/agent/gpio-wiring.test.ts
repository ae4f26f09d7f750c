/** Contacts on the GPIO lines of the boards that come with the program. */
import { type GpioBankConfig, wireGpio } from '../../agent/gpio-wiring.ts'
import { must } from '../../protocol/result.ts'
import { assert, suite } from '../harness.ts'

const test = suite('gpio-wiring')

const BANK = { driver: 'gpio', allowUnsupervised: true } as const
const on = (output: string, closedLevel: 0 | 1, more: object = {}): GpioBankConfig => ({
  ...BANK,
  contacts: [{ output, closedLevel, ...more }],
})
const codeOf = async (bank: GpioBankConfig, board: string | undefined) => {
  const wiring = await wireGpio('hat', bank, board)
  return wiring.ok ? 'ok' : wiring.fault.code
}

test("a hat's contacts are those of its maker's page, each with the chip and offset of this board", async () => {
  const bank: GpioBankConfig = { ...BANK, hat: 'waveshare-relay-3' }
  // Header pins 37, 38 and 40 are GPIO 26, 20 and 21 on every Raspberry Pi; the chip is another on each.
  for (const [board, chip] of [
    ['raspberry-pi-4', 'pinctrl-bcm2711'],
    ['raspberry-pi-3b-plus', 'pinctrl-bcm2835'],
  ] as const) {
    const { contacts, lines } = must(await wireGpio('hat', bank, board))
    const outputs = ['GPIO26', 'GPIO20', 'GPIO21']
    assert.equal(
      contacts,
      outputs.map(output => ({ output, closedLevel: 0 })),
    )
    assert.equal(
      lines.map(({ chip, offset }) => `${chip} ${offset}`),
      [26, 20, 21].map(offset => `${chip} ${offset}`),
    )
  }
})

test('a line that would close its contact at boot, or is none of this board, is refused', async () => {
  // GPIO5 is pulled up at boot, GPIO17 down; GPIO14 is the console.
  assert.is(await codeOf(on('GPIO5', 1), 'raspberry-pi-4'), 'board.hat')
  assert.is(await codeOf(on('GPIO5', 0), 'raspberry-pi-4'), 'ok')
  assert.is(await codeOf(on('GPIO17', 0), 'raspberry-pi-4'), 'board.hat')
  assert.is(await codeOf(on('GPIO17', 0, { undrivenOpen: true }), 'raspberry-pi-4'), 'ok')
  assert.is(await codeOf(on('GPIO17', 1), 'raspberry-pi-4'), 'ok')
  assert.is(await codeOf(on('GPIO14', 1, { undrivenOpen: true }), 'raspberry-pi-4'), 'board.unsafe')
  assert.is(await codeOf(on('GPIO71', 1), 'raspberry-pi-4'), 'board.no-line')
  assert.is(await codeOf({ ...BANK, hat: 'waveshare-relay-33' }, 'raspberry-pi-4'), 'board.no-hat')
  assert.not.ok((await wireGpio('hat', on('GPIO17', 1), 'raspberry-pie')).ok)
})

test('an auxiliary input may hang on any line that the board has', async () => {
  const auxiliary = (line: string) => on('GPIO17', 1, { auxiliary: { line, closedLevel: 0 } })
  const { lines } = must(await wireGpio('hat', auxiliary('GPIO5'), 'raspberry-pi-4'))
  assert.equal(
    lines.map(({ name }) => name),
    ['GPIO17', 'GPIO5'],
  )
  assert.is(await codeOf(auxiliary('GPIO99'), 'raspberry-pi-4'), 'board.no-line')
})

test('without a board lines go by their names', async () => {
  const { contacts, lines } = must(await wireGpio('hat', on('GPIO5', 1), undefined))
  assert.equal([contacts, lines], [[{ output: 'GPIO5', closedLevel: 1 }], [{ name: 'GPIO5' }]])
})

test.run()
