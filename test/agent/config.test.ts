import { framingOf } from '../../agent/config/line-settings.ts'
import { loadConfig } from '../../agent/config/load.ts'
import { configLine } from '../../agent/config/read-form.ts'
import { assert, suite } from '../harness.ts'
import { assertProperty, fc } from '../property.ts'

const KEY = 'ab'.repeat(32)
const GOOD = `# A house that sells over one direct line.
version: 1
site: maple
role: household
data: /var/lib/tieline
keys:
  account: /etc/tieline/account.key
  metering: /etc/tieline/metering.key
  sealing: /etc/tieline/sealing.key
ledger:
  chain: street-1
  trust: {height: 12, hash: ${KEY}}
  primary: http://127.0.0.1:26657
  witnesses: [http://127.0.0.1:26658]
brokers: [mqtt://127.0.0.1:1883]
lines:
  rs485: {serial: /dev/ttyUSB0, baud: 19200, format: 8E1}
  lan: {tcp: meter.local:502}
meters:
  grid: {line: rs485, protocol: modbus-rtu, page: eastron-sdm630, unit: 1}
  L1: {line: rs485, protocol: modbus-rtu, page: eastron-sdm120, unit: 2, every: 500ms, id: "0012345"}
  solar: {line: lan, protocol: modbus-tcp, page: shelly-pro-3em, unit: 240}
relays:
  board: {driver: modbus-coils, line: rs485, unit: 20, timed: 1s}
direct_lines:
  - id: L1
    side: seller
    peer: cedar
    meter: L1
    limit: 16A
    peer_meter: "998877"
    contacts: {line: board.1, upstream: board.2}
peers:
  cedar: {account: ${KEY}, sealing: ${KEY}, metering: ${KEY}}
trade:
  sell: {reserve: 0.10, opening: 0.24}
  slot: 120s
  energy: 2kWh
safety: {voltage_min: 207V, voltage_max: 253V}
`

const faults = (text: string): string[] => {
  const loaded = loadConfig(text, 'site.yaml')
  return loaded.ok ? [] : loaded.faults.map(configLine)
}

/** The good configuration with one line's text changed; fails when there was nothing to change. */
function changed(from: string, to: string): string {
  assert.ok(GOOD.includes(from), `the good configuration has no ${from}`)
  return GOOD.replace(from, to)
}

const test = suite('config')

test('a good file becomes quantities in base units, defaults filled in', () => {
  const loaded = loadConfig(GOOD, 'site.yaml')
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.faults.map(configLine).join('\n'))
  if (!loaded.ok) return
  const config = loaded.value
  assert.is(config.trade.sell?.reserve, 100_000n as never)
  assert.is(config.trade.energy, 2000n as never)
  assert.is(config.trade.slotMs, 120_000)
  assert.is(config.ledger?.trustingPeriodMs, 14 * 86_400_000)
  assert.is(config.ledger?.trust.height, 12n)
  assert.equal(config.lines['rs485'], { kind: 'serial', path: '/dev/ttyUSB0', baud: 19_200, format: '8E1' })
  assert.equal(config.lines['lan'], { kind: 'tcp', host: 'meter.local', port: 502 })
  assert.equal(config.meters['L1'], {
    protocol: 'modbus-rtu',
    line: 'rs485',
    page: 'eastron-sdm120',
    unit: 2,
    everyMs: 500,
    id: '0012345',
  })
  assert.is(config.meters['grid']?.everyMs, 1000)
  assert.equal(config.directLines[0]?.contacts, {
    line: { bank: 'board', channel: 1 },
    upstream: { bank: 'board', channel: 2 },
  })
  assert.is(config.directLines[0]?.limit, 16_000 as never)
  assert.is(config.ledger?.followMs, 4_000)
  assert.is(config.trade.pauseMs, 0)
  assert.is(config.rest, undefined)
  assert.equal(config.page, { host: '127.0.0.1', port: 8480, off: false })
  assert.equal(config.safety, { voltageMinMv: 207_000 as never, voltageMaxMv: 253_000 as never })
})

test('a ledger node may stand behind a relay, and a site may be one', () => {
  const text = changed(
    'witnesses: [http://127.0.0.1:26658]',
    'witnesses: ["mqtt:relay-1"]\n  relay_as: maple\n  stale_after: 30s',
  )
  const loaded = loadConfig(text, 'site.yaml')
  assert.ok(loaded.ok)
  if (!loaded.ok) return
  const { witnesses, relayAs, staleAfterMs } = loaded.value.ledger!
  assert.equal([witnesses, relayAs, staleAfterMs], [['mqtt:relay-1'], 'maple', 30_000])
})

test('what a site does more seldom at rest is one group, whole or absent', () => {
  const loaded = loadConfig(`${GOOD}rest: {look: 30s, line_meters: 2min}\n`, 'site.yaml')
  assert.equal(loaded.ok && loaded.value.rest, { lookMs: 30_000, lineMetersMs: 120_000 })
  const half = `${GOOD}rest: {look: 30s}\n`
  assert.match(faults(half).join(), /"line_meters" is missing in rest/)
})

const METERING_ONLY = `version: 1
site: elm
role: household
data: data
keys: {account: a.key, metering: m.key, sealing: s.key}
lines: {lan: {tcp: "meter.local:502"}}
meters: {grid: {line: lan, protocol: modbus-tcp, page: shelly-pro-3em, unit: 1}}
`

test('a site that only meters names neither a ledger nor brokers', () => {
  const loaded = loadConfig(METERING_ONLY, 'site.yaml')
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.faults.map(configLine).join('\n'))
  assert.is(loaded.ok && 'ledger' in loaded.value, false)
  assert.equal(loaded.ok && loaded.value.brokers, [])
})

test('whatever trades needs a ledger and brokers, and is named', () => {
  const without = GOOD.replace(/^ledger:\n(?: .*\n)+/m, '').replace(/^brokers:.*\n/m, '')
  const found = faults(without)
  assert.match(found.join('\n'), /direct_lines needs a ledger section/)
  assert.match(found.join('\n'), /direct_lines needs brokers/)
  assert.match(faults(`${METERING_ONLY}mint: true\n`).join('\n'), /mint needs a ledger section/)
  assert.match(faults(`${METERING_ONLY}mqtt: {}\n`).join('\n'), /mqtt names no broker/)
  assert.equal(faults(`${METERING_ONLY}mqtt: {brokers: ["mqtt://127.0.0.1:1883"]}\n`), [])
})

test('certificates go with brokers that are reached over TLS, and a certificate with its key', () => {
  const tls = 'broker_tls: {ca: ca.crt, cert: elm.crt, key: elm.key}\n'
  const loaded = loadConfig(`${METERING_ONLY}brokers: ["mqtts://hub:8883"]\n${tls}`, 'site.yaml')
  assert.equal(loaded.ok && loaded.value.brokerTls, { ca: 'ca.crt', cert: 'elm.crt', key: 'elm.key' })
  assert.match(faults(`${METERING_ONLY}brokers: ["mqtt://hub"]\n${tls}`).join(), /is for brokers whose address/)
  const half = `${METERING_ONLY}brokers: ["mqtts://hub"]\nbroker_tls: {cert: elm.crt}\n`
  assert.match(faults(half).join(), /names a cert and its key, or neither/)
})

test('the journal is kept for 400 days and up to 4 GB, or as long and as large as is said', () => {
  const journalOf = (text: string) => {
    const loaded = loadConfig(text, 'site.yaml')
    return loaded.ok && loaded.value.journal
  }
  assert.equal(journalOf(GOOD), { keepMs: 400 * 86_400_000, bytes: 4_000_000_000 })
  const said = journalOf(`${GOOD}journal: {keep: 90d, size: 500MB}\n`)
  assert.equal(said, { keepMs: 90 * 86_400_000, bytes: 500_000_000 })
  assert.match(faults(`${GOOD}journal: {size: 1MB}\n`).join(), /must be a size from 50MB, as in 4GB, not "1MB"/)
  assert.match(faults(`${GOOD}journal: {keep: 1h}\n`).join(), /must be a duration from 1d to 36500d/)
})

test('a misspelt key is named with its place and the key that was meant', () => {
  assert.equal(faults(changed('baud: 19200', 'buad: 19200')), [
    'site.yaml:17:33: unknown key "buad" (did you mean "baud"?)',
  ])
})

test('every unknown key is named at once, also two in one group and one of a chosen form', () => {
  const text = changed('timed: 1s', 'timed: 1s, tmied: 2s, foo: 1').replace('slot:', 'slots: 5\n  slot:')
  const found = faults(text)
  assert.is(found.length, 3, found.join('\n'))
  assert.ok(found[0]!.includes('unknown key "tmied" (did you mean "timed"?)'), found[0])
  assert.ok(
    found[1]!.includes('unknown key "foo" (known here: driver, line, unit, board, timed, allow_unsupervised)'),
    found[1],
  )
  assert.ok(found[2]!.includes('unknown key "slots" (did you mean "slot"?)'), found[2])
})

test('a missing setting is named where it should have been', () => {
  assert.equal(faults(changed('  slot: 120s\n', '')), ['site.yaml:35:1: "slot" is missing in trade'])
})

for (const [from, to, says] of [
  ['limit: 16A', 'limit: 16', 'must be a current, as in 16A, not "16"'],
  ['every: 500ms', 'every: 5', 'must be a duration from 100ms to 15min'],
  ['reserve: 0.10', 'reserve: 1e-1', 'must be a price for one kWh'],
  ['reserve: 0.10', 'reserve: 0.0000001', 'must be a price'],
  ['reserve: 0.10', 'reserve: -0.10', 'must be a price'],
  ['energy: 2kWh', 'energy: 0kWh', 'must be an energy above 0'],
  ['version: 1', 'version: 2', 'version is 2: this program reads versions up to 1 (run a newer program)'],
  ['version: 1', 'version: one', 'must be 1'],
  ['baud: 19200', 'baud: 19201', 'must be one of 300'],
  ['role: household', 'role: houshold', 'must be one of household, charger, storage'],
  [
    'protocol: modbus-tcp',
    'protocol: modbus',
    'must be one of modbus-rtu, modbus-ascii, modbus-tcp, sunspec, iec62056, mbus, sml, dsmr, dlms, dlms-raw',
  ],
  ['brokers: [mqtt:', 'brokers: [http:', 'must be an address such as mqtt:'],
  ['unit: 20', 'unit: 0', 'must be a Modbus unit'],
  ['data: /var/lib/tieline', 'data:', 'must be a path'],
  ['lan: {tcp: meter.local:502}', 'lan: /dev/ttyUSB1', 'must be a group of settings'],
  ['lan: {tcp: meter.local:502}', 'lan: {tcp: a:1, serial: /dev/x}', 'must have either serial'],
  [`hash: ${KEY}`, `hash: ${KEY.slice(1)}`, 'must be a header hash'],
] as const) {
  test(`${to} is refused where it stands`, () => {
    const text = changed(from, to)
    const found = faults(text)
    assert.is(found.length, 1, found.join('\n'))
    // The value begins after the last `: ` (and bracket) of what was planted; an empty value is placed where it is missing.
    const at = GOOD.indexOf(from) + (/^\w+: \[?(?=.)/.exec(to)?.[0].length ?? to.length)
    const line = text.slice(0, at).split('\n').length
    const column = at - text.lastIndexOf('\n', at - 1)
    assert.ok(found[0]!.startsWith(`site.yaml:${line}:${column}: `), `${line}:${column} expected: ${found[0]}`)
    assert.ok(found[0]!.includes(says), found[0])
  })
}

for (const [from, to, says] of [
  ['meter: L1\n', 'meter: L2\n', 'names the meter "L2", which is not defined (did you mean "L1"?)'],
  ['peer: cedar', 'peer: ceder', 'names the peer "ceder", which is not defined (did you mean "cedar"?)'],
  ['line: board.1,', 'line: bord.1,', 'names the relay bank "bord", which is not defined (did you mean "board"?)'],
  ['driver: modbus-coils, line: rs485', 'driver: modbus-coils, line: rs48', 'names the line "rs48"'],
  ['grid: {line: rs485', 'grid: {line: office', 'names the line "office", which is not defined (defined: rs485, lan)'],
  ['side: seller', 'side: buyer', 'trade.buy sets no limit price'],
  ['upstream: board.2', 'upstream: board.1', 'is already the contact of L1 (line)'],
  ['unit: 20', 'unit: 2', 'is also the unit of meters.L1 on "rs485"'],
  [
    'role: household',
    'role: household\nclock: {origin_wall_ms: 0, origin_virtual_ms: 0, speed: 10}',
    'is for a bench only',
  ],
  ['witnesses: [http://127.0.0.1:26658]', 'witnesses: [http://127.0.0.1:26657]', 'names the primary again'],
  ['witnesses: [http://127.0.0.1:26658]', 'witnesses: ["http://LocalHost.:26657/"]', 'is the primary by another name'],
  ['witnesses: [http://127.0.0.1:26658]', 'witnesses: ["http://[::1]:26657"]', 'is the primary by another name'],
  [
    'witnesses: [http://127.0.0.1:26658]',
    'witnesses: ["https://hub", "https://HUB:443/"]',
    'is witness 1 by another name',
  ],
  ['witnesses: [http://127.0.0.1:26658]', 'witnesses: ["mqtt:Relay 1"]', 'or a relay such as mqtt:relay-1'],
  ['witnesses: [http://127.0.0.1:26658]', 'witnesses: []\n  stale_after: 4s', 'is not above ledger.follow'],
  ['witnesses: [http://127.0.0.1:26658]', 'witnesses: ["mqtt:north"]\n  relay_as: north', 'a relay cannot ask itself'],
  ['voltage_min: 207V', 'voltage_min: 260V', 'is not below voltage_max'],
  ['protocol: modbus-rtu, page: eastron-sdm630', 'protocol: modbus-tcp, page: eastron-sdm630', 'a serial line'],
  [
    'page: eastron-sdm630',
    'page: eastron-sdm360',
    'names the page "eastron-sdm360", which is not defined (did you mean "eastron-sdm',
  ],
  [
    'protocol: modbus-rtu, page: eastron-sdm630',
    'protocol: modbus-ascii, page: eastron-sdm630',
    'all on one line are framed alike',
  ],
  [
    'solar: {line: lan, protocol: modbus-tcp',
    'solar: {line: rs485, protocol: modbus-rtv',
    'did you mean "modbus-rtu"?',
  ],
  [
    'solar: {line: lan, protocol: modbus-tcp, page: shelly-pro-3em, unit: 240}',
    'solar: {line: lan, protocol: modbus-tcp, page: shelly-pro-3em, unit: 240}\n  pv: {line: lan, protocol: sunspec, unit: 2, framing: rtu}',
    'differs from that of solar on "lan"',
  ],
  [
    'protocol: modbus-rtu, page: eastron-sdm630, unit: 1',
    'protocol: sunspec, unit: 1, framing: tcp',
    'is tcp, but "rs485" is a serial line',
  ],
  [
    'solar: {line: lan, protocol: modbus-tcp, page: shelly-pro-3em, unit: 240}',
    'solar: {line: lan, protocol: sunspec, unit: 240, nth: 0}',
    'must be a whole number from 1 to 99, not "0"',
  ],
  [
    'solar: {line: lan, protocol: modbus-tcp, page: shelly-pro-3em, unit: 240}',
    'solar: {line: lan, protocol: iec62056, mode: pushed, address: "1"}',
    'is for a meter that is asked (leave it out, or mode: pushed)',
  ],
  ['protocol: modbus-rtu, page: eastron-sdm630, unit: 1', 'protocol: dlms', 'Modbus slaves can share a line'],
  ['tcp: meter.local:502', 'tcp: meter.local:502, rs485: rts-low', 'is for serial'],
  ['protocol: modbus-rtu, page: eastron-sdm630, unit: 1', 'protocol: sml, key_file: a', 'unknown key "key_file"'],
  ['sell: {reserve: 0.10, opening: 0.24}', 'buy: {limit: 0.2, opening: 0.3}', 'is above the limit'],
] as const) {
  test(`${to.split('\n').at(-1)} is refused: ${says}`, () => {
    const found = faults(changed(from, to))
    assert.ok(
      found.some(line => line.includes(says) && /^site\.yaml:\d+:\d+: /.test(line)),
      found.join('\n'),
    )
  })
}

test('what meters may speak becomes what the agent opens', () => {
  const text = changed(
    'lines:\n',
    'lines:\n  bus: {serial: /dev/ttyUSB3, baud: 2400, format: 8E1}\n  eye: {serial: /dev/serial/by-id/usb-A-if00, rs485: rts-high}\n  head: {serial: /dev/h, format: 8N1}\n  din: {serial: /dev/d}\n',
  ).replace(
    'meters:\n',
    'meters:\n  main: {line: eye, protocol: dlms, key_file: main.key, auth_key_file: main.gak}\n  heat: {line: bus, protocol: mbus, address: 1234567f}\n  water: {line: bus, protocol: mbus, address: 3}\n  sun: {line: lan, protocol: sunspec, unit: 126, model: battery, positive: export, nth: 2, max_registers: 40, framing: tcp}\n  lamp: {line: head, protocol: iec62056, address: "0 12"}\n  cellar: {line: din, protocol: iec62056, mode: pushed}\n',
  )
  const loaded = loadConfig(text, 'site.yaml')
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.faults.map(configLine).join('\n'))
  if (!loaded.ok) return
  const { lines, meters } = loaded.value
  assert.equal(lines['eye'], {
    kind: 'serial',
    path: '/dev/serial/by-id/usb-A-if00',
    // As DLMS is pushed over an M-Bus adapter, because nothing is said.
    baud: 2400,
    format: '8N1',
    rs485: 'rts-high',
  })
  assert.equal(meters['main'], {
    protocol: 'dlms',
    line: 'eye',
    everyMs: 1000,
    keyFile: 'main.key',
    authKeyFile: 'main.gak',
  })
  assert.equal(meters['heat'], { protocol: 'mbus', line: 'bus', address: { id: '1234567F' }, everyMs: 1000 })
  assert.equal(meters['sun'], {
    protocol: 'sunspec',
    line: 'lan',
    unit: 126,
    model: 'battery',
    positive: 'export',
    nth: 2,
    maxRegisters: 40,
    framing: 'tcp',
    everyMs: 1000,
  })
  assert.equal(meters['lamp'], { protocol: 'iec62056', line: 'head', address: '0 12', everyMs: 1000 })
  assert.equal(meters['cellar'], { protocol: 'iec62056', line: 'din', mode: 'pushed', everyMs: 1000 })
  assert.equal(lines['head'], { kind: 'serial', path: '/dev/h', baud: 300, format: '8N1' })
  assert.equal(lines['din'], { kind: 'serial', path: '/dev/d', baud: 2400, format: '7E1' })
})

test('the framing of a line is that of its pages, else what is usual on a line of its kind', () => {
  const tcp = { kind: 'tcp', host: 'a', port: 1 } as const
  const serial = { kind: 'serial', path: 'a', baud: 9600, format: '8N1' } as const
  const meter = (protocol: 'modbus-rtu' | 'modbus-ascii') => ({ protocol, line: 'l', page: 'p', unit: 1, everyMs: 1 })
  assert.is(framingOf(tcp, [meter('modbus-rtu')]), 'rtu')
  assert.is(framingOf(tcp, []), 'tcp')
  assert.is(
    framingOf(serial, [{ protocol: 'sunspec', line: 'l', unit: 2, model: 'meter', everyMs: 1 }, meter('modbus-ascii')]),
    'ascii',
  )
  assert.is(framingOf(serial, []), 'rtu')
})

test('keys from a seed and a scaled clock are for a bench that says so', () => {
  const text = GOOD.replace(/keys:\n( {2}.*\n){3}/, `keys: {seed: ${KEY}}\n`)
  assert.ok(faults(text)[0]?.includes('is for a bench only'), faults(text).join('\n'))
  const bench = `${text}bench: true\nclock: {origin_wall_ms: 1, origin_virtual_ms: 2, speed: 10}\n`
  assert.equal(faults(bench), [])
})

test('a mistake in the YAML itself has its place; nothing else is claimed about the file', () => {
  assert.equal(faults('site: maple\nsite: cedar\n'), [
    'site.yaml:2:1: "site" stands here twice: map keys must be unique',
  ])
  assert.is(faults('a: [1, 2\n').length, 1)
  assert.ok(faults(changed('site: maple', 'site: &m maple').replace('role: household', 'role: *m'))[0]?.includes('4:7'))
  assert.ok(faults('__proto__: {a: 1}\n')[0]?.includes('__proto__ cannot be a name'))
  assert.ok(faults('').length > 0)
})

test('a list where a group of settings belongs is named as that, at any depth', () => {
  // `keys: - account: ...` once never came to an end.
  assert.equal(faults(changed('keys:\n  account', 'keys:\n- account')), [
    'site.yaml:7:1: keys must be a group of settings, each on its own line as key: value',
  ])
  assert.equal(faults(changed('direct_lines:\n  - id', 'direct_lines:\n- - id')), [
    'site.yaml:26:3: direct_lines[0] must be a group of settings, each on its own line as key: value',
  ])
  for (const key of ['lines', 'peers', 'safety', 'page', 'trade'])
    assert.ok(
      faults(`version: 1\n${key}: []\n`).some(it => it.includes(`${key} must be a group of settings`)),
      key,
    )
})

test('no change of one byte in a good file makes it throw', () => {
  assertProperty(
    fc.property(fc.nat(GOOD.length - 1), fc.constantFrom(...' \t\n:{}[],#&*!|>\'"%@-0aZ\u0000\u00e9'), (at, char) => {
      const loaded = loadConfig(GOOD.slice(0, at) + char + GOOD.slice(at + 1), 'site.yaml')
      if (loaded.ok) return
      for (const fault of loaded.faults) assert.ok(fault.line >= 1 && fault.column >= 1 && fault.what.length > 0)
    }),
    150,
  )
})

test.run()
