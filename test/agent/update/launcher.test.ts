/** The launcher as it is shipped, and small releases as real programs under a service manager: who is left alive, by what they say. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { noPython } from '../../drivers/process/notify-listener.ts'
import { assert, suite } from '../../harness.ts'
import {
  folder,
  GRID,
  gateway,
  gatewayOfEleven,
  home,
  hurried,
  install,
  program,
  releaseFile,
  run,
  stateOf,
} from './launcher-bench.ts'

const test = suite('launcher')
const LONG_MS = 300_000
let base = ''
let eleven = ''

test.skipIf(
  noPython,
  'a release that works is tried once, found good, and runs from then on',
  async () => {
    const made = await gatewayOfEleven()
    base = made.store
    eleven = made.eleven
    assert.is(made.said.filter(each => each === `starts ${eleven}`).length, 1)
    assert.is((await stateOf(base)).good, eleven)
    assert.equal((await run(base, said => said === `up ${eleven}`)).exits, [])
    assert.is(readFileSync(join(base, 'highest-release'), 'utf8'), `${eleven}\n`)
  },
  LONG_MS,
)

test.skipIf(
  noPython,
  'one that ends with a code that the service manager leaves alone is tried three times, and what was good runs again',
  async () => {
    const store = gateway(base)
    const name = await install(store, await releaseFile(12, 'exits-78'), GRID)
    const { said, exits, leftAlone } = await run(store, each => each === `up ${eleven}`)
    assert.not.ok(leftAlone)
    assert.is(said.filter(each => each === `starts ${name}`).length, 3, said.join('\n'))
    assert.equal(exits, [75, 75, 75])
    const state = await stateOf(store)
    assert.is(state.good, eleven)
    assert.is(state.highest, eleven)
    assert.match(state.failed!.why, /started 3 times/)
  },
  LONG_MS,
)

test.skipIf(
  noPython,
  'one that never reads is left by itself; measured by nothing it is kept: what worked before is the defence',
  async () => {
    const store = gateway(base)
    const file = await releaseFile(12, 'never-reads')
    const name = await install(store, file, GRID)
    const { exits } = await run(store, each => each === `up ${eleven}`)
    assert.equal(exits, [75])
    assert.match((await stateOf(store)).failed!.why, /update\.not-healthy \(meters=grid/)
    await install(store, file, { meters: [], ledger: false })
    await run(store, said => /found good/.test(said))
    assert.is((await stateOf(store)).good, name)
  },
  LONG_MS,
)

test.skipIf(
  noPython,
  'a program that is no trial is left alone by its exit code, and the package runs where there is nothing else',
  async () => {
    const store = gateway()
    assert.equal((await run(store, said => said === 'up package')).exits, [])
    writeFileSync(join(home, 'agent/tieline.js'), program('exits-78'))
    const { leftAlone, exits } = await run(store, () => false)
    writeFileSync(join(home, 'agent/tieline.js'), program('works'))
    assert.ok(leftAlone)
    assert.equal(exits, [78])
  },
  LONG_MS,
)

test.skipIf(
  noPython,
  'one whose gate says nothing is ended after three hours, three times, and what was good runs again; not before',
  async () => {
    const store = gateway(base)
    const name = await install(store, await releaseFile(12, 'mute'), GRID)
    const { said, exits } = await run(store, each => each === `up ${eleven}`, [], hurried(3))
    assert.equal(exits, [0, 0, 0])
    assert.is(said.filter(each => each === `up ${name}`).length, 3)
    assert.is(said.filter(each => /has not said that it is good: it is ended/.test(each)).length, 3)
    assert.match((await stateOf(store)).failed!.why, /started 3 times/)
    // Where only longer times are hurried, it lives on: so the limit is three hours.
    const still = gateway(base)
    await install(still, await releaseFile(12, 'mute'), GRID)

    const lived = await run(still, each => each === `up ${name}`, [4000], hurried(4))
    assert.equal(lived.exits, ['SIGKILL'])
  },
  LONG_MS,
)

test.skipIf(
  noPython,
  'a folder that is not there, cannot be made, or is full of rubbish: the package runs',
  async () => {
    const rubbish = gateway()
    mkdirSync(join(rubbish, 'releases', 'my notes'), { recursive: true })
    writeFileSync(join(rubbish, 'releases', 'state'), 'rubbish')
    for (const store of [join(gateway(), 'not', 'yet'), rubbish, '/dev/null/x'].entries()) {
      const { said, exits } = await run(store[1], each => each === 'up package', [], [], `${folder}/${store[0]}.sock`)
      assert.equal(exits, [], said.join('\n'))
    }
  },
  LONG_MS,
)

test('removes its folder', () => rmSync(folder, { recursive: true, force: true }))

test.run()
