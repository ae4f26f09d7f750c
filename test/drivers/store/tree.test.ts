/** Folders in folders on this machine's file system: the contract, and what only a real one has. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openPieces, openTree, ownsFolder } from '../../../drivers/store/tree.ts'
import { must, ok } from '../../../protocol/result.ts'
import { treeCases } from '../../contracts/tree.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('tree')
const newFolder = () => mkdtempSync(join(tmpdir(), 'tieline-tree-'))
const codeOf = (result: { readonly ok: boolean; readonly fault?: { readonly code: string } }) =>
  result.fault?.code ?? 'ok'

treeCases(test, 'folder', async () => {
  const folder = newFolder()
  return {
    tree: openTree(folder),
    again: async () => openTree(folder),
    end: async () => rmSync(folder, { recursive: true }),
  }
})

test('files and folders are for their owner only', async () => {
  const folder = newFolder()
  const tree = openTree(join(folder, 'new'))
  must(await tree.makeFolder('a/b'))
  must(
    await tree.write(
      'a/b/file',
      (async function* () {
        yield ok(Uint8Array.of(1))
      })(),
    ),
  )
  for (const path of ['new', 'new/a', 'new/a/b']) assert.is(statSync(join(folder, path)).mode & 0o777, 0o700, path)
  assert.is(statSync(join(folder, 'new/a/b/file')).mode & 0o777, 0o600)
  rmSync(folder, { recursive: true })
})

test('a link is not followed, a pipe is not waited for, a name of any kind is listed', async () => {
  const folder = newFolder()
  const tree = openTree(folder)
  writeFileSync(join(folder, 'file'), 'x')
  symlinkSync('file', join(folder, 'link'))
  execFileSync('mkfifo', [join(folder, 'pipe')])
  mkdirSync(join(folder, 'my notes'))
  writeFileSync(join(folder, '.hidden'), '')
  assert.equal(must(await tree.list('')), [
    { name: '.hidden', kind: 'file' },
    { name: 'file', kind: 'file' },
    { name: 'link', kind: 'other' },
    { name: 'my notes', kind: 'folder' },
    { name: 'pipe', kind: 'other' },
  ])
  assert.is(codeOf(await tree.read('link', 9)), 'disk.io')
  assert.is(codeOf(await tree.hash('link')), 'disk.io')
  assert.is(codeOf(await tree.read('pipe', 9)), 'disk.not-a-file')
  assert.is(codeOf(await openPieces(join(folder, 'pipe'))), 'disk.not-a-file')
  assert.is(codeOf(await openPieces(folder)), 'disk.not-a-file')
  assert.is(codeOf(await openPieces(join(folder, 'none'))), 'disk.missing')
  rmSync(folder, { recursive: true })
})

test('a file that is shorter than asked ends where it ends', async () => {
  const folder = newFolder()
  writeFileSync(join(folder, 'file'), 'abcdef')
  const source = must(await openPieces(join(folder, 'file')))
  const parts: Uint8Array[] = []
  for await (const piece of source.pieces(4, 100)) parts.push(must(piece))
  assert.is(Buffer.concat(parts).toString(), 'ef')
  assert.equal(must(await source.hash(4, 100)), must(await source.hash(4, 2)))
  assert.is(source.size, 6)
  await source.close()
  assert.is(must(await ownsFolder(folder)), true)
  rmSync(folder, { recursive: true })
})

test.run()
