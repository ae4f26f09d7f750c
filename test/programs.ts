/** Programs that tests ask and that may not be installed: why a test is skipped then. */
import { spawnSync } from 'node:child_process'
import type { SkipReason } from './harness.ts'

/** Undefined where the program is there, whatever it answers. */
export const without = (reason: SkipReason, program: string, ...args: readonly string[]): SkipReason | undefined =>
  spawnSync(program, args, { stdio: 'ignore' }).error === undefined ? undefined : reason

export const noOpenssl = without('no-openssl', 'openssl', 'version')
