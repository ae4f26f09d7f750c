/** A relay that answers wrongly or not at all: raised by name with its reason, its contact open, the rest of the site at work. */
import { assert, suite } from '../../harness.ts'
import { lineBench } from './line-bench.ts'

const test = suite('agent/relays, trouble')

test('a relay that answers with a fault is raised, its line opens, the other line starts, and it is cleared when it answers', async () => {
  const bench = await lineBench()
  const { home } = bench.agents
  await bench.start('L1')
  const fault = { code: 'gpio.io', errno: 'EIO' }
  for (const line of ['OUT0', 'AUX0']) home.bank.fail(line, fault)
  await bench.pass(4000)
  assert.equal([...home.health], [['relay.L1.line', fault]])
  assert.is(home.control.view('L1')!.contacts[0]!.trouble, fault)
  assert.is(bench.position('buyer', 'L1'), 'open')
  assert.is(bench.position('seller', 'L1'), 'open')
  assert.equal(bench.violations, [])
  for (const line of ['OUT0', 'AUX0']) home.bank.fail(line, undefined)
  await bench.pass(8000)
  assert.equal([...home.health], [])
  await bench.start('L2')
  assert.is(bench.position('buyer', 'L2'), 'closed')
})

test('a relay whose contact stays where it was is raised with what was commanded and what is seen', async () => {
  const bench = await lineBench()
  const { home } = bench.agents
  await bench.start('L1')
  bench.weld('buyer', 'L1')
  home.control.openNow('L1', { code: 'control.by-hand' })
  await bench.pass(3000)
  const raised = home.health.get('relay.L1.line')
  assert.equal([raised?.code, raised?.['commanded'], raised?.['seen']], ['control.elsewhere', 'open', 'closed'])
  assert.is(bench.position('own', 'home'), 'open')
})

test.run()
