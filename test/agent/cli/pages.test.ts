import { PAGES } from '../../../drivers/meters/catalogue.ts'
import { TELEGRAMS } from '../../../drivers/meters/telegrams.ts'
import { assert, suite } from '../../harness.ts'
import { runTieline } from './cli-run.ts'

const test = suite('cli pages')

test('every page and kind of telegram has a line, as text and as JSON', async () => {
  const names = [...PAGES.keys(), 'sunspec', ...TELEGRAMS.keys()]
  const text = await runTieline(['pages'])
  assert.is(text.exit, 0)
  assert.equal(
    text.out
      .split('\n')
      .slice(1, names.length + 1)
      .map(line => line.split(' ')[0]),
    names,
  )
  const { json } = await runTieline(['pages', '--json'])
  assert.equal(
    json().map(({ name }) => name),
    names,
  )
  for (const { name, products, sources } of json()) assert.ok(products.length > 0 && sources.length > 0, name)
})

test('a page says what it reads, and whether its author saw the manual', async () => {
  const { out, exit } = await runTieline(['pages', 'eastron-sdm630'])
  assert.is(exit, 0)
  assert.match(out, /V1\.8 \(manual (not )?seen\)/)
  assert.match(out, /energy imported +input 0x0048 +f32 +kWh/)
  const page = (await runTieline(['pages', 'eastron-sdm630', '--json'])).json()[0]
  assert.is(page.registers.energyImported.address, 0x48)
  assert.is(page.replay, PAGES.get('eastron-sdm630')!.replay)
})

test('every page can be shown in detail', async () => {
  for (const name of [...PAGES.keys(), 'sunspec', ...TELEGRAMS.keys()]) {
    assert.is((await runTieline(['pages', name])).exit, 0, name)
    assert.is((await runTieline(['pages', name, '--json'])).json()[0].name, name)
  }
})

test('a name that is not known is a mistake of usage, with the nearest known one', async () => {
  const { exit, err } = await runTieline(['pages', 'eastron-sdm360'])
  assert.is(exit, 2)
  assert.match(err, /^tieline pages: unknown page "eastron-sdm360", did you mean "eastron-sdm\d+/)
})

test.run()
