/** Another program of this machine, run to its end. */
import { execFile } from 'node:child_process'
import { fail, ok, type Result } from '../../protocol/result.ts'

/** Longer takes nothing that is run here, on any board. */
const DEADLINE_MS = 60_000

/** What it wrote to stdout. No shell reads the arguments. */
export const runProgram = (program: string, args: readonly string[], install: string): Promise<Result<string>> =>
  new Promise(resolve => {
    execFile(program, args, { timeout: DEADLINE_MS, encoding: 'utf8' }, (error, stdout, stderr) => {
      if (error === null) return resolve(ok(stdout))
      if (error.code === 'ENOENT')
        return resolve(fail({ code: 'program.missing', program, hint: `install it: ${install}` }))
      const why = stderr.trim().split('\n').at(-1) ?? ''
      resolve(fail({ code: 'program.failed', program, command: args[0] ?? '', why }))
    })
  })
