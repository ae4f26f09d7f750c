/** What every Disk must do, on a real folder and on the simulated one. */
import type { Disk } from '../../drivers/ports.ts'
import { must, type Result } from '../../protocol/result.ts'
import { assert, type Suite } from '../harness.ts'

export interface DiskUnderTest {
  readonly disk: Disk
  /** The same files seen by a new process. */
  reopen(): Promise<Disk>
  end(): Promise<void>
}

const codeOf = (result: Result<unknown>): string => (result.ok ? 'ok' : result.fault.code)

export function diskCases(t: Suite, name: string, make: () => Promise<DiskUnderTest>): void {
  const on = (what: string, body: (disk: Disk, under: DiskUnderTest) => Promise<void>) =>
    t(`${name}: ${what}`, async () => {
      const under = await make()
      try {
        await body(under.disk, under)
      } finally {
        await under.end()
      }
    })

  on('a new disk is empty, and a created file is zeros of its size', async disk => {
    assert.equal(must(await disk.list()), [])
    must(await disk.create('a.seg', 5000))
    assert.equal(must(await disk.list()), ['a.seg'])
    assert.equal(must(await disk.read('a.seg')), new Uint8Array(5000))
  })

  on('a file of more than a megabyte is zeros to its end', async disk => {
    must(await disk.create('a.seg', (1 << 20) + 4096))
    const bytes = must(await disk.read('a.seg'))
    assert.is(bytes.length, (1 << 20) + 4096)
    assert.ok(bytes.every(byte => byte === 0))
  })

  on('create refuses a name that is taken and leaves the file as it was', async disk => {
    must(await disk.replace('a', Uint8Array.of(1, 2)))
    assert.is(codeOf(await disk.create('a', 10)), 'disk.exists')
    assert.equal(must(await disk.read('a')), Uint8Array.of(1, 2))
  })

  on('a write lands at its offset, is read at once and stays after sync', async (disk, under) => {
    must(await disk.create('a', 8))
    must(await disk.write('a', 3, Uint8Array.of(7, 8)))
    assert.equal(must(await disk.read('a')), Uint8Array.of(0, 0, 0, 7, 8, 0, 0, 0))
    must(await disk.sync('a'))
    assert.equal(must(await (await under.reopen()).read('a')), Uint8Array.of(0, 0, 0, 7, 8, 0, 0, 0))
  })

  on('a write beyond the end is refused and changes nothing', async disk => {
    must(await disk.create('a', 4))
    assert.is(codeOf(await disk.write('a', 3, Uint8Array.of(7, 8))), 'disk.beyond-end')
    assert.equal(must(await disk.read('a')), new Uint8Array(4))
  })

  on('replace makes or replaces the whole file, shorter or longer, also after writes to it', async (disk, under) => {
    must(await disk.replace('a', Uint8Array.of(1, 2, 3)))
    must(await disk.write('a', 0, Uint8Array.of(9)))
    must(await disk.replace('a', Uint8Array.of(4)))
    assert.equal(must(await disk.read('a')), Uint8Array.of(4))
    must(await disk.write('a', 0, Uint8Array.of(5)))
    must(await disk.sync('a'))
    assert.equal(must(await (await under.reopen()).read('a')), Uint8Array.of(5))
  })

  on('what is not there is a fault for every operation on it', async disk => {
    assert.is(codeOf(await disk.read('b')), 'disk.missing')
    assert.is(codeOf(await disk.write('b', 0, Uint8Array.of(1))), 'disk.missing')
    assert.is(codeOf(await disk.sync('b')), 'disk.missing')
    assert.is(codeOf(await disk.remove('b')), 'disk.missing')
  })

  on('a removed file is gone and its name free', async disk => {
    must(await disk.create('a', 4))
    must(await disk.write('a', 0, Uint8Array.of(1)))
    must(await disk.remove('a'))
    assert.equal(must(await disk.list()), [])
    must(await disk.create('a', 2))
    assert.equal(must(await disk.read('a')), new Uint8Array(2))
  })

  on('a part of a file is read, shorter where the file ends before', async disk => {
    must(await disk.replace('a', Uint8Array.of(1, 2, 3, 4)))
    assert.equal(must(await disk.read('a', 1, 2)), Uint8Array.of(2, 3))
    assert.equal(must(await disk.read('a', 3, 5)), Uint8Array.of(4))
    assert.equal(must(await disk.read('a', 2)), Uint8Array.of(3, 4))
    assert.equal(must(await disk.read('a', 9, 5)), new Uint8Array(0))
    assert.is(codeOf(await disk.read('b', 0, 1)), 'disk.missing')
  })

  on('a name has one holder, and another once that one let go; what is held is no file', async disk => {
    const release = must(await disk.hold('log'))
    assert.is(codeOf(await disk.hold('log')), 'disk.held')
    const other = must(await disk.hold('other'))
    assert.equal(must(await disk.list()), [])
    await release()
    await release()
    const again = must(await disk.hold('log'))
    assert.is(codeOf(await disk.hold('other')), 'disk.held')
    await again()
    await other()
  })

  on('bytes handed over or read may be changed by the caller without changing the file', async disk => {
    const given = Uint8Array.of(1, 2)
    must(await disk.replace('a', given))
    given.fill(9)
    must(await disk.read('a')).fill(8)
    assert.equal(must(await disk.read('a')), Uint8Array.of(1, 2))
  })
}
