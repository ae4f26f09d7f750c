/** Whom a buyer asks, of many peers. */
import { MOST_ASKED, whom } from '../../../agent/grid/whom.ts'
import { systemEntropy } from '../../../drivers/crypto/entropy.ts'
import { concat, utf8 } from '../../../protocol/bytes.ts'
import { sha256 } from '../../../protocol/crypto/hash.ts'
import { type Instant, instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { openRoom, price, WINDOW, wh } from './quote-room.ts'

const test = suite('whom a buyer asks')

const names = (count: number, prefix = 'peer') => Array.from({ length: count }, (_, n) => `${prefix}-${n}`)

/** The same bytes at every run. */
function drawing() {
  let drawn = 0
  return {
    bytes: (count: number) => sha256(concat(utf8('draw'), Uint8Array.of(drawn >> 8, drawn++ & 255))).slice(0, count),
  }
}

test('everybody, where there are no more than may be asked', () => {
  for (const count of [0, 1, MOST_ASKED]) assert.equal(whom(names(count), new Set(), systemEntropy), names(count))
})

test('never more than may be asked, nobody twice, whoever has offered before', () => {
  for (const count of [17, 50, 200]) {
    for (const sellers of [0, 1, 12, 13, 16, count]) {
      const peers = names(count)
      const asked = whom(peers, new Set(peers.slice(0, sellers)), systemEntropy)
      assert.is(asked.length, MOST_ASKED)
      assert.is(new Set(asked).size, MOST_ASKED)
      assert.ok(asked.every(name => peers.includes(name)))
      const known = asked.filter(name => peers.indexOf(name) < sellers).length
      // Four places are for others, as long as there are others.
      assert.is(known, Math.min(sellers, MOST_ASKED - Math.min(4, count - sellers)), `${sellers} of ${count}`)
    }
  }
})

test('who offers no longer, or is not a peer any more, takes nobody’s place', () => {
  const asked = whom(names(40), new Set(names(40, 'gone')), systemEntropy)
  assert.is(asked.length, MOST_ASKED)
  assert.ok(asked.every(name => name.startsWith('peer-')))
})

test('all are drawn about as often', () => {
  const entropy = drawing()
  const peers = names(40)
  const drawn = new Map(peers.map(name => [name, 0]))
  for (let round = 0; round < 2_000; round++)
    for (const name of whom(peers, new Set(), entropy)) drawn.set(name, drawn.get(name)! + 1)
  // 800 each, with a standard deviation of 22.
  for (const [name, count] of drawn) assert.ok(Math.abs(count - 800) < 110, `${name}: ${count}`)
})

test('a buyer among sixty asks sixteen, and those that offered again', () => {
  const sellers = Object.fromEntries(
    names(6, 'roof').map(name => [
      name,
      { left: 1_000, sell: { reserve: 100_000n as never, opening: 150_000n as never } },
    ]),
  )
  const idle = Object.fromEntries(names(54).map(name => [name, {}]))
  const buy = { limit: 300_000n as never, opening: 100_000n as never, least: wh(10) }
  const room = openRoom({ ash: { buy }, ...sellers, ...idle })
  room.distributor = (_, { id, end }) => ({ kind: 'fee-offer', id, price: price(0.01), until: end })
  const rounds: Set<string>[] = []
  for (let round = 0; round < 12; round++) {
    const before = room.letters.length
    const [start, end] = [WINDOW.start, WINDOW.end].map(at => instant(at + round * 900_000)) as [Instant, Instant]
    room.of('ash').asking.ask({ start, end }, wh(10))
    const asked = room.letters.slice(before).filter(({ body }) => body.kind === 'want')
    assert.is(asked.length, MOST_ASKED)
    assert.equal(
      room
        .of('ash')
        .asking.open()
        .map(({ asked }) => asked),
      [MOST_ASKED],
    )
    rounds.push(new Set(asked.map(({ to }) => to)))
    room.deliver()
    room.advance(900_000)
  }
  const known = (round: ReadonlySet<string>) => [...round].filter(name => name.startsWith('roof')).length
  for (const [at, round] of rounds.entries()) if (at > 0) assert.ok(known(round) >= known(rounds[at - 1]!))
  assert.is(known(rounds.at(-1)!), 6, 'all six are found')
})

test.run()
