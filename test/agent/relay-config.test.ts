/** Relay banks in a configuration: what is taken, and what is refused where it stands. */
import { loadConfig } from '../../agent/config/load.ts'
import { configLine } from '../../agent/config/read-form.ts'
import type { RelayBankConfig } from '../../agent/config/relay-config.ts'
import { assert, suite } from '../harness.ts'

const test = suite('relay-config')

const KEY = 'ab'.repeat(32)

/** A seller with these banks; its line hangs on the contact. */
const site = (banks: readonly string[], contact = 'b.1') => `version: 1
site: maple
role: household
data: data
keys: {account: a, metering: m, sealing: s}
ledger: {chain: c, trust: {height: 1, hash: ${KEY}}, primary: 'http://127.0.0.1:9', witnesses: []}
brokers: ['mqtt://127.0.0.1:9']
lines: {rs485: {serial: /dev/ttyUSB0}, usb: {serial: /dev/ttyUSB1}, uno: {serial: /dev/ttyACM0}}
meters:
  L1: {line: rs485, protocol: modbus-rtu, page: eastron-sdm120, unit: 2, every: 500ms}
relays:
${banks.map((bank, n) => `  ${'bcd'[n]}: ${bank}\n`).join('')}direct_lines:
  - {id: L1, side: seller, peer: cedar, meter: L1, limit: 16A, peer_meter: "998877", contacts: {line: ${contact}}}
peers: {cedar: {account: ${KEY}, sealing: ${KEY}, metering: ${KEY}}}
trade: {sell: {reserve: 0.10, opening: 0.24}, slot: 120s, energy: 2kWh}
`

function read(bank: string): RelayBankConfig | undefined {
  const loaded = loadConfig(site([bank]), 'site.yaml')
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.faults.map(configLine).join('\n'))
  return loaded.value.relays['b']
}

const ALLOWED = 'allow_unsupervised: true'

for (const [text, expected] of [
  [
    '{driver: modbus-coils, line: rs485, unit: 20, timed: 1s}',
    { driver: 'modbus-coils', line: 'rs485', unit: 20, board: 'register-ms', timedMs: 1000, allowUnsupervised: false },
  ],
  [
    `{driver: modbus-coils, line: rs485, unit: 20, board: plain, ${ALLOWED}}`,
    { driver: 'modbus-coils', line: 'rs485', unit: 20, board: 'plain', allowUnsupervised: true },
  ],
  ['{driver: johnny-five, bank: bench}', { driver: 'johnny-five', bank: 'bench' }],
  [
    `{driver: gpio, chip: gpiochip0, contacts: [{output: GPIO17, closed: low, auxiliary: {line: GPIO27}}], ${ALLOWED}}`,
    {
      driver: 'gpio',
      chip: 'gpiochip0',
      contacts: [{ output: 'GPIO17', closedLevel: 0, auxiliary: { line: 'GPIO27', closedLevel: 1 } }],
      allowUnsupervised: true,
    },
  ],
  [
    '{driver: firmata, line: uno, dead_man: 400ms, contacts: [{pin: 7}, {pin: 8, auxiliary: {pin: 9, closed: low}}]}',
    {
      driver: 'firmata',
      line: 'uno',
      firmware: 'tieline',
      deadManMs: 400,
      contacts: [
        { pin: 7, closedLevel: 1 },
        { pin: 8, closedLevel: 1, auxiliary: { pin: 9, closedLevel: 0 } },
      ],
      allowUnsupervised: false,
    },
  ],
  [
    `{driver: lcus, line: usb, channels: 4, ${ALLOWED}}`,
    { driver: 'lcus', line: 'usb', channels: 4, allowUnsupervised: true },
  ],
  [
    '{driver: shelly, device: shellypro1-a8032abcdef0, broker: "mqtt://10.0.0.2:1883", timed: 2s}',
    {
      driver: 'shelly',
      device: 'shellypro1-a8032abcdef0',
      broker: 'mqtt://10.0.0.2:1883',
      timedMs: 2000,
      allowUnsupervised: false,
    },
  ],
] as const)
  test(`${text} is taken`, () => assert.equal(read(text), expected))

const GPIO = `{driver: gpio, contacts: [{output: GPIO17}, {output: GPIO27}], ${ALLOWED}}`

for (const [banks, says, contact] of [
  [
    ['{driver: modbus-coils, line: rs485, unit: 20}'],
    'relays.b sets no "timed": contacts stay closed when the agent dies',
  ],
  [['{driver: gpio, contacts: [{output: GPIO17}]}'], 'relays.b is on GPIO lines: contacts stay closed'],
  [['{driver: lcus, line: usb, channels: 4}'], 'relays.b is an LCUS board: contacts stay closed'],
  [['{driver: shelly, device: plug}'], 'relays.b sets no "timed": contacts stay closed'],
  [
    ['{driver: firmata, line: uno, firmware: standard, contacts: [{pin: 7}]}'],
    'relays.b is StandardFirmata: contacts stay',
  ],
  [
    [`{driver: firmata, line: uno, firmware: standard, dead_man: 1s, contacts: [{pin: 7}], ${ALLOWED}}`],
    'relays.b.dead_man is for the firmware tieline',
  ],
  [
    ['{driver: firmata, line: uno, contacts: [{pin: 7}, {pin: 7}]}'],
    'relays.b.contacts[1].pin is also relays.b.contacts.0.pin',
  ],
  [['{driver: firmata, line: uno, contacts: [{pin: 7, auxiliary: {pin: 7}}]}'], 'contacts[0].auxiliary.pin is also'],
  [['{driver: firmata, line: uno, contacts: []}'], 'relays.b.contacts must name at least one contact'],
  [['{driver: firmata, line: uno, contacts: [{pin: 1}]}'], 'must be a pin from 2, not "1"'],
  [
    [GPIO, `{driver: gpio, contacts: [{output: GPIO17}], ${ALLOWED}}`],
    'relays.c.contacts[0].output is also relays.b.contacts.0.output',
  ],
  [
    ['{driver: shelly, device: plug, timed: 1s}', '{driver: shelly, device: plug, timed: 1s}'],
    'relays.c.device is also relays.b.device',
  ],
  [['{driver: shelly, device: plug, timed: 500ms}'], 'relays.b.timed is shorter than a second'],
  [['{driver: shelly, device: "a/#", timed: 1s}'], 'must be an MQTT topic prefix'],
  [
    ['{driver: modbus-coils, line: rs485, unit: 20, board: ryn4, timed: 900ms}'],
    'is shorter than the steps of a ryn4 board, 1000ms',
  ],
  [['{driver: modbus-coils, line: rs485, unit: 20, board: plain, timed: 1s}'], 'is not for a plain board'],
  [['{driver: modbus-coils, line: rs485, unit: 20, board: waveshere, timed: 1s}'], 'did you mean "waveshare"?'],
  [[`{driver: lcus, line: rs485, channels: 4, ${ALLOWED}}`], 'relays.b.line is also the line of L1'],
  [
    [`{driver: lcus, line: usb, channels: 4, ${ALLOWED}}`, '{driver: firmata, line: usb, contacts: [{pin: 7}]}'],
    'relays.c.line is also the line of b',
  ],
  [
    [`{driver: lcus, line: usb, channels: 4, ${ALLOWED}}`, '{driver: modbus-coils, line: usb, unit: 9, timed: 1s}'],
    'relays.b.line is also the line of c',
  ],
  [[`{driver: lcus, line: usb, channels: 9, ${ALLOWED}}`], 'must be a whole number from 1 to 8'],
  [
    [`{driver: lcus, line: usbb, channels: 4, ${ALLOWED}}`],
    'names the line "usbb", which is not defined (did you mean "usb"?)',
  ],
  [[GPIO], 'is channel 3 of b, which has 2', 'b.3'],
  [['{driver: gpoi, bank: x}'], 'did you mean "gpio"?'],
  [[`{driver: lcus, line: usb, channels: 4, timed: 1s, ${ALLOWED}}`], 'unknown key "timed"'],
  [[`{driver: gpio, ${ALLOWED}}`], 'relays.b must have either contacts or a hat'],
  [[`{driver: gpio, hat: waveshare-relay-3, ${ALLOWED}}`], 'relays.b.hat is on a board that is not named'],
] as const)
  test(`${banks.join(' and ')}: ${says}`, () => {
    const loaded = loadConfig(site(banks, contact), 'site.yaml')
    const found = loaded.ok ? [] : loaded.faults.map(configLine)
    assert.is(found.length, 1, found.join('\n'))
    assert.match(found[0]!, /^site\.yaml:\d+:\d+: /)
    assert.ok(found[0]!.includes(says), found[0])
  })

test('a line that does not say its speed has that of the board on it', () => {
  const loaded = loadConfig(site(['{driver: firmata, line: uno, contacts: [{pin: 7}]}']), 'site.yaml')
  const line = loaded.ok ? loaded.value.lines['uno'] : undefined
  assert.equal(line, { kind: 'serial', path: '/dev/ttyACM0', baud: 57_600, format: '8N1' })
})

test.run()
