/** Fuses and chargers in config.yaml. */
import { loadConfig } from '../../agent/config/load.ts'
import { configLine } from '../../agent/config/read-form.ts'
import type { SiteConfig } from '../../agent/config/site-config.ts'
import { assert, suite } from '../harness.ts'
import { smallSite } from './small-site.ts'

const HEX = 'ab'.repeat(32)
const BASE = smallSite(`{seed: ${HEX}}`).replace('data: data', 'bench: true\ndata: data')
const FUSES = `fuses:
  connection: {rating: 25A, meter: grid}
  garage: {rating: 20A/20A/16A, under: connection, others: 2A}
`
const CHARGERS = `chargers:
  left: {controller: amperfied, line: bus, unit: 11, most: 16A, phases: L2 L3 L1, fuse: garage, failsafe: 6A, watchdog: 15s}
  right: {controller: evse-wb, line: bus, unit: 12, most: 16A, phases: L1, fuse: connection, allow_unsupervised: true,
    power_on: 6A, priority: 3, mode: surplus}
`
const line = /lines: \{(\w+):/.exec(BASE)?.[1] ?? /lines:\n {2}(\w+):/.exec(BASE)?.[1] ?? ''
const WHOLE = BASE + FUSES + CHARGERS.replaceAll('line: bus', `line: ${line}`)

const faults = (text: string): string[] => {
  const loaded = loadConfig(text, 'site.yaml')
  return loaded.ok ? [] : loaded.faults.map(fault => configLine(fault))
}
function read(text: string): SiteConfig {
  const loaded = loadConfig(text, 'site.yaml')
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.faults.map(fault => configLine(fault)).join('\n'))
  return (loaded as { value: SiteConfig }).value
}
/** Every fault says where it stands. */
function complaint(from: string, to: string): string {
  assert.ok(WHOLE.includes(from), `nothing to change: ${from}`)
  const [first, ...more] = faults(WHOLE.replace(from, to))
  assert.equal(more, [])
  assert.match(first ?? '', /^site\.yaml:\d+:\d+: /)
  return (first ?? '').replace(/^site\.yaml:\d+:\d+: /, '')
}

const test = suite('charging config')

test('fuses and chargers are read in base units, defaults filled in; without them there is nothing', () => {
  assert.is(read(BASE).charging, undefined)
  const { fuses, chargers } = read(WHOLE).charging!
  assert.equal(fuses, {
    connection: { ratingMa: [25_000, 25_000, 25_000], othersMa: [0, 0, 0], meter: 'grid' },
    garage: { ratingMa: [20_000, 20_000, 16_000], othersMa: [2000, 2000, 2000], under: 'connection' },
  } as never)
  assert.equal(chargers['left'], {
    ...{ controller: 'amperfied', line, unit: 11, mostMa: 16_000, conductors: [1, 2, 0], fuse: 'garage', priority: 0 },
    ...{ mode: 'full', failsafeMa: 6000, powerOnMa: 16_000, watchdogMs: 15_000, allowUnsupervised: false },
  } as never)
  assert.equal(chargers['right'], {
    ...{ controller: 'evse-wb', line, unit: 12, mostMa: 16_000, conductors: [0], fuse: 'connection', priority: 3 },
    ...{ mode: 'surplus', failsafeMa: 0, powerOnMa: 6000, allowUnsupervised: true },
  } as never)
})

test('what does not fit together is refused with its place and the reason', () => {
  assert.match(complaint('fuse: garage', 'fuse: garden'), /^chargers\.left\.fuse names the fuse "garden", which is not/)
  assert.match(complaint(', fuse: garage', ''), /^"fuse" is missing in chargers\.left/)
  assert.match(complaint('under: connection', 'under: cellar'), /^fuses\.garage\.under names the fuse "cellar"/)
  assert.match(complaint('meter: grid', 'meter: greed'), /^fuses\.connection\.meter names the meter "greed"/)
  assert.match(complaint('unit: 12', 'unit: 11'), /^chargers\.right\.unit is also the unit of chargers\.left/)
  assert.match(complaint('unit: 12', 'unit: 1'), /^chargers\.right\.unit is also the unit of meters\.grid/)
  assert.match(complaint('most: 16A, phases: L2', 'most: 20A, phases: L2'), /^chargers\.left\.most is above .* on L3/)
  assert.match(complaint('phases: L1', 'phases: L1 L1 L2'), /^chargers\.right\.phases must be the site/)
  assert.match(complaint('most: 16A, phases: L1', 'most: 5A, phases: L1'), /^chargers\.right has a most below 6 A/)
  assert.match(complaint('failsafe: 6A', 'failsafe: 3A'), /^chargers\.left has a failsafe between 0 and 6 A/)
  assert.match(complaint(' allow_unsupervised: true,', ''), /^chargers\.right keeps its limit when the agent dies/)
  assert.match(complaint('unit: 12, ', ''), /^chargers\.right needs a unit on Modbus/)
  assert.match(complaint('mode: surplus', 'mode: deal'), /^chargers\.right\.mode is deal, but the site has no grid/)
  assert.match(complaint('others: 2A', 'others: 0A/0A/17A'), /^fuses\.garage\.others is above its own rating/)
  assert.match(complaint('rating: 20A/20A/16A', 'rating: 20A/20A'), /^fuses\.garage\.rating must be a current/)
  assert.match(complaint('others: 2A', 'others: 11A'), /^fuses\.garage\.rating is below the failsafe currents .* on L3/)
})

test('cars are counted by a meter of their charger alone, at a tariff, under a key for OCMF', () => {
  const counted = WHOLE.replace(`{seed: ${HEX}}`, '{account: a, metering: m, sealing: s, ocmf: o}')
    .replace('meters: {', 'meters: {car: {line: lan, protocol: modbus-tcp, page: shelly-pro-3em, unit: 3}, ')
    .replace('fuse: garage,', 'fuse: garage, meter: car, tariff: 0.39,')
  assert.equal(read(counted).charging!.chargers['left']!.counts, { meter: 'car', tariff: 390_000n } as never)
  const complaints = (from: string, to: string) => {
    assert.ok(counted.includes(from), `nothing to change: ${from}`)
    return faults(counted.replace(from, to)).map(fault => fault.replace(/^site\.yaml:\d+:\d+: /, ''))
  }
  for (const [from, to, complaint] of [
    [', ocmf: o', '', /^chargers\.left\.meter needs keys\.ocmf, which signs its sessions/],
    [', tariff: 0.39', '', /^chargers\.left names a meter and the tariff by which it counts, or neither/],
    ['meter: car, ', '', /^chargers\.left names a meter and the tariff/],
    ['tariff: 0.39', 'tariff: free', /^chargers\.left\.tariff must be a price/],
    ['meter: car', 'meter: cat', /^chargers\.left\.meter names the meter "cat", which is not defined/],
    ['meter: car', 'meter: grid', /^chargers\.left\.meter is also the meter of the fuse connection, which feeds more/],
    [
      'fuse: connection, allow',
      'fuse: connection, meter: car, tariff: 0.3, allow',
      /^chargers\.right\.meter is also .* left/,
    ],
  ] as const) {
    const [first, ...more] = complaints(from, to)
    assert.match(first ?? '', complaint)
    assert.equal(more, [])
  }
})

test('an EVerest station is named by its own broker and the ids of its modules', () => {
  const station = (modules: string) =>
    `{controller: everest, ${modules}, most: 16A, phases: L1 L2 L3, fuse: connection}`
  const yard = '  yard: '
  const place = 'broker: mqtt://station:1883, evse: evse_api, limits: limits_api'
  const { line: none, unit, ...rest } = read(`${WHOLE}${yard}${station(place)}\n`).charging!.chargers['yard']!
  assert.equal([none, unit, rest.station], [
    undefined,
    undefined,
    { broker: 'mqtt://station:1883', evse: 'evse_api', limits: 'limits_api' },
  ] as never)
  for (const [chargers, complaint] of [
    [
      station('broker: mqtt://station:1883, evse: evse_api'),
      /^chargers\.yard needs broker, evse and limits with everest/,
    ],
    [station(`${place}, line: ${line}`), /^chargers\.yard needs the line of its controller; everest alone has none/],
    [station(`${place}, unit: 4`), /^chargers\.yard needs a unit on Modbus/],
    [station(place.replace('evse_api', 'evse/+')), /^chargers\.yard\.evse must be a module's id/],
    [station(place.replace('mqtt:', 'http:')), /^chargers\.yard\.broker must be an address such as mqtt/],
    [
      station(place.replace('station:1883', '127.0.0.1:9')),
      /^chargers\.yard\.broker is one of the site, where others publish/,
    ],
    [
      `${station(place)}\n  garden: ${station(place.replace('evse_api', 'other'))}`,
      /^chargers\.garden\.limits is also that of yard/,
    ],
  ] as const) {
    const [first, ...more] = faults(`${WHOLE}${yard}${chargers}\n`)
    assert.match((first ?? '').replace(/^site\.yaml:\d+:\d+: /, ''), complaint)
    assert.equal(more, [])
  }
  assert.match(
    complaint('unit: 12, ', `unit: 12, ${place}, `),
    /^chargers\.right needs broker, evse and limits with everest/,
  )
  assert.match(complaint('line: lan, unit: 12', 'unit: 12'), /^chargers\.right needs the line of its controller/)
})

test('a fallback that the controller does not have is refused before anything is opened', () => {
  const right = (more: string) => complaint('allow_unsupervised: true,', `allow_unsupervised: true, ${more},`)
  assert.match(right('failsafe: 6A'), /^chargers\.right has a failsafe that its controller does not know/)
  assert.match(right('watchdog: 15s'), /^chargers\.right has a watchdog that its controller does not have/)
  const left = (to: string) => complaint('controller: amperfied', `controller: ${to}`)
  assert.match(left('abb-terra'), /^chargers\.left has a failsafe that its controller does not know/)
  const own = 'line: own, most: 16A, fuse: garage'
  const openevse = (more: string) =>
    faults(
      `${WHOLE.replace('lines: {', 'lines: {own: {serial: /dev/own}, ')}  alone: {controller: openevse, ${own}${more}}\n`,
    )
  assert.match(openevse('')[0] ?? '', /chargers\.alone needs a failsafe: its controller falls back to 6 A or more$/)
  assert.not.match(openevse(', failsafe: 6A').join(), /needs a failsafe/)
})

test('a tree of fuses that leads back to itself is refused', () => {
  const text = WHOLE.replace('rating: 25A, meter: grid', 'rating: 25A, meter: grid, under: garage')
  const found = faults(text)
  assert.equal(found.length, 2)
  for (const fault of found) assert.match(fault, /fuses\.\w+\.under leads back to itself/)
})

test('a meter that is read too seldom guards no fuse', () => {
  const slow = WHOLE.replace(/(grid: \{[^}]*)\}/, '$1, every: 5s}')
  assert.match(faults(slow)[0] ?? '', /fuses\.connection\.meter reads grid every 5000 ms/)
})

test.run()
