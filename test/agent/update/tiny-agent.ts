/**
 * What the tests' small releases run: the real gate, the real word to the service manager, and a meter that reads or not. How it
 * behaves stands in the release's own file, so that each release has other bytes.
 */

import { startService } from '../../../agent/service.ts'
import { keysFile, storeFolder, whatStarted } from '../../../agent/update/place.ts'
import { createUpdates } from '../../../agent/update/run.ts'
import { createSystemTime, scaleFrom } from '../../../drivers/clock.ts'
import { createVerifier } from '../../../drivers/crypto/verifier.ts'
import { openServiceManager } from '../../../drivers/process/service-manager.ts'
import { openTree } from '../../../drivers/store/tree.ts'
import { readTextFile } from '../../../drivers/text-file.ts'
import { must } from '../../../protocol/result.ts'

export type Behaviour = 'works' | 'crashes' | 'exits-78' | 'hangs' | 'never-reads' | 'mute'

/** The gate's five minutes are as many seconds here, and more than a busy machine stands still. */
const SPEED = 40

const { behaviour } = globalThis as unknown as { readonly behaviour: Behaviour }
const say = (text: string) => process.stdout.write(`${text}\n`)
const started = whatStarted(process.env)
const name = started?.name ?? 'package'
say(`starts ${name}`)
if (behaviour === 'crashes') throw new Error('this release cannot even start')
if (behaviour === 'exits-78') process.exit(78)

const { clock, timers } = createSystemTime(scaleFrom(0, SPEED))
const real = createSystemTime()
const listeners: ((name: string, signed: unknown) => void)[] = []
const agent = {
  config: { site: 'tiny', meters: { grid: { everyMs: 1000 } } },
  metering: { onSigned: (each: (typeof listeners)[number]) => void listeners.push(each), latest: () => undefined },
  trading: { deals: () => [] },
  sessions: undefined,
} as unknown as Parameters<typeof createUpdates>[0]['agent']
const updates = createUpdates({
  ...{ agent, started, clock, timers, verifier: createVerifier() },
  tree: openTree(storeFolder(process.env)),
  keys: () => readTextFile(keysFile(process.env)),
  log: (_, __, text) => say(text),
})
let rounds = 0
real.timers.every(50, () => rounds++)
const manager = must(await openServiceManager(process.env))
if (manager !== undefined) {
  const loops = { relays: () => rounds }
  startService({
    manager,
    loops,
    rounds: () => rounds,
    timers: real.timers,
    log: (_, __, text) => say(text),
  } as Parameters<typeof startService>[0])
}
if (behaviour !== 'mute') updates.start()
if (behaviour === 'hangs') for (;;);
say(`up ${name}`)
if (behaviour === 'works') {
  real.timers.every(50, () => {
    for (const each of listeners) each('grid', { reading: { reason: 'periodic', errors: [] } })
  })
}
process.on('SIGTERM', () => process.exit(0))
void updates.over.then(how => process.exit(how === 'given-up' ? 75 : 0))
