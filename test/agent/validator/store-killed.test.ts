/** A real process on a real disk, killed with SIGKILL while it commits blocks and writes images. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { seededRandom } from '../../../hw/sim/random.ts'
import { toHex } from '../../../protocol/bytes.ts'
import { must, type Result } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'
import { blockOf, hashOf, openStore } from './store-writer.ts'

const test = suite('a killed ledger store')

const WRITER = fileURLToPath(new URL('store-writer.ts', import.meta.url))
const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

/** Lets a writer run for some milliseconds after its first block, kills it, and answers the last height that it said. */
async function writeFor(ms: number, folder: string): Promise<bigint> {
  const child = spawn(process.execPath, ['--import', 'tsx', WRITER, folder], { stdio: ['ignore', 'pipe', 'inherit'] })
  // When its output has ended as well: what it said before is counted.
  const ended = once(child, 'close')
  let said = ''
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString()
  })
  await once(child.stdout, 'data')
  assert.is(codeOf(await openStore(folder)), 'disk.held')
  await new Promise(resolve => setTimeout(resolve, ms))
  child.kill('SIGKILL')
  await ended
  return BigInt(said.slice(0, said.lastIndexOf('\n')).split('\n').at(-1)!)
}

test('what was acknowledged is there, and nothing that was not written, after each of several kills', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-killed-'))
  const random = seededRandom(Date.now() % 100_000)
  let blocks = 0n
  // Each image writes a piece under a new number.
  const pieces = () => Math.max(...readdirSync(folder).map(name => Number(/^piece-(\d+)$/.exec(name)?.[1] ?? 0)))
  // On a busy machine one life is shorter than on another.
  for (let life = 0; life < 6 || blocks <= 60n || pieces() <= 6; life++) {
    const acknowledged = await writeFor(random() * 200, folder)
    const store = must(await openStore(folder))
    const saved = must(await store.load())!
    assert.ok(saved.height === acknowledged || saved.height === acknowledged + 1n, `${acknowledged}, ${saved.height}`)
    assert.is(toHex(saved.appHash), toHex(hashOf('root', saved.height)))
    const expected = new Map<string, string>()
    for (let height = 1n; height <= saved.height; height++) {
      for (const [key, value] of blockOf(height).changes) {
        if (value === undefined) expected.delete(toHex(key))
        else expected.set(toHex(key), toHex(value))
      }
    }
    const found = new Map([...saved.state.entries].map(([key, value]) => [toHex(key), toHex(value)]))
    assert.equal([...found].sort(), [...expected].sort())
    assert.is([...saved.state.headerHashes].length, Number(saved.height))
    await store.close()
    blocks = saved.height
  }
  rmSync(folder, { recursive: true })
}, 180_000)

test.run()
