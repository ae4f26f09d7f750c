/** Whether a program left processes behind: each that it starts, and they start, carries a mark in its environment. */
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'

const NAME = 'TIELINE_TEST_MARK'

export interface Mark {
  readonly env: NodeJS.ProcessEnv
  /** Process ids that carry it; a pseudo-terminal is gone with the last process that holds it. */
  carriers(): readonly string[]
}

export function createMark(): Mark {
  const value = randomUUID()
  const carries = (pid: string): boolean => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`${NAME}=${value}`)
    } catch {
      // It ended meanwhile, or is nobody's to read.
      return false
    }
  }
  return {
    env: { ...process.env, [NAME]: value },
    carriers: () => readdirSync('/proc').filter(name => /^\d+$/.test(name) && carries(name)),
  }
}
