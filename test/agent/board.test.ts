import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { contactsOf, openBoard } from '../../agent/boards.ts'
import { type Board, contactsOfHat, type Hat, readBoard, readHats, sharedPin } from '../../agent/config/board.ts'
import { configLine } from '../../agent/config/read-form.ts'
import { assert, suite } from '../harness.ts'
import { assertProperty, fc } from '../property.ts'

const FOLDER = new URL('../../hw/boards/', import.meta.url)
const FILES = readdirSync(FOLDER).filter(file => file.endsWith('.yaml'))
const BOARDS = FILES.filter(file => file !== 'hats.yaml')

function boardOf(text: string): Board {
  const read = readBoard(text, 'board.yaml')
  if (!read.ok) throw new Error(read.faults.map(configLine).join('\n'))
  return read.value
}
const shipped = (name: string): Board => boardOf(readFileSync(new URL(`${name}.yaml`, FOLDER), 'utf8'))
const hatsOf = (text: string): Readonly<Record<string, Hat>> => {
  const read = readHats(text, 'hats.yaml')
  if (!read.ok) throw new Error(read.faults.map(configLine).join('\n'))
  return read.value
}
const hats = hatsOf(readFileSync(new URL('hats.yaml', FOLDER), 'utf8'))
const hat = (name: string): Hat => {
  const found = hats[name]
  if (found === undefined) throw new Error(`no hat ${name}`)
  return found
}
const mistakes = (text: string): readonly string[] => {
  const read = readBoard(text, 'board.yaml')
  return read.ok ? [] : read.faults.map(configLine)
}

const GOOD = `board: own-board
title: A board
header: own
sources: ["its manual"]
gpio:
  chip-0:
    A1: {offset: 1, pin: 1, boot: pull-down}
    A2: {offset: 2, pin: 2, boot: pull-up}
    A3: {offset: 3, pin: 3, boot: float}
    A4: {offset: 4, pin: 4, boot: pulses}
    A5: {offset: 5, pin: 5, boot: high}
    A6: {offset: 6, pin: 6, boot: low}
    A7: {offset: 7, pin: 7, boot: pull-down, unsafe: "console TX"}
serial:
  port: {device: /dev/ttyS0, tx: A7, console: true}
hats:
  relays:
    title: Relays
    header: own
    source: its manual
    relays: {active: high, pins: [1, 6]}
`
const withPins = (active: 'high' | 'low', pins: string, undriven = 'unknown') =>
  GOOD.replace(
    'relays: {active: high, pins: [1, 6]}',
    `relays: {active: ${active}, undriven: ${undriven}, pins: [${pins}]}`,
  )

const test = suite('boards')

test('each board that is shipped is read, under the name of its file', () => {
  assert.ok(BOARDS.length >= 7)
  for (const file of BOARDS) assert.is(`${shipped(file.replace('.yaml', '')).name}.yaml`, file)
})

test('every relay hat fits every board with its header, and no other', () => {
  const pairs = BOARDS.flatMap(file =>
    Object.values(hats).map(each => [shipped(file.replace('.yaml', '')), each] as const),
  )
  for (const [board, each] of pairs) {
    const contacts = contactsOfHat(board, each)
    const fits = board.header === each.header && each.relays !== undefined
    assert.is(contacts.ok, fits, `${board.name} ${each.title} ${contacts.ok ? '' : contacts.fault.why}`)
  }
  const contacts = contactsOfHat(shipped('raspberry-pi-5'), hat('waveshare-relay-3'))
  assert.ok(contacts.ok)
  if (!contacts.ok) return
  assert.equal(
    contacts.value.map(({ channel, line, closedLevel }) => [channel, line.chip, line.name, line.offset, closedLevel]),
    [
      [1, 'pinctrl-rp1', 'GPIO26', 26, 0],
      [2, 'pinctrl-rp1', 'GPIO20', 20, 0],
      [3, 'pinctrl-rp1', 'GPIO21', 21, 0],
    ],
  )
})

test('the lines that a board boots by are no relay lines, whichever level would close', () => {
  const lines: readonly (readonly [string, readonly string[]])[] = [
    // The EEPROM of a hat, I2C with its resistors, the console.
    ...['raspberry-pi-3b-plus', 'raspberry-pi-4', 'raspberry-pi-5', 'raspberry-pi-cm4', 'raspberry-pi-zero-2-w'].map(
      name => [name, ['27', '28', '3', '5', '8', '10']] as const,
    ),
    // eMMC, the pins that choose what is booted, the capes' EEPROMs.
    ['beaglebone-black', ['P8.3', 'P8.20', 'P8.25', 'P8.31', 'P8.38', 'P8.46', 'P9.19', 'P9.20']],
  ]
  for (const [name, pins] of lines) {
    const board = shipped(name)
    for (const pin of pins) {
      for (const active of ['high', 'low'] as const) {
        const one: Hat = {
          ...{ title: 'one relay', header: board.header!, source: '', rs485: [], pins: [pin] },
          relays: { active, undrivenOpen: true, pins: [pin] },
        }
        const contacts = contactsOfHat(board, one)
        assert.match(contacts.ok ? '' : contacts.fault.why, /unsafe/, `${name} ${pin} ${active}`)
      }
    }
  }
})

test('a hat whose channel would close while the board boots is refused with the pin and the reason', () => {
  // Keyestudio's shield of four switches on GPIO 4, 22, 6 and 26 at high: GPIO 4 and 6 are pulled up at boot.
  const shield: Hat = {
    ...{ title: 'four relays', header: 'raspberry-pi-40', source: '', rs485: [], pins: ['7', '15', '31', '37'] },
    relays: { active: 'high', undrivenOpen: false, pins: ['7', '15', '31', '37'] },
  }
  const contacts = contactsOfHat(shipped('raspberry-pi-4'), shield)
  assert.not.ok(contacts.ok)
  if (contacts.ok) return
  assert.equal([contacts.fault.code, contacts.fault.pin, contacts.fault.line], ['board.hat', '7', 'GPIO4'])
  assert.match(contacts.fault.why, /pulled up at boot, and the relay closes on high/)
  // With a resistor that holds it open the same hat is taken.
  const held = { ...shield, relays: { ...shield.relays!, undrivenOpen: true } }
  assert.ok(contactsOfHat(shipped('raspberry-pi-4'), held).ok)
})

test('each level at boot against each active level: only what leaves the contact open is taken', () => {
  const taken: Record<string, readonly number[]> = {}
  for (const active of ['high', 'low'] as const)
    for (const undriven of ['open', 'unknown'])
      taken[`${active} ${undriven}`] = [1, 2, 3, 4, 5, 6, 7].filter(
        pin => mistakes(withPins(active, String(pin), undriven)).length === 0,
      )
  assert.equal(taken, {
    'high unknown': [1, 6],
    'high open': [1, 2, 3, 6],
    'low unknown': [2, 5],
    'low open': [1, 2, 3, 5],
  })
})

test('a mistake is named with its place, and with what was meant', () => {
  assert.equal(mistakes(GOOD), [])
  const cases: readonly (readonly [from: string, to: string, said: RegExp])[] = [
    ['pin: 2, boot', 'pni: 2, boot', /^board\.yaml:8:\d+: unknown key "pni" \(did you mean "pin"\?\)/],
    ['boot: float', 'boot: flaot', /^board\.yaml:9:\d+: .*did you mean "float"/],
    ['offset: 3', 'offset: -3', /^board\.yaml:9:\d+: .*whole number/],
    ['{offset: 2, pin: 2,', '{offset: 1, pin: 2,', /^board\.yaml:8:\d+: .*already the offset of A1/],
    ['{offset: 2, pin: 2,', '{offset: 2, pin: 1,', /^board\.yaml:8:\d+: .*already the pin of A1/],
    [', unsafe: "console TX"', '', /^board\.yaml:13:\d+: .*console talks during boot/],
    ['tx: A7', 'tx: A9', /^board\.yaml:15:\d+: .*"A9", which the board does not have/],
    ['pins: [1, 6]', 'pins: [1, 9]', /^board\.yaml:21:\d+: .*pin 9, which is no line/],
    ['pins: [1, 6]', 'pins: [1, 1]', /^board\.yaml:21:\d+: .*pin 1, which this hat takes already/],
    ['pins: [1, 6]', 'pins: [1, 7]', /^board\.yaml:21:\d+: .*A7: unsafe for a relay, console TX/],
    ['pins: [1, 6]', 'pins: [1, 4]', /^board\.yaml:21:\d+: .*pulses at boot/],
    ['pins: [1, 6]', 'pins: [1, 5]', /^board\.yaml:21:\d+: .*driven high at boot/],
    ['sources: ["its manual"]\n', '', /"sources" is missing/],
    ['sources: ["its manual"]', 'sources: []', /where this is from/],
    ['serial:', 'gpio:', /^board\.yaml:14:\d+: .*unique/],
  ]
  for (const [from, to, said] of cases) {
    assert.ok(GOOD.includes(from), from)
    assert.match(mistakes(GOOD.replace(from, to)).join('\n'), said, to)
  }
  assert.match(mistakes(`${GOOD}gpoi: {}\n`).join('\n'), /unknown key "gpoi" \(did you mean "gpio"\?\)/)
  assert.match(
    mistakes(GOOD.replace('serial:', '  chip-1:\n    A1: {offset: 1, boot: float}\nserial:')).join('\n'),
    /already the name of A1 on chip-0/,
  )
})

test('two hats that take one pin are not fitted together', () => {
  const board = shipped('raspberry-pi-4')
  const clash = sharedPin(board, [hat('waveshare-relay-3'), hat('waveshare-rs485-2')])
  assert.equal([clash?.code, clash?.hat, clash?.pin], ['board.hat', 'Waveshare 2-CH RS485 HAT', '38'])
  assert.is(sharedPin(board, [hat('waveshare-relay-3'), hat('waveshare-rs485-can')]), undefined)
})

test('a board is opened by its name or its path, and its hats by theirs; what is not there is said', async () => {
  const opened = await openBoard('raspberry-pi-5')
  assert.ok(opened.ok)
  if (!opened.ok) return
  const contacts = contactsOf(opened.value, 'waveshare-relay-8')
  assert.is(contacts.ok && contacts.value.length, 8)
  const missing = contactsOf(opened.value, 'waveshare-relay-4')
  assert.equal(missing.ok ? '' : [missing.fault.code, missing.fault.hint], [
    'board.no-hat',
    'did you mean "waveshare-relay-3"?',
  ])
  assert.not.ok(contactsOf(opened.value, 'waveshare-rs485-can').ok)
  assert.not.ok(contactsOf(opened.value, 'toString').ok)
  const folder = mkdtempSync(join(tmpdir(), 'tieline-board-'))
  try {
    const file = join(folder, 'mine.yaml')
    writeFileSync(file, GOOD)
    const mine = await openBoard(file)
    assert.ok(mine.ok && contactsOf(mine.value, 'relays').ok)
    writeFileSync(file, withPins('high', '1, 2'))
    const unsafe = await openBoard(file)
    assert.is(unsafe.ok ? '' : unsafe.fault.code, 'board.form')
    assert.match(unsafe.ok ? '' : unsafe.fault.hint!, /mine\.yaml:21:\d+: .*pulled up at boot/)
    const none = await openBoard('raspberry-pi-9')
    assert.is(none.ok ? '' : none.fault.code, 'file.missing')
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('no text makes the reader throw', () => {
  const cut = fc.tuple(fc.nat(GOOD.length), fc.nat(GOOD.length), fc.string({ maxLength: 8 }))
  assertProperty(
    fc.property(cut, ([from, to, text]) => {
      const read = readBoard(GOOD.slice(0, from) + text + GOOD.slice(to), 'board.yaml')
      return read.ok || read.faults.every(({ line, what }) => line >= 1 && what !== '')
    }),
    300,
  )
})

test.run()
