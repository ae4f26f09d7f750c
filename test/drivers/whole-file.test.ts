/** A file that is replaced whole: against a disk that loses what was not synced, and against this machine's own. */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { type Files, mayWrite, writeWholeFile } from '../../drivers/whole-file.ts'
import { assert, suite } from '../harness.ts'

const test = suite('whole file')

const errno = (code: string) => Object.assign(new Error(code), { code })

/**
 * A file system that loses power before its step number `cutAt`: of a file's text what was synced is there, else any beginning
 * of it; of names, what stood before the folder was synced or what stands now, whichever `lost` says.
 */
function cutDisk({ cutAt, lost, lying = false }: { cutAt: number; lost: boolean; lying?: boolean }) {
  type Text = { text: string; synced: string | undefined; mode: number; uid: number; gid: number }
  const old: Text = { text: 'old', synced: 'old', mode: 0o100640, uid: 3, gid: 4 }
  let durable = new Map<string, Text>([['/etc/tieline/config.yaml', old]])
  const names = new Map(durable)
  let steps = 0
  const step = () => {
    if (steps++ >= cutAt) throw errno('EPOWER')
  }
  const files: Files = {
    realpath: async file => file,
    stat: async file => names.get(file) ?? Promise.reject(errno('ENOENT')),
    async open(path, flags, mode = 0) {
      step()
      const file: Text = { text: '', synced: undefined, mode: 0o100000 | mode, uid: 0, gid: 0 }
      if (flags === 'wx') names.set(path, file)
      return {
        async writeFile(text) {
          step()
          file.text = text
        },
        async chmod(mode) {
          step()
          file.mode = 0o100000 | mode
        },
        async chown(uid, gid) {
          step()
          Object.assign(file, { uid, gid })
        },
        async sync() {
          step()
          if (lying) return
          if (flags === 'r') durable = new Map(names)
          else file.synced = file.text
        },
        close: async () => {},
      }
    },
    rename: async (from, to) => {
      step()
      names.set(to, names.get(from)!)
      names.delete(from)
    },
    async unlink(file) {
      step()
      if (!names.delete(file)) throw errno('ENOENT')
    },
  }
  return {
    files,
    steps: () => steps,
    /** What is found after the power came back. */
    found: () => {
      const file = (lost ? durable : names).get('/etc/tieline/config.yaml')
      return file && { ...file, text: file.synced ?? file.text.slice(0, 1) }
    },
  }
}

test('power lost before any step leaves the old text or the new one, whole, with mode and owner', async () => {
  const seen = new Set<string>()
  let steps = 0
  for (const lost of [true, false]) {
    for (let cutAt = 0; cutAt < 20; cutAt++) {
      const disk = cutDisk({ cutAt, lost })
      const written = await writeWholeFile('/etc/tieline/config.yaml', 'the new text', disk.files)
      const found = disk.found()!
      assert.ok(['old', 'the new text'].includes(found.text), `${cutAt}: ${found.text}`)
      assert.equal([found.mode & 0o7777, found.uid, found.gid], [0o640, 3, 4], String(cutAt))
      // What was promised is there.
      if (written.ok) assert.is(found.text, 'the new text')
      seen.add(found.text)
      if (written.ok) steps = disk.steps()
    }
  }
  assert.equal(seen.size, 2)
  assert.is(steps, 9, 'steps between which the power was lost')
})

test('on a disk that only says that it has synced, the text is torn: the test would see it', async () => {
  const disk = cutDisk({ cutAt: 99, lost: false, lying: true })
  await writeWholeFile('/etc/tieline/config.yaml', 'the new text', disk.files)
  assert.is(disk.found()!.text, 't')
})

const inFolder = async (work: (folder: string) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(`${tmpdir()}/tieline-whole-`)
  try {
    await work(folder)
  } finally {
    chmodSync(folder, 0o700)
    rmSync(folder, { recursive: true })
  }
}

test('a real file keeps its mode, a link its place, and nothing is left beside it', () =>
  inFolder(async folder => {
    mkdirSync(`${folder}/real`)
    writeFileSync(`${folder}/real/a.yaml`, 'old')
    chmodSync(`${folder}/real/a.yaml`, 0o664)
    symlinkSync('real/a.yaml', `${folder}/a.yaml`)
    // What an earlier attempt left, or somebody planted, is not written through.
    symlinkSync(`${folder}/b.yaml`, `${folder}/real/a.yaml.unfinished`)
    assert.ok((await writeWholeFile(`${folder}/a.yaml`, 'new')).ok)
    assert.is(readFileSync(`${folder}/a.yaml`, 'utf8'), 'new')
    assert.is(statSync(`${folder}/real/a.yaml`).mode & 0o777, 0o664)
    assert.equal(readdirSync(folder).sort(), ['a.yaml', 'real'])
    assert.equal(readdirSync(`${folder}/real`), ['a.yaml'])
    assert.ok((await writeWholeFile(`${folder}/b.yaml`, 'x')).ok)
    assert.is(statSync(`${folder}/b.yaml`).mode & 0o777 & ~0o640, 0)
    assert.ok(await mayWrite(`${folder}/b.yaml`))
    assert.not(await mayWrite(`${folder}/none/b.yaml`))
    assert.not((await writeWholeFile(`${folder}/none/b.yaml`, 'x')).ok)
  }))

test('what the file system says is one fault, and the file is as it was', async () => {
  for (const [code, fault] of [
    ['EROFS', 'file.read-only'],
    ['ENOSPC', 'file.full'],
    ['EDQUOT', 'file.full'],
    ['EACCES', 'file.permission'],
    ['EIO', 'file.unwritten'],
  ] as const) {
    await inFolder(async folder => {
      writeFileSync(`${folder}/a`, 'old')
      const { files } = cutDisk({ cutAt: 99, lost: false })
      const said = await writeWholeFile('/etc/tieline/config.yaml', 'new', {
        ...files,
        open: async () => Promise.reject(errno(code)),
      })
      assert.is(said.ok ? '' : said.fault.code, fault)
    })
  }
})

test.run()
