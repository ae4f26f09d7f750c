/** kill -9 of processes that write a journal in a folder of this machine. It proves nothing about power. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { openDisk } from '../../../drivers/store/disk.ts'
import { must } from '../../../protocol/result.ts'
import { assert } from '../../harness.ts'
import { memoryFolder } from './failing-files.ts'
import { newTime, open, readBack } from './journal-trials.ts'
import { SEGMENT_BYTES, SEGMENTS_KEPT, sizeOf, writeUntilKilled } from './killed-writer.ts'

/** Records of a life are numbered from its own number times this. */
const LIFE = 1_000_000
/** Opening reads what the lives before left; a folder of many would only make that slow. */
const LIVES_OF_FOLDER = 25
/** A life goes on for up to this long after it opened its journal. */
const LONGEST_MS = 25

export interface Killings {
  readonly kills: number
  /** Before the journal was open. */
  readonly early: number
  readonly acknowledged: number
  /** Records that were on the disk and not acknowledged, or whose acknowledgement came too late to be heard. */
  readonly unheard: number
  /** Because their time was over. */
  readonly dropped: number
}

/** The writer as plain JavaScript, which starts several times faster than through a loader. */
async function bundleWriter(into: string): Promise<void> {
  const { name } = writeUntilKilled
  await build({
    stdin: {
      contents: `import { ${name} } from './killed-writer.ts'\nawait ${name}(process.argv[2], Number(process.argv[3]))`,
      resolveDir: fileURLToPath(new URL('.', import.meta.url)),
    },
    outfile: into,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    logLevel: 'error',
  })
}

/** One life: lines that it said before it was killed, `afterMs` after it was open, or after it was begun. */
function killOne(program: string, folder: string, first: number, afterMs: number, early: boolean): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program, folder, String(first)], { stdio: ['ignore', 'pipe', 'pipe'] })
    let [out, err] = ['', '']
    let timer: NodeJS.Timeout | undefined
    const killSoon = () => {
      timer ??= setTimeout(() => child.kill('SIGKILL'), afterMs)
    }
    if (early) killSoon()
    child.stdout.on('data', chunk => {
      out += chunk
      killSoon()
    })
    child.stderr.on('data', chunk => {
      err += chunk
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      if (signal === 'SIGKILL') resolve(out.split('\n').slice(0, -1))
      else reject(new Error(`the writer ended by itself with ${code}: ${err}`))
    })
  })
}

/** Kills so many writers, and judges after each what is there by what it had said. */
export async function killWriters(kills: number, random: () => number): Promise<Killings> {
  const root = mkdtempSync(join(memoryFolder(), 'tieline-killed-'))
  const program = join(root, 'writer.mjs')
  let [early, acknowledged, unheard, dropped] = [0, 0, 0, 0]
  try {
    await bundleWriter(program)
    let folder = root
    let told: number[] = []
    for (let life = 0; life < kills; life++) {
      if (life % LIVES_OF_FOLDER === 0) {
        folder = mkdtempSync(join(root, 'journal-'))
        told = []
      }
      const before = random() < 1 / 8
      const lines = await killOne(program, folder, life * LIFE, random() * (before ? 80 : LONGEST_MS), before)
      if (lines[0] !== 'open') early++
      told.push(...lines.slice(1).map(Number))

      const disk = must(await openDisk(folder))
      const found = await open(disk, newTime(), SEGMENT_BYTES)
      assert.ok(found.ok, `after life ${life}: ${found.ok || JSON.stringify(found.fault)}`)
      const journal = must(found)
      const back = await readBack(journal, disk, sizeOf, `after life ${life}`)
      assert.equal(back.lost(told), [], `after life ${life}: acknowledged and lost`)
      const gone = back.dropped(told).length
      const segments = must(await disk.list()).length
      assert.ok(gone === 0 || segments >= SEGMENTS_KEPT, `after life ${life}: dropped too early`)
      const heard = new Set(told)
      unheard += back.numbers.filter(number => !heard.has(number)).length
      dropped += gone
      // What was found is owed from now on.
      told = [...back.numbers]
      acknowledged += lines.length
      await journal.close()
      await disk.close()
    }
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
  return { kills, early, acknowledged, unheard, dropped }
}
