import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { readMeterOptions } from '../../../hw/bench/meter-options.ts'
import { assert, suite } from '../../harness.ts'
import { keepTerminal } from '../../terminal.ts'

async function read(...args: string[]) {
  const { terminal, out, err } = keepTerminal()
  const answer = await readMeterOptions(args, terminal)
  return { answer, out: out(), err: err() }
}

async function options(line: string) {
  const { answer, err } = await read(...line.split(' '))
  if (!('options' in answer)) throw new Error(err)
  return answer.options
}

const test = suite('meter options')

test('what is left out is as the page says, and what is given is taken', async () => {
  const plain = await options('--page shelly-pro-3em')
  assert.equal(plain.tcp, { host: '127.0.0.1', port: 0 })
  assert.ok(typeof plain.meter !== 'string' && plain.meter.framing === 'tcp')
  const { meter, ...full } = await options(
    '--page eastron-sdm630 --baud 19200 --format 8e1 --unit 1,2,9 --serial 500 --turnaround 3.5 --missing voltageL2 --fault dead=9 --fault echo --seed 7 --json',
  )
  assert.equal(full, {
    ...{ baud: 19_200, format: '8E1', serial: '500', tcp: undefined, seed: 7, json: true },
    faults: [{ kind: 'dead', unit: 9 }, { kind: 'echo' }],
  })
  assert.ok(typeof meter !== 'string')
  assert.equal([meter.page.name, meter.framing, meter.turnaroundMs], ['eastron-sdm630', 'rtu', 3.5])
  assert.equal([meter.units, meter.missing], [[1, 2, 9], ['voltageL2']])
  const over = await options('--page eastron-sdm630 --tcp 0.0.0.0:1502 --framing rtu')
  assert.equal(over.tcp, { host: '0.0.0.0', port: 1502 })
  assert.ok(typeof over.meter !== 'string' && over.meter.framing === 'rtu')
  const speaking = await options('--telegram dsmr')
  assert.equal([speaking.meter, speaking.baud, speaking.format], ['dsmr', 115_200, '8N1'])
})

test('a mistake is one line that says what is allowed, and exit code 2', async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /give either --page or --telegram/],
    ['--page eastron-sdm630 --telegram sml', /give either --page or --telegram/],
    ['--page eastron-sdm360', /unknown page "eastron-sdm360", did you mean "eastron-sdm630"\? known: .*shelly-pro-3em/],
    ['--telegram smll', /did you mean "sml"\?/],
    ['--page eastron-sdm630 --baud 9', /--baud must be a whole number from 50 to 4000000/],
    ['--page eastron-sdm630 --format 9N1', /unknown format "9N1".+8N1, 8N2/],
    ['--page eastron-sdm630 --framing tcp', /--framing tcp goes with --tcp/],
    ['--page eastron-sdm630 --unit 0', /a unit on a serial line is 1 to 247/],
    ['--page eastron-sdm630 --unit 1,1', /names a unit twice/],
    ['--page eastron-sdm630 --unit 1,', /must be a whole number from 0 to 255, not ""/],
    ['--page eastron-sdm630 --turnaround -1', /--turnaround must be milliseconds/],
    ['--page eastron-sdm630 --missing voltageL4', /unknown channel "voltageL4", did you mean "voltageL[123]"\?/],
    ['--page eastron-sdm630 --fault late=2', /--fault "late=2": it is written late=SHARE:TIME/],
    ['--page eastron-sdm630 --fault dead=2', /dead=2, but there is no such unit/],
    ['--page eastron-sdm630 --tcp 70000', /--tcp must be a port or host:port/],
    ['--telegram sml --unit 1', /--unit goes with --page/],
    ['--telegram sml --fault dead=1', /has no fault dead; it can have lost, extra/],
    ['--page eastron-sdm630 --power 5', /--power must be a power up to 1000kW/],
    ['--page eastron-sdm630 --power=-2MW', /--power must be a power/],
    ['--page eastron-sdm630 x', /too many arguments/],
  ]
  for (const [line, expected] of cases) {
    const { answer, out, err } = await read(...line.split(' ').filter(word => word !== ''))
    assert.equal(answer, { exit: EXIT.usage }, line)
    assert.is(out, '', line)
    assert.match(err, expected, line)
    assert.match(err, /^tieline-bench meter: [^\n]+\n$/, line)
  }
})

test('help shows examples and every fault', async () => {
  const { answer, out, err } = await read('--help')
  assert.equal(answer, { exit: EXIT.ok })
  assert.is(err, '')
  for (const part of [
    'tieline-bench meter --page eastron-sdm630',
    'late=0.02:150ms',
    'second-master=5s',
    'parity=0.01',
  ])
    assert.ok(out.includes(part), part)
})

test.run()
