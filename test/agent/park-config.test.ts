import { loadConfig } from '../../agent/config/load.ts'
import { configLine } from '../../agent/config/read-form.ts'
import type { SiteConfig } from '../../agent/config/site-config.ts'
import { assert, suite } from '../harness.ts'
import { smallSite } from './small-site.ts'

const HEX = 'ab'.repeat(32)
const BASE = smallSite(`{seed: ${HEX}}`).replace('data: data', 'bench: true\ndata: data')
const PEERS = `peers: {garage: {account: ${HEX}, sealing: ${HEX}, metering: ${HEX}}}\n`
const GRID = 'grid: {meter: grid, node: garage, source: battery}\n'
const BATTERY = 'battery: {capacity: 50kWh, stored: 20kWh, reserve: 5kWh}\n'
const CAR = 'park_car: {station: garage, power: 11kW, willingness: 0.50, leave_with: 30kWh}\n'
const GIVER = 'park_car: {station: garage, power: 11kW, cost: 0.10, wear: 0.05}\n'
const STATION = 'car_park: {connection: 20kW, price: 0.30, rise: 0.01}\n'

const faults = (text: string): string[] => {
  const loaded = loadConfig(text, 'site.yaml')
  return loaded.ok ? [] : loaded.faults.map(fault => configLine(fault).replace(/^site\.yaml:\d+:\d+: /, ''))
}
function read(text: string): SiteConfig {
  const loaded = loadConfig(text, 'site.yaml')
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.faults.map(configLine).join('\n'))
  return (loaded as { value: SiteConfig }).value
}

const test = suite('car park config')

test('a car is read in base units, what it leaves out filled in', () => {
  const { battery, parkCar, carPark } = read(BASE + PEERS + GRID + BATTERY + CAR)
  assert.equal(battery, {
    ...{ capacity: 50_000n, stored: 20_000n, reserve: 5_000n },
    ...{ chargePermille: 950, dischargePermille: 950 },
  })
  assert.equal(parkCar, {
    ...{ station: 'garage', power: 11_000_000, willingness: 500_000n, wear: 0n, leaveWith: 30_000n },
  })
  assert.is(carPark, undefined)
  assert.equal(read(BASE + PEERS + GRID + BATTERY + GIVER).parkCar, {
    ...{ station: 'garage', power: 11_000_000, cost: 100_000n, wear: 50_000n, leaveWith: 0n },
  })
})

test('so is a station; a site without the sections has none', () => {
  assert.equal(read(BASE + GRID + STATION).carPark, { connection: 20_000_000, price: 300_000n, rise: 10_000n })
  const { battery, carPark, parkCar } = read(BASE)
  assert.equal([battery, carPark, parkCar], [undefined, undefined, undefined])
})

test('what makes no sense is refused where it stands', () => {
  const wrong = (text: string, part: string) => {
    const all = faults(text).join('\n')
    assert.ok(all.includes(part), `${part} is not in: ${all}`)
  }
  wrong(BASE + PEERS + BATTERY + CAR, 'needs a grid section')
  wrong(BASE + STATION, 'needs a grid section')
  wrong(BASE + PEERS + GRID + CAR, 'needs a battery section')
  wrong(BASE + GRID + BATTERY + CAR, 'garage')
  wrong(BASE + PEERS + GRID + BATTERY + CAR + STATION, 'does not hold the auction')
  wrong(BASE + PEERS + GRID + BATTERY + CAR.replace('willingness: 0.50', 'wear: 0.10'), 'either willingness')
  wrong(BASE + PEERS + GRID + BATTERY + CAR.replace('leave_with', 'cost: 0.1, leave_with'), 'either willingness')
  wrong(BASE + PEERS + GRID + BATTERY + GIVER.replace('wear', 'leave_with: 1kWh, wear'), 'for a car that charges')
  wrong(BASE + BATTERY.replace('stored: 20kWh', 'stored: 60kWh'), 'more in it than its capacity')
  wrong(BASE + BATTERY.replace('reserve: 5kWh', 'reserve: 50kWh'), 'more in it than its capacity')
  wrong(BASE + BATTERY.replace('5kWh', '5kWh, discharge_efficiency: 0%'), 'above 0%')
  wrong(BASE + BATTERY.replace('stored: 20kWh, ', ''), 'stored')
})

test.run()
