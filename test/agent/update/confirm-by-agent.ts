/** The running agent's own part, without an agent: one meter that reads, and the gate at a thousandfold speed. */
import { createUpdates } from '../../../agent/update/run.ts'
import { createSystemTime, scaleFrom } from '../../../drivers/clock.ts'
import type { Log } from '../../../drivers/ports.ts'
import type { Tree } from '../../../drivers/store/tree.ts'
import { ok } from '../../../protocol/result.ts'
import { verifier } from './update-bench.ts'

function updatesOf(tree: Tree, started: { readonly name: string; readonly tried: boolean }, keys: string, log: Log) {
  const hear: ((name: string, signed: unknown) => void)[] = []
  const agent = {
    config: { site: 'maple', meters: { grid: { everyMs: 1000 } } },
    metering: { onSigned: (each: (typeof hear)[number]) => void hear.push(each), latest: () => undefined },
    trading: { deals: () => [] },
    sessions: undefined,
  } as unknown as Parameters<typeof createUpdates>[0]['agent']
  const { clock, timers } = createSystemTime(scaleFrom(0, 1000))
  const updates = createUpdates({
    ...{ agent, tree, verifier, clock, timers, started, log },
    keys: async () => ok(keys),
  })
  for (const each of hear) each('grid', { reading: { reason: 'periodic', errors: [] } })
  return updates
}

/** Once it says that it stays. */
export function confirmed(tree: Tree, name: string, keys: string): Promise<void> {
  return new Promise((resolve, reject) => {
    updatesOf(tree, { name, tried: true }, keys, (level, _, text) => {
      if (level === 'error') reject(new Error(text))
      if (/found good/.test(text)) resolve()
    }).start()
  })
}

/** Once a release that was found good before has had the time to tidy up. */
export async function settled(tree: Tree, name: string, keys: string): Promise<void> {
  const updates = updatesOf(tree, { name, tried: false }, keys, () => {})
  updates.start()
  await new Promise(resolve => setTimeout(resolve, 300))
  updates.stop()
}
