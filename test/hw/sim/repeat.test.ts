import { runSeed } from '../../../hw/sim/run-seed.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('a simulated street repeats itself')

const run = async (seed: number) => {
  const lines: string[] = []
  const { hash, events } = await runSeed({
    seed,
    homes: 5,
    virtualMs: 170_000,
    faults: 'random',
    listen: line => lines.push(line),
  })
  return { hash, events, lines }
}

test('one seed gives one transcript, line by line, and another seed another', async () => {
  const [first, second, other] = [await run(3), await run(3), await run(4)]
  const differs = first.lines.findIndex((line, at) => line !== second.lines[at])
  assert.is(differs, -1, `line ${differs}: ${first.lines[differs]} and then ${second.lines[differs]}`)
  assert.is(first.hash, second.hash)
  assert.is(first.events, second.events)
  assert.is.not(first.hash, other.hash)
}, 90_000)

test('the transcript holds messages, transactions, blocks, readings and contacts', async () => {
  const { lines } = await run(3)
  for (const kind of ['bus', 'tx', 'block', 'reading', 'contact', 'fault', 'heal']) {
    assert.ok(
      lines.some(line => line.split(' ')[1] === kind),
      kind,
    )
  }
}, 60_000)

test('more homes trade on the same street', async () => {
  const { result } = await runSeed({ seed: 2, homes: 9, virtualMs: 120_000 })
  assert.equal(result.problems, [])
  assert.is(result.sites, 9)
  assert.equal(
    Object.entries(result.settled_by_site).filter(([, wh]) => wh === 0),
    [],
  )
}, 90_000)

test('two calm hours, most of them at rest, settle at every site and sign no gap', async () => {
  const { result, events } = await runSeed({ seed: 7, homes: 5, virtualMs: 7_200_000, calm: true })
  assert.equal(result.problems, [])
  assert.is(result.readings.verified, result.readings.signed)
  assert.ok(events < 200 * 7_200, `${events} events are no rest`)
}, 90_000)

test.run()
