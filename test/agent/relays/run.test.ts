import { instant } from '../../../protocol/time.ts'
import { assert, suite } from '../../harness.ts'
import { type EndName, failing, type LineBench, lineBench } from './line-bench.ts'

const test = suite('agent/relays')

const kinds = (bench: LineBench) => bench.violations.map(({ kind, place }) => `${kind} ${place}`)
const moved = (bench: LineBench, from = 0) => bench.moves.slice(from).map(move => move.what)
const SELLERS: readonly EndName[] = ['roof', 'home']

/** When each of these last moved to open, since the strike; undefined where it is still closed. */
function openedWithin(bench: LineBench, since: number, contacts: readonly string[]): number[] {
  return contacts.map(contact => {
    const move = bench.moves.findLast(({ what, at }) => what === `${contact} open` && at >= since)
    return move === undefined ? Number.POSITIVE_INFINITY : move.at - since
  })
}

test('at rest the circuit has its own supply and the line is open at both ends', async () => {
  const bench = await lineBench()
  await bench.pass(3000)
  assert.equal(moved(bench), ['own home closed'])
})

test('a start goes: own supply off, buyer closes, isolator, seller; and the line carries what the circuit draws', async () => {
  const bench = await lineBench()
  await bench.pass(3000)
  const from = bench.moves.length
  await bench.start('L1')
  assert.equal(moved(bench, from), ['own home open', 'buyer L1 closed', 'upstream L1 closed', 'seller L1 closed'])
  assert.is(bench.wires.lineMeter('L1', 'buyer').powerMw, 2_000_000)
  assert.equal(kinds(bench), [])
  const [dark, lit] = [bench.moves[from]!.at, bench.moves.at(-1)!.at]
  assert.ok(lit - dark < 6000, `the circuit was dark for ${lit - dark} ms`)
})

test('a stop goes: seller first, then the buyer without load, isolator once the line was seen dead, own supply again', async () => {
  const bench = await lineBench()
  await bench.start('L1')
  const from = bench.moves.length
  for (const name of SELLERS) bench.agents[name].control.wish('L1', 'de-energise')
  await bench.pass(5000)
  const order = moved(bench, from)
  assert.equal([...order].sort(), ['buyer L1 open', 'own home closed', 'seller L1 open', 'upstream L1 open'])
  assert.is(order[0], 'seller L1 open')
  assert.is(order[1], 'buyer L1 open')
  assert.equal(kinds(bench), [])
})

test('a buyer whose seller does not stop waits for two seconds and opens all the same', async () => {
  const bench = await lineBench()
  await bench.start('L1')
  const since = bench.time.clock.mono()
  bench.agents.home.control.wish('L1', 'de-energise')
  await bench.pass(5000)
  const [buyer, seller] = openedWithin(bench, since, ['buyer L1', 'seller L1'])
  assert.ok(buyer! >= 2000 && buyer! <= 2200, `${buyer}`)
  assert.ok(seller! - buyer! <= 500, `the seller followed after ${seller! - buyer!} ms`)
})

interface Strike {
  readonly what: string
  readonly strike: (bench: LineBench) => void
  readonly code: string
  readonly end: EndName
}

const STRIKES: readonly Strike[] = [
  {
    what: 'the deal is gone',
    end: 'roof',
    code: 'permit.no-deal',
    strike: b => (b.told('roof', 'L1').deal = undefined),
  },
  {
    what: 'the proof is gone',
    end: 'home',
    code: 'permit.payment-unproven',
    strike: b => (b.told('home', 'L1').paid = false),
  },
  {
    what: 'the light client halts',
    end: 'home',
    code: 'permit.light',
    strike: b => (b.told('home', 'L1').light = 'halted'),
  },
  {
    what: 'the seller falls silent',
    end: 'home',
    code: 'permit.peer-heartbeat',
    strike: b => (b.told('roof', 'L1').talks = false),
  },
  {
    what: 'the buyer falls silent',
    end: 'roof',
    code: 'permit.peer-heartbeat',
    strike: b => (b.told('home', 'L1').talks = false),
  },
  {
    what: "the seller's meter is unplugged",
    end: 'roof',
    code: 'permit.reading',
    strike: b => (b.told('roof', 'L1').meterAnswers = false),
  },
  {
    what: "the buyer's meter is unplugged",
    end: 'home',
    code: 'permit.reading',
    strike: b => (b.told('home', 'L1').meterAnswers = false),
  },
  {
    what: 'the watchdog hungers',
    end: 'home',
    code: 'permit.watchdog',
    strike: b => (b.agents.home.watchdogFed = false),
  },
  {
    what: 'a person takes over',
    end: 'roof',
    code: 'permit.manual',
    strike: b => b.agents.roof.control.setManual(true),
  },
  { what: 'the circuit draws too much', end: 'home', code: 'permit.current', strike: b => b.setDemand(4_000_000) },
  {
    what: 'the voltage sags',
    end: 'home',
    code: 'permit.window',
    strike: b => b.wires.setSupply('roof', 190_000, 50_000),
  },
  {
    what: 'the frequency falls',
    end: 'roof',
    code: 'permit.window',
    strike: b => b.wires.setSupply('roof', 230_000, 47_000),
  },
  {
    what: 'the wall clock goes back ten years',
    end: 'roof',
    code: 'permit.not-started',
    strike: b => b.time.stepWall(-3.2e11),
  },
  {
    what: 'the wall clock goes forth ten years',
    end: 'roof',
    code: 'permit.expired',
    strike: b => b.time.stepWall(3.2e11),
  },
  {
    what: "the seller's relay board fails",
    end: 'roof',
    code: 'permit.not-seen-closed',
    strike: b => {
      for (const line of ['OUT0', 'AUX0']) b.agents.roof.bank.fail(line, { code: 'gpio.io' })
    },
  },
]

for (const { what, end, code, strike } of STRIKES) {
  test(`while power flows, ${what}: both ends open within their time and stay open`, async () => {
    const bench = await lineBench()
    await bench.start('L1')
    const since = bench.time.clock.mono()
    strike(bench)
    await bench.pass(8000)
    const took = openedWithin(bench, since, ['seller L1', 'buyer L1'])
    // Stale after 1.5 s, then 200 ms; a lost heartbeat or a limit on the meter is seen sooner.
    assert.ok(Math.min(...took) <= 2200, `the first end took ${Math.min(...took)} ms`)
    assert.ok(Math.max(...took) <= 2600, `the last end took ${Math.max(...took)} ms`)
    assert.equal([bench.position('seller', 'L1'), bench.position('upstream', 'L1')], ['open', 'open'])
    assert.equal([bench.position('buyer', 'L1')], ['open'])
    const tripped = bench.agents[end].events.flatMap(event => (event.kind === 'tripped' ? event.because : []))
    const codes = tripped.map(reason => reason.code)
    assert.ok(codes.includes(code), codes.join())
    assert.equal(kinds(bench), [])
  })
}

test('what opened by a fault does not close again when the fault is gone, until it is wished again', async () => {
  const bench = await lineBench()
  await bench.start('L1')
  bench.told('roof', 'L1').talks = false
  await bench.pass(3000)
  bench.told('roof', 'L1').talks = true
  await bench.pass(10_000)
  assert.is(bench.position('seller', 'L1'), 'open')
  await bench.start('L1')
  assert.is(bench.position('seller', 'L1'), 'closed')
  assert.equal(kinds(bench), [])
})

test('missing witnesses stop no running deal and let none start', async () => {
  const bench = await lineBench()
  await bench.start('L1')
  for (const name of SELLERS) bench.told(name, 'L1').light = 'no-witness'
  await bench.pass(120_000)
  assert.is(bench.position('seller', 'L1'), 'closed')
  bench.agents.roof.control.wish('L1', 'de-energise')
  await bench.pass(5000)
  await bench.start('L1').catch(() => {})
  assert.is(bench.position('seller', 'L1'), 'open')
})

test('openNow opens in the same moment, whatever the peer does and however long the journal takes', async () => {
  const bench = await lineBench()
  await bench.start('L1')
  bench.agents.home.intent = () => new Promise(() => {})
  bench.agents.home.control.openNow('L1', { code: 'trade.test' })
  assert.is(bench.position('buyer', 'L1'), 'open')
})

test('a closing waits for its record: without it the contact stays open', async () => {
  const bench = await lineBench()
  await bench.pass(2000)
  bench.agents.roof.intent = failing({ code: 'disk.full' })
  await assert.is(
    await bench.start('L1').then(
      () => 'started',
      () => 'refused',
    ),
    'refused',
  )
  assert.is(bench.position('upstream', 'L1'), 'open')
  assert.equal(kinds(bench), [])
})

test('a start that the seller never joins is given up and the circuit gets its own supply back', async () => {
  const bench = await lineBench()
  bench.told('roof', 'L1').deal = undefined
  await bench.start('L1').catch(() => {})
  bench.agents.roof.control.wish('L1', 'de-energise')
  await bench.pass(15_000)
  assert.ok(bench.agents.home.events.some(event => event.kind === 'tripped'))
  assert.equal([bench.position('buyer', 'L1'), bench.position('own', 'home')], ['open', 'closed'])
  assert.equal(kinds(bench), [])
})

test('a deal ends by its lease and by the wall clock, whichever is first', async () => {
  const bench = await lineBench()
  await bench.start('L1')
  const end = instant(bench.time.clock.now() + 5000)
  for (const name of SELLERS) bench.told(name, 'L1').deal = { id: 'L1', start: instant(0), end }
  // Half a minute back is within what a verified header allows: the wall clock alone would let it run on.
  await bench.pass(1000)
  bench.time.stepWall(-8000)
  await bench.pass(4200)
  assert.equal([bench.position('seller', 'L1'), bench.position('buyer', 'L1')], ['open', 'open'])
  const because = bench.agents.roof.events.flatMap(event => (event.kind === 'tripped' ? event.because : []))
  assert.ok(because.some(reason => reason.code === 'permit.lease-over' || reason.code === 'permit.peer-position'))
})

for (const auxiliary of [true, false]) {
  const eyes = auxiliary ? 'auxiliary inputs' : 'the line meter alone'
  test(`a welded seller contact is found by ${eyes}: the isolator and the other end open, and it is latched`, async () => {
    const bench = await lineBench({ auxiliary })
    await bench.start('L1')
    bench.weld('seller', 'L1')
    const since = bench.time.clock.mono()
    for (const name of SELLERS) bench.agents[name].control.openNow('L1', { code: 'trade.stop' })
    await bench.pass(3000)
    const [upstream, buyer] = openedWithin(bench, since, ['upstream L1', 'buyer L1'])
    assert.ok(upstream! <= 1500 && buyer! <= 200, `${upstream} and ${buyer} ms`)
    const weld = bench.agents.roof.events.find(event => event.kind === 'weld')
    assert.is(weld?.kind === 'weld' && weld.weld.contact, 'L1.line')
    assert.is(weld?.kind === 'weld' && weld.weld.sign.code, auxiliary ? 'weld.auxiliary' : 'weld.voltage')
    assert.equal(
      bench.agents.roof.kept.welds.map(({ contact }) => contact),
      ['L1.line'],
    )
    assert.equal(kinds(bench), [])

    // never again, until a person has been there
    await bench.start('L1').then(
      () => assert.unreachable('a welded line was started'),
      () => {},
    )
    assert.is(bench.position('upstream', 'L1'), 'open')
    bench.weld('seller', 'L1', false)
    bench.agents.roof.bank.drive('AUX0', 0)
    await bench.pass(1000)
    assert.ok((await bench.agents.roof.control.clearWeld('L1.line')).ok)
    assert.equal(bench.agents.roof.kept.welds, [])
    await bench.pass(10_000)
    await bench.start('L1')
    assert.is(bench.position('seller', 'L1'), 'closed')
  })
}

test('a weld that is cleared without having been mended is latched again as soon as it shows', async () => {
  const bench = await lineBench()
  await bench.start('L1')
  bench.weld('seller', 'L1')
  bench.agents.roof.control.wish('L1', 'de-energise')
  await bench.pass(3000)
  assert.ok((await bench.agents.roof.control.clearWeld('L1.line')).ok)
  await bench.pass(1000)
  assert.is(bench.agents.roof.control.view('L1')!.welds.length, 1)
})

test('a weld that was kept is latched again after a restart', async () => {
  const sign = { code: 'weld.voltage', contact: 'L1.line' } as const
  const bench = await lineBench({ welds: [{ contact: 'L1.line', at: instant(0), sign }] })
  await bench.start('L1').then(
    () => assert.unreachable('a welded line was started'),
    () => {},
  )
  assert.ok(bench.agents.roof.control.view('L1')!.because.some(({ code }) => code === 'permit.weld'))
})

test('a contact that welded while the line stood still is found before power flows: the isolator closes first', async () => {
  const bench = await lineBench({ auxiliary: false })
  await bench.start('L1')
  bench.weld('seller', 'L1')
  // The isolator opens without a reading that could have shown the weld.
  bench.told('roof', 'L1').meterAnswers = false
  for (const name of SELLERS) bench.agents[name].control.openNow('L1', { code: 'trade.stop' })
  await bench.pass(6000)
  bench.told('roof', 'L1').meterAnswers = true
  assert.equal([bench.position('seller', 'L1'), bench.position('upstream', 'L1')], ['closed', 'open'])
  await bench.pass(2000)
  await bench.start('L1').catch(() => {})
  await bench.pass(2000)
  assert.ok(bench.agents.roof.events.some(event => event.kind === 'weld'))
  assert.is(bench.position('upstream', 'L1'), 'open')
})

test('a welded buyer contact: with an auxiliary input the own supply stays off, by the meter it goes off again', async () => {
  for (const auxiliary of [true, false]) {
    const bench = await lineBench({ auxiliary })
    await bench.start('L1')
    bench.weld('buyer', 'L1')
    for (const name of SELLERS) bench.agents[name].control.wish('L1', 'de-energise')
    await bench.pass(8000)
    const weld = bench.agents.home.events.find(event => event.kind === 'weld')
    assert.is(weld?.kind === 'weld' && weld.weld.contact, 'L1.line', String(auxiliary))
    assert.is(bench.position('own', 'home'), 'open')
    // Without an auxiliary input only the backfed line gives it away.
    assert.equal(kinds(bench), auxiliary ? [] : ['backfeed L1'])
  }
})

test('two lines onto one circuit: the second waits until the first has ended', async () => {
  const bench = await lineBench()
  await bench.start('L1')
  await bench.start('L2').then(
    () => assert.unreachable('both lines are closed'),
    () => {},
  )
  assert.equal([bench.position('buyer', 'L2'), bench.position('seller', 'L2')], ['open', 'open'])
  for (const name of SELLERS) bench.agents[name].control.wish('L1', 'de-energise')
  await bench.pass(1000)
  await bench.start('L2')
  assert.equal([bench.position('seller', 'L1'), bench.position('seller', 'L2')], ['open', 'closed'])
  assert.equal(kinds(bench), [])
})

test('an agent that dies lets its contacts open by their own watchdog, and the other end follows', async () => {
  for (const name of SELLERS) {
    const bench = await lineBench()
    await bench.start('L1')
    const since = bench.time.clock.mono()
    bench.agents[name].kill()
    await bench.pass(3000)
    const took = openedWithin(bench, since, ['seller L1', 'buyer L1'])
    assert.ok(Math.max(...took) <= 1500, `${name}: ${took}`)
    assert.equal(kinds(bench), [])
  }
})

test('stop opens every contact, the own supply too, and nothing closes afterwards', async () => {
  const bench = await lineBench()
  await bench.start('L1')
  await Promise.all([bench.agents.home.control.stop(), bench.pass(100)])
  await bench.pass(10_000)
  assert.equal([bench.position('buyer', 'L1'), bench.position('own', 'home')], ['open', 'open'])
})

test('a view tells contacts, reasons and positions, and nothing of a line that is not there', async () => {
  const bench = await lineBench()
  await bench.start('L1')
  const view = bench.agents.home.control.view('L1')!
  assert.equal([view.side, view.wish, view.position, view.welds], ['buyer', 'energise', 'closed', []])
  assert.equal(
    view.contacts.map(({ contact, commanded, seen, unsupervised }) => [contact, commanded, seen, unsupervised]),
    [
      ['L1.line', 'closed', 'closed', false],
      ['heat pump.own', 'open', 'open', false],
    ],
  )
  assert.is(bench.agents.home.control.view('L9'), undefined)
})

test('an agent that may rest keeps its contacts, starts and stops in the same order, and rests again', async () => {
  const bench = await lineBench({ restMs: 10_000 })
  for (let round = 0; round < 2; round++) {
    await bench.pass(60_000)
    assert.is(bench.position('own', 'home'), 'closed')
    const from = bench.moves.length
    await bench.start('L1')
    assert.equal(moved(bench, from), ['own home open', 'buyer L1 closed', 'upstream L1 closed', 'seller L1 closed'])
    for (const name of SELLERS) {
      bench.agents[name].control.wish('L1', 'de-energise')
      bench.told(name, 'L1').deal = undefined
    }
    await bench.pass(5000)
    assert.equal(bench.agents.home.control.view('L1')!.wish, 'de-energise')
  }
  assert.is(moved(bench).filter(move => move === 'own home open').length, 2, 'its own supply never left by itself')
  assert.equal(kinds(bench), [])
})

test('a contact that is no longer seen is noticed at once while awake, at rest with the next look round', async () => {
  for (const [restMs, least, most] of [
    [undefined, 0, 1_500],
    [10_000, 1_500, 14_000],
  ] as const) {
    const bench = await lineBench(restMs === undefined ? {} : { restMs })
    // Awake for some seconds after the last movement, then at rest.
    await bench.pass(7_500)
    const since = bench.time.clock.mono()
    bench.agents.home.bank.fail('AUX0', { code: 'gpio.gone' })
    await bench.pass(20_000)
    const [own] = openedWithin(bench, since, ['own home'])
    assert.ok(own! >= least && own! <= most, `resting ${restMs}: its own supply opened after ${own} ms`)
  }
})

test.run()
