/** The updates of an agent on this machine. */
import { openTree } from '../../drivers/store/tree.ts'
import { readTextFile } from '../../drivers/text-file.ts'
import type { Agent } from '../compose.ts'
import type { World } from '../world.ts'
import { keysFile, storeFolder, whatStarted } from './place.ts'
import { createUpdates, type Updates } from './run.ts'

export const openUpdates = (
  agent: Agent,
  { verifier, clock, timers, log }: Pick<World, 'verifier' | 'clock' | 'timers' | 'log'>,
  env: Readonly<Record<string, string | undefined>>,
): Updates =>
  createUpdates({
    ...{ agent, verifier, clock, timers, log },
    started: whatStarted(env),
    tree: openTree(storeFolder(env)),
    keys: () => readTextFile(keysFile(env)),
  })
