/** Archives: whole or not at all, and whatever somebody else put into one is refused by name. Hostile ones are made by tar itself, or by hand. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { readArchive, writeArchive } from '../../../drivers/store/archive.ts'
import { done, fail, must } from '../../../protocol/result.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('archive')
const folder = mkdtempSync(join(tmpdir(), 'tieline-archive-'))
const LIMITS = { entryBytes: 1 << 20, totalBytes: 2 << 20, entries: 50 }

async function read(file: string, limits = LIMITS, isName = (name: string) => /^[a-z]+\/[a-z]+$/.test(name)) {
  const found = new Map<string, number>()
  const answer = await readArchive(file, isName, limits, async (name, bytes) => {
    found.set(name, bytes.length)
    return done
  })
  return { code: answer.ok ? 'ok' : answer.fault.code, found }
}

const SAID = 'data/one,100000,data/two,3,data/none,0'
const sound = join(folder, 'sound.tar.gz')
must(
  await writeArchive(sound, async add => {
    await add('data/one', new Uint8Array(100_000).fill(7))
    await add('data/two', new Uint8Array(3))
    await add('data/none', new Uint8Array(0))
    return done
  }),
)

test('what was put in comes out, tar agrees, and only the owner reads it', async () => {
  const { code, found } = await read(sound)
  assert.equal([code, ...found], ['ok', ['data/one', 100_000], ['data/two', 3], ['data/none', 0]])
  assert.is(execFileSync('tar', ['tzf', sound], { encoding: 'utf8' }), 'data/one\ndata/two\ndata/none\n')
  assert.is(statSync(sound).mode & 0o777, 0o600)
  const again = await writeArchive(sound, async () => done)
  assert.is(again.ok ? '' : again.fault.code, 'archive.exists')
})

test('one that is given up, or cannot be written, leaves nothing', async () => {
  const file = join(folder, 'given-up.tar.gz')
  const given = await writeArchive(file, async add => {
    await add('data/one', new Uint8Array(100_000))
    return fail({ code: 'disk.io' })
  })
  assert.equal(
    [given.ok ? '' : given.fault.code, existsSync(file), existsSync(`${file}.unfinished`)],
    ['disk.io', false, false],
  )
  const full = await writeArchive('/dev/full/x', async () => done)
  assert.is(full.ok, false)
})

test('cut at any place, it is refused', async () => {
  const whole = readFileSync(sound)
  const file = join(folder, 'cut.tar.gz')
  for (let at = 0; at < whole.length; at += 1 + Math.floor(whole.length / 60)) {
    writeFileSync(file, whole.subarray(0, at))
    const { code } = await read(file)
    assert.match(code, /^archive\.(truncated|damaged)$/, `${at} of ${whole.length}`)
  }
  const plain = gunzipSync(whole)
  for (const at of [300, 512, 1000, 60_000]) {
    writeFileSync(file, gzipSync(plain.subarray(0, at)))
    assert.match((await read(file)).code, /^archive\.(truncated|damaged)$/, `${at} of the tar`)
  }
})

test('with any byte changed, it is refused or says what it said', async () => {
  const whole = readFileSync(sound)
  const file = join(folder, 'changed.tar.gz')
  // Beyond gzip's header, whose time and operating system mean nothing.
  for (let at = 10; at < whole.length; at += 1 + Math.floor(whole.length / 80)) {
    const changed = Buffer.from(whole)
    changed[at]! ^= 0x10
    writeFileSync(file, changed)
    // Another distance in a run of one byte unpacks to the same: what is in it is what its checksum is of.
    const { code, found } = await read(file)
    assert.ok(code.startsWith('archive.') || [...found].join() === SAID, `byte ${at}: ${code}`)
  }
})

test('paths out of it, links, folders, devices, doubles and what is too long are each named', async () => {
  const source = join(folder, 'source')
  mkdirSync(join(source, 'data'), { recursive: true })
  writeFileSync(join(source, 'data/one'), 'one')
  writeFileSync(join(folder, 'outside'), 'outside')
  writeFileSync(join(source, 'data/large'), new Uint8Array((1 << 20) + 1))
  writeFileSync(join(source, 'data/half'), new Uint8Array(1 << 20))
  symlinkSync('/etc/passwd', join(source, 'data/link'))
  execFileSync('ln', [join(source, 'data/one'), join(source, 'data/hard')])
  execFileSync('mkfifo', [join(source, 'data/pipe')])
  const file = join(folder, 'hostile.tar.gz')
  const tar = async (...args: string[]) => {
    execFileSync('tar', ['czPf', file, '-C', source, ...args])
    return (await read(file)).code
  }
  assert.is(await tar('data/one'), 'ok')
  assert.is(await tar('../outside'), 'archive.name')
  assert.is(await tar(join(folder, 'outside')), 'archive.name')
  assert.is(await tar('data/one', '--transform', 's,data/one,data/../../one,'), 'archive.name')
  assert.is(await tar('data/link'), 'archive.not-a-file')
  assert.is(await tar('data/one', 'data/hard'), 'archive.not-a-file')
  assert.is(await tar('data/pipe'), 'archive.not-a-file')
  assert.is(await tar('data'), 'archive.not-a-file')
  assert.is(await tar('data/large'), 'archive.too-large')
  assert.is(await tar('--hard-dereference', '--transform', 's,half,one,', 'data/half', 'data/one'), 'archive.duplicate')
  assert.is((await read(sound, { entryBytes: 1 << 20, totalBytes: 100_002, entries: 50 })).code, 'archive.too-large')
  writeFileSync(file, 'no gzip at all')
  assert.is((await read(file)).code, 'archive.damaged')
  assert.is((await read(join(folder, 'none'))).code, 'archive.missing')
})

/** An entry as its header says, whatever that is; `type` as in the header. */
function entry(name: string, bytes: Uint8Array, type = '0', size = bytes.length, mode = '0000600'): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0, 100, 'latin1')
  header.write(`${mode}\0`, 100)
  header.write(`${size.toString(8).padStart(11, '0')}\0`, 124)
  header.write('00000000000\0', 136)
  header.write('        ', 148)
  header.write(type, 156)
  header.write('ustar\u000000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return Buffer.concat([header, bytes, Buffer.alloc(-bytes.length & 511)])
}
const END = Buffer.alloc(1024)
const pax = (key: string, value: string): Buffer => {
  let length = key.length + value.length + 3
  while (`${length}`.length + key.length + value.length + 3 !== length) length++
  return entry('pax', Buffer.from(`${length} ${key}=${value}\n`), 'x')
}
const raw = join(folder, 'raw.tar.gz')
const readRaw = (...parts: readonly Uint8Array[]) => {
  writeFileSync(raw, gzipSync(Buffer.concat(parts)))
  return read(raw)
}
const text = Buffer.from('one')

test('what its headers say beside or against the plain ones is taken as a name and a length, or refused', async () => {
  const one = entry('data/one', text)
  assert.equal([...(await readRaw(one, END)).found], [['data/one', 3]])
  assert.equal([...(await readRaw(pax('path', 'data/two'), one, END)).found], [['data/two', 3]])
  const cases: readonly (readonly [Uint8Array, RegExp])[] = [
    [pax('path', '/etc/passwd'), /^archive\.name$/],
    [pax('path', 'data/../../one'), /^archive\.name$/],
    [pax('path', `data/${'o'.repeat(100_000)}`), /^ok$|^archive\./],
    [pax('size', '99999999999999'), /^archive\.too-large$/],
    [pax('size', 'none'), /^ok$/],
    [pax('size', '-1'), /^ok$/],
    [pax('linkpath', '/etc/passwd'), /^ok$/],
    [entry('long', Buffer.from('/etc/passwd\0'), 'L'), /^archive\.name$/],
    [entry('long', Buffer.alloc(0), 'L', 2 ** 33 - 1), /^archive\.damaged$/],
    [entry('pax', Buffer.alloc(0), 'x', 2 ** 33 - 1), /^archive\.damaged$/],
    [entry('data/dev', Buffer.alloc(0), '3'), /^archive\.not-a-file$/],
    [entry('data/dev', Buffer.alloc(0), '4'), /^archive\.not-a-file$/],
    [entry('data/ONE', text), /^archive\.name$/],
    [entry('data/o\nne', text), /^archive\.name$/],
    [entry('data/one', text), /^archive\.duplicate$/],
    [entry('data/two', Buffer.alloc(0), '0', 2 ** 33 - 1), /^archive\.too-large$/],
    [entry('data/set', text, '0', 3, '0104777'), /^ok$/],
  ]
  for (const [before, expected] of cases) {
    const { code } = await readRaw(before, one, END)
    assert.match(
      code,
      expected,
      `${code}: ${Buffer.from(before.subarray(0, 600)).toString('latin1').replaceAll('\0', '')}`,
    )
  }
})

test('entries without number, and zeros without end, cost no more than the limits allow', async () => {
  const many = Array.from({ length: 51 }, (_, i) =>
    entry(`data/${String.fromCharCode(97 + (i % 26), 97 + Math.floor(i / 26))}`, Buffer.alloc(0)),
  )
  assert.is((await readRaw(...many.slice(1), END)).code, 'ok')
  assert.is((await readRaw(...many, END)).code, 'archive.too-many')
  // Behind its end, before it, and where nothing but names of names stand: each unpacks to 64 MiB.
  const zeros = Buffer.alloc(64 << 20)
  const told = (code: string) => assert.is(code, 'archive.damaged')
  told((await readRaw(entry('data/one', text), END, zeros)).code)
  told((await readRaw(zeros)).code)
  const names = pax('comment', 'x'.repeat(900_000))
  told((await readRaw(...Array.from({ length: 70 }, () => names), entry('data/one', text), END)).code)
})

test('cut after any byte, with a second one behind it, or with something else, it is refused or says what it said', async () => {
  const whole = gzipSync(Buffer.concat([entry('data/one', text), entry('data/two', text), END]))
  for (let at = 0; at < whole.length; at++) {
    writeFileSync(raw, whole.subarray(0, at))
    assert.match((await read(raw)).code, /^archive\.(truncated|damaged)$/, `${at} of ${whole.length}`)
  }
  for (const behind of [gzipSync(Buffer.concat([entry('data/three', text), END])), Buffer.from('something else')]) {
    writeFileSync(raw, Buffer.concat([whole, behind]))
    const { code, found } = await read(raw)
    assert.ok(code !== 'ok' || [...found.keys()].join() === 'data/one,data/two', `${code} ${[...found.keys()]}`)
  }
  rmSync(folder, { recursive: true })
})

test.run()
