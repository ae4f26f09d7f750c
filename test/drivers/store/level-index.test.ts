import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLevelIndex } from '../../../drivers/store/level-index.ts'
import { createMemoryIndex } from '../../../hw/sim/memory-index.ts'
import { utf8 } from '../../../protocol/bytes.ts'
import { must } from '../../../protocol/result.ts'
import { indexCases } from '../../contracts/ordered-index.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('level index')

const inFolder = async (body: (folder: string) => Promise<void>) => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-index-'))
  try {
    await body(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

indexCases(test, 'level', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-index-'))
  const index = must(await openLevelIndex(folder))
  return {
    index,
    end: async () => {
      await index.close()
      rmSync(folder, { recursive: true })
    },
  }
})

indexCases(test, 'memory', async () => ({ index: createMemoryIndex(), end: async () => {} }))

test('what was written is there after closing and opening again', () =>
  inFolder(async folder => {
    const index = must(await openLevelIndex(folder))
    must(await index.write([['a', utf8('1')]]))
    await index.close()
    assert.is(index.lost, undefined)
    const again = must(await openLevelIndex(folder))
    assert.equal(must(await again.get('a')), utf8('1'))
    await again.close()
    await again.close()
    const after = await again.get('a')
    assert.is(after.ok ? '' : after.fault.code, 'index.closed')
  }))

test('an index that another holds is not opened, and not begun anew either', () =>
  inFolder(async folder => {
    const index = must(await openLevelIndex(folder))
    const second = await openLevelIndex(folder)
    assert.is(second.ok ? '' : second.fault.code, 'index.held')
    assert.equal(readdirSync(folder), ['00000001'])
    must(await index.write([['a', utf8('1')]]))
    await index.close()
  }))

test('a damaged index is set aside, a new one begun beside it, and the old one removed when that is settled', () =>
  inFolder(async folder => {
    const index = must(await openLevelIndex(folder))
    must(await index.write([['a', utf8('1')]]))
    await index.close()
    const manifest = readdirSync(join(folder, '00000001')).find(name => name.startsWith('MANIFEST'))!
    const path = join(folder, '00000001', manifest)
    writeFileSync(
      path,
      readFileSync(path).map(byte => byte ^ 0x55),
    )
    const again = must(await openLevelIndex(folder))
    assert.is(again.lost?.code, 'index.damaged')
    assert.is(must(await again.get('a')), undefined)
    assert.equal(readdirSync(folder).sort(), ['00000001', '00000002'])
    must(await again.write([['b', utf8('2')]]))
    await again.settle()
    await again.close()
    assert.equal(readdirSync(folder), ['00000002'])
    const third = must(await openLevelIndex(folder))
    assert.equal(must(await third.get('b')), utf8('2'))
    await third.close()
  }))

test('files that are none of an index are left where they are', () =>
  inFolder(async folder => {
    writeFileSync(join(folder, 'notes.txt'), 'mine')
    const index = must(await openLevelIndex(folder))
    must(await index.renew())
    await index.settle()
    await index.close()
    assert.equal(readdirSync(folder).sort(), ['00000002', 'notes.txt'])
  }))

test('where no folder can be made, it says so', () =>
  inFolder(async folder => {
    writeFileSync(join(folder, 'file'), '')
    const opened = await openLevelIndex(join(folder, 'file'))
    assert.is(opened.ok ? '' : opened.fault.code, 'folder.not-made')
  }))

test.run()
