import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { missingTools } from '../../../hw/image/image/tools.ts'
import { assert, suite } from '../../harness.ts'

const test = suite('image: the programs that it takes')
const MAIN = fileURLToPath(new URL('../../../hw/image/main.ts', import.meta.url))

test('those that are missing are named with their packages, each package once', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tieline-tools-'))
  try {
    symlinkSync(process.execPath, join(folder, 'zstd'))
    // There, and nothing that runs.
    writeFileSync(join(folder, 'mcopy'), '', { mode: 0o644 })
    const path = `/nowhere::${folder}`
    assert.is(missingTools(['zstd'], path), undefined)
    assert.is(
      missingTools(['zstd', 'mformat', 'mcopy', 'sfdisk'], path),
      'not on this machine: mformat, mcopy, sfdisk; on Debian: apt-get install mtools fdisk',
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('an image that cannot be made is refused before anything is', () => {
  const out = join(tmpdir(), `tieline-no-image-${process.pid}`)
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', 'tsx', MAIN, 'flash', '--out', out],
    // A machine without any of them, whoever runs this test.
    { encoding: 'utf8', env: { ...process.env, PATH: '/nowhere' } },
  )
  assert.is(status, 1)
  assert.is(stdout, '')
  assert.match(
    stderr,
    /^image: (the image of a card is made by root|not on this machine: mmdebstrap, .*apt-get install).*\n$/,
  )
  assert.not.ok(existsSync(out))
})

test.run()
