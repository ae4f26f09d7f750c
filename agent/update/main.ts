#!/usr/bin/env -S MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=131072 node --max-semi-space-size=1 --optimize-for-size --v8-pool-size=1
/**
 * The launcher, which the service manager starts: decides which release runs, and runs it in this process, so that signals, the
 * watchdog and the process number are the release's own. It comes with Debian's package alone, for the user of the agent cannot
 * change it: everything that the agent can write is held against its signature here, at each start. Its first line is that of
 * agent/main.ts, for what keeps a process small is settled before it begins.
 */
import { fileURLToPath, pathToFileURL } from 'node:url'
import { createSystemTime } from '../../drivers/clock.ts'
import { createVerifier } from '../../drivers/crypto/verifier.ts'
import { runInTime } from '../../drivers/process/in-time.ts'
import { openTree } from '../../drivers/store/tree.ts'
import { readTextFile } from '../../drivers/text-file.ts'
import { faultLine } from '../../protocol/result.ts'
import { PROGRAM } from '../../protocol/update/manifest.ts'
import { EXIT } from '../cli/exit-codes.ts'
import { keysFile, readPackaged, storeFolder, tellStarted } from './place.ts'
import { readState } from './releases.ts'
import { type Chosen, chooseStart } from './start.ts'

/** With these codes the service manager leaves a program alone, as no restart mends a configuration; a trial is one that does. */
const LEFT_ALONE: readonly number[] = [EXIT.usage, EXIT.permission, EXIT.configuration]
/** Far above the health gate of any release: for one whose gate says nothing at all. */
const TRIAL_MS = 3 * 3_600_000
/** The time that the service manager gives, too. */
const STOP_MS = 20_000

const home = fileURLToPath(new URL('../../', import.meta.url))
const store = storeFolder(process.env)
const tree = openTree(store)
const say = (text: string) => process.stderr.write(`<4>update: ${text}\n`)

const packaged = await readPackaged(home)
const chosen: Chosen = await chooseStart({
  tree,
  timers: createSystemTime().timers,
  verifier: createVerifier(),
  packaged: packaged.release,
  keys: await readTextFile(keysFile(process.env)),
  onFault: (text, fault) => say(`${text}: ${faultLine(fault)}`),
}).catch((bug: unknown) => {
  // A gateway that does not start cannot be mended from afar.
  say(`what the package brought starts: ${String(bug)}`)
  return { start: 'packaged' }
})
tellStarted(process.env, chosen)

if (chosen.start === 'candidate') {
  const { name } = chosen
  process.on('exit', code => {
    if (LEFT_ALONE.includes(code)) process.exitCode = EXIT.temporary
  })
  runInTime(TRIAL_MS, () => {
    void readState(tree).then(state => {
      if (state.ok && state.value.candidate?.name !== name) return
      say(`release ${name} has not said that it is good: it is ended`)
      process.kill(process.pid, 'SIGTERM')
      runInTime(STOP_MS, () => process.exit(EXIT.temporary))
    })
  })
}

const folder = chosen.start === 'packaged' ? home : `${store}/${chosen.folder}/files/`
await import(pathToFileURL(`${folder}${PROGRAM}`).href)
