import {
  checkFee,
  createBookings,
  createFeeder,
  type FeederLine,
  feeOfPath,
  type Path,
  pathBetween,
} from '../../../protocol/market/feeder.ts'
import { microsPerKwh, wattHours } from '../../../protocol/quantity.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { assertProperty, fc } from '../../property.ts'
import { anyLines, feederOf, lineOf } from './feeder-street.ts'

/** grid - (east - (e1, e2), west - w1). */
const street = feederOf(
  lineOf('e1', 'east', 1000n, 1n),
  lineOf('e2', 'east', 1000n, 2n),
  lineOf('east', 'grid', 1500n, 10n),
  lineOf('grid', undefined, 9000n, 1000n),
  lineOf('west', 'grid', 1500n, 20n),
  lineOf('w1', 'west', 1000n, 4n),
)
const idsOf = ({ up, down }: Path) => [up, down].map(way => way.map(line => street.nodes[line]!.id))
const path = (from: string, to: string) => must(pathBetween(street, from, to))
const wh = (n: bigint) => wattHours(n)

const test = suite('feeder')

test('a path goes up to the lowest node above both ends, and down', () => {
  assert.equal(idsOf(path('e1', 'e2')), [['e1'], ['e2']])
  assert.equal(idsOf(path('e1', 'w1')), [
    ['e1', 'east'],
    ['w1', 'west'],
  ])
  assert.equal(idsOf(path('e1', 'east')), [['e1'], []])
  assert.equal(idsOf(path('grid', 'w1')), [[], ['w1', 'west']])
  assert.equal(idsOf(path('e1', 'e1')), [[], []])
})

test('its fee is the sum of its lines, by hand', () => {
  assert.is(feeOfPath(street, path('e1', 'w1')), 35n)
  assert.is(feeOfPath(street, path('w1', 'e1')), 35n)
  assert.is(feeOfPath(street, path('e2', 'e2')), 0n)
})

test('congestion and the loss share, rounded up, are part of the fee', () => {
  const line = { ...lineOf('a', 'root', 1n, 50n), congestion: microsPerKwh(7n), lossPermille: 31 }
  const feeder = must(createFeeder([line, lineOf('root', undefined, 1n, 0n)], microsPerKwh(101n)))
  // 101 * 31 / 1000 = 3.131
  assert.is(feeder.nodes[feeder.at.get('a')!]!.fee, 50n + 7n + 4n)
})

test('unknown nodes and nodes of two trees have no path', () => {
  const two = feederOf(lineOf('a', undefined, 1n, 0n), lineOf('b', undefined, 1n, 0n), lineOf('c', 'b', 1n, 0n))
  assert.equal(pathBetween(two, 'c', 'a'), { ok: false, fault: { code: 'feeder.apart', from: 'c', to: 'a' } })
  assert.equal(pathBetween(two, 'a', 'x'), { ok: false, fault: { code: 'feeder.unknown', line: 'x' } })
  assert.equal(pathBetween(two, 'x', 'a'), { ok: false, fault: { code: 'feeder.unknown', line: 'x' } })
})

test('a fee that is not the path’s is refused with both figures', () => {
  assert.ok(checkFee(street, 'e1', 'w1', microsPerKwh(35n)).ok)
  for (const fee of [34n, 36n, 0n]) {
    assert.equal(checkFee(street, 'e1', 'w1', microsPerKwh(fee)), {
      ok: false,
      fault: { code: 'feeder.fee', asked: fee, path: 35n },
    })
  }
  const nowhere = checkFee(street, 'e1', 'nowhere', microsPerKwh(35n))
  assert.is(nowhere.ok ? undefined : nowhere.fault.code, 'feeder.unknown')
})

test('lines that are no tree, or whose values make no sense, are refused', () => {
  const refused = (...lines: readonly FeederLine[]) => {
    const made = createFeeder(lines, microsPerKwh(0n))
    return made.ok ? 'made' : made.fault.code
  }
  const root = lineOf('root', undefined, 1n, 1n)
  assert.is(refused(root), 'made')
  assert.is(refused(root, root), 'feeder.twice')
  assert.is(refused(lineOf('a', 'nowhere', 1n, 1n)), 'feeder.unknown')
  assert.is(refused(root, lineOf('a', 'b', 1n, 1n), lineOf('b', 'a', 1n, 1n)), 'feeder.circle')
  assert.is(refused(lineOf('a', 'a', 1n, 1n)), 'feeder.circle')
  assert.is(refused({ ...root, capacity: wh(-1n) }), 'feeder.value')
  assert.is(refused({ ...root, tariff: microsPerKwh(-1n) }), 'feeder.value')
  assert.is(refused({ ...root, tariff: microsPerKwh(10n ** 9n + 1n) }), 'feeder.value')
  assert.is(refused({ ...root, congestion: microsPerKwh(-1n) }), 'feeder.value')
  assert.is(refused({ ...root, lossPermille: Number.NaN }), 'feeder.value')
  assert.is(refused({ ...root, lossPermille: 1000 }), 'feeder.value')
  const chain = Array.from({ length: 65 }, (_, n) => lineOf(`c${n}`, n === 0 ? undefined : `c${n - 1}`, 1n, 1n))
  assert.is(refused(...chain), 'feeder.depth')
  assert.is(refused(...chain.slice(0, 64)), 'made')
})

test('a path is the lines above one end and not above the other, on any tree', () => {
  assertProperty(
    fc.property(anyLines(20, 10n, 10n), fc.nat(), fc.nat(), (lines, a, b) => {
      const feeder = feederOf(...lines)
      const above = (id: string | undefined): string[] =>
        id === undefined ? [] : [id, ...above(lines.find(line => line.id === id)!.feeder)]
      const [from, to] = [lines[a % lines.length]!.id, lines[b % lines.length]!.id]
      const found = must(pathBetween(feeder, from, to))
      const ids = (way: readonly number[]) => way.map(line => feeder.nodes[line]!.id)
      assert.equal(
        ids(found.up),
        above(from).filter(id => !above(to).includes(id)),
      )
      assert.equal(
        ids(found.down),
        above(to).filter(id => !above(from).includes(id)),
      )
    }),
  )
})

test('a reservation takes its whole path or nothing', () => {
  const bookings = createBookings(street)
  const [up, down] = ['up', 'down'] as const
  const line = (id: string) => street.at.get(id)!
  assert.ok(bookings.take('a', path('e1', 'w1'), 5, wh(900n)).ok)
  assert.equal(bookings.take('b', path('e2', 'w1'), 5, wh(101n)), {
    ok: false,
    fault: {
      code: 'feeder.capacity',
      line: 'w1',
      direction: 'down',
      slot: 5,
      capacity: 1000n,
      reserved: 900n,
      asked: 101n,
    },
  })
  assert.is(bookings.free(line('e2'), 5, up), 1000n)
  assert.is(bookings.free(line('east'), 5, up), 600n)
  assert.is(bookings.free(line('east'), 5, down), 1500n)
  assert.is(bookings.free(line('east'), 6, up), 1500n)
  bookings.give('a')
  bookings.give('a')
  assert.is(bookings.free(line('east'), 5, up), 1500n)
})

test('nonsense and a second reservation of one name are refused', () => {
  const bookings = createBookings(street)
  assert.ok(bookings.take('a', path('e1', 'w1'), 5, wh(1n)).ok)
  const codes = [
    bookings.take('a', path('e1', 'w1'), 5, wh(1n)),
    bookings.take('b', path('e1', 'w1'), 5, wh(0n)),
    bookings.take('b', path('e1', 'w1'), 5, wh(-5n)),
  ].map(taken => (taken.ok ? 'taken' : taken.fault.code))
  assert.equal(codes, ['feeder.booked', 'feeder.quantity', 'feeder.quantity'])
})

test('a slot that is over is forgotten, and its reservation gives nothing back', () => {
  const bookings = createBookings(street)
  assert.ok(bookings.take('a', path('e1', 'w1'), 5, wh(1000n)).ok)
  bookings.forget(6)
  bookings.give('a')
  assert.is(bookings.free(street.at.get('e1')!, 5, 'up'), 1000n)
})

const anyTakes = fc.array(fc.tuple(fc.nat(), fc.nat(), fc.bigInt(1n, 12n), fc.boolean()), { maxLength: 30 })

test('whichever of the reserved deals are delivered, no line carries more than it can', () => {
  assertProperty(
    fc.property(anyLines(8, 20n, 1n), anyTakes, fc.array(fc.boolean(), { minLength: 30 }), (lines, takes, comes) => {
      const feeder = feederOf(...lines)
      const bookings = createBookings(feeder)
      const flow = feeder.nodes.map(() => 0n)
      for (const [n, [a, b, energy, stays]] of takes.entries()) {
        const way = must(pathBetween(feeder, `n${a % lines.length}`, `n${b % lines.length}`))
        if (!bookings.take(String(n), way, 1, wh(energy)).ok) continue
        if (!stays) bookings.give(String(n))
        else if (comes[n] === true) {
          for (const line of way.up) flow[line]! += energy
          for (const line of way.down) flow[line]! -= energy
        }
      }
      for (const [line, sum] of flow.entries()) assert.ok(abs(sum) <= feeder.nodes[line]!.capacity)
    }),
    300,
  )
})

test('opposite reservations that were set off against each other would overload a line when one falls through', () => {
  const bookings = createBookings(street)
  assert.ok(bookings.take('there', path('e1', 'grid'), 1, wh(1000n)).ok)
  assert.ok(bookings.take('back', path('grid', 'e1'), 1, wh(1000n)).ok)
  // Netted, 1,000 up and 1,000 down would leave room for 1,000 more; without `back` that is 2,000 on a line of 1,000.
  assert.not.ok(bookings.take('more', path('e1', 'grid'), 1, wh(1000n)).ok)
})

const abs = (n: bigint): bigint => (n < 0n ? -n : n)

test.run()
