/** Every way in which a release fails its trial, and kill -9 at random moments of an update, with real programs. */
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Expect } from '../../protocol/update/state.ts'
import {
  envOf,
  folder,
  GRID,
  gateway,
  gatewayOfEleven,
  install,
  program,
  releaseFile,
  run,
  stateOf,
} from '../agent/update/launcher-bench.ts'
import type { Behaviour } from '../agent/update/tiny-agent.ts'
import { noPython } from '../drivers/process/notify-listener.ts'
import { assert, suite } from '../harness.ts'

const MAIN = fileURLToPath(new URL('../../agent/main.ts', import.meta.url))
const LONG_MS = 400_000
const ROUNDS = 30

const test = suite('update trials')
const { store: base, eleven } = noPython === undefined ? await gatewayOfEleven() : { store: '', eleven: '' }

const failing: readonly (readonly [Behaviour, Expect | undefined, starts: number, why: RegExp])[] = [
  ['crashes', GRID, 3, /started 3 times/],
  ['exits-78', GRID, 3, /started 3 times/],
  ['hangs', GRID, 3, /started 3 times/],
  ['never-reads', GRID, 1, /update\.not-healthy \(meters=grid/],
  ['never-reads', undefined, 1, /update\.not-healthy \(meters=grid/],
  ['never-reads', { meters: [], ledger: true }, 1, /ledger=not followed/],
]
for (const [behaviour, expect, starts, why] of failing) {
  const measured = expect === undefined ? 'by any meter' : expect.ledger ? 'by the ledger' : 'by its meter'
  test.skipIf(
    noPython,
    `a release that ${behaviour} is left by itself (measured ${measured}), and what was good runs again`,
    async () => {
      const store = gateway(base)
      const name = await install(store, await releaseFile(12, behaviour), expect)
      const { said, exits, leftAlone } = await run(store, each => each === `up ${eleven}`)
      assert.not.ok(leftAlone)
      assert.is(said.filter(each => each === `starts ${name}`).length, starts, said.join('\n'))
      assert.is(exits.length, starts)
      const state = await stateOf(store)
      assert.is(state.good, eleven)
      assert.is(state.candidate, undefined)
      assert.match(state.failed!.why, why)
      assert.is(state.highest, eleven)
    },
    LONG_MS,
  )
}

test.skipIf(
  noPython,
  'a release that never says whether it is good is left after three starts',
  async () => {
    const store = gateway(base)
    const name = await install(store, await releaseFile(12, 'mute'), GRID)
    const { said } = await run(store, each => each === `up ${eleven}`, [4000, 4000, 4000])
    assert.is(said.filter(each => each === `starts ${name}`).length, 3, said.join('\n'))
  },
  LONG_MS,
)

test.skipIf(
  noPython,
  'killed at random while it is installed, started and found good: one whole release runs',
  async () => {
    const file = await releaseFile(12, 'works', 12 << 20)
    const ends = new Set<string>()
    for (let round = 0; round < ROUNDS; round++) {
      const store = gateway(base)
      const args = [
        '--import',
        'tsx',
        MAIN,
        'update',
        'install',
        file,
        '--later',
        '--config',
        join(folder, 'none.yaml'),
      ]
      const installer = spawn(process.execPath, args, { env: { ...process.env, ...envOf(store) }, stdio: 'ignore' })
      const ended = new Promise<number | null>(resolve => installer.once('exit', resolve))
      // Loading takes a second; every third is let run.
      if (round % 3 < 2) setTimeout(() => installer.kill('SIGKILL'), 500 + Math.random() * 1500)
      await ended
      const { said } = await run(store, each => /^up/.test(each), [Math.random() * 1500, Math.random() * 1500])
      const up =
        said.at(-1) === undefined
          ? ''
          : said
              .filter(each => /^up/.test(each))
              .at(-1)!
              .slice(3)
      assert.ok(up === eleven || /^12-/.test(up), said.join('\n'))
      ends.add(up.slice(0, 2))
      const files = join(store, 'releases', up, 'files')
      const behaviour = readFileSync(join(files, 'agent/tieline.js'), 'utf8')
      assert.is(behaviour, program('works'))
      if (up !== eleven) assert.ok(readFileSync(join(files, 'native/ballast')).equals(Buffer.alloc(12 << 20, 12)))
      assert.ok(readdirSync(join(store, 'releases')).filter(each => /^\d/.test(each)).length <= 2)
    }
    // An install that was let run is tried.
    assert.ok(ends.has('12'), [...ends].join())
  },
  LONG_MS,
)

test('removes its folder', () => rmSync(folder, { recursive: true, force: true }))

test.run()
