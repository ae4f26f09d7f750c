/** What the shipped programs load: themselves, what lies beside them, and Node's own modules. */
import { isBuiltin } from 'node:module'
import { bundleLauncher, bundlePrograms } from '../../../hw/image/build.ts'
import { fromUtf8 } from '../../../protocol/bytes.ts'
import { assert, suite } from '../../harness.ts'

const ASKED = /(?:require|import)\(["']([\w@.][\w@./:-]+)["']\)|(?:from|import)["']([\w@.][\w@./:-]+)["']/g

/** Names that Node would look for in every folder above, and in the user's home. */
const strayNames = (program: string): readonly string[] =>
  [...program.matchAll(ASKED)].map(([, a, b]) => (a ?? b)!).filter(name => !isBuiltin(name) && !/^\.\.?\//.test(name))

const test = suite('bundles')

test('no program asks for a package: one that the agent could write above its release would run unsigned', async () => {
  const programs = [...(await bundlePrograms()).files].filter(([path]) => path.endsWith('.js'))
  assert.ok(programs.length > 3)
  for (const [path, bytes] of [...programs, ['launcher', await bundleLauncher()] as const]) {
    const text = fromUtf8(bytes)!
    assert.equal(strayNames(text), [], path)
    assert.ok([...text.matchAll(ASKED)].length > 0, path)
  }
  assert.equal(strayNames(`try{const a=require("bufferutil")}catch{}import"fs";import b from"./c.js";import('@d/e')`), [
    'bufferutil',
    '@d/e',
  ])
}, 60_000)

test.run()
