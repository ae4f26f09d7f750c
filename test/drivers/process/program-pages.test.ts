import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { cleanMappings, unmapUnusedProgram } from '../../../drivers/process/program-pages.ts'
import { must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('drivers: pages of the program')

const block = (head: string, anonymous: number) =>
  `${head}\nSize: 8 kB\nRss: 8 kB\nAnonymous: ${String(anonymous).padStart(8)} kB\nVmFlags: rd mr\n`

test('what is read from a file and was never changed may be unmapped, and nothing else', () => {
  const text = [
    block('00400000-00402000 r-xp 00000000 08:01 17 /usr/bin/node', 0),
    block('00402000-00404000 r--p 00002000 08:01 17 /usr/bin/node', 0),
    // Filled in by the linker; written to by the program; shared; nobody's file.
    block('00404000-00406000 r--p 00004000 08:01 17 /usr/bin/node', 4),
    block('00406000-00408000 rw-p 00006000 08:01 17 /usr/bin/node', 0),
    block('00408000-0040a000 r--s 00000000 08:01 18 /dev/shm/ring', 0),
    block('0040a000-0040c000 r-xp 00000000 00:00 0 ', 0),
    block('0040c000-0040e000 r-xp 00000000 00:00 0 [vdso]', 0),
    // Not said: not touched.
    '0040e000-00410000 r-xp 00000000 08:01 17 /usr/bin/node\nSize: 8 kB\n',
  ].join('')
  assert.equal(cleanMappings(text), [
    { address: 0x400000, bytes: 0x2000 },
    { address: 0x402000, bytes: 0x2000 },
  ])
})

test('the mappings of this very process are some of its program, and none that it wrote to', () => {
  const found = cleanMappings(readFileSync('/proc/self/smaps', 'utf8'))
  const maps = readFileSync('/proc/self/maps', 'utf8').split('\n')
  assert.ok(found.length > 0)
  for (const { address } of found) {
    const line = maps.find(one => one.startsWith(`${address.toString(16).padStart(8, '0')}-`))
    assert.match(line ?? 'gone', / r-[-x]p .*\//)
  }
})

test('a program goes on as before once its pages are unmapped, and is smaller', async () => {
  const sum = () => createHash('sha256').update('the same').digest('hex')
  const before = sum()
  const residentKb = () => Number(/^RssFile:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1])
  const resident = residentKb()
  must(await unmapUnusedProgram())
  const after = residentKb()
  assert.ok(after < resident / 2, `${resident} kB of files before, ${after} kB after`)
  assert.is(sum(), before)
  assert.is(new Intl.DateTimeFormat('en', { timeZone: 'UTC', year: 'numeric' }).format(0), '1970')
})

test.run()
