import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { assert, suite } from '../../harness.ts'

const test = suite('drivers: the compiler of the engine')

const OFTEN = fileURLToPath(new URL('./often.ts', import.meta.url))

/** What V8 itself tells of compiling (--trace-opt), and what the program said. */
function run(...args: readonly string[]): { compiled: boolean; sum: string } {
  const told = execFileSync(process.execPath, ['--import', 'tsx', '--trace-opt', OFTEN, ...args], { encoding: 'utf8' })
  return { compiled: /marking .*calledOften/.test(told), sum: /^sum (.*)$/m.exec(told)![1]! }
}

test('a function called ten thousand times is compiled at the pace of V8, not at ours, and answers the same', () => {
  const [own, rarely] = [run(), run('rarely')]
  assert.ok(own.compiled)
  // Later engines keep their own pace: drivers/process/compiler.ts names the one that was measured.
  assert.is(rarely.compiled, !process.versions.v8.startsWith('11.'))
  assert.is(rarely.sum, own.sum)
})

test.run()
