/**
 * 200 configurations that are wrong in one way each: `check` and `run` refuse every one with its place and reason, and the relay
 * board on the site's line hears nothing. Judged by the board's own counters and the bytes on its line.
 */
import { readdirSync, writeFileSync } from 'node:fs'
import { createSystemTime } from '../../../drivers/clock.ts'
import { assert, suite } from '../../harness.ts'
import { COMMENTED } from '../config/commented-site.ts'
import { runTieline } from './cli-run.ts'
import { asProcess, bases, inFolder, told, withBoard } from './mutant-bench.ts'
import { mutants } from './mutants.ts'

const test = suite('200 wrong configurations')

const COUNT = 200
const SEED = 8
/** As processes of their own; the others run in this one, by the same function, and all as processes in test/slow. */
const PROCESSES = 2

test(
  'each is refused by check and by run with its place and reason, and no relay hears of it',
  () =>
    withBoard(({ path, heard, stats }) =>
      inFolder(async folder => {
        const all = mutants(bases(path), COUNT, SEED)
        assert.is(all.length, COUNT)
        assert.ok(new Set(all.map(({ what }) => what.split(' in ')[0])).size >= 45, 'kinds')
        const file = `${folder}/site.yaml`
        for (const mutant of all) {
          writeFileSync(file, mutant.text)
          const checked = await runTieline(['check', file])
          assert.is(checked.exit, 78, `${mutant.what}: ${checked.out}${checked.err}`)
          told(file, mutant, checked.err)
          // One that would start after all must not run on.
          const ran = await runTieline(['run', '--config', file], { interrupted: Promise.resolve() })
          assert.equal([ran.exit, ran.out, ran.err], [78, '', checked.err], mutant.what)
        }
        for (const mutant of all.filter((_, n) => n % Math.ceil(COUNT / PROCESSES) === 7)) {
          writeFileSync(file, mutant.text)
          const ran = await asProcess(['run', '--config', file])
          assert.is(ran.exit, 78, mutant.what)
          told(file, mutant, ran.err)
        }
        assert.equal({ ...heard, requests: stats.requests }, { bytes: 0, moved: 0, requests: 0 })
        assert.equal(readdirSync(folder), ['site.yaml'], 'and nothing was made')
      }),
    ),
  240_000,
)

test(
  'the same site without a mistake is heard by the board',
  () =>
    withBoard(({ path, stats }) =>
      inFolder(async folder => {
        const right = COMMENTED.replace(/keys:\n( .*\n)+/, `bench: true\nkeys: {seed: ${'12'.repeat(32)}}\n`)
          .replace('/dev/ttyUSB0', path)
          .replace('/var/lib/tieline', `${folder}/data`)
          .replace('127.0.0.1:8480', '127.0.0.1:1')
          .replace('listen: 127.0.0.1:1', 'off: true')
        writeFileSync(`${folder}/site.yaml`, right)
        let end = () => {}
        const interrupted = new Promise<void>(resolve => {
          end = resolve
        })
        const { timers } = createSystemTime()
        const running = runTieline(['run', '--config', `${folder}/site.yaml`], { interrupted })
        for (let tries = 0; stats.requests === 0 && tries < 300; tries++) await timers.sleep(100)
        end()
        const { exit, err } = await running
        assert.ok(stats.requests > 0, err)
        assert.is(exit, 0, err)
      }),
    ),
  60_000,
)

test.run()
