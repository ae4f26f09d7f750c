/** What every Tree must do, on a real folder and on the simulated one. */
import type { Tree } from '../../drivers/store/tree.ts'
import { sha256 } from '../../protocol/crypto/hash.ts'
import { fail, must, ok, type Result } from '../../protocol/result.ts'
import { assert, type Suite } from '../harness.ts'

export interface TreeUnderTest {
  readonly tree: Tree
  /** The same folder seen by a new process, the first having ended. */
  again(): Promise<Tree>
  end(): Promise<void>
}

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

async function* pieces(...all: (Uint8Array | 'fault')[]): AsyncGenerator<Result<Uint8Array>> {
  for (const piece of all) yield piece === 'fault' ? fail({ code: 'test.fault' }) : ok(piece)
}

export function treeCases(t: Suite, name: string, make: () => Promise<TreeUnderTest>): void {
  const on = (what: string, body: (tree: Tree, under: TreeUnderTest) => Promise<void>) =>
    t(`${name}: ${what}`, async () => {
      const under = await make()
      try {
        await body(under.tree, under)
      } finally {
        await under.end()
      }
    })
  const bytes = Uint8Array.from({ length: 700_000 }, (_, at) => at % 253)

  on('what is written in pieces is read, hashed and listed, by the next process too', async (tree, under) => {
    must(await tree.makeFolder('a/b'))
    must(await tree.write('a/b/file', pieces(bytes.slice(0, 1), bytes.slice(1, 600_000), bytes.slice(600_000))))
    must(await tree.write('a/empty', pieces()))
    for (const folder of ['a/b', 'a', '']) must(await tree.sync(folder))
    for (const next of [async () => tree, under.again]) {
      const each = await next()
      assert.equal(must(await each.read('a/b/file', bytes.length)), bytes)
      assert.equal(must(await each.hash('a/b/file')), { sha256: sha256(bytes), size: bytes.length })
      assert.equal(must(await each.read('a/empty', 0)), new Uint8Array(0))
      assert.equal(must(await each.list('a')), [
        { name: 'b', kind: 'folder' },
        { name: 'empty', kind: 'file' },
      ])
      assert.equal(must(await each.list('')), [{ name: 'a', kind: 'folder' }])
    }
  })

  on('what is not there, too long, or a folder is refused', async tree => {
    must(await tree.makeFolder('a'))
    must(await tree.write('a/file', pieces(Uint8Array.of(1, 2))))
    for (const path of ['x', 'a/x', 'x/y']) {
      assert.is(codeOf(await tree.read(path, 9)), 'disk.missing', path)
      assert.is(codeOf(await tree.hash(path)), 'disk.missing', path)
      assert.is(codeOf(await tree.list(path)), 'disk.missing', path)
      assert.is(codeOf(await tree.sync(path)), 'disk.missing', path)
    }
    assert.is(codeOf(await tree.read('a/file', 1)), 'disk.too-large')
    assert.is(codeOf(await tree.read('a', 9)), 'disk.not-a-file')
    assert.is(codeOf(await tree.hash('a')), 'disk.not-a-file')
    assert.is(codeOf(await tree.makeFolder('a/file')), 'disk.io')
    assert.is(codeOf(await tree.makeFolder('a/file/b')), 'disk.io')
    assert.is(codeOf(await tree.write('x/file', pieces())), 'disk.missing')
  })

  on('a file is written once: a second leaves the first as it was', async tree => {
    must(await tree.write('file', pieces(Uint8Array.of(1))))
    assert.is(codeOf(await tree.write('file', pieces(Uint8Array.of(2)))), 'disk.io')
    assert.equal(must(await tree.read('file', 9)), Uint8Array.of(1))
  })

  on('a piece that is a fault ends the writing, and is the answer', async tree => {
    assert.is(codeOf(await tree.write('file', pieces(Uint8Array.of(1), 'fault'))), 'test.fault')
  })

  on('a rename replaces a file, takes a folder with all in it, and wants something to be there', async tree => {
    must(await tree.write('new', pieces(Uint8Array.of(2))))
    must(await tree.write('old', pieces(Uint8Array.of(1))))
    must(await tree.rename('new', 'old'))
    assert.equal(must(await tree.read('old', 9)), Uint8Array.of(2))
    assert.is(codeOf(await tree.read('new', 9)), 'disk.missing')
    must(await tree.makeFolder('a/b'))
    must(await tree.write('a/b/file', pieces(Uint8Array.of(3))))
    must(await tree.rename('a', 'c'))
    assert.equal(must(await tree.read('c/b/file', 9)), Uint8Array.of(3))
    assert.is(codeOf(await tree.rename('a', 'd')), 'disk.missing')
  })

  on('a folder is removed with everything in it, twice', async tree => {
    must(await tree.makeFolder('a/b/c'))
    must(await tree.write('a/b/file', pieces(Uint8Array.of(3))))
    for (const _ of [1, 2]) must(await tree.remove('a/b'))
    assert.equal(must(await tree.list('a')), [])
    must(await tree.makeFolder('a'))
    must(await tree.remove('x/y'))
  })

  on('one holds a name in a folder at a time, another name beside it; a process that ends lets go', async tree => {
    must(await tree.makeFolder('a'))
    const held = must(await tree.hold('a', 'state'))
    assert.is(codeOf(await tree.hold('a', 'state')), 'disk.held')
    const beside = must(await tree.hold('a', 'install'))
    await held()
    await must(await tree.hold('a', 'state'))()
    await beside()
    assert.is(codeOf(await tree.hold('x', 'state')), 'disk.missing')
  })

  on('a path that leads out is our own bug, and thrown', async tree => {
    for (const path of ['../x', '/x', 'a//b', 'a/../b', '.x', 'a b', 'ä']) {
      let thrown: unknown
      try {
        await tree.read(path, 9)
      } catch (error) {
        thrown = error
      }
      assert.ok(thrown instanceof RangeError, path)
    }
  })
}
