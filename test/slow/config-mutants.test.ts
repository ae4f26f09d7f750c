/** Each of the 200 wrong configurations as a process of `tieline check` and one of `tieline run`: place, reason, exit code, and a still board. */
import { readdirSync, writeFileSync } from 'node:fs'
import { asProcess, bases, inFolder, told, withBoard } from '../agent/cli/mutant-bench.ts'
import { mutants } from '../agent/cli/mutants.ts'
import { assert, suite } from '../harness.ts'

const test = suite('200 wrong configurations as processes')

const COUNT = 200
const SEED = 8

test(
  'each is refused by check and by run, and no relay hears of it',
  () =>
    withBoard(({ path, heard, stats }) =>
      inFolder(async folder => {
        const file = `${folder}/site.yaml`
        const all = mutants(bases(path), COUNT, SEED)
        assert.is(all.length, COUNT)
        for (const mutant of all) {
          writeFileSync(file, mutant.text)
          const [checked, ran] = await Promise.all([asProcess(['check', file]), asProcess(['run', '--config', file])])
          for (const { exit, out, err } of [checked, ran]) {
            assert.equal([exit, out], [78, ''], `${mutant.what}: ${err}`)
            told(file, mutant, err)
          }
          assert.is(ran.err, checked.err, mutant.what)
        }
        assert.equal({ ...heard, requests: stats.requests }, { bytes: 0, moved: 0, requests: 0 })
        assert.equal(readdirSync(folder), ['site.yaml'], 'and nothing was made')
      }),
    ),
  3_000_000,
)

test.run()
