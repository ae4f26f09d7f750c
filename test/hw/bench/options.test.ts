import { EXIT } from '../../../agent/cli/exit-codes.ts'
import { readOptions } from '../../../hw/bench/options.ts'
import { assert, suite } from '../../harness.ts'
import { keepTerminal } from '../../terminal.ts'

async function read(...args: string[]) {
  const { terminal, out, err } = keepTerminal()
  const answer = await readOptions(args, terminal)
  return { answer, out: out(), err: err() }
}

const test = suite('bench options')

test('no flag is the live street; every flag arrives as it was given', async () => {
  const plain = await read()
  assert.ok('options' in plain.answer)
  assert.is(plain.answer.options.once, false)
  assert.is(plain.answer.options.port, 8480)
  assert.equal(plain.answer.options.faults, [])
  const full = await read(
    ...['--once', '--json', '--speed', '3', '--seconds', '90', '--seed', '7', '--brokers', '2', '--verbose'],
    ...['--broker', 'mqtt://a:1', '--broker', 'mqtt://b:2', '--fault', 'relay-welded', '--fault', 'broker-down'],
  )
  assert.ok('options' in full.answer)
  const { options } = full.answer
  assert.ok(options.once && options.json && options.verbose)
  assert.equal([options.speed, options.seconds, options.seed, options.brokers], [3, 90, 7, 2])
  assert.equal(options.brokerUrls, ['mqtt://a:1', 'mqtt://b:2'])
  assert.equal(options.faults, ['relay-welded', 'broker-down'])
})

test('a wrong flag is one line on stderr and a mistake of usage', async () => {
  for (const args of [
    ['--onec'],
    ['street'],
    ['--port'],
    ['--port', '0'],
    ['--port', '65536'],
    ['--port', '80a'],
    ['--speed', '0'],
    ['--speed', '2.5'],
    ['--speed', '-1'],
    ['--seconds', '1'],
    ['--brokers', '9'],
    ['--broker', '127.0.0.1:1883'],
    ['--fault', 'meteor'],
    ['--json'],
  ]) {
    const { answer, out, err } = await read(...args)
    assert.equal(answer, { exit: EXIT.usage }, args.join(' '))
    assert.is(out, '')
    assert.match(err, /^tieline-bench: .{10,}\n$/, args.join(' '))
  }
})

test('what was meant is said', async () => {
  assert.match((await read('--onec')).err, /Did you mean --once\?/)
  assert.match((await read('--fault', 'meteor')).err, /it knows forged-header, .+agent-killed/)
  const { answer, out, err } = await read('--help')
  assert.equal(answer, { exit: EXIT.ok })
  assert.is(err, '')
  assert.ok(out.includes('npm start -- --once --json'))
})

test.run()
